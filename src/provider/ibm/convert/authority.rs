//! Certificate authorities: their parameters can be restored, their keys cannot.
//!
//! The API takes durations as text and returns them in seconds. It takes a `serial_number` for the subject, but returns
//! that of the certificate under the same name. The signer of an intermediate is not compared: one signed elsewhere
//! before the disaster is as good as one signed by the standby itself.

use serde_json::value::RawValue;

use crate::model::json::{JsonObject, raw};
use crate::model::{Item, ItemKey, ItemKind, Treatment};
use crate::provider::ibm::docs::ROW;
use crate::provider::ibm::docs::VALUE;
use crate::provider::{Certification, Phase, RequestBody, RestoreItem, Route};

/// The configuration type of a root.
pub(super) const ROOT: &str = "private_cert_configuration_root_ca";
/// The configuration type of an intermediate.
pub(super) const INTERMEDIATE: &str = "private_cert_configuration_intermediate_ca";

/// Members that a patch can change, in addition to `max_ttl` and `crl_expiry`.
const PATCHABLE: [&str; 3] = ["crl_disable", "crl_distribution_points_encoded", "issuing_certificates_urls_encoded"];
/// Members about the signing of an intermediate: never compared.
const SIGNING: [&str; 2] = ["signing_method", "issuer"];
/// Members that only the create request sets; the last three are only for roots.
pub(super) const UNPATCHABLE: [&str; 21] = [
    "crypto_key",
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "other_sans",
    "format",
    "private_key_format",
    "key_type",
    "key_bits",
    "exclude_cn_from_sans",
    "ou",
    "organization",
    "country",
    "locality",
    "province",
    "street_address",
    "postal_code",
    "max_path_length",
    "permitted_dns_domains",
    "ttl",
];

/// Maximum number of characters of a duration.
const LONGEST_DURATION: usize = 10;

/// Formats a number of seconds as a duration. If it is too long in seconds (more than 31 years), it is given in whole
/// minutes, rounded down.
pub(super) fn duration(seconds: u64) -> String {
    let text = format!("{seconds}s");
    if text.len() <= LONGEST_DURATION { text } else { format!("{}m", seconds / 60) }
}

/// Normalises durations, because they are compared as text.
pub(super) fn one_spelling(settings: &mut JsonObject) {
    for name in ["max_ttl", "crl_expiry", "ttl", "not_before_duration"] {
        if let Some(seconds) = settings.str(name).and_then(|text| seconds(&text)) {
            settings.set(name, raw(duration(seconds).as_str()));
        }
    }
}

/// Parses a duration to seconds: a whole number followed by `s`, `m`, `h`, `d` or nothing.
fn seconds(text: &str) -> Option<u64> {
    let unit = match text.bytes().next_back()? {
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => 1,
    };
    text.trim_end_matches(['s', 'm', 'h', 'd']).parse::<u64>().ok()?.checked_mul(unit)
}

/// Copies settings from an answer unchanged.
pub(super) fn keep(settings: &mut JsonObject, from: &JsonObject, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(name) {
            settings.set(name, value.to_owned());
        }
    }
}

/// Copies durations: `max_ttl` from `max_ttl_seconds`. Omits a 0, which is not a valid duration in a request.
pub(super) fn durations(settings: &mut JsonObject, from: &JsonObject, names: &[&str]) {
    for name in names {
        if let Some(seconds) = from.u64(&format!("{name}_seconds")).filter(|seconds| *seconds > 0) {
            settings.set(name, raw(duration(seconds).as_str()));
        }
    }
}

/// Returns true if answers about a certificate authority show this member in some form.
pub(super) fn is_setting(name: &str) -> bool {
    UNPATCHABLE.contains(&name)
        || PATCHABLE.contains(&name)
        || SIGNING.contains(&name)
        || ["max_ttl", "crl_expiry"].contains(&name)
}

/// Returns true if the type is a certificate authority.
pub(super) fn is(item_type: &str) -> bool {
    item_type == ROOT || item_type == INTERMEDIATE
}

