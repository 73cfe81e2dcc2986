//! Restorability of each item in another instance, by its type, its state and what was read.

use super::judgements as is;
use crate::model::json::{JsonObject, as_array, as_str};
use crate::model::{Item, ItemKind, Restorability, Slot, Timestamp};
use crate::provider::assess::Judgement;
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::{DERIVED, PAYLOAD_MEMBERS, SUPPLIED, VALUE};

/// NIST SP 800-57 states shown in the row of a secret.
pub(super) const PRE_ACTIVATION: u64 = 0;
const ACTIVE: u64 = 1;
pub(super) const DESTROYED: u64 = 5;

/// Returns the class of an item with these payloads.
pub(in crate::provider::ibm) fn class(item: &Item, payloads: &[Slot]) -> Restorability {
    judge(item, payloads, None).class
}

/// Returns the class of an item and the reason. `payloads` are those in the snapshot. With a time `now`, what has
/// expired by then counts as lost.
pub(in crate::provider::ibm) fn judge(item: &Item, payloads: &[Slot], now: Option<Timestamp>) -> Judgement {
    match item.key.kind() {
        ItemKind::Group => is::GROUP,
        ItemKind::Registration => is::REGISTRATION,
        ItemKind::Other => is::UNKNOWN_KIND,
        ItemKind::Configuration => configuration(item, payloads),
        ItemKind::Secret => secret(item, payloads, now),
    }
}

fn secret(item: &Item, payloads: &[Slot], now: Option<Timestamp>) -> Judgement {
    let row = item.doc(ROW).unwrap_or_default();
    let state = row.u64("state");
    let (pending, destroyed) = (state == Some(PRE_ACTIVATION), state == Some(DESTROYED));
    let read = payloads.iter().any(|slot| slot.as_str() != Slot::WITHHELD);
    let expired = now.is_some_and(|now| {
        let end = row.str("expiration_date").and_then(|end| end.parse::<Timestamp>().ok());
        end.is_some_and(|end| end <= now)
    });
    match item.item_type.as_str() {
        "imported_cert" if pending => is::CERTIFICATE_AWAITED,
        "arbitrary" | "kv" | "username_password" | "imported_cert" => match (destroyed, read, expired) {
            (true, ..) => is::DESTROYED,
            (_, false, _) => is::NOT_READ,
            (_, _, true) => is::EXPIRED,
            _ => is::IMPORTABLE,
        },
        "public_cert" | "private_cert" if pending => is::ORDERED,
        "public_cert" | "private_cert" if destroyed || expired => is::CERTIFICATE_GONE,
        "public_cert" | "private_cert" if !read => is::CERTIFICATE_NOT_READ,
        "private_cert" if has_key(item) == Some(false) => match supplied(item, "csr") {
            true => is::SIGNING_REQUEST,
            false => is::NO_KEY,
        },
        "private_cert" | "public_cert" if is_revoked(&row) => is::REVOKED,
        "public_cert" | "private_cert" => is::CONVERTIBLE,
        "iam_credentials" if row.bool("reuse_api_key") != Some(true) => is::MINTED_ON_READ,
        "iam_credentials" | "service_credentials" | "custom_credentials" => is::MINTED,
        _ => is::UNKNOWN_SECRET,
    }
}

/// Returns true if the secret is revoked, or in a state in which its certificate may be useless.
///
/// A secret that waits for its certificate, or that the service destroyed, is neither.
pub(in crate::provider::ibm) fn is_revoked(row: &JsonObject) -> bool {
    let unsure = |state: u64| !matches!(state, PRE_ACTIVATION | ACTIVE | DESTROYED);
    row.u64("revocation_time_seconds").is_some_and(|at| at > 0) || row.u64("state").is_some_and(unsure)
}

