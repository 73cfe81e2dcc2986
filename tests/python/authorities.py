"""Certificate authorities, templates, private certificates, and what can be done with them."""

from plain import common

ROOT = "private_cert_configuration_root_ca"
INTERMEDIATE = "private_cert_configuration_intermediate_ca"
TEMPLATE = "private_cert_configuration_template"
ACTION = "private_cert_configuration_action_"
REVOKE = {"action_type": "private_cert_action_revoke_certificate"}


def create(driver, config_type, name, **members):
    """A new configuration; what it shows by name must be what the creation showed."""
    made = driver.call("create_configuration",
                       configuration_prototype={"config_type": config_type, "name": name, **members})
    again = driver.call("get_configuration", name=name, x_sm_accept_configuration_type=config_type)
    assert again == made, f"{name}: {again} is not {made}"
    return made


def act(driver, name, config_type, action, **members):
    """An action on a configuration."""
    return driver.call("create_configuration_action", name=name, x_sm_accept_configuration_type=config_type,
                       config_action_prototype={"action_type": ACTION + action, **members})


def status(driver, name):
    """The state of an intermediate authority."""
    found = driver.call("get_configuration", name=name, x_sm_accept_configuration_type=INTERMEDIATE)
    return found["status"]


def certificate_authorities(driver):
    """A root, an intermediate that it signs, one that another authority signs, and what they do."""
    subject = {"organization": ["Sandbox"], "country": ["DE"], "ou": ["sdk"]}
    root = create(driver, ROOT, "sdk-root", common_name="SDK Root", max_ttl="87600h", ttl="43800h", crl_expiry="96h",
                  key_type="ec", key_bits=256, max_path_length=3, **subject)
    assert root["max_ttl_seconds"] == 87600 * 3600 and root["crl_expiry_seconds"] == 96 * 3600
    assert root["ttl_seconds"] == 43800 * 3600 and root["status"] in ("configured", "certificate_template_required")
    assert "BEGIN CERTIFICATE" in root["data"]["certificate"]
    changed = driver.call("update_configuration", name="sdk-root", x_sm_accept_configuration_type=ROOT,
                          configuration_patch={"crl_expiry": "100h", "max_ttl": "80000h"})
    assert changed["crl_expiry_seconds"] == 100 * 3600 and changed["max_ttl_seconds"] == 80000 * 3600

    inner = create(driver, INTERMEDIATE, "sdk-inner", common_name="SDK Inner", max_ttl="26300h", crl_expiry="72h",
                   key_type="ec", key_bits=256, signing_method="internal", issuer="sdk-root", **subject)
    assert inner["status"] in ("signing_required", "certificate_template_required", "configured"), inner["status"]
    signed = act(driver, "sdk-root", ROOT, "sign_intermediate", intermediate_certificate_authority="sdk-inner", ttl="20000h")
    assert signed["intermediate_certificate_authority"] == "sdk-inner"
    assert status(driver, "sdk-inner") in ("certificate_template_required", "configured")

    outer = create(driver, INTERMEDIATE, "sdk-outer", common_name="SDK Outer", max_ttl="26300h", key_type="ec",
                   key_bits=256, signing_method="external")
    assert outer["status"] in ("signing_required", "signed_certificate_required"), outer["status"]
    answer = act(driver, "sdk-root", ROOT, "sign_csr", csr=outer["data"]["csr"], ttl="10000h", common_name="SDK Outer")
    answer = act(driver, "sdk-outer", INTERMEDIATE, "set_signed", certificate=answer["data"]["certificate"])
    assert status(driver, "sdk-outer") in ("certificate_template_required", "configured")

    rotated = act(driver, "sdk-root", ROOT, "rotate_crl")
    assert rotated["success"] is True
    template(driver)
    rotated = act(driver, "sdk-inner", INTERMEDIATE, "rotate_intermediate")
    assert rotated["name"] == "sdk-inner" and rotated["config"]
    return outer["data"]["csr"]