/// Reads a certificate authority: settings, certification state, signing request.
pub(super) fn view(item: &Item, view: &mut RestoreItem) {
    let row = item.doc(ROW).unwrap_or_default();
    let value = item.doc(VALUE);
    for from in [Some(&row), value.as_ref()].into_iter().flatten() {
        keep(&mut view.settings, from, &UNPATCHABLE);
        keep(&mut view.settings, from, &PATCHABLE);
        durations(&mut view.settings, from, &["max_ttl", "crl_expiry"]);
        if item.item_type == ROOT {
            durations(&mut view.settings, from, &["ttl"]);
        } else {
            keep(&mut view.settings, from, &SIGNING);
        }
    }
    view.fixed = &SIGNING;
    let status = value.as_ref().and_then(|value| value.str("status")).or_else(|| row.str("status"));
    view.certification = Some(match status.as_deref() {
        Some("signing_required") => Certification::Unsigned,
        Some("signed_certificate_required") => Certification::Requested,
        Some("expired" | "revoked") => Certification::Ended,
        _ => Certification::Certified,
    });
    let data = value.and_then(|value| value.object("data")).unwrap_or_default();
    if view.certification == Some(Certification::Requested) {
        view.request = data.str("csr").filter(|csr| !csr.is_empty());
    }
}

/// Returns the treatments of a certificate authority, the default first.
pub(super) fn treatments(view: &RestoreItem) -> &'static [Treatment] {
    let external = view.settings.str("signing_method").as_deref() == Some("external");
    match view.item_type.as_str() {
        ROOT => &[Treatment::Recreate, Treatment::Definition],
        _ if external => &[Treatment::External, Treatment::Definition],
        _ => &[Treatment::Recreate, Treatment::External, Treatment::Definition],
    }
}

/// Changes the certificate authority according to the treatment.
pub(super) fn recast(view: &mut RestoreItem, treatment: Treatment) {
    if treatment == Treatment::External && view.item_type == INTERMEDIATE {
        view.settings.set("signing_method", raw("external"));
        view.settings.remove("issuer");
    }
}

/// Returns the phase in which it is created.
pub(super) fn route(view: &RestoreItem) -> Route {
    match (view.certification, view.item_type.as_str()) {
        (Some(Certification::Ended), _) => {
            Route::Lost("its certificate has expired or was revoked in the source".to_owned())
        }
        (_, ROOT) => Route::Create(Phase::RootAuthorities),
        _ => Route::Create(Phase::IntermediateAuthorities),
    }
}

/// Returns the possible keys of a certificate authority with this name.
pub(super) fn keys(name: &str) -> Vec<ItemKey> {
    let key = |item_type: &str| ItemKey::new(ItemKind::Configuration, &format!("{item_type}/{name}")).ok();
    [ROOT, INTERMEDIATE].into_iter().filter_map(key).collect()
}

fn action(name: &str, member: &str, value: &RawValue) -> RequestBody {
    let mut body = JsonObject::default();
    body.set("action_type", raw(format!("private_cert_configuration_action_{name}").as_str()));
    body.set(member, value.to_owned());
    RequestBody::new(body)
}

/// Builds the action with which the issuer signs an intermediate of its own instance.
pub(super) fn sign_intermediate(view: &RestoreItem) -> RequestBody {
    action("sign_intermediate", "intermediate_certificate_authority", &raw(view.name.as_str()))
}

/// Builds the action that installs the certificate of an intermediate.
pub(super) fn set_signed(certificate: &str) -> RequestBody {
    action("set_signed", "certificate", &raw(certificate))
}

