"""Checks answers against the provider's model: required fields, types, enums, and no field that the model lacks."""

import json
import re
from pathlib import Path

MODEL = json.loads((Path(__file__).parent / "model.json").read_text())["schemas"]
DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

# The model's unions, and the schema of each of their members.
TYPED = {
    "Secret": ("secret_type", {"arbitrary": "ArbitrarySecret", "kv": "KVSecret",
                               "username_password": "UsernamePasswordSecret", "imported_cert": "ImportedCertificate"}),
    "Configuration": ("config_type", {
        "iam_credentials_configuration": "IAMCredentialsConfiguration",
        "public_cert_configuration_ca_lets_encrypt": "PublicCertificateConfigurationCALetsEncrypt",
        "public_cert_configuration_dns_classic_infrastructure":
            "PublicCertificateConfigurationDNSClassicInfrastructure",
        "public_cert_configuration_dns_cloud_internet_services":
            "PublicCertificateConfigurationDNSCloudInternetServices"}),
}
UNIONS = {"SecretMetadata": ("Secret", "Metadata"), "SecretVersion": ("Secret", "Version"),
          "SecretVersionMetadata": ("Secret", "VersionMetadata"), "ConfigurationMetadata": ("Configuration", "Metadata"),
          "Secret": ("Secret", ""), "Configuration": ("Configuration", "")}


class BodyError(Exception):
    """An answer that the model does not allow."""


def fail(where, problem):
    raise BodyError(f"{where}: {problem}")


def schema_of(name, body, where):
    """The schema of a body, by its type where the name is a union."""
    if name not in UNIONS:
        return name
    union, suffix = UNIONS[name]
    field, members = TYPED[union]
    if body.get(field) not in members:
        fail(where, f"{field} is {body.get(field)!r}")
    return members[body[field]] + suffix


def check(name, body, where):
    """Checks one answer, and everything inside it."""
    if not isinstance(body, dict):
        fail(where, f"is a {type(body).__name__}, not an object")
    name = schema_of(name, body, where)
    schema = MODEL[name]
    known = {**schema["required"], **schema["optional"]}
    payload_gone = body.get("payload_available") is False
    for field, kind in schema["required"].items():
        # A version without payload has metadata only, whatever the model of a version with one requires.
        if field not in body and not (payload_gone and field not in MODEL.get(name + "Metadata", schema)["required"]):
            fail(where, f"{name} lacks {field} ({kind})")
    for field, value in body.items():
        if field not in known:
            fail(where, f"{name} has no {field}")
        check_value(known[field], value, f"{where}.{field}")
        if field in schema["enums"] and value not in schema["enums"][field]:
            fail(f"{where}.{field}", f"{value!r} is none of {schema['enums'][field]}")


def check_value(kind, value, where):
    """Checks one value against the name of its type."""
    if kind.startswith("[]"):
        if not isinstance(value, list):
            fail(where, "is no list")
        for index, element in enumerate(value):
            check_value(kind[2:], element, f"{where}[{index}]")
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
    else:
        check(kind, value, where)


def payload_fields():
    """The fields that a secret shows and its metadata does not, by the model: secret material."""
    fields = set()
    for union, members in TYPED.values():
        del union
        for name in members.values():
            whole = {**MODEL[name]["required"], **MODEL[name]["optional"]}
            shown = {**MODEL[name + "Metadata"]["required"], **MODEL[name + "Metadata"]["optional"]}
            fields |= set(whole) - set(shown)
    return fields


def check_no_payload(body, where, secrets=payload_fields()):
    """Refuses an answer that shows a payload field at any depth."""
    if isinstance(body, dict):
        for field, value in body.items():
            if field in secrets:
                fail(where, f"shows {field}")
            # What people write themselves may have any name.
            if field not in ("custom_metadata", "version_custom_metadata", "attributes"):
                check_no_payload(value, f"{where}.{field}")
    elif isinstance(body, list):
        for element in body:
            check_no_payload(element, where)
