"""Drives an embedded instance through every operation that it serves, with IBM's own SDK, and checks the bodies.

Needs SECRETS_MANAGER_URL, SECRETS_MANAGER_AUTH_URL and SECRETS_MANAGER_APIKEY, and an instance that was seeded.
Prints one line at the end; any other end is a failure.
"""

import inspect
import os

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk

from bodies import check, check_no_payload

CIS = "public_cert_configuration_dns_cloud_internet_services"
CLASSIC = "public_cert_configuration_dns_classic_infrastructure"
ACME = "public_cert_configuration_ca_lets_encrypt"
IAM = "iam_credentials_configuration"

# What the embedded instance does not serve.
NOT_SERVED = {"create_secret_action", "create_secret_version_action", "delete_secret_version_data",
              "list_secret_tasks", "get_secret_task", "replace_secret_task", "delete_secret_task",
              "create_configuration_action", "new_instance", "construct_service_url"}


class Driver:
    """The SDK's client, with each answer checked."""

    def __init__(self):
        key = IAMAuthenticator(os.environ["SECRETS_MANAGER_APIKEY"], url=os.environ["SECRETS_MANAGER_AUTH_URL"])
        self.client = sdk.SecretsManagerV2(authenticator=key)
        self.client.set_service_url(os.environ["SECRETS_MANAGER_URL"])
        self.used = set()

    def call(self, operation, schema, status, *, payload=False, **arguments):
        """Calls an operation and checks status and body; gives the body."""
        self.used.add(operation)
        answer = getattr(self.client, operation)(**arguments)
        assert answer.get_status_code() == status, f"{operation}: {answer.get_status_code()}"
        body = answer.get_result()
        if schema is None:
            assert not body, f"{operation}: a body where there is none: {body}"
            return None
        check(schema, body, operation)
        if not payload:
            check_no_payload(body, operation)
        return body

    def refused(self, operation, status, **arguments):
        """Calls an operation that has to be refused; gives the message."""
        self.used.add(operation)
        try:
            getattr(self.client, operation)(**arguments)
        except ApiException as error:
            assert error.status_code == status, f"{operation}: {error.status_code}"
            assert error.message, f"{operation}: no message"
            return error.message
        raise AssertionError(f"{operation}: not refused")


def groups(driver):
    """Secret groups."""
    group = driver.call("create_secret_group", "SecretGroup", 201, name="sdk-group", description="of the SDK")
    assert group["name"] == "sdk-group" and group["description"] == "of the SDK"
    driver.refused("create_secret_group", 400, name="sdk-group")
    listed = driver.call("list_secret_groups", "SecretGroupCollection", 200)
    assert listed["total_count"] == len(listed["secret_groups"])
    assert group in listed["secret_groups"] and any(g["id"] == "default" for g in listed["secret_groups"])
    assert driver.call("get_secret_group", "SecretGroup", 200, id=group["id"]) == group
    patch = {"name": "sdk-renamed", "description": "new"}
    changed = driver.call("update_secret_group", "SecretGroup", 200, id=group["id"], secret_group_patch=patch)
    assert changed["name"] == "sdk-renamed" and changed["created_at"] == group["created_at"]
    return changed


def prototypes(driver, group_id):
    """A create body of every type, and one of a new version."""
    row = driver.call("list_secrets", "SecretMetadataPaginatedCollection", 200, secret_types=["imported_cert"],
                      limit=1)["secrets"][0]
    certificate = driver.call("get_secret", "Secret", 200, payload=True, id=row["id"])
    pem = {field: certificate[field] for field in ("certificate", "intermediate", "private_key") if field in certificate}
    common = {"description": "d", "labels": ["sdk", "prod"], "secret_group_id": group_id,
              "custom_metadata": {"a": 1}, "version_custom_metadata": {"v": 1}}
    return {
        "arbitrary": ({**common, "payload": "one", "expiration_date": "2039-01-01T00:00:00Z"}, {"payload": "two"}),
        "kv": ({**common, "data": {"k": "one", "n": {"x": [1, None]}}}, {"data": {"k": "two"}}),
        "username_password": (
            {**common, "username": "svc.sdk", "expiration_date": "2039-01-01T00:00:00Z",
             "password_generation_policy": {"length": 20, "include_symbols": False},
             "rotation": {"auto_rotate": True, "interval": 3, "unit": "month"}}, {"password": "a new password"}),
        "imported_cert": ({**common, **pem}, pem),
    }


