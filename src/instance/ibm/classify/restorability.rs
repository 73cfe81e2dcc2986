//! How well each type comes back in another instance.

use crate::model::Restorability;
use crate::model::json::Object;

/// NIST SP 800-57 state of a secret that has no value yet (a certificate that is ordered or waits for its signature).
const PRE_ACTIVATION: u64 = 0;
/// State of a secret whose value the service has destroyed.
const DESTROYED: u64 = 5;

/// The class of a secret, from its list row.
#[must_use]
pub fn secret_class(row: &Object) -> Restorability {
    let state = row.u64("state");
    if state == Some(DESTROYED) {
        return Restorability::DefinitionOnly;
    }
    let pending = state == Some(PRE_ACTIVATION);
    match row.str("secret_type").as_deref() {
        Some("arbitrary" | "kv" | "username_password") => Restorability::Exact,
        // A signing request is made again, with a new key, until there is a certificate to import.
        Some("imported_cert") if pending => Restorability::Reissued,
        Some("imported_cert") => Restorability::Exact,
        // Nothing can be imported into these two types; a valid certificate serves on as an imported one.
        Some("public_cert" | "private_cert") if pending => Restorability::Reissued,
        Some("public_cert" | "private_cert") => Restorability::Converted,
        Some("iam_credentials") if row.bool("reuse_api_key") == Some(true) => Restorability::Reissued,
        Some("service_credentials" | "custom_credentials") => Restorability::Reissued,
        _ => Restorability::DefinitionOnly,
    }
}

/// The class of a configuration, by its type.
#[must_use]
pub fn configuration_class(config_type: &str) -> Restorability {
    match config_type {
        "iam_credentials_configuration"
        | "public_cert_configuration_ca_lets_encrypt"
        | "public_cert_configuration_dns_classic_infrastructure"
        | "public_cert_configuration_dns_cloud_internet_services" => Restorability::Exact,
        // Key and certificate never leave the service: the standby makes new ones.
        "private_cert_configuration_root_ca" | "private_cert_configuration_intermediate_ca" => Restorability::Reissued,
        // Templates lose write-only members, custom engines need their job in the other region.
        _ => Restorability::DefinitionOnly,
    }
}

/// The class of a secret group. The default group is there already and matches itself.
#[must_use]
pub fn group_class() -> Restorability {
    Restorability::Exact
}

/// The class of the registration with the notification service: made anew, since its source name is never returned.
#[must_use]
pub fn registration_class() -> Restorability {
    Restorability::Reissued
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(row: &str) -> Restorability {
        secret_class(&Object::parse(row).unwrap())
    }

    #[test]
    fn each_type_has_the_class_that_the_provider_allows() {
        assert_eq!(class(r#"{"secret_type":"arbitrary","state":1}"#), Restorability::Exact);
        assert_eq!(class(r#"{"secret_type":"arbitrary","state":5}"#), Restorability::DefinitionOnly);
        assert_eq!(class(r#"{"secret_type":"imported_cert","state":0}"#), Restorability::Reissued);
        assert_eq!(class(r#"{"secret_type":"imported_cert","state":1}"#), Restorability::Exact);
        assert_eq!(class(r#"{"secret_type":"public_cert","state":1}"#), Restorability::Converted);
        assert_eq!(class(r#"{"secret_type":"iam_credentials","reuse_api_key":false}"#), Restorability::DefinitionOnly);
        assert_eq!(class(r#"{"secret_type":"iam_credentials","reuse_api_key":true}"#), Restorability::Reissued);
        assert_eq!(class(r#"{"secret_type":"quantum_token"}"#), Restorability::DefinitionOnly);
        assert_eq!(class("{}"), Restorability::DefinitionOnly);
        assert_eq!(configuration_class("iam_credentials_configuration"), Restorability::Exact);
        assert_eq!(configuration_class("private_cert_configuration_root_ca"), Restorability::Reissued);
        assert_eq!(configuration_class("new_engine"), Restorability::DefinitionOnly);
    }
}
