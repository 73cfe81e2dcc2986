"""What the instance makes with the help of other services: IAM keys, service credentials, custom credentials."""

from plain import common

IAM = "iam_credentials_configuration"
CUSTOM = "custom_credentials_configuration"
SERVICE = "crn:v1:bluemix:public:cloud-object-storage:global:a/791f5fb10986423e97aa8512f18b7e65:6d1e7a2c-0000-4000-8000-000000000001::"
WRITER = "crn:v1:bluemix:public:iam::::serviceRole:Writer"


def iam_credentials(driver, group):
    """Both modes: a key that is shared, and one that every read replaces."""
    base = {"secret_type": "iam_credentials", "ttl": "12h", **common(group["id"])}
    shared = driver.call("create_secret", secret_prototype={
        **base, "name": "sdk-iam-shared", "ttl": "48h", "reuse_api_key": True,
        "access_groups": ["AccessGroupId-6a2a0b3c-1111-4222-8333-444455556666"],
        "rotation": {"auto_rotate": True, "interval": 1, "unit": "day"}})
    key = shared["id"]
    first = driver.call("get_secret", id=key)
    assert driver.call("get_secret", id=key)["api_key"] == first["api_key"], "a shared key is not replaced by reads"
    rotated = driver.call("create_secret_version", secret_id=key, secret_version_prototype={})
    assert rotated["api_key"] != first["api_key"] and rotated["payload_available"]
    back = driver.call("create_secret_version", secret_id=key,
                       secret_version_prototype={"restore_from_version": "previous"})
    assert back["api_key"] == first["api_key"]
    driver.call("delete_secret_version_data", secret_id=key, id="current")
    assert not driver.call("get_secret_version_metadata", secret_id=key, id="current")["payload_available"]
    driver.refused("delete_secret_version_data", 400, secret_id=key, id="previous")

    own = driver.call("create_secret", secret_prototype={
        **base, "name": "sdk-iam-own", "reuse_api_key": False,
        "service_id": "ServiceId-6a2a0b3c-1111-4222-8333-444455556666", "account_id": "791f5fb10986423e97aa8512f18b7e65"})
    one, two = (driver.call("get_secret", id=own["id"])["api_key"] for _ in range(2))
    assert one != two, "every read makes a new key"
    driver.call("create_secret_locks_bulk", id=own["id"], locks=[{"name": "held"}])
    assert "locked" in driver.refused("get_secret", 412, id=own["id"])
    driver.call("delete_secret_locks_bulk", id=own["id"])
    message = driver.refused("create_secret_version", 400, secret_id=own["id"], secret_version_prototype={})
    assert "reuse" in message, message
    driver.call("delete_secret", id=own["id"])
    driver.call("delete_secret", id=key)


def service_credentials(driver, group):
    """A resource key of another service."""
    made = driver.call("create_secret", secret_prototype={
        "secret_type": "service_credentials", "name": "sdk-service", "ttl": "172800", **common(group["id"]),
        "source_service": {"instance": {"crn": SERVICE}, "role": {"crn": WRITER}, "parameters": {"HMAC": True}},
        "rotation": {"auto_rotate": True, "interval": 1, "unit": "day"}})
    key = made["id"]
    assert made["credentials"]["apikey"] and made["source_service"]["instance"]["crn"] == SERVICE
    new = driver.call("create_secret_version", secret_id=key, secret_version_prototype={})
    assert new["credentials"]["apikey"] != made["credentials"]["apikey"] and new["resource_key"]
    shown = driver.call("get_secret_version_metadata", secret_id=key, id="current")
    assert shown["resource_key"] == new["resource_key"]
    changed = driver.call("update_secret_metadata", id=key, secret_metadata_patch={"ttl": "259200"})
    assert changed["ttl"] == "259200"
    driver.call("delete_secret", id=key)