def secret(driver, secret_type, create, version, group):
    """One secret from its creation to its deletion."""
    made = driver.call("create_secret", "Secret", 201, payload=True,
                       secret_prototype={"secret_type": secret_type, "name": f"sdk-{secret_type}", **create})
    for field, value in create.items():
        if field not in ("version_custom_metadata", "expiration_date"):
            assert made[field] == value, f"{secret_type}: {field} is {made[field]!r}"
    key = made["id"]
    assert made["versions_total"] == 1 and made["state"] == 1 and made["crn"].endswith(f":secret:{key}")
    driver.refused("create_secret", 400,
                   secret_prototype={"secret_type": secret_type, "name": f"sdk-{secret_type}", **create})
    by_name = driver.call("get_secret_by_name_type", "Secret", 200, payload=True, secret_type=secret_type,
                          name=made["name"], secret_group_name=group["name"])
    assert by_name["id"] == key and by_name["downloaded"]

    new = driver.call("create_secret_version", "SecretVersion", 201, payload=True, secret_id=key,
                      secret_version_prototype={**version, "version_custom_metadata": {"v": 2}})
    assert new["alias"] == "current" and new["version_custom_metadata"] == {"v": 2}
    versions = driver.call("list_secret_versions", "SecretVersionMetadataCollection", 200, secret_id=key)
    assert [row.get("alias") for row in versions["versions"]] == ["current", "previous"]
    previous = driver.call("get_secret_version", "SecretVersion", 200, payload=True, secret_id=key, id="previous")
    payload = {field for field in create if field in previous} & {"payload", "data", "certificate", "username"}
    assert payload, f"{secret_type}: no payload in a version"
    assert all(previous[field] == create[field] for field in payload)
    assert previous["version_custom_metadata"] == {"v": 1}
    driver.call("get_secret_version_metadata", "SecretVersionMetadata", 200, secret_id=key, id=new["id"])
    patched = driver.call("update_secret_version_metadata", "SecretVersionMetadata", 200, secret_id=key, id="previous",
                          secret_version_metadata_patch={"version_custom_metadata": {"w": 3}})
    assert patched["version_custom_metadata"] == {"v": 1, "w": 3}

    locks(driver, key)
    driver.call("create_secret_version", "SecretVersion", 201, payload=True, secret_id=key,
                secret_version_prototype=version)
    old = driver.call("get_secret_version", "SecretVersion", 200, payload=True, secret_id=key, id=previous["id"])
    assert not old["payload_available"] and not payload & set(old)

    patch = {"description": None, "labels": ["only"], "custom_metadata": {"a": None, "b": 2}}
    changed = driver.call("update_secret_metadata", "SecretMetadata", 200, id=key, secret_metadata_patch=patch)
    assert "description" not in changed and changed["labels"] == ["only"] and changed["custom_metadata"] == {"b": 2}
    assert driver.call("get_secret_metadata", "SecretMetadata", 200, id=key) == changed
    driver.call("delete_secret", None, 204, id=key)
    driver.refused("get_secret_metadata", 404, id=key)


def locks(driver, key):
    """Locks on the current and the previous version, and what they forbid."""
    lock = {"name": "sdk-lock", "description": "held", "attributes": {"by": "sdk"}}
    row = driver.call("create_secret_locks_bulk", "SecretLocks", 201, id=key, locks=[lock])
    assert row["versions"][0]["locks"] == ["sdk-lock"]
    driver.call("create_secret_version_locks_bulk", "SecretLocks", 201, secret_id=key, id="previous", locks=[lock])
    listed = driver.call("list_secret_locks", "SecretLocksPaginatedCollection", 200, id=key, limit=1, sort="-name")
    assert listed["total_count"] == 2 and len(listed["locks"]) == 1 and listed["locks"][0]["attributes"] == {"by": "sdk"}
    both = sdk.SecretLocksPager(client=driver.client, id=key, limit=1).get_all()
    assert {row["secret_version_alias"] for row in both} == {"current", "previous"}
    listed = driver.call("list_secret_version_locks", "SecretVersionLocksPaginatedCollection", 200, secret_id=key,
                         id="previous")
    assert listed["total_count"] == 1
    assert len(sdk.SecretVersionLocksPager(client=driver.client, secret_id=key, id="current").get_all()) == 1
    message = driver.refused("delete_secret", 412, id=key)
    assert "locked" in message, message
    driver.refused("create_secret_version", 412, secret_id=key, secret_version_prototype=some_version(driver, key))
    row = driver.call("create_secret_locks_bulk", "SecretLocks", 201, id=key, locks=[lock], mode="remove_previous")
    assert row["versions"][1]["locks"] == []
    all_rows = sdk.SecretsLocksPager(client=driver.client, limit=7).get_all()
    assert any(row["secret_id"] == key and row["versions"][0]["locks"] == ["sdk-lock"] for row in all_rows)
    driver.call("delete_secret_version_locks_bulk", "SecretLocks", 200, secret_id=key, id="previous", name=["none"])
    row = driver.call("delete_secret_locks_bulk", "SecretLocks", 200, id=key, name=["sdk-lock", "none"])
    assert all(version["locks"] == [] for version in row["versions"])


def some_version(driver, key):
    """A body for a new version of whatever this is, from its current payload."""
    current = driver.call("get_secret_version", "SecretVersion", 200, payload=True, secret_id=key, id="current")
    fields = ("payload", "data", "password", "certificate", "intermediate", "private_key")
    return {field: current[field] for field in fields if field in current}


