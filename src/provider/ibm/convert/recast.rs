//! Treatments of each type in a restore.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::body::member;
use super::{authority, template};
use crate::model::json::{Members, raw};
use crate::model::{Item, ItemKind, Payload, Restorability, Slot, Treatment};
use crate::provider::ibm::classify::{has_key, is_revoked, supplied};
use crate::provider::ibm::docs::ROW;
use crate::provider::{ConvertError, RestoreItem};

/// Every type that a policy can name, with the treatments that it may have, the default first. A single item may allow
/// fewer.
pub const TYPES: &[(&str, &[Treatment])] = &[
    ("arbitrary", EXACT),
    ("kv", EXACT),
    ("username_password", EXACT),
    ("imported_cert", &[Treatment::Exact, Treatment::Reissue, Treatment::Definition]),
    ("public_cert", CERTIFICATE),
    ("private_cert", CERTIFICATE),
    ("iam_credentials", CREDENTIALS),
    ("service_credentials", CREDENTIALS),
    ("custom_credentials", CREDENTIALS),
    ("iam_credentials_configuration", EXACT),
    ("public_cert_configuration_ca_lets_encrypt", EXACT),
    ("public_cert_configuration_dns_cloud_internet_services", EXACT),
    ("public_cert_configuration_dns_classic_infrastructure", EXACT),
    (authority::ROOT, &[Treatment::Recreate, Treatment::Definition]),
    (authority::INTERMEDIATE, &[Treatment::Recreate, Treatment::External, Treatment::Definition]),
    (template::TEMPLATE, TEMPLATE),
    (template::CUSTOM, TEMPLATE),
    ("group", EXACT),
    ("registration", EXACT),
];

const EXACT: &[Treatment] = &[Treatment::Exact];
const TEMPLATE: &[Treatment] = &[Treatment::Exact, Treatment::Definition];
const CERTIFICATE: &[Treatment] = &[Treatment::Convert, Treatment::Reissue, Treatment::Definition];
/// Without a payload to convert.
const ISSUED: &[Treatment] = &[Treatment::Reissue, Treatment::Definition];
const CREDENTIALS: &[Treatment] = &[Treatment::Definition, Treatment::Reissue, Treatment::AsArbitrary];
/// Without a payload to keep.
const MINTED: &[Treatment] = &[Treatment::Definition, Treatment::Reissue];
/// Without a private key to convert; with a supplied signing request it can be signed again.
const KEYLESS: &[Treatment] = &[Treatment::Definition, Treatment::Reissue];
/// Revoked: a standby must issue a new valid certificate of this name only on request.
const REVOKED: &[Treatment] = &[Treatment::Definition, Treatment::Reissue];

/// NIST SP 800-57 state of a secret that has no payload yet.
const PRE_ACTIVATION: u64 = 0;

/// Returns the treatments that a secret allows; types not listed here are restored exactly.
pub(super) fn treatments(item: &Item) -> &'static [Treatment] {
    let row = item.doc(ROW).unwrap_or_default();
    let pending = row.u64("state") == Some(PRE_ACTIVATION);
    let has_payload = item.payloads.iter().any(|pointer| pointer.version.as_str() != Slot::WITHHELD);
    match item.item_type.as_str() {
        "imported_cert" if pending => ISSUED,
        "public_cert" | "private_cert" if !pending && is_revoked(&row) => REVOKED,
        "public_cert" | "private_cert" => match item.class.known() {
            Some(Restorability::Converted) if has_payload => CERTIFICATE,
            Some(Restorability::DefinitionOnly) if supplied(item, "csr") => ISSUED,
            Some(Restorability::DefinitionOnly) => KEYLESS,
            _ => ISSUED,
        },
        "iam_credentials" if row.bool("reuse_api_key") != Some(true) => MINTED,
        "iam_credentials" | "service_credentials" | "custom_credentials" if has_payload => CREDENTIALS,
        "iam_credentials" | "service_credentials" | "custom_credentials" => MINTED,
        _ => EXACT,
    }
}

/// Returns the type that a secret becomes.
pub(super) fn becomes(item_type: &str, treatment: Treatment) -> Option<&'static str> {
    match (treatment, item_type) {
        (Treatment::Convert, "public_cert" | "private_cert") => Some("imported_cert"),
        (Treatment::AsArbitrary, "iam_credentials") => Some("arbitrary"),
        (Treatment::AsArbitrary, "service_credentials" | "custom_credentials") => Some("kv"),
        _ => None,
    }
}

/// Returns true if the treatment changes the type of the secret.
pub(super) fn is(item: &Item, treatment: Treatment) -> bool {
    becomes(&item.item_type, treatment).is_some()
}