def custom_credentials(driver, group):
    """A custom engine: every version is a task for its job; here we are the job."""
    login = driver.call("create_secret", secret_prototype={
        "secret_type": "iam_credentials", "name": "sdk-engine-key", "ttl": "12h", "reuse_api_key": True,
        "access_groups": ["AccessGroupId-6a2a0b3c-1111-4222-8333-444455556666"]})
    engine = driver.call("create_configuration", configuration_prototype={
        "config_type": CUSTOM, "name": "sdk-engine", "api_key_ref": login["id"], "task_timeout": "10m",
        "code_engine": {"project_id": "1c9d3b2a-1111-4222-8333-444455556666", "job_name": "sdk-job", "region": "eu-de"}})
    assert engine["schema"]["credentials"] and engine["code_engine"]["job_name"] == "sdk-job"
    changed = driver.call("update_configuration", name="sdk-engine", x_sm_accept_configuration_type=CUSTOM,
                          configuration_patch={"task_timeout": "20m"})
    assert changed["task_timeout"] == "20m"
    assert "sdk-engine" in driver.call("get_secret_metadata", id=login["id"])["referenced_by"]

    made = driver.call("create_secret", secret_prototype={
        "secret_type": "custom_credentials", "name": "sdk-custom", "configuration": "sdk-engine", "ttl": "864000",
        "parameters": {"username": "sdk", "valid_days": 3, "read_only": True, "login_secret": login["id"]},
        "rotation": {"auto_rotate": True, "interval": 5, "unit": "day"}, **common(group["id"])})
    key = made["id"]
    assert made["state_description"] == "pre_activation" and "credentials_content" not in made
    answer(driver, key, "create_credentials", {"status": "credentials_created", "credentials": {
        "id": "cred-1", "payload": {"api_key": "one", "user_id": "u"}}})
    whole = driver.call("get_secret", id=key)
    assert whole["state"] == 1 and whole["credentials_content"] == {"api_key": "one", "user_id": "u"}
    assert driver.call("get_secret_version_metadata", secret_id=key, id="current")["credentials_id"] == "cred-1"

    # A rotation that fails, one that works, and the end of the credentials before.
    driver.call("create_secret_version", secret_id=key, secret_version_prototype={})
    answer(driver, key, "create_credentials", {"status": "failed", "errors": [{"code": "E1", "description": "no"}]})
    assert driver.call("get_secret_metadata", id=key)["last_rotation_failed"] is True
    driver.call("create_secret_version", secret_id=key, secret_version_prototype={})
    answer(driver, key, "create_credentials", {"status": "credentials_created", "credentials": {
        "id": "cred-2", "payload": {"api_key": "two", "user_id": "u"}}})
    assert driver.call("get_secret", id=key)["credentials_content"]["api_key"] == "two"
    previous = driver.call("get_secret_version", secret_id=key, id="previous")
    assert previous["credentials_content"]["api_key"] == "one"
    driver.call("delete_secret_version_data", secret_id=key, id="previous")
    answer(driver, key, "delete_credentials", {"status": "credentials_deleted"})
    tasks = driver.call("list_secret_tasks", secret_id=key)["tasks"]
    done = next(task for task in tasks if task["status"] == "credentials_created")
    driver.call("delete_secret_task", secret_id=key, id=done["id"])
    assert done["id"] not in {task["id"] for task in driver.call("list_secret_tasks", secret_id=key)["tasks"]}
    driver.call("delete_secret", id=key, force_delete=True)
    driver.refused("get_secret_metadata", 404, id=key)
    driver.call("delete_configuration", name="sdk-engine", x_sm_accept_configuration_type=CUSTOM)
    driver.call("delete_secret", id=login["id"])


def answer(driver, key, kind, body):
    """Answers the task that is being processed, as the engine's job would."""
    task_id = driver.call("get_secret_metadata", id=key)["processing_task_id"]
    task = driver.call("get_secret_task", secret_id=key, id=task_id)
    assert task["type"] == kind and task["status"] == "processing" and len(task["id"]) == 44, task
    done = driver.call("replace_secret_task", secret_id=key, id=task_id, task_put=body)
    assert done["status"] == body["status"]
