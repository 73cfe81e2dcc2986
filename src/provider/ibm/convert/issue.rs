//! Secrets that the standby reissues from their definition: no payload is sent or compared.
//!
//! The settings have the members that answers show; most of these only a create request takes. The inputs have members
//! that no answer shows and that were read from the certificate or supplied. No secret rotates automatically unless
//! requested.

use serde_json::value::RawValue;

use super::authority::keep;
use super::supply::MemberPlace;
use crate::model::Item;
use crate::model::json::JsonObject;
use crate::provider::ibm::docs::ROW;
use crate::provider::{Phase, RestoreItem, Route};

/// NIST SP 800-57 state of a secret that has no payload yet.
const PRE_ACTIVATION: u64 = 0;
/// State of a secret whose payload the service has destroyed.
const DESTROYED: u64 = 5;

/// A type whose payload the service itself creates.
struct Issued {
    item_type: &'static str,
    /// Its own settings that a patch can change.
    patchable: &'static [&'static str],
    /// Its own settings that only a create request takes.
    fixed: &'static [&'static str],
    /// Members that a create request takes and no answer shows.
    inputs: &'static [&'static str],
}

const ISSUED: [Issued; 6] = [
    Issued {
        item_type: "private_cert",
        patchable: &[],
        fixed: &["certificate_template", "common_name", "alt_names"],
        inputs: &[
            // If the row does not show them.
            "alt_names",
            "ip_sans",
            "uri_sans",
            "other_sans",
            "csr",
            "format",
            "private_key_format",
            "exclude_cn_from_sans",
            "ttl",
        ],
    },
    Issued {
        item_type: "public_cert",
        patchable: &[],
        fixed: &["common_name", "alt_names", "key_algorithm", "ca", "dns", "bundle_certs"],
        inputs: &[],
    },
    Issued {
        item_type: "iam_credentials",
        patchable: &["ttl"],
        fixed: &["access_groups", "service_id", "account_id", "reuse_api_key"],
        inputs: &[],
    },
    Issued { item_type: "service_credentials", patchable: &["ttl"], fixed: &["source_service"], inputs: &[] },
    Issued {
        item_type: "custom_credentials",
        patchable: &["ttl", "parameters"],
        fixed: &["configuration"],
        inputs: &[],
    },
    // Only while it waits for the certificate of its signing request.
    Issued { item_type: "imported_cert", patchable: &[], fixed: &["managed_csr"], inputs: &[] },
];

fn issued(item_type: &str) -> Option<&'static Issued> {
    ISSUED.iter().find(|issued| issued.item_type == item_type)
}

/// Returns the place of a member of an issued type; `None` if the type has no such member.
pub(super) fn place(item_type: &str, name: &str) -> Option<MemberPlace> {
    let issued = issued(item_type)?;
    if issued.inputs.contains(&name) {
        return Some(MemberPlace::Input);
    }
    (issued.fixed.contains(&name) || issued.patchable.contains(&name)).then_some(MemberPlace::Setting)
}

/// Removes the members of the type when the secret becomes another type.
pub(super) fn strip(view: &mut RestoreItem) {
    if let Some(issued) = issued(&view.item_type) {
        for name in issued.patchable.iter().chain(issued.fixed) {
            view.settings.remove(name);
        }
    }
    view.fixed = &[];
    view.inputs = JsonObject::default();
}

/// Reads the type-specific part of the definition of a secret that the service issues.
pub(super) fn view(item: &Item, row: &JsonObject, view: &mut RestoreItem) {
    view.pending = row.u64("state") == Some(PRE_ACTIVATION);
    let Some(issued) = issued(&item.item_type) else { return };
    view.fixed = issued.fixed;
    let settings = &mut view.settings;
    match issued.item_type {
        "imported_cert" if !view.pending => return,
        "imported_cert" => {
            if let Some(mut request) = row.object("managed_csr") {
                // Added by the service.
                request.remove("csr");
                request.remove("private_key");
                settings.set("managed_csr", request.to_raw());
            }
            return;
        }
        "service_credentials" => {
            if let Some(source) = row.object("source_service") {
                let mut wanted = JsonObject::default();
                keep(&mut wanted, &source, &["instance", "parameters", "role"]);
                settings.set("source_service", wanted.to_raw());
            }
        }
        // A service id that the service created for the secret is not part of the definition.
        "iam_credentials" if row.bool("service_id_is_static") != Some(true) => {
            keep(settings, row, &["access_groups", "account_id", "reuse_api_key"]);
        }
        _ => keep(settings, row, issued.fixed),
    }
    keep(settings, row, issued.patchable);
}

