//! Members that the API takes and never returns, by type, and the sources of their values.

use super::restorability::{has_key, in_hsm};
use crate::model::{Item, ItemKind};
use crate::provider::assess::{Recovered, WriteOnly};
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::{DERIVED, SUPPLIED, VALUE};

/// Returns members that a create request takes and no answer returns, each with the member that shows the same, if any.
fn members(item_type: &str) -> &'static [(&'static str, Option<&'static str>)] {
    match item_type {
        "private_cert" => &[
            ("csr", None),
            ("ip_sans", None),
            ("uri_sans", None),
            ("other_sans", None),
            ("exclude_cn_from_sans", None),
            ("ttl", None),
            ("format", None),
            ("private_key_format", None),
        ],
        "private_cert_configuration_root_ca" => &[
            ("max_ttl", Some("max_ttl_seconds")),
            ("crl_expiry", Some("crl_expiry_seconds")),
            ("ttl", Some("ttl_seconds")),
            // In answers, a member of this name is something else: the certificate's serial number.
            ("serial_number", None),
        ],
        "private_cert_configuration_intermediate_ca" => {
            &[("max_ttl", Some("max_ttl_seconds")), ("crl_expiry", Some("crl_expiry_seconds")), ("serial_number", None)]
        }
        "private_cert_configuration_template" => &[
            ("max_ttl", Some("max_ttl_seconds")),
            ("ttl", Some("ttl_seconds")),
            ("not_before_duration", Some("not_before_duration_seconds")),
            ("allow_wildcard_certificates", None),
        ],
        "registration" => {
            &[("event_notifications_source_name", None), ("event_notifications_source_description", None)]
        }
        _ => &[],
    }
}

/// Returns the write-only members of an item. Omits those that cannot have been set, or do not matter.
pub(super) fn write_only(item: &Item) -> Vec<WriteOnly> {
    let [row, value, derived, supplied] = [ROW, VALUE, DERIVED, SUPPLIED].map(|name| item.doc(name));
    // An unread configuration lacks everything; that is reported once, not for each member.
    if item.key.kind() == ItemKind::Configuration && value.is_none() {
        return Vec::new();
    }
    let has = |doc: &Option<crate::model::json::JsonObject>, name: &str| {
        doc.as_ref().and_then(|doc| doc.get(name)).is_some_and(|value| value.get() != "null")
    };
    let read_certificate = derived.is_some();
    let known = |member: &str, shown: Option<&str>| {
        if has(&supplied, member) {
            Recovered::Supplied
        } else if has(&derived, member) {
            Recovered::Derived
        } else if shown.is_some_and(|shown| has(&value, shown) || has(&row, shown)) {
            Recovered::Shown
        } else {
            Recovered::Lost
        }
    };
    let matters = |member: &str, known: Recovered| match member {
        // A certificate with a key in the service was not made from a signing request.
        "csr" => known != Recovered::Lost || has_key(item) == Some(false),
        // Members that are missing in a certificate were not requested.
        "ip_sans" | "uri_sans" | "other_sans" | "serial_number" => known != Recovered::Lost || !read_certificate,
        "ttl" if in_hsm(value.as_ref()) => known != Recovered::Lost,
        _ => true,
    };
    members(&item.item_type)
        .iter()
        .map(|(member, shown)| WriteOnly { member, known: known(member, *shown) })
        .filter(|found| matters(found.member, found.known))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::Restorability;

    fn known(item_type: &str, docs: &[(&str, &str)]) -> Vec<(&'static str, Recovered)> {
        let kind = if item_type.contains("configuration") { "configuration/t/n" } else { "secret/s" };
        let docs = docs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), RawValue::from_string((*text).to_owned()).unwrap()))
            .collect();
        let item = Item {
            key: kind.parse().unwrap(),
            name: "n".into(),
            item_type: item_type.into(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs,
        };
        write_only(&item).into_iter().map(|found| (found.member, found.known)).collect()
    }

    #[test]
    fn the_best_source_of_a_member_is_named() {
        let docs = [
            ("value", r#"{"max_ttl_seconds":3600,"ttl_seconds":60,"not_before_duration_seconds":30}"#),
            ("supplied", r#"{"ttl":"90s"}"#),
        ];
        let found = known("private_cert_configuration_template", &docs);
        let wanted = [
            ("max_ttl", Recovered::Shown),
            ("ttl", Recovered::Supplied),
            ("not_before_duration", Recovered::Shown),
            ("allow_wildcard_certificates", Recovered::Lost),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_a_certificate_in_hand_does_not_have_was_not_asked_for() {
        let docs = [("derived", r#"{"ip_sans":"10.0.0.1","ttl":"24h","exclude_cn_from_sans":false}"#)];
        let found = known("private_cert", &docs);
        assert!(found.contains(&("ip_sans", Recovered::Derived)));
        assert!(!found.iter().any(|(member, _)| *member == "uri_sans"), "{found:?}");
        assert!(found.contains(&("format", Recovered::Lost)));
        assert!(known("private_cert", &[]).contains(&("uri_sans", Recovered::Lost)), "nobody has seen the certificate");
    }

    #[test]
    fn a_signing_request_is_missed_only_where_there_was_one() {
        let lacks = |members: &str| {
            known("private_cert", &[("payload_members", members)]).iter().any(|(member, _)| *member == "csr")
        };
        assert!(lacks(r#"{"v1":["certificate"]}"#));
        assert!(!lacks(r#"{"v1":["certificate","private_key"]}"#));
    }

    #[test]
    fn a_configuration_that_was_not_read_is_not_listed_member_by_member() {
        assert!(known("private_cert_configuration_root_ca", &[]).is_empty());
        assert!(known("arbitrary", &[]).is_empty());
    }
}