fn configuration(item: &Item, payloads: &[Slot]) -> Judgement {
    let value = item.doc(VALUE);
    let read = value.is_some();
    let key = payloads.iter().any(|slot| slot.as_str() == Slot::VALUE);
    match item.item_type.as_str() {
        // Its list row shows everything.
        "custom_credentials_configuration" => is::ENGINE_WITH_JOB,
        "iam_credentials_configuration"
        | "public_cert_configuration_ca_lets_encrypt"
        | "public_cert_configuration_dns_classic_infrastructure"
        | "public_cert_configuration_dns_cloud_internet_services"
        | "private_cert_configuration_root_ca"
        | "private_cert_configuration_intermediate_ca"
        | "private_cert_configuration_template"
            if !read =>
        {
            is::VALUE_NOT_READ
        }
        // Without its own key it uses a service authorization.
        "public_cert_configuration_dns_cloud_internet_services" => is::SETTABLE,
        "iam_credentials_configuration"
        | "public_cert_configuration_ca_lets_encrypt"
        | "public_cert_configuration_dns_classic_infrastructure" => match key {
            true => is::SETTABLE,
            false => is::VALUE_INCOMPLETE,
        },
        "private_cert_configuration_template" => is::TEMPLATE,
        "private_cert_configuration_root_ca" if in_hsm(value.as_ref()) => is::ROOT_IN_HSM,
        "private_cert_configuration_root_ca" => is::ROOT,
        "private_cert_configuration_intermediate_ca" => {
            match value.and_then(|value| value.str("signing_method")).as_deref() {
                Some("external") => is::INTERMEDIATE_EXTERNAL,
                _ => is::INTERMEDIATE,
            }
        }
        _ => is::UNKNOWN_CONFIGURATION,
    }
}

/// Returns true if the key is in an HSM of the customer.
pub(super) fn in_hsm(value: Option<&JsonObject>) -> bool {
    value.is_some_and(|value| value.object("crypto_key").is_some_and(|key| !key.is_empty()))
}

/// Returns true if the newest payload read has a private key; `None` if its members are unknown.
pub(in crate::provider::ibm) fn has_key(item: &Item) -> Option<bool> {
    let members = item.doc(PAYLOAD_MEMBERS)?;
    let (_, newest) = members.iter().next()?;
    Some(as_array(newest)?.iter().any(|name| as_str(name).is_some_and(|name| name == "private_key")))
}