/// Changes the secret to a plain one of another type: it no longer renews itself, and type-specific members are
/// removed.
pub(super) fn recast(view: &mut RestoreItem, treatment: Treatment) {
    let Some(to) = becomes(&view.item_type, treatment) else { return };
    super::issue::strip(view);
    view.item_type = to.to_owned();
    view.rotation = None;
    view.pending = false;
    // The service derives the end of a certificate from the certificate; only the type `arbitrary` takes a date.
    if to == "arbitrary" {
        let end = view.expires.map_or_else(|| RawValue::NULL.to_owned(), |end| raw(&end));
        view.settings.set("expiration_date", end);
    } else {
        view.settings.remove("expiration_date");
    }
}

/// Returns the remark about a secret that changes its type.
pub(super) fn note(item: &Item, treatment: Treatment) -> Option<String> {
    let to = becomes(&item.item_type, treatment)?;
    let from = &item.item_type;
    let renewed =
        item.doc(ROW).and_then(|row| row.object("rotation")).and_then(|rotation| rotation.bool("auto_rotate"));
    let renewal = match renewed {
        Some(true) => "; the source renews it by itself, the standby will not",
        _ => "",
    };
    Some(match treatment {
        Treatment::Convert => format!("it is of type {from} in the source and becomes {to}{renewal}"),
        _ => format!(
            "it is of type {from} in the source and becomes {to} with its old value, which is of use only as long as \
             whoever issued it takes it{renewal}"
        ),
    })
}

/// Returns the reason why only the definition of an item is kept.
pub(super) fn definition(item: &Item) -> String {
    let why = match item.item_type.as_str() {
        "private_cert" if has_key(item) == Some(false) => {
            "; it was made from a signing request, and the service never had its key"
        }
        "private_cert" | "public_cert" if item.doc(ROW).is_some_and(|row| is_revoked(&row)) => {
            "; its certificate is revoked, and a new one is issued only if a rule or policy says `reissue`"
        }
        _ => "",
    };
    format!("only its definition is kept{why}: `keyhaven ls --json` shows it")
}

/// Converts a payload to the type that the secret becomes.
pub(super) fn payload(item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, ConvertError> {
    if becomes(&item.item_type, treatment).is_none() {
        return Ok(payload);
    }
    let missing = |why: &str| ConvertError { what: item.key.to_string(), why: why.to_owned() };
    let members = Members::parse(payload.expose()).map_err(|_| missing("its payload is no JSON object"))?;
    let needed =
        |name: &str| member(&members, name).ok_or_else(|| missing(&format!("the backup holds no {name} of it")));
    let length = payload.expose().len();
    match (treatment, item.item_type.as_str()) {
        (Treatment::AsArbitrary, "iam_credentials") => Ok(object(length, &[("payload", needed("api_key")?.get())])),
        (Treatment::AsArbitrary, "service_credentials") => {
            Ok(object(length, &[("data", needed("credentials")?.get())]))
        }
        (Treatment::AsArbitrary, _) => Ok(object(length, &[("data", needed("credentials_content")?.get())])),
        _ => {
            let certificate = needed("certificate")?.get();
            let keyless = without_keys(certificate);
            let mut fields = vec![("certificate", keyless.as_deref().map_or(certificate, String::as_str))];
            let chain = member(&members, "ca_chain").and_then(|chain| joined(chain.get()));
            let above = member(&members, "intermediate").or_else(|| member(&members, "issuing_ca"));
            let above = chain.as_deref().or(above.map(RawValue::get)).filter(|text| *text != "\"\"");
            fields.extend(above.map(|above| ("intermediate", above)));
            fields.push(("private_key", needed("private_key")?.get()));
            Ok(object(length, &fields))
        }
    }
}

/// Returns a bundle (a JSON text of PEM blocks) without its private keys, of which the payload has another copy; `None`
/// if it has none. An imported certificate does not accept keys among its certificates.
fn without_keys(bundle: &str) -> Option<Zeroizing<String>> {
    const KEY: &str = "PRIVATE KEY-----";
    const END: &str = "-----END ";
    if !bundle.contains(KEY) {
        return None;
    }
    let text = Zeroizing::new(serde_json::from_str::<String>(bundle).ok()?);
    // Never longer than the bundle, so it never grows and leaves a copy in memory.
    let mut kept = Zeroizing::new(String::with_capacity(bundle.len()));
    let mut rest = text.as_str();
    while let Some(begin) = rest.find("-----BEGIN ") {
        let block = rest.get(begin..)?;
        let end = block.find(END)? + END.len();
        let label = block.get(end..)?.find("-----")? + "-----".len();
        let (block, after) = block.split_at_checked(end + label)?;
        if !block.ends_with(KEY) {
            kept.push_str(block);
            kept.push('\n');
        }
        rest = after;
    }
    Some(Zeroizing::new(serde_json::to_string(kept.as_str()).ok()?))
}

/// Joins a list of certificates into one text, in order; `None` if it is empty or contains anything else. Certificates
/// are not secret.
fn joined(list: &str) -> Option<String> {
    let texts: Vec<String> = serde_json::from_str(list).ok()?;
    let joined = texts.iter().map(|text| text.trim_end()).collect::<Vec<_>>().join("\n");
    (!joined.is_empty()).then(|| raw(joined.as_str()).get().to_owned())
}

/// Builds an object of these members, each as exact text. Allocates enough from the start, so that it never grows and
/// leaves a copy in memory: the members are part of a text of `length` bytes, or shorter.
fn object(length: usize, members: &[(&str, &str)]) -> Payload {
    let longest = members.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(longest.max(length) + 8));
    text.push('{');
    for (place, (name, value)) in members.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(raw(*name).get());
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    Payload::new(text)
}