def lists(driver):
    """Lists, their pages and their filters."""
    page = driver.call("list_secrets", "SecretMetadataPaginatedCollection", 200, limit=5, offset=5, sort="-name")
    assert page["limit"] == 5 and page["offset"] == 5 and len(page["secrets"]) == 5
    assert all(field in page for field in ("first", "last", "next", "previous"))
    names = [row["name"] for row in page["secrets"]]
    assert names == sorted(names, reverse=True)
    everything = sdk.SecretsPager(client=driver.client, limit=7, sort="id").get_all()
    assert len(everything) == page["total_count"] and len({row["id"] for row in everything}) == page["total_count"]
    for row in everything:
        check("SecretMetadata", row, "SecretsPager")
        check_no_payload(row, "SecretsPager")
    wanted = {row["id"] for row in everything if row["secret_type"] in ("kv", "arbitrary") and "prod" in row["labels"]}
    found = sdk.SecretsPager(client=driver.client, secret_types=["kv", "arbitrary"], match_all_labels=["prod"]).get_all()
    assert {row["id"] for row in found} == wanted and wanted
    group = everything[0]["secret_group_id"]
    found = sdk.SecretsPager(client=driver.client, groups=[group, "default"]).get_all()
    assert {row["id"] for row in found} == {r["id"] for r in everything if r["secret_group_id"] in (group, "default")}
    rows = driver.call("list_secrets_locks", "SecretsLocksPaginatedCollection", 200, limit=1000)["secrets_locks"]
    assert {row["secret_id"] for row in rows} == {row["id"] for row in everything}
    totals = {row["id"]: row["versions_total"] for row in everything}
    assert all(len(row["versions"]) == min(2, totals[row["secret_id"]]) for row in rows)
    driver.refused("list_secrets", 400, limit=1001)


def configurations(driver):
    """Configurations of the four types."""
    for name, config_type in [("lets-encrypt-staging", ACME), ("dns-main", CIS), ("dns-main", CLASSIC), ("iam-engine", IAM)]:
        driver.call("get_configuration", "Configuration", 200, payload=True, name=name,
                    x_sm_accept_configuration_type=config_type)
    driver.refused("get_configuration", 300, name="dns-main")
    made = driver.call("create_configuration", "Configuration", 201, payload=True, configuration_prototype={
        "config_type": CLASSIC, "name": "sdk-dns", "classic_infrastructure_username": "u",
        "classic_infrastructure_password": "p"})
    changed = driver.call("update_configuration", "Configuration", 200, payload=True, name="sdk-dns",
                          x_sm_accept_configuration_type=CLASSIC,
                          configuration_patch={"classic_infrastructure_password": "q"})
    assert changed["classic_infrastructure_password"] == "q" and changed["classic_infrastructure_username"] == "u"
    message = driver.refused("create_configuration", 400, configuration_prototype={
        "config_type": IAM, "name": "second", "api_key": "k"})
    assert "reached the maximum" in message, message
    driver.call("list_configurations", "ConfigurationMetadataPaginatedCollection", 200, limit=2, sort="name")
    rows = sdk.ConfigurationsPager(client=driver.client, limit=2).get_all()
    assert {"sdk-dns", "dns-main", "iam-engine"} <= {row["name"] for row in rows}
    for row in rows:
        check("ConfigurationMetadata", row, "ConfigurationsPager")
        check_no_payload(row, "ConfigurationsPager")
    driver.call("delete_configuration", None, 204, name=made["name"], x_sm_accept_configuration_type=CLASSIC)
    driver.refused("get_configuration", 404, name="sdk-dns")


def registration(driver):
    """The registration with the notification service."""
    schema = "NotificationsRegistration"
    crn = driver.call("get_notifications_registration", schema, 200)["event_notifications_instance_crn"]
    driver.call("get_notifications_registration_test", None, 204)
    driver.call("delete_notifications_registration", None, 204)
    driver.refused("get_notifications_registration", 404)
    made = driver.call("create_notifications_registration", schema, 201, event_notifications_instance_crn=crn,
                       event_notifications_source_name="sdk", event_notifications_source_description="d")
    assert made == {"event_notifications_instance_crn": crn}


def main():
    """Everything, then whether it was everything."""
    driver = Driver()
    group = groups(driver)
    for secret_type, (create, version) in prototypes(driver, group["id"]).items():
        secret(driver, secret_type, create, version, group)
    lists(driver)
    configurations(driver)
    registration(driver)
    driver.call("delete_secret_group", None, 204, id=group["id"])
    operations = {name for name, member in inspect.getmembers(sdk.SecretsManagerV2, inspect.isfunction)
                  if member.__qualname__.startswith("SecretsManagerV2.") and not name.startswith("_")}
    left = operations - driver.used - NOT_SERVED
    assert not left, f"not driven: {sorted(left)}"
    print(f"driven: {len(driver.used)} operations")


if __name__ == "__main__":
    main()
