"""Groups, the plain secret types, locks, lists, registration."""

from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk

from bodies import check, check_no_secret


def groups(driver):
    """Secret groups."""
    group = driver.call("create_secret_group", name="sdk-group", description="of the SDK")
    assert group["name"] == "sdk-group" and group["description"] == "of the SDK"
    driver.refused("create_secret_group", 400, name="sdk-group")
    listed = driver.call("list_secret_groups")
    assert listed["total_count"] == len(listed["secret_groups"])
    assert group in listed["secret_groups"] and any(g["id"] == "default" for g in listed["secret_groups"])
    assert driver.call("get_secret_group", id=group["id"]) == group
    patch = {"name": "sdk-renamed", "description": "new"}
    changed = driver.call("update_secret_group", id=group["id"], secret_group_patch=patch)
    assert changed["name"] == "sdk-renamed" and changed["created_at"] == group["created_at"]
    return changed


def common(group_id):
    """The members that a create body of every type takes."""
    return {"description": "d", "labels": ["sdk", "prod"], "secret_group_id": group_id,
            "custom_metadata": {"a": 1}, "version_custom_metadata": {"v": 1}}


def prototypes(driver, group_id):
    """A create body of every plain type, and one of a new version."""
    row = driver.call("list_secrets", secret_types=["imported_cert"], limit=1)["secrets"][0]
    certificate = driver.call("get_secret", id=row["id"])
    pem = {field: certificate[field] for field in ("certificate", "intermediate", "private_key") if field in certificate}
    every = common(group_id)
    return {
        "arbitrary": ({**every, "payload": "one", "expiration_date": "2039-01-01T00:00:00Z"}, {"payload": "two"}),
        "kv": ({**every, "data": {"k": "one", "n": {"x": [1, None]}}}, {"data": {"k": "two"}}),
        "username_password": (
            {**every, "username": "svc.sdk", "expiration_date": "2039-01-01T00:00:00Z",
             "password_generation_policy": {"length": 20, "include_symbols": False},
             "rotation": {"auto_rotate": True, "interval": 3, "unit": "month"}}, {"password": "a new password"}),
        "imported_cert": ({**every, **pem}, pem),
    }


def secret(driver, secret_type, create, version, group):
    """One secret from its creation to its deletion."""
    made = driver.call("create_secret",
                       secret_prototype={"secret_type": secret_type, "name": f"sdk-{secret_type}", **create})
    for field, value in create.items():
        if field not in ("version_custom_metadata", "expiration_date"):
            assert made[field] == value, f"{secret_type}: {field} is {made[field]!r}"
    key = made["id"]
    assert made["versions_total"] == 1 and made["state"] == 1 and made["crn"].endswith(f":secret:{key}")
    driver.refused("create_secret", 400,
                   secret_prototype={"secret_type": secret_type, "name": f"sdk-{secret_type}", **create})
    by_name = driver.call("get_secret_by_name_type", secret_type=secret_type, name=made["name"],
                          secret_group_name=group["name"])
    assert by_name["id"] == key and by_name["downloaded"]

    new = driver.call("create_secret_version", secret_id=key,
                      secret_version_prototype={**version, "version_custom_metadata": {"v": 2}})
    assert new["alias"] == "current" and new["version_custom_metadata"] == {"v": 2}
    versions = driver.call("list_secret_versions", secret_id=key)
    assert [row.get("alias") for row in versions["versions"]] == ["current", "previous"]
    previous = driver.call("get_secret_version", secret_id=key, id="previous")
    payload = {field for field in create if field in previous} & {"payload", "data", "certificate", "username"}
    assert payload, f"{secret_type}: no payload in a version"
    assert all(previous[field] == create[field] for field in payload)
    assert previous["version_custom_metadata"] == {"v": 1}
    driver.call("get_secret_version_metadata", secret_id=key, id=new["id"])
    patched = driver.call("update_secret_version_metadata", secret_id=key, id="previous",
                          secret_version_metadata_patch={"version_custom_metadata": {"w": 3}})
    assert patched["version_custom_metadata"] == {"v": 1, "w": 3}

    locks(driver, key)
    driver.call("create_secret_version", secret_id=key, secret_version_prototype=version)
    old = driver.call("get_secret_version", secret_id=key, id=previous["id"])
    assert not old["payload_available"] and not payload & set(old)

    patch = {"description": None, "labels": ["only"], "custom_metadata": {"a": None, "b": 2}}
    changed = driver.call("update_secret_metadata", id=key, secret_metadata_patch=patch)
    assert "description" not in changed and changed["labels"] == ["only"] and changed["custom_metadata"] == {"b": 2}
    assert driver.call("get_secret_metadata", id=key) == changed
    driver.call("delete_secret", id=key)
    driver.refused("get_secret_metadata", 404, id=key)