/// Builds the action that signs the request of another instance, with the names in the request.
pub(in crate::provider::ibm) fn sign_csr(request: &str) -> RequestBody {
    let mut body = action("sign_csr", "csr", &raw(request));
    body.metadata.set("use_csr_values", raw(&true));
    body
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Docs, Payload, Restorability};
    use crate::provider::ibm::convert::{IbmConverter, request};
    use crate::provider::{Action, Change, ConvertError, ItemConverter};

    /// Returns a configuration of a snapshot, with the answer that shows its value.
    pub(in crate::provider::ibm::convert) fn configuration(item_type: &str, value: &str) -> Item {
        let value = RawValue::from_string(value.to_owned()).unwrap();
        Item {
            key: ItemKey::new(ItemKind::Configuration, &format!("{item_type}/ca")).unwrap(),
            name: "ca".into(),
            item_type: item_type.into(),
            group: None,
            class: Restorability::Reissued.into(),
            revision: None,
            read_at: None,
            payloads: Vec::new(),
            docs: Docs::from([("value".to_owned(), value)]),
        }
    }

    pub(in crate::provider::ibm::convert) fn created(item: &Item, treatment: Treatment) -> String {
        let view = IbmConverter.convert(item, treatment).item;
        sent(&Action::CreateConfiguration, &view).unwrap().to_raw().get().to_owned()
    }

    /// Returns the body of a configuration without a payload.
    pub(in crate::provider::ibm::convert) fn sent(
        action: &Action,
        view: &RestoreItem,
    ) -> Result<JsonObject, ConvertError> {
        let nothing = Payload::new(zeroize::Zeroizing::new("{}".to_owned()));
        let change = Change { payload: Some(&nothing), ..Change::new(action, view) };
        request::body(&change).map(|body| body.metadata)
    }

    #[test]
    fn durations_come_back_as_text_that_fits_the_field() {
        assert_eq!(duration(3_600), "3600s");
        assert_eq!(duration(999_999_999), "999999999s");
        assert_eq!(duration(876_000 * 3_600), "52560000m", "the longest that the provider takes");
        let mut settings =
            JsonObject::parse(r#"{"max_ttl":"876000h","ttl":"90","crl_expiry":"3d","name":"3d"}"#).unwrap();
        one_spelling(&mut settings);
        let expected = r#"{"max_ttl":"52560000m","ttl":"90s","crl_expiry":"259200s","name":"3d"}"#;
        assert_eq!(settings.to_raw().get(), expected);
    }

    #[test]
    fn a_root_is_made_with_its_parameters_and_never_with_the_serial_number_of_its_certificate() {
        let root = configuration(
            ROOT,
            r#"{"name":"ca","config_type":"x","common_name":"Root","max_ttl_seconds":157680000,"crl_expiry_seconds":259200,
                "ttl_seconds":315360000,"crl_disable":false,"key_type":"ec","key_bits":384,"max_path_length":-1,"ou":["a"],
                "serial_number":"2f:aa:01","status":"configured","expiration_date":"2036-01-01T00:00:00Z","created_by":"me",
                "data":{"certificate":"-----BEGIN","expiration":1}}"#,
        );
        let body = JsonObject::parse(&created(&root, Treatment::Recreate)).unwrap();
        assert_eq!(body.str("config_type").as_deref(), Some(ROOT));
        assert_eq!(body.str("max_ttl").as_deref(), Some("157680000s"));
        assert_eq!(body.str("crl_expiry").as_deref(), Some("259200s"));
        assert_eq!(body.str("ttl").as_deref(), Some("315360000s"));
        assert_eq!(body.get("max_path_length").unwrap().get(), "-1");
        for absent in ["serial_number", "status", "expiration_date", "data", "max_ttl_seconds", "created_by"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn without_the_value_a_root_cannot_be_made() {
        let root = configuration(ROOT, r#"{"common_name":"Root"}"#);
        let error = sent(&Action::CreateConfiguration, &IbmConverter.describe(&root)).unwrap_err();
        assert!(error.to_string().contains("max_ttl"), "{error}");
    }

    #[test]
    fn an_intermediate_for_an_outside_signature_names_no_issuer_and_is_no_other_authority_for_it() {
        let value = |signing: &str| {
            format!(
                r#"{{"common_name":"I","max_ttl_seconds":60,"crl_expiry_seconds":60,{signing},"status":"configured"}}"#
            )
        };
        let inside = configuration(INTERMEDIATE, &value(r#""signing_method":"internal","issuer":"root""#));
        let body = JsonObject::parse(&created(&inside, Treatment::External)).unwrap();
        assert_eq!((body.str("signing_method").as_deref(), body.get("issuer").is_none()), (Some("external"), true));
        let body = JsonObject::parse(&created(&inside, Treatment::Recreate)).unwrap();
        assert_eq!(body.str("issuer").as_deref(), Some("root"));
        let outside = IbmConverter.describe(&configuration(INTERMEDIATE, &value(r#""signing_method":"external""#)));
        let inside = IbmConverter.describe(&inside);
        assert_eq!(inside.compared().collect::<Vec<_>>(), outside.compared().collect::<Vec<_>>());
        assert!(!inside.compared().any(|name| name == "issuer" || name == "signing_method"));
    }

    #[test]
    fn the_state_of_an_authority_is_read_from_its_value_before_its_row() {
        let state = |status: &str, data: &str| {
            let value = format!(r#"{{"status":"{status}","data":{data}}}"#);
            let view = IbmConverter.describe(&configuration(INTERMEDIATE, &value));
            (view.certification.unwrap(), view.request)
        };
        assert_eq!(state("signing_required", r#"{"csr":"C"}"#), (Certification::Unsigned, None));
        assert_eq!(
            state("signed_certificate_required", r#"{"csr":"C"}"#),
            (Certification::Requested, Some("C".to_owned()))
        );
        assert_eq!(state("certificate_template_required", "{}"), (Certification::Certified, None));
        assert_eq!(state("revoked", "{}"), (Certification::Ended, None));
    }
}
