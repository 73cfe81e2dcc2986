"""Certificates of public authorities, their configurations, and certificates whose key the instance makes."""

from plain import common

CIS = "public_cert_configuration_dns_cloud_internet_services"
CLASSIC = "public_cert_configuration_dns_classic_infrastructure"
ACME = "public_cert_configuration_ca_lets_encrypt"
IAM = "iam_credentials_configuration"


def configurations(driver):
    """Configurations of the types that the seed has, too."""
    for name, config_type in [("lets-encrypt-staging", ACME), ("dns-main", CIS), ("dns-main", CLASSIC), ("iam-engine", IAM)]:
        driver.call("get_configuration", name=name, x_sm_accept_configuration_type=config_type)
    driver.refused("get_configuration", 300, name="dns-main")
    create = lambda **members: driver.call("create_configuration", configuration_prototype=members)
    ca = driver.call("get_configuration", name="lets-encrypt-staging", x_sm_accept_configuration_type=ACME)
    create(config_type=ACME, name="sdk-ca", lets_encrypt_environment="staging",
           lets_encrypt_private_key=ca["lets_encrypt_private_key"], lets_encrypt_preferred_chain="ISRG Root X1")
    create(config_type=CIS, name="sdk-cis", cloud_internet_services_apikey="k",
           cloud_internet_services_crn="crn:v1:bluemix:public:internet-svcs:global:a/791f5fb10986423e97aa8512f18b7e65:1::")
    create(config_type=CLASSIC, name="sdk-dns", classic_infrastructure_username="u", classic_infrastructure_password="p")
    changed = driver.call("update_configuration", name="sdk-dns", x_sm_accept_configuration_type=CLASSIC,
                          configuration_patch={"classic_infrastructure_password": "q"})
    assert changed["classic_infrastructure_password"] == "q" and changed["classic_infrastructure_username"] == "u"
    # There is one engine for IAM at most.
    message = driver.refused("create_configuration", 400, configuration_prototype={
        "config_type": IAM, "name": "second", "api_key": "k"})
    assert "reached the maximum" in message, message
    engine = driver.call("get_configuration", name="iam-engine", x_sm_accept_configuration_type=IAM)
    driver.call("delete_configuration", name="iam-engine", x_sm_accept_configuration_type=IAM)
    create(config_type=IAM, name="iam-engine", api_key=engine["api_key"])
    driver.call("list_configurations", limit=2, sort="name")


def all_configurations(driver, sdk, check, check_no_secret):
    """Every configuration is in the list, without its secrets."""
    rows = sdk.ConfigurationsPager(client=driver.client, limit=2).get_all()
    assert {"sdk-dns", "sdk-ca", "sdk-cis", "sdk-root", "sdk-template", "iam-engine"} <= {row["name"] for row in rows}
    for row in rows:
        check("ConfigurationMetadata", row, "ConfigurationsPager")
        check_no_secret(row, "ConfigurationsPager")


def clear(driver):
    """The way back."""
    for name, config_type in (("sdk-dns", CLASSIC), ("sdk-ca", ACME), ("sdk-cis", CIS)):
        driver.call("delete_configuration", name=name, x_sm_accept_configuration_type=config_type)
    driver.refused("get_configuration", 404, name="sdk-dns")


def public_certificates(driver, group):
    """An order by a DNS provider, and one whose challenges somebody sets by hand."""
    base = {"secret_type": "public_cert", "ca": "sdk-ca", "key_algorithm": "ECDSA256", "bundle_certs": True,
            "rotation": {"auto_rotate": False, "rotate_keys": False}, **common(group["id"])}
    made = driver.call("create_secret", secret_prototype={
        **base, "name": "sdk-public", "common_name": "www.example.com", "alt_names": ["example.com"], "dns": "sdk-cis"})
    key = made["id"]
    assert made["issuance_info"]["ordered_on"]
    # Nothing is waited for: the instance was told to issue at once.
    done = driver.call("get_secret", id=key)
    assert done["state"] == 1 and "BEGIN CERTIFICATE" in done["certificate"] and done["intermediate"], done
    driver.call("create_secret_version", secret_id=key,
                secret_version_prototype={"rotation": {"auto_rotate": False, "rotate_keys": True}})
    driver.call("get_secret_version", secret_id=key, id="current")
    changed = driver.call("update_secret_metadata", id=key, secret_metadata_patch={
        "rotation": {"auto_rotate": True, "rotate_keys": True}})
    assert changed["rotation"]["auto_rotate"] is True

    by_hand = driver.call("create_secret", secret_prototype={
        **base, "name": "sdk-by-hand", "common_name": "hand.example.com", "dns": "manual"})
    assert by_hand["state_description"] == "pre_activation"
    challenge = by_hand["issuance_info"]["challenges"][0]
    assert challenge["txt_record_name"].endswith("hand.example.com") and challenge["txt_record_value"]
    driver.call("create_secret_action", id=by_hand["id"],
                secret_action_prototype={"action_type": "public_cert_action_validate_dns_challenge"})
    assert driver.call("get_secret", id=by_hand["id"])["state"] == 1
    for name in (key, by_hand["id"]):
        driver.call("delete_secret", id=name)


def managed_request(driver, group, sign):
    """An imported certificate whose key and request the instance makes; `sign` turns a request into a certificate."""
    made = driver.call("create_secret", secret_prototype={
        "secret_type": "imported_cert", "name": "sdk-managed", **common(group["id"]),
        "managed_csr": {"common_name": "managed.example.com", "key_type": "ec", "key_bits": 256,
                        "organization": ["Sandbox"], "alt_names": "managed.example.com"}})
    assert made["state_description"] == "pre_activation" and "BEGIN CERTIFICATE REQUEST" in made["managed_csr"]["csr"]
    assert "private_key" not in driver.call("get_secret_metadata", id=made["id"]).get("managed_csr", {})
    version = driver.call("create_secret_version", secret_id=made["id"],
                          secret_version_prototype={"certificate": sign(made["managed_csr"]["csr"])})
    assert version["payload_available"]
    whole = driver.call("get_secret", id=made["id"])
    assert whole["state"] == 1 and whole["common_name"] == "managed.example.com"
    driver.call("update_secret_metadata", id=made["id"],
                secret_metadata_patch={"managed_csr": {"organization": ["Other"]}})
    driver.call("delete_secret", id=made["id"])