def template(driver):
    """A template, and that what it does not show stays unshown."""
    made = create(driver, TEMPLATE, "sdk-template", certificate_authority="sdk-inner", max_ttl="8760h", ttl="2190h",
                  not_before_duration="30s", allow_any_name=True, allow_subdomains=True, enforce_hostnames=False,
                  allow_wildcard_certificates=True, key_type="ec", key_bits=256, allowed_uri_sans=["spiffe://*"],
                  allowed_other_sans=["*"])
    assert made["max_ttl_seconds"] == 8760 * 3600 and made["ttl_seconds"] == 2190 * 3600
    assert made["not_before_duration_seconds"] == 30 and "allow_wildcard_certificates" not in made
    changed = driver.call("update_configuration", name="sdk-template", x_sm_accept_configuration_type=TEMPLATE,
                          configuration_patch={"ttl": "2000h", "server_flag": False})
    assert changed["ttl_seconds"] == 2000 * 3600 and changed["server_flag"] is False


def private_certificates(driver, group, csr):
    """Private certificates with a key of the instance, and from a request."""
    base = {"secret_type": "private_cert", "certificate_template": "sdk-template", **common(group["id"])}
    made = driver.call("create_secret", secret_prototype={
        **base, "name": "sdk-private", "common_name": "app.sdk.example.com", "alt_names": ["b.sdk.example.com"],
        "ip_sans": "127.0.0.1", "uri_sans": "spiffe://sdk/app", "other_sans": ["1.3.6.1.4.1.311.20.2.3;utf8:sdk@example.com"],
        "ttl": "100h", "format": "pem", "private_key_format": "pkcs8", "exclude_cn_from_sans": False,
        "rotation": {"auto_rotate": True, "interval": 2, "unit": "day"}})
    assert "BEGIN CERTIFICATE" in made["certificate"] and "PRIVATE KEY" in made["private_key"]
    assert made["certificate_authority"] == "sdk-inner" and made["issuing_ca"] and made["ca_chain"]
    key = made["id"]
    metadata = driver.call("get_secret_metadata", id=key)
    assert metadata["serial_number"] == made["serial_number"] and metadata["next_rotation_date"]
    new = driver.call("create_secret_version", secret_id=key,
                      secret_version_prototype={"version_custom_metadata": {"v": 2}})
    assert new["serial_number"] != made["serial_number"]
    previous = driver.call("get_secret_version", secret_id=key, id="previous")
    assert previous["certificate"] == made["certificate"]
    revoked = driver.call("create_secret_version_action", secret_id=key, id="previous",
                          secret_version_action_prototype=REVOKE)
    assert revoked["revocation_time_seconds"] > 0

    from_csr = driver.call("create_secret", lacks=("private_key",), secret_prototype={
        **base, "name": "sdk-from-csr", "common_name": "csr.sdk.example.com", "csr": csr})
    assert "private_key" not in from_csr
    driver.call("get_secret_version", lacks=("private_key",), secret_id=from_csr["id"], id="current")
    for name, lacks in ((key, ()), (from_csr["id"], ("private_key",))):
        revoked = driver.call("create_secret_action", id=name, secret_action_prototype=REVOKE)
        assert revoked["revocation_time_seconds"] > 0
        shown = driver.call("get_secret_metadata", id=name)
        assert shown["revocation_time_seconds"] == revoked["revocation_time_seconds"]
        driver.call("delete_secret", id=name)


def clear(driver):
    """The way back: an authority is revoked, everything is deleted."""
    revoked = act(driver, "sdk-inner", INTERMEDIATE, "revoke_ca_certificate")
    assert revoked["revocation_time_seconds"] > 0 and status(driver, "sdk-inner") == "revoked"
    for name, config_type in (("sdk-template", TEMPLATE), ("sdk-inner", INTERMEDIATE), ("sdk-outer", INTERMEDIATE),
                              ("sdk-root", ROOT)):
        driver.call("delete_configuration", name=name, x_sm_accept_configuration_type=config_type)
