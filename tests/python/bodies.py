"""Checks bodies against the provider's model: required fields, types, enums, no field that the model lacks, no secret
where only metadata belongs."""

import json
import re
from pathlib import Path

_FILE = json.loads((Path(__file__).parent / "model.json").read_text())
MODEL = _FILE["schemas"]
OPERATIONS = _FILE["operations"]
DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

SECRETS = {
    "arbitrary": "ArbitrarySecret", "kv": "KVSecret", "username_password": "UsernamePasswordSecret",
    "imported_cert": "ImportedCertificate", "public_cert": "PublicCertificate", "private_cert": "PrivateCertificate",
    "iam_credentials": "IAMCredentialsSecret", "service_credentials": "ServiceCredentialsSecret",
    "custom_credentials": "CustomCredentialsSecret"}
CONFIGURATIONS = {
    "iam_credentials_configuration": "IAMCredentialsConfiguration",
    "custom_credentials_configuration": "CustomCredentialsConfiguration",
    "public_cert_configuration_ca_lets_encrypt": "PublicCertificateConfigurationCALetsEncrypt",
    "public_cert_configuration_dns_classic_infrastructure": "PublicCertificateConfigurationDNSClassicInfrastructure",
    "public_cert_configuration_dns_cloud_internet_services": "PublicCertificateConfigurationDNSCloudInternetServices",
    "private_cert_configuration_root_ca": "PrivateCertificateConfigurationRootCA",
    "private_cert_configuration_intermediate_ca": "PrivateCertificateConfigurationIntermediateCA",
    "private_cert_configuration_template": "PrivateCertificateConfigurationTemplate"}
_ACTION = "PrivateCertificateConfigurationAction"
ACTIONS = {
    "private_cert_configuration_action_revoke_ca_certificate": _ACTION + "Revoke",
    "private_cert_configuration_action_rotate_crl": _ACTION + "RotateCRL",
    "private_cert_configuration_action_rotate_intermediate": _ACTION + "Rotate",
    "private_cert_configuration_action_set_signed": _ACTION + "SetSigned",
    "private_cert_configuration_action_sign_csr": _ACTION + "SignCSR",
    "private_cert_configuration_action_sign_intermediate": _ACTION + "SignIntermediate"}
SECRET_ACTIONS = {"private_cert_action_revoke_certificate": "PrivateCertificateActionRevoke",
                  "public_cert_action_validate_dns_challenge": "PublicCertificateActionValidateManualDNS"}

# The model's unions: the field that decides, the schemas of the members, and what stands behind their names.
UNIONS = {"Secret": ("secret_type", SECRETS, ""), "SecretMetadata": ("secret_type", SECRETS, "Metadata"),
          "SecretVersion": ("secret_type", SECRETS, "Version"),
          "SecretVersionMetadata": ("secret_type", SECRETS, "VersionMetadata"),
          "Configuration": ("config_type", CONFIGURATIONS, ""),
          "ConfigurationMetadata": ("config_type", CONFIGURATIONS, "Metadata"),
          "ConfigurationAction": ("action_type", ACTIONS, ""), "SecretAction": ("action_type", SECRET_ACTIONS, "")}
# Objects that take members of their own besides those of the model: what another service puts into them.
OPEN = {"ServiceCredentialsSecretCredentials", "ServiceCredentialsSourceServiceParameters"}
# What people write themselves: any name may stand in it.
FREE = ("custom_metadata", "version_custom_metadata", "attributes", "parameters")


class BodyError(Exception):
    """An answer that the model does not allow."""


def fail(where, problem):
    raise BodyError(f"{where}: {problem}")


def schema_of(name, body, where):
    """The schema of a body, by its type where the name is a union."""
    if name not in UNIONS:
        return name
    field, members, suffix = UNIONS[name]
    if body.get(field) not in members:
        fail(where, f"{field} is {body.get(field)!r}")
    return members[body[field]] + suffix


def fields_of(name):
    """All fields of a schema with their types."""
    return {**MODEL[name]["required"], **MODEL[name]["optional"]}


def check(name, body, where, lacks=()):
    """Checks one answer, and everything inside it. `lacks` are fields that it cannot have, whatever the model says."""
    if not isinstance(body, dict):
        fail(where, f"is a {type(body).__name__}, not an object")
    name = schema_of(name, body, where)
    schema = MODEL[name]
    known = fields_of(name)
    for field, kind in schema["required"].items():
        if field not in body and field not in lacks and not is_payload_to_come(name, field, body):
            fail(where, f"{name} lacks {field} ({kind})")
    for field, value in body.items():
        if field not in known:
            if name in OPEN:
                continue
            fail(where, f"{name} has no {field}")
        check_value(known[field], value, f"{where}.{field}", lacks)
        if field in schema["enums"] and value not in schema["enums"][field]:
            fail(f"{where}.{field}", f"{value!r} is none of {schema['enums'][field]}")


def is_payload_to_come(name, field, body):
    """Whether a required field is of a payload that is not there yet or any more: the model of a whole secret or version
    requires it all the same."""
    gone = body.get("payload_available") is False or body.get("state") in (0, 5)
    return gone and field not in MODEL.get(name + "Metadata", MODEL[name])["required"]


def check_value(kind, value, where, lacks=()):
    """Checks one value against the name of its type."""
    if kind.startswith("[]"):
        if not isinstance(value, list):
            fail(where, "is no list")
        for index, element in enumerate(value):
            check_value(kind[2:], element, f"{where}[{index}]", lacks)
    elif kind == "map[string]any":
        if not isinstance(value, dict):
            fail(where, "is no object")
    elif kind in ("string", "date-time"):
        if not isinstance(value, str) or (kind == "date-time" and not DATE.match(value)):
            fail(where, f"is no {kind}")
    elif kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            fail(where, "is no integer")
    elif kind == "boolean":
        if not isinstance(value, bool):
            fail(where, "is no boolean")
    elif kind in MODEL:
        check(kind, value, where, lacks)
    else:
        fail(where, f"is of a type that this check does not know: {kind}")


def secret_fields():
    """The fields that hold secret material: what a secret shows and its metadata does not, by the model, and what people
    would call a secret in a configuration."""
    fields = {"lets_encrypt_private_key", "classic_infrastructure_username", "classic_infrastructure_password",
              "cloud_internet_services_apikey", "apikey"}
    for name in SECRETS.values():
        fields |= set(fields_of(name)) - set(fields_of(name + "Metadata"))
    return fields


def write_only(prototype, answers):
    """The fields that a request takes and no answer may show."""
    return set(fields_of(prototype)) - {field for name in answers for field in fields_of(name)}


def check_no_secret(body, where, secret=frozenset(secret_fields())):
    """Refuses an answer that shows a secret field at any depth."""
    if isinstance(body, dict):
        for field, value in body.items():
            # The request of a certificate is public; the key beside it is not. An object called `apikey` describes one.
            public = (field == "csr" and where.endswith(".managed_csr")) or (field == "apikey" and isinstance(value, dict))
            if field in secret and not public:
                fail(where, f"shows {field}")
            if field not in FREE:
                check_no_secret(value, f"{where}.{field}")
    elif isinstance(body, list):
        for element in body:
            check_no_secret(element, where)