/// Reduces a secret to what the standby reissues: one version without a payload, and no expired parts.
pub(super) fn recast(view: &mut RestoreItem) {
    view.expires = None;
    let newest = view.versions.as_mut().and_then(Vec::pop).map(|mut version| {
        version.expires = None;
        version
    });
    if let (Some(locks), Some(newest)) = (&mut view.locks, &newest) {
        locks.retain(|lock| lock.version == newest.id);
    }
    view.versions = Some(newest.into_iter().collect());
}

/// Returns the phase in which it is issued; `referred` is true if configurations use it.
pub(super) fn route(item: &Item, referred: bool) -> Route {
    let row = item.doc(ROW).unwrap_or_default();
    if row.u64("state") == Some(DESTROYED) {
        return Route::Lost("it was destroyed in the source".to_owned());
    }
    Route::Create(if referred { Phase::ReferredSecrets } else { Phase::IssuedSecrets })
}

/// Returns true if the standby issues the secret.
pub(super) fn is(view: &RestoreItem) -> bool {
    match view.item_type.as_str() {
        "imported_cert" => view.settings.get("managed_csr").is_some(),
        item_type => issued(item_type).is_some(),
    }
}

/// Adds the members that only the create request of an issued secret takes.
pub(super) fn complete(body: &mut JsonObject, view: &RestoreItem, rotate: bool) {
    let Some(issued) = issued(&view.item_type) else { return };
    for (name, value) in view.inputs.iter().filter(|(name, _)| issued.inputs.contains(name)) {
        if body.get(name).is_none() && value.get() != "null" {
            body.set(name, value.to_owned());
        }
    }
    let kept = view.rotation.as_ref().filter(|_| rotate).map(JsonObject::to_raw);
    // Without the field the service may choose a value, so always send an explicit one.
    if let Some(rotation) = kept.or_else(|| held(view)) {
        body.set("rotation", rotation);
    }
}