/// Returns true if a member that no answer shows was supplied or derived.
pub(in crate::provider::ibm) fn supplied(item: &Item, member: &str) -> bool {
    [SUPPLIED, DERIVED].iter().any(|name| item.doc(name).is_some_and(|doc| doc.get(member).is_some()))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::Docs;

    /// Returns an item of a snapshot with these documents and no payload.
    pub(in crate::provider::ibm::classify) fn item(key: &str, item_type: &str, docs: &[(&str, &str)]) -> Item {
        let docs: Docs = docs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), RawValue::from_string((*text).to_owned()).unwrap()))
            .collect();
        Item {
            key: key.parse().unwrap(),
            name: "n".into(),
            item_type: item_type.into(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs,
        }
    }

    fn slots(names: &[&str]) -> Vec<Slot> {
        names.iter().filter_map(|name| Slot::new(name)).collect()
    }

    fn secret(item_type: &str, row: &str, payloads: &[&str]) -> &'static str {
        judge(&item("secret/s", item_type, &[("row", row)]), &slots(payloads), None).code
    }

    fn certificate(row: &str, members: &str) -> &'static str {
        let docs = [("row", row), ("payload_members", members)];
        judge(&item("secret/s", "private_cert", &docs), &slots(&["v2"]), None).code
    }

    fn configured(item_type: &str, value: Option<&str>, payloads: &[&str]) -> &'static str {
        let mut docs = vec![("row", "{}")];
        docs.extend(value.map(|value| ("value", value)));
        judge(&item("configuration/t/n", item_type, &docs), &slots(payloads), None).code
    }

    #[test]
    fn what_can_be_imported_is_exact_only_while_its_payload_is_kept() {
        for item_type in ["arbitrary", "kv", "username_password", "imported_cert"] {
            assert_eq!(secret(item_type, r#"{"state":1}"#, &["v1"]), "importable");
            assert_eq!(secret(item_type, r#"{"state":1}"#, &[]), "payload_not_read");
            assert_eq!(secret(item_type, r#"{"state":1}"#, &["withheld"]), "payload_not_read", "no payload of its own");
            assert_eq!(secret(item_type, r#"{"state":5}"#, &[]), "destroyed");
            assert_eq!(secret(item_type, r#"{"state":7}"#, &["v1"]), "importable", "a state that nobody has heard of");
        }
        assert_eq!(secret("imported_cert", r#"{"state":0}"#, &["withheld"]), "signature_awaited");
    }

    #[test]
    fn what_has_expired_is_lost_from_that_moment_on() {
        let row = r#"{"state":1,"expiration_date":"2030-01-01T00:00:00Z"}"#;
        let at = |item_type: &str, now: &str| {
            judge(&item("secret/s", item_type, &[("row", row)]), &slots(&["v1"]), now.parse().ok()).code
        };
        assert_eq!(at("arbitrary", "2029-12-31T23:59:59Z"), "importable");
        assert_eq!(at("arbitrary", "2030-01-01T00:00:00Z"), "expired");
        assert_eq!(at("public_cert", "2030-01-01T00:00:00Z"), "certificate_gone");
    }

    #[test]
    fn a_certificate_that_only_its_service_issues_is_converted_while_it_is_of_use() {
        for item_type in ["public_cert", "private_cert"] {
            assert_eq!(secret(item_type, r#"{"state":1}"#, &["v1"]), "convertible");
            assert_eq!(secret(item_type, r#"{"state":0}"#, &[]), "ordered");
            assert_eq!(secret(item_type, r#"{"state":5}"#, &[]), "certificate_gone");
            assert_eq!(secret(item_type, r#"{"state":1}"#, &[]), "certificate_not_read");
            assert_eq!(secret(item_type, r#"{"state":3}"#, &["v1"]), "revoked");
        }
        assert_eq!(certificate(r#"{"state":1,"revocation_time_seconds":1700000000}"#, "{}"), "revoked");
        assert_eq!(certificate(r#"{"state":1,"revocation_time_seconds":0}"#, "{}"), "convertible");
    }

    #[test]
    fn without_a_key_of_its_own_a_certificate_needs_its_signing_request() {
        assert_eq!(certificate(r#"{"state":1}"#, r#"{"v2":["certificate"]}"#), "key_elsewhere");
        assert_eq!(certificate(r#"{"state":1}"#, r#"{"v2":["certificate","private_key"]}"#), "convertible");
        let docs = [("row", "{}"), ("payload_members", r#"{"v2":["certificate"]}"#), ("supplied", r#"{"csr":"x"}"#)];
        let item = item("secret/s", "private_cert", &docs);
        assert_eq!(judge(&item, &slots(&["v2"]), None).code, "signing_request_supplied");
    }

    #[test]
    fn credentials_are_made_anew_and_what_nobody_knows_is_kept_as_it_is_defined() {
        assert_eq!(secret("iam_credentials", r#"{"reuse_api_key":true}"#, &["v1"]), "minted");
        assert_eq!(secret("iam_credentials", r#"{"reuse_api_key":false}"#, &[]), "minted_on_read");
        assert_eq!(secret("iam_credentials", "{}", &[]), "minted_on_read", "one that does not say is not read either");
        assert_eq!(secret("custom_credentials", "{}", &["v1"]), "minted");
        assert_eq!(secret("quantum_token", r#"{"state":1}"#, &["v1"]), "unknown_type");
    }

    #[test]
    fn a_configuration_needs_its_value_and_one_with_a_key_needs_the_key() {
        for item_type in super::super::CONFIGURATION_TYPES.map(|(name, _)| name) {
            let unread = configured(item_type, None, &[]);
            let listed_whole = item_type == "custom_credentials_configuration";
            assert_eq!(unread, if listed_whole { "engine_with_job" } else { "value_not_read" }, "{item_type}");
        }
        for item_type in ["iam_credentials_configuration", "public_cert_configuration_ca_lets_encrypt"] {
            assert_eq!(configured(item_type, Some("{}"), &["value"]), "settable");
            assert_eq!(configured(item_type, Some("{}"), &[]), "value_incomplete");
        }
        let cis = "public_cert_configuration_dns_cloud_internet_services";
        assert_eq!(configured(cis, Some("{}"), &[]), "settable", "it may go by a service authorization");
        assert_eq!(configured("new_engine", None, &[]), "unknown_configuration");
    }

    #[test]
    fn authorities_are_made_anew_and_the_way_out_depends_on_where_their_key_is() {
        let root = "private_cert_configuration_root_ca";
        let intermediate = "private_cert_configuration_intermediate_ca";
        assert_eq!(configured(root, Some("{}"), &[]), "root_key_stays");
        assert_eq!(configured(root, Some(r#"{"crypto_key":{"id":"k"}}"#), &[]), "root_key_in_hsm");
        assert_eq!(configured(intermediate, Some(r#"{"signing_method":"internal"}"#), &[]), "intermediate_key_stays");
        let external = configured(intermediate, Some(r#"{"signing_method":"external"}"#), &[]);
        assert_eq!(external, "intermediate_signed_outside");
    }

    #[test]
    fn every_reason_has_a_word_of_its_own_and_what_is_not_exact_can_be_acted_upon() {
        let mut codes: Vec<_> = is::ALL.iter().map(|judgement| judgement.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), is::ALL.len());
        for judgement in is::ALL {
            assert!(!judgement.why.is_empty() && !judgement.why.ends_with('.'), "{}", judgement.code);
            let can_act = judgement.class == Restorability::Exact || judgement.code == "signing_request_supplied";
            assert!(can_act || judgement.today.ends_with('.'), "{}", judgement.code);
        }
    }
}