def locks(driver, key):
    """Locks on the current and the previous version, and what they forbid."""
    lock = {"name": "sdk-lock", "description": "held", "attributes": {"by": "sdk"}}
    row = driver.call("create_secret_locks_bulk", id=key, locks=[lock])
    assert row["versions"][0]["locks"] == ["sdk-lock"]
    driver.call("create_secret_version_locks_bulk", secret_id=key, id="previous", locks=[lock])
    listed = driver.call("list_secret_locks", id=key, limit=1, sort="-name")
    assert listed["total_count"] == 2 and len(listed["locks"]) == 1 and listed["locks"][0]["attributes"] == {"by": "sdk"}
    both = sdk.SecretLocksPager(client=driver.client, id=key, limit=1).get_all()
    assert {row["secret_version_alias"] for row in both} == {"current", "previous"}
    listed = driver.call("list_secret_version_locks", secret_id=key, id="previous")
    assert listed["total_count"] == 1
    assert len(sdk.SecretVersionLocksPager(client=driver.client, secret_id=key, id="current").get_all()) == 1
    message = driver.refused("delete_secret", 412, id=key)
    assert "locked" in message, message
    driver.refused("create_secret_version", 412, secret_id=key, secret_version_prototype=some_version(driver, key))
    row = driver.call("create_secret_locks_bulk", id=key, locks=[lock], mode="remove_previous")
    assert row["versions"][1]["locks"] == []
    all_rows = sdk.SecretsLocksPager(client=driver.client, limit=7).get_all()
    assert any(row["secret_id"] == key and row["versions"][0]["locks"] == ["sdk-lock"] for row in all_rows)
    driver.call("delete_secret_version_locks_bulk", secret_id=key, id="previous", name=["none"])
    row = driver.call("delete_secret_locks_bulk", id=key, name=["sdk-lock", "none"])
    assert all(version["locks"] == [] for version in row["versions"])


def some_version(driver, key):
    """A body for a new version of whatever this is, from its current payload."""
    current = driver.call("get_secret_version", secret_id=key, id="current")
    fields = ("payload", "data", "password", "certificate", "intermediate", "private_key")
    return {field: current[field] for field in fields if field in current}


def lists(driver):
    """Lists, their pages and their filters."""
    page = driver.call("list_secrets", limit=5, offset=5, sort="-name")
    assert page["limit"] == 5 and page["offset"] == 5 and len(page["secrets"]) == 5
    assert all(field in page for field in ("first", "last", "next", "previous"))
    names = [row["name"] for row in page["secrets"]]
    assert names == sorted(names, reverse=True)
    everything = sdk.SecretsPager(client=driver.client, limit=7, sort="id").get_all()
    assert len(everything) == page["total_count"] and len({row["id"] for row in everything}) == page["total_count"]
    for row in everything:
        check("SecretMetadata", row, "SecretsPager", ("private_key",))
        check_no_secret(row, "SecretsPager")
    wanted = {row["id"] for row in everything
              if row["secret_type"] in ("kv", "arbitrary") and "prod" in row.get("labels", [])}
    found = sdk.SecretsPager(client=driver.client, secret_types=["kv", "arbitrary"], match_all_labels=["prod"]).get_all()
    assert {row["id"] for row in found} == wanted and wanted
    group = everything[0]["secret_group_id"]
    found = sdk.SecretsPager(client=driver.client, groups=[group, "default"]).get_all()
    assert {row["id"] for row in found} == {r["id"] for r in everything if r["secret_group_id"] in (group, "default")}
    rows = driver.call("list_secrets_locks", limit=1000)["secrets_locks"]
    assert {row["secret_id"] for row in rows} == {row["id"] for row in everything}
    totals = {row["id"]: row["versions_total"] for row in everything}
    assert all(len(row["versions"]) == min(2, totals[row["secret_id"]]) for row in rows)
    driver.refused("list_secrets", 400, limit=1001)
    return everything


def registration(driver):
    """The registration with the notification service."""
    crn = driver.call("get_notifications_registration")["event_notifications_instance_crn"]
    driver.call("get_notifications_registration_test")
    driver.call("delete_notifications_registration")
    driver.refused("get_notifications_registration", 404)
    made = driver.call("create_notifications_registration", event_notifications_instance_crn=crn,
                       event_notifications_source_name="sdk", event_notifications_source_description="d")
    assert made == {"event_notifications_instance_crn": crn}
