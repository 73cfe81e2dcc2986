//! Members that the create, new-version and patch requests of a type take.

use super::{authority, template};

/// Maximum bytes of metadata including a mark. The provider's limit is 10 KB for each of `custom_metadata` and
/// `version_custom_metadata`. It is not documented whether a KB is 1,000 or 1,024 bytes, so this is the smaller value.
pub(super) const METADATA_ROOM: usize = 10_000;

/// The payload fields of a type that a client can set: in the create request, in the request for a new version, and
/// those that are required.
pub(super) struct Fields {
    pub(super) create: &'static [&'static str],
    pub(super) version: &'static [&'static str],
    pub(super) required: &'static [&'static str],
}

/// Returns the payload fields of a type; `None` for an unknown type.
pub(super) fn fields(item_type: &str) -> Option<Fields> {
    let (create, version, required): (&[_], &[_], &[_]) = match item_type {
        "arbitrary" => (&["payload"], &["payload"], &["payload"]),
        "kv" => (&["data"], &["data"], &["data"]),
        "username_password" => (&["username", "password"], &["password"], &["password"]),
        "imported_cert" => (
            &["certificate", "intermediate", "private_key"],
            &["certificate", "intermediate", "private_key"],
            &["certificate"],
        ),
        "iam_credentials_configuration" => (&["api_key"], &[], &["api_key"]),
        "public_cert_configuration_ca_lets_encrypt" => {
            (&["lets_encrypt_private_key"], &[], &["lets_encrypt_private_key"])
        }
        // Without a key the provider uses a service authorization, which the standby needs as well.
        "public_cert_configuration_dns_cloud_internet_services" => (&["cloud_internet_services_apikey"], &[], &[]),
        "public_cert_configuration_dns_classic_infrastructure" => (
            &["classic_infrastructure_username", "classic_infrastructure_password"],
            &[],
            &["classic_infrastructure_username", "classic_infrastructure_password"],
        ),
        // No payload of these types is ever sent: the standby creates its own.
        authority::ROOT
        | authority::INTERMEDIATE
        | template::TEMPLATE
        | template::CUSTOM
        | "private_cert"
        | "public_cert"
        | "iam_credentials"
        | "service_credentials"
        | "custom_credentials" => (&[], &[], &[]),
        _ => return None,
    };
    Some(Fields { create, version, required })
}

/// Returns members that only the create request of a configuration takes and no answer shows.
pub(super) fn create_only(item_type: &str) -> &'static [&'static str] {
    match item_type {
        // Without the role for values, no answer shows the durations.
        authority::ROOT => &["serial_number", "max_ttl", "crl_expiry", "ttl"],
        authority::INTERMEDIATE => &["serial_number", "max_ttl", "crl_expiry"],
        template::TEMPLATE => &["allow_wildcard_certificates", "max_ttl", "ttl", "not_before_duration"],
        _ => &[],
    }
}

/// Returns the settings of a configuration that no patch can change.
pub(super) fn unpatchable(item_type: &str) -> &'static [&'static str] {
    match item_type {
        item_type if authority::is(item_type) => &authority::UNPATCHABLE,
        template::TEMPLATE => &template::UNPATCHABLE,
        template::CUSTOM => &template::CUSTOM_UNPATCHABLE,
        _ => &[],
    }
}
