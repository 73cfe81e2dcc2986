//! Certificate templates and engines for custom credentials.
//!
//! A create request accepts a template's `allow_wildcard_certificates`, but no answer shows it: it is lost unless
//! supplied. The job that a custom engine calls must exist in the standby's region.

use super::authority::{durations, keep};
use crate::model::Item;
use crate::provider::RestoreItem;
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::VALUE;

/// The configuration type of a template.
pub(super) const TEMPLATE: &str = "private_cert_configuration_template";
/// The configuration type of an engine for custom credentials.
pub(super) const CUSTOM: &str = "custom_credentials_configuration";

/// Members of a template that no patch changes.
pub(super) const UNPATCHABLE: [&str; 1] = ["certificate_authority"];
/// Members of a custom engine that no patch changes.
pub(super) const CUSTOM_UNPATCHABLE: [&str; 2] = ["api_key_ref", "code_engine"];

const DURATIONS: [&str; 3] = ["max_ttl", "ttl", "not_before_duration"];
const SETTINGS: [&str; 35] = [
    "certificate_authority",
    "allowed_secret_groups",
    "allow_localhost",
    "allowed_domains",
    "allowed_domains_template",
    "allow_bare_domains",
    "allow_subdomains",
    "allow_glob_domains",
    "allow_any_name",
    "enforce_hostnames",
    "allow_ip_sans",
    "allowed_uri_sans",
    "allowed_other_sans",
    "server_flag",
    "client_flag",
    "code_signing_flag",
    "email_protection_flag",
    "key_type",
    "key_bits",
    "key_usage",
    "ext_key_usage",
    "ext_key_usage_oids",
    "use_csr_common_name",
    "use_csr_sans",
    "ou",
    "organization",
    "country",
    "locality",
    "province",
    "street_address",
    "postal_code",
    // The serial number of the subject: a template has no certificate.
    "serial_number",
    "require_cn",
    "policy_identifiers",
    "basic_constraints_valid_for_non_ca",
];
const CUSTOM_SETTINGS: [&str; 3] = ["api_key_ref", "code_engine", "task_timeout"];

/// Returns true if the type is a template or a custom engine.
pub(super) fn is(item_type: &str) -> bool {
    item_type == TEMPLATE || item_type == CUSTOM
}

/// Returns true if answers about the type show this member in some form.
pub(super) fn is_setting(item_type: &str, name: &str) -> bool {
    match item_type {
        CUSTOM => CUSTOM_SETTINGS.contains(&name),
        _ => SETTINGS.contains(&name) || DURATIONS.contains(&name),
    }
}

/// Reads the settings.
pub(super) fn view(item: &Item, view: &mut RestoreItem) {
    for from in [item.doc(ROW), item.doc(VALUE)].into_iter().flatten() {
        if item.item_type == CUSTOM {
            keep(&mut view.settings, &from, &CUSTOM_SETTINGS);
        } else {
            keep(&mut view.settings, &from, &SETTINGS);
            durations(&mut view.settings, &from, &DURATIONS);
        }
    }
}

/// Returns descriptions of the members that are lost.
pub(super) fn lost(view: &RestoreItem) -> Vec<String> {
    let unknown = view.item_type == TEMPLATE && view.inputs.get("allow_wildcard_certificates").is_none();
    let words = "whether it allows wildcard certificates is in no answer, so the standby takes the provider's default; \
                 set allow_wildcard_certificates in [[overrides]]";
    unknown.then(|| words.to_owned()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::authority::tests::{configuration, created, sent};
    use super::*;
    use crate::model::Treatment;
    use crate::model::json::JsonObject;
    use crate::provider::ibm::convert::IbmConverter;
    use crate::provider::{Action, ItemConverter};

    const VALUE: &str = r#"{"certificate_authority":"root","allowed_secret_groups":"default","max_ttl_seconds":7200,
        "ttl_seconds":0,"not_before_duration_seconds":30,"allowed_domains":["example.com"],"serial_number":"dn-1",
        "config_type":"private_cert_configuration_template","created_at":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn a_template_keeps_its_rules_and_its_durations_turn_into_text() {
        let body = JsonObject::parse(&created(&configuration(TEMPLATE, VALUE), Treatment::Exact)).unwrap();
        assert_eq!(body.str("max_ttl").as_deref(), Some("7200s"));
        assert_eq!(body.str("not_before_duration").as_deref(), Some("30s"));
        assert!(body.get("ttl").is_none(), "0 is no duration: the default is meant");
        assert_eq!(body.str("serial_number").as_deref(), Some("dn-1"));
        assert!(body.get("created_at").is_none());
    }

    #[test]
    fn what_no_answer_shows_is_lost_until_somebody_says_it() {
        let mut item = configuration(TEMPLATE, VALUE);
        assert_eq!(IbmConverter.describe(&item).lost.len(), 1);
        let said = JsonObject::parse(r#"{"allow_wildcard_certificates":false}"#).unwrap();
        IbmConverter.supply(&mut item, Treatment::Exact, &said);
        let view = IbmConverter.describe(&item);
        assert_eq!(view.lost, Vec::<String>::new());
        let body = sent(&Action::CreateConfiguration, &view).unwrap();
        assert_eq!(body.bool("allow_wildcard_certificates"), Some(false));
        let patch = sent(&Action::UpdateConfiguration, &view).unwrap();
        for fixed in ["allow_wildcard_certificates", "certificate_authority", "name", "config_type"] {
            assert!(patch.get(fixed).is_none(), "{fixed} in a patch");
        }
        assert!(patch.get("max_ttl").is_some());
    }

    #[test]
    fn a_custom_engine_takes_a_patch_of_its_timeout_only() {
        let value = r#"{"api_key_ref":"k","code_engine":{"region":"eu-de","project_id":"p","job_name":"j"},
            "task_timeout":"10m","code_engine_key_ref":"internal","schema":{"parameters":[]}}"#;
        let item = configuration(CUSTOM, value);
        let body = JsonObject::parse(&created(&item, Treatment::Exact)).unwrap();
        assert!(body.get("schema").is_none() && body.get("code_engine_key_ref").is_none());
        assert_eq!(body.str("api_key_ref").as_deref(), Some("k"));
        let patch = sent(&Action::UpdateConfiguration, &IbmConverter.describe(&item)).unwrap();
        assert_eq!(patch.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["task_timeout"]);
    }
}
