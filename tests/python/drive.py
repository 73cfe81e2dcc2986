"""Drives an embedded instance through every operation of the model, with IBM's own SDK, for every secret type,
configuration type and action, and checks the bodies.

Needs SECRETS_MANAGER_URL, SECRETS_MANAGER_AUTH_URL and SECRETS_MANAGER_APIKEY, and an instance that was seeded and issues
public certificates at once. Prints one line at the end; any other end is a failure.
"""

import inspect

from ibm_secrets_manager_sdk import secrets_manager_v2 as sdk

import authorities
import credentials
import orders
import plain
from bodies import OPERATIONS, check, check_no_secret
from driver import Driver


def main():
    """Everything, then whether it was everything."""
    driver = Driver()
    group = plain.groups(driver)
    for secret_type, (create, version) in plain.prototypes(driver, group["id"]).items():
        plain.secret(driver, secret_type, create, version, group)
    plain.lists(driver)
    orders.configurations(driver)
    csr = authorities.certificate_authorities(driver)
    orders.all_configurations(driver, sdk, check, check_no_secret)
    authorities.private_certificates(driver, group, csr)
    orders.public_certificates(driver, group)
    orders.managed_request(driver, group, lambda request: authorities.act(
        driver, "sdk-inner", authorities.INTERMEDIATE, "sign_csr", csr=request, ttl="100h",
        common_name="managed.example.com")["data"]["certificate"])
    authorities.clear(driver)
    credentials.iam_credentials(driver, group)
    credentials.service_credentials(driver, group)
    credentials.custom_credentials(driver, group)
    orders.clear(driver)
    plain.registration(driver)
    # Once more with packed bodies.
    driver.client.set_enable_gzip_compression(True)
    packed = plain.prototypes(driver, group["id"])["kv"]
    plain.secret(driver, "kv", *packed, group)
    driver.client.set_enable_gzip_compression(False)
    driver.call("delete_secret_group", id=group["id"])
    known = {name for name, member in inspect.getmembers(sdk.SecretsManagerV2, inspect.isfunction)
             if member.__qualname__.startswith("SecretsManagerV2.") and not name.startswith("_")}
    left = known - set(OPERATIONS) - {"new_instance", "construct_service_url"}
    assert not left, f"operations of the SDK that the model lacks: {sorted(left)}"
    driver.complete()
    print(f"driven: {len(driver.driven)} operations")


if __name__ == "__main__":
    main()
