"""IBM's client with a check behind every answer, and a record of what was driven."""

import os

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk

from bodies import ACTIONS, CONFIGURATIONS, MODEL, OPERATIONS, SECRETS, SECRET_ACTIONS, check, check_no_secret, write_only

# Operations whose answers show secrets. Every other answer is metadata.
SHOW_SECRETS = {"create_secret", "get_secret", "get_secret_by_name_type", "create_secret_version", "get_secret_version",
                "create_configuration", "get_configuration", "update_configuration", "create_configuration_action"}


class Driver:
    """The SDK's client, with each answer checked."""

    def __init__(self):
        key = IAMAuthenticator(os.environ["SECRETS_MANAGER_APIKEY"], url=os.environ["SECRETS_MANAGER_AUTH_URL"])
        self.client = sdk.SecretsManagerV2(authenticator=key)
        self.client.set_service_url(os.environ["SECRETS_MANAGER_URL"])
        self.driven = set()
        # Every prototype that was sent, with the fields that were ever in it.
        self.sent = {}

    def call(self, operation, *, status=None, lacks=(), **arguments):
        """Calls an operation and checks status and body against the model; gives the body."""
        model = OPERATIONS[operation]
        self.driven.add(operation)
        self.note_prototype(operation, arguments)
        answer = getattr(self.client, operation)(**arguments)
        status = status or model["status"]
        assert answer.get_status_code() == status, f"{operation}: {answer.get_status_code()}"
        body = answer.get_result()
        if model["answer"] is None:
            assert not body, f"{operation}: a body where there is none: {body}"
            return None
        if operation not in SHOW_SECRETS:
            # The model requires the key of a managed request in metadata, too; that must not be.
            lacks = (*lacks, "private_key")
            check_no_secret(body, operation)
        check(model["answer"], body, operation, lacks)
        return body

    def note_prototype(self, operation, arguments):
        """Remembers which fields of which prototype were sent."""
        if operation == "create_secret":
            body = arguments["secret_prototype"]
            name = SECRETS[body["secret_type"]] + "Prototype"
        elif operation == "create_configuration":
            body = arguments["configuration_prototype"]
            name = CONFIGURATIONS[body["config_type"]] + "Prototype"
        elif operation == "create_configuration_action":
            body = arguments["config_action_prototype"]
            name = ACTIONS[body["action_type"]] + "Prototype"
        elif operation == "create_secret_action":
            body = arguments["secret_action_prototype"]
            name = SECRET_ACTIONS[body["action_type"]] + "Prototype"
        else:
            return
        self.sent.setdefault(name, set()).update(body)

    def refused(self, operation, status, **arguments):
        """Calls an operation that has to be refused; gives the message."""
        try:
            getattr(self.client, operation)(**arguments)
        except ApiException as error:
            assert error.status_code == status, f"{operation}: {error.status_code}: {error.message}"
            assert error.message, f"{operation}: no message"
            return error.message
        raise AssertionError(f"{operation}: not refused")

    def complete(self):
        """Fails unless every operation, type and action of the model was driven, and every write-only field was sent."""
        left = set(OPERATIONS) - self.driven
        assert not left, f"operations that were not driven: {sorted(left)}"
        kinds = {name + "Prototype" for group in (SECRETS, CONFIGURATIONS, ACTIONS, SECRET_ACTIONS)
                 for name in group.values()}
        enums = {field: set(MODEL[schema]["enums"][field]) for schema, field in (
            ("Secret", "secret_type"), ("Configuration", "config_type"))}
        assert enums["secret_type"] == set(SECRETS) and enums["config_type"] == set(CONFIGURATIONS)
        assert set(MODEL["ConfigurationAction"]["enums"]["action_type"]) == set(ACTIONS)
        assert set(MODEL["SecretAction"]["enums"]["action_type"]) == set(SECRET_ACTIONS)
        left = kinds - set(self.sent)
        assert not left, f"types and actions that were not driven: {sorted(left)}"
        for name in (*SECRETS.values(), *CONFIGURATIONS.values()):
            version = [name + "Version"] if name + "Version" in MODEL else []
            unsent = write_only(name + "Prototype", [name, *version]) - self.sent[name + "Prototype"]
            # HPCS-backed keys have a service of their own.
            assert not unsent, f"write-only fields of {name} that were never sent: {sorted(unsent)}"