/// Returns the reason why the provider rejects a name for a secret or group; `None` if the name is valid.
///
/// 2 to 256 characters for a secret and 2 to 64 for a group: letters, digits, `_`, `-` and `.`. The first one must be a
/// letter, a digit or `_`, the last one a letter or a digit.
pub(in crate::provider::ibm) fn refused_name(kind: ItemKind, name: &str) -> Option<String> {
    let longest = if kind == ItemKind::Group { 64 } else { 256 };
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let (first, last) = (name.chars().next().unwrap_or(' '), name.chars().next_back().unwrap_or(' '));
    let fits = (2..=longest).contains(&name.len())
        && name.chars().all(inner)
        && (first.is_ascii_alphanumeric() || first == '_')
        && last.is_ascii_alphanumeric();
    (!fits).then(|| {
        format!(
            "a name has 2 to {longest} letters, digits, `_`, `-` and `.`, begins with a letter, a digit or `_` and ends \
             with a letter or a digit"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Docs, Pointer};
    use crate::provider::ItemConverter;
    use crate::provider::ibm::convert::IbmConverter;

    fn item(item_type: &str, class: Restorability, docs: &[(&str, &str)]) -> Item {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let docs: Docs = docs.iter().map(|(name, text)| ((*name).to_owned(), raw(text))).collect();
        Item {
            key: "secret/1".parse().unwrap(),
            name: "n".into(),
            item_type: item_type.into(),
            group: Some("default".into()),
            class: class.into(),
            revision: None,
            read_at: None,
            payloads: vec![Pointer { version: Slot::new("v1").unwrap(), pack: Digest::from_bytes([1; 32]) }],
            docs,
        }
    }

    fn recast_payload(item_type: &str, treatment: Treatment, text: &str) -> Result<String, String> {
        let item = item(item_type, Restorability::Converted, &[]);
        let payload = Payload::new(Zeroizing::new(text.to_owned()));
        let recast = IbmConverter.convert_payload(&item, treatment, payload);
        recast.map(|payload| payload.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_keep_their_exact_text_and_bring_their_chain() {
        let public = r#"{"certificate":"A\u000aB","intermediate":"I","private_key":"K\/","x":1}"#;
        assert_eq!(
            recast_payload("public_cert", Treatment::Convert, public).unwrap(),
            r#"{"certificate":"A\u000aB","intermediate":"I","private_key":"K\/"}"#
        );
        let private = r#"{"certificate":"A","private_key":"K","issuing_ca":"I","ca_chain":["I\n","R"]}"#;
        assert_eq!(
            recast_payload("private_cert", Treatment::Convert, private).unwrap(),
            r#"{"certificate":"A","intermediate":"I\nR","private_key":"K"}"#
        );
        let no_chain = r#"{"certificate":"A","private_key":"K","issuing_ca":"I","ca_chain":[]}"#;
        assert!(
            recast_payload("private_cert", Treatment::Convert, no_chain).unwrap().contains(r#""intermediate":"I""#)
        );
        let no_key = r#"{"certificate":"hunter2"}"#;
        let error = recast_payload("private_cert", Treatment::Convert, no_key).unwrap_err();
        assert!(error.contains("private_key") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn credentials_become_plain_text_or_keys_and_values() {
        let cases = [
            ("iam_credentials", r#"{"api_key":"a\"b","service_id":"x"}"#, r#"{"payload":"a\"b"}"#),
            (
                "service_credentials",
                r#"{"credentials":{"n":1e400,"k":1,"k":2}}"#,
                r#"{"data":{"n":1e400,"k":1,"k":2}}"#,
            ),
            ("custom_credentials", r#"{"credentials_content":{"u":"v"}}"#, r#"{"data":{"u":"v"}}"#),
        ];
        for (item_type, text, becomes) in cases {
            assert_eq!(recast_payload(item_type, Treatment::AsArbitrary, text).unwrap(), becomes);
            assert_eq!(recast_payload(item_type, Treatment::Reissue, text).unwrap(), text);
        }
    }

    #[test]
    fn what_a_secret_becomes_has_the_settings_of_its_new_type_and_no_other() {
        let row = r#"{"name":"n","common_name":"a.example","expiration_date":"2030-01-01T00:00:00Z","labels":["x"],
            "rotation":{"auto_rotate":true,"rotate_keys":false},"ca":"le","dns":"cis","bundle_certs":true,
            "access_groups":["AccessGroupId-1"],"reuse_api_key":true,"ttl":"1d"}"#;
        let names = |view: &RestoreItem| view.settings.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let certificate = item("public_cert", Restorability::Converted, &[("row", row)]);
        let view = IbmConverter.convert(&certificate, Treatment::Convert).item;
        assert_eq!((view.item_type.as_str(), view.rotation.is_none()), ("imported_cert", true));
        assert_eq!(names(&view), ["name", "description", "labels", "custom_metadata"]);
        let key = item("iam_credentials", Restorability::Reissued, &[("row", row)]);
        let view = IbmConverter.convert(&key, Treatment::AsArbitrary).item;
        assert_eq!(view.item_type, "arbitrary");
        assert_eq!(names(&view), ["name", "description", "labels", "custom_metadata", "expiration_date"]);
        assert!(IbmConverter.convert(&certificate, Treatment::Convert).note.unwrap().contains("will not"));
        assert_eq!(IbmConverter.convert(&certificate, Treatment::Reissue).note, None);
    }

    #[test]
    fn a_bundle_leaves_its_private_key_behind_and_keeps_every_certificate() {
        let block = |label: &str, text: &str| format!("-----BEGIN {label}-----\\n{text}\\n-----END {label}-----\\n");
        let chain = format!("{}{}", block("CERTIFICATE", "leaf"), block("CERTIFICATE", "above"));
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
            let payload = format!(
                r#"{{"certificate":"{}{chain}","private_key":"{}","issuing_ca":"I"}}"#,
                block(label, "key"),
                block(label, "key")
            );
            let made = recast_payload("private_cert", Treatment::Convert, &payload).unwrap();
            let made = crate::model::json::JsonObject::parse(&made).unwrap();
            assert_eq!(made.get("certificate").unwrap().get(), format!("\"{chain}\""), "{label}");
            assert!(made.str("private_key").unwrap().contains("key"));
        }
    }

    #[test]
    fn a_revoked_certificate_is_issued_anew_only_when_somebody_says_so() {
        for row in [r#"{"state":3}"#, r#"{"state":1,"revocation_time_seconds":1700000000}"#] {
            for class in [Restorability::Reissued, Restorability::DefinitionOnly, Restorability::Converted] {
                let revoked = item("private_cert", class, &[("row", row), ("supplied", r#"{"csr":"C"}"#)]);
                assert_eq!(IbmConverter.treatments(&revoked), [Treatment::Definition, Treatment::Reissue], "{row}");
                assert!(definition(&revoked).contains("revoked"), "{row}");
            }
        }
        let fine = item("private_cert", Restorability::Converted, &[("row", r#"{"revocation_time_seconds":0}"#)]);
        assert_eq!(IbmConverter.treatments(&fine)[0], Treatment::Convert);
    }

    #[test]
    fn an_item_allows_what_can_be_made_of_it() {
        let allowed =
            |item_type: &str, class, docs: &[(&str, &str)]| IbmConverter.treatments(&item(item_type, class, docs));
        assert_eq!(allowed("public_cert", Restorability::Converted, &[])[0], Treatment::Convert);
        assert_eq!(allowed("public_cert", Restorability::Reissued, &[]), ISSUED);
        assert_eq!(allowed("private_cert", Restorability::DefinitionOnly, &[]), KEYLESS);
        let minted = allowed("iam_credentials", Restorability::Reissued, &[("row", r#"{"reuse_api_key":false}"#)]);
        assert!(!minted.contains(&Treatment::AsArbitrary), "its payload is never read");
        for (item_type, may) in TYPES {
            assert!(!may.is_empty() && fields_known(item_type), "{item_type}");
        }
    }

    fn fields_known(item_type: &str) -> bool {
        matches!(item_type, "group" | "registration") || super::super::fields(item_type).is_some()
    }

    #[test]
    fn names_are_those_that_the_provider_documents() {
        for good in ["ab", "_a", "a.b-c_d", "9z"] {
            assert_eq!(refused_name(ItemKind::Secret, good), None, "{good}");
        }
        for bad in ["a", "a b", "-a", "a-", "a/b", "ä1", &"x".repeat(257)] {
            assert!(refused_name(ItemKind::Secret, bad).is_some(), "{bad}");
        }
        assert!(refused_name(ItemKind::Group, &"x".repeat(65)).is_some());
    }
}