/// Returns the rotation member that disables rotation; `None` if the type has none.
fn held(view: &RestoreItem) -> Option<Box<RawValue>> {
    let text = match view.item_type.as_str() {
        "imported_cert" => return None,
        // A key that is created at every read cannot rotate.
        "iam_credentials" if view.settings.bool("reuse_api_key") != Some(true) => return None,
        "public_cert" => r#"{"auto_rotate":false,"rotate_keys":false}"#,
        _ => r#"{"auto_rotate":false}"#,
    };
    RawValue::from_string(text.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Docs, Payload, Restorability, Treatment};
    use crate::provider::ibm::convert::{IbmConverter, request};
    use crate::provider::{Action, Change, ItemConverter, RestoreVersion};

    fn secret(item_type: &str, docs: &[(&str, &str)]) -> Item {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let docs: Docs = docs.iter().map(|(name, text)| ((*name).to_owned(), raw(text))).collect();
        Item {
            key: "secret/old".parse().unwrap(),
            name: "n".into(),
            item_type: item_type.into(),
            group: Some("default".into()),
            class: Restorability::Reissued.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs,
        }
    }

    fn body(item: &Item, rotate: bool) -> JsonObject {
        let view = IbmConverter.convert(item, Treatment::Reissue).item;
        let version = RestoreVersion {
            id: "v".into(),
            payload: false,
            metadata: JsonObject::default(),
            mark: None,
            expires: None,
        };
        let payload = Payload::new(zeroize::Zeroizing::new("{}".to_owned()));
        let action = Action::CreateSecret { version: "v".into(), mark: None, mark_version: false };
        let change = Change {
            group: Some("g"),
            version: Some(&version),
            payload: Some(&payload),
            rotate,
            ..Change::new(&action, &view)
        };
        let body = request::body(&change).unwrap();
        assert_eq!(body.payload.unwrap().expose(), "{}", "nothing secret is sent");
        body.metadata
    }

    #[test]
    fn a_private_certificate_is_asked_for_with_what_its_predecessor_says_of_its_request() {
        let row = r#"{"certificate_template":"web","common_name":"a.example","alt_names":["b.example"],"state":1,
            "validity":{"not_before":"2025-12-31T23:59:30Z","not_after":"2026-01-02T00:00:00Z"},"serial_number":"01",
            "rotation":{"auto_rotate":true,"interval":1,"unit":"month"},"certificate_authority":"root"}"#;
        let derived = r#"{"ip_sans":"10.0.0.1","ttl":"24h","exclude_cn_from_sans":true}"#;
        let item = secret("private_cert", &[("row", row), ("derived", derived)]);
        let sent = body(&item, false);
        assert_eq!(sent.str("ttl").as_deref(), Some("24h"));
        assert_eq!(sent.str("ip_sans").as_deref(), Some("10.0.0.1"));
        assert_eq!(sent.str("certificate_template").as_deref(), Some("web"));
        assert_eq!(sent.object("rotation").unwrap().bool("auto_rotate"), Some(false));
        for absent in ["serial_number", "certificate_authority", "validity", "state"] {
            assert!(sent.get(absent).is_none(), "{absent}");
        }
        assert_eq!(body(&item, true).object("rotation").unwrap().u64("interval"), Some(1));
    }

    #[test]
    fn what_the_operator_supplied_wins() {
        let row = r#"{"certificate_template":"web","common_name":"a.example"}"#;
        let docs =
            [("row", row), ("derived", r#"{"ttl":"9s"}"#), ("supplied", r#"{"ttl":"8s","format":"pem_bundle"}"#)];
        let sent = body(&secret("private_cert", &docs), false);
        assert_eq!((sent.str("ttl").as_deref(), sent.str("format").as_deref()), (Some("8s"), Some("pem_bundle")));
    }

    #[test]
    fn a_service_id_is_sent_only_where_it_was_given() {
        let row = |fixed: bool, reuse: bool| {
            format!(
                r#"{{"ttl":"3600","access_groups":["AccessGroupId-1"],"service_id":"ServiceId-1","api_key_id":"k",
                    "reuse_api_key":{reuse},"service_id_is_static":{fixed}}}"#
            )
        };
        let sent = body(&secret("iam_credentials", &[("row", &row(true, true))]), false);
        assert_eq!(sent.str("service_id").as_deref(), Some("ServiceId-1"));
        assert_eq!(sent.object("rotation").unwrap().bool("auto_rotate"), Some(false));
        let sent = body(&secret("iam_credentials", &[("row", &row(false, false))]), false);
        assert!(sent.get("service_id").is_none() && sent.get("rotation").is_none() && sent.get("api_key_id").is_none());
        assert_eq!(sent.bool("reuse_api_key"), Some(false));
    }

    #[test]
    fn what_the_service_added_to_a_definition_is_not_sent_back() {
        let row = r#"{"source_service":{"instance":{"crn":"crn:i"},"parameters":{"HMAC":true},"role":{"crn":"crn:r"},
            "iam":{"apikey":{"id":"x"}},"resource_key":{"crn":"crn:k"}},"ttl":"86400"}"#;
        let sent = body(&secret("service_credentials", &[("row", row)]), false).object("source_service").unwrap();
        assert_eq!(sent.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["instance", "parameters", "role"]);
        let row = r#"{"state":0,"managed_csr":{"common_name":"c","csr":"made","key_type":"rsa"}}"#;
        let sent = body(&secret("imported_cert", &[("row", row)]), false).object("managed_csr").unwrap();
        assert_eq!(sent.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["common_name", "key_type"]);
    }

    #[test]
    fn nothing_that_ended_in_the_source_ends_what_is_issued_anew() {
        let row = r#"{"ttl":"1h","reuse_api_key":true,"expiration_date":"2020-01-01T00:00:00Z"}"#;
        let versions = r#"[{"id":"old","created_at":"2019-01-01T00:00:00Z"},
            {"id":"v","alias":"current","expiration_date":"2020-01-01T00:00:00Z"}]"#;
        let locks = r#"[{"name":"a","secret_version_id":"old"},{"name":"b","secret_version_id":"v"}]"#;
        let item = secret("iam_credentials", &[("row", row), ("versions", versions), ("locks", locks)]);
        let view = IbmConverter.convert(&item, Treatment::Reissue).item;
        let versions = view.versions.unwrap();
        assert!(view.expires.is_none() && versions[0].expires.is_none());
        assert_eq!((versions.len(), versions[0].id.as_str()), (1, "v"));
        assert_eq!(view.locks.unwrap().len(), 1);
    }
}
