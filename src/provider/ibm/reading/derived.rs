//! Members of a certificate's request that no answer returns, read from the certificate.
//!
//! The members have the form of a create request: `ip_sans` and `uri_sans` are comma-separated lists in one text,
//! `other_sans` are `OID;UTF8:value`, `ttl` is a number of hours, minutes or seconds.

use std::net::IpAddr;

use serde_json::value::RawValue;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use crate::model::json::{JsonObject, Members, as_str, raw};
use crate::model::{Payload, Timestamp};

/// `serialNumber` of a distinguished name, which is not the serial number of a certificate.
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
/// Seconds of a minute and of an hour.
const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// Derives the write-only members of a private certificate from its row, the payload of its newest version, and the
/// creation time of that version. `None` if the payload has no readable certificate.
pub(super) fn of_private_certificate(
    row: &JsonObject,
    payload: &Payload,
    created: Option<Timestamp>,
) -> Option<JsonObject> {
    let members = Members::parse(payload.expose()).ok()?;
    let member = |name: &str| members.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value);
    let certificate = certificate(member("certificate")?)?;
    let names = CertificateNames::of(&certificate);
    let mut derived = JsonObject::default();
    if row.get("alt_names").is_none() && !names.plain.is_empty() {
        derived.set("alt_names", raw(&names.plain));
    }
    for (name, list) in [("ip_sans", &names.addresses), ("uri_sans", &names.uris)] {
        if !list.is_empty() {
            derived.set(name, raw(&list.join(",")));
        }
    }
    if !names.others.is_empty() {
        derived.set("other_sans", raw(&names.others));
    }
    if let Some(common_name) = common_name(&certificate) {
        derived.set("exclude_cn_from_sans", raw(&!names.plain.contains(&common_name)));
    }
    if let Some(ttl) = ttl(&certificate, created) {
        derived.set("ttl", raw(&ttl));
    }
    // Only the PEM label is inspected.
    if let Some(key) = member("private_key").map(RawValue::get) {
        if key.contains("BEGIN PRIVATE KEY") {
            derived.set("private_key_format", raw("pkcs8"));
        } else if key.contains("BEGIN RSA PRIVATE KEY") || key.contains("BEGIN EC PRIVATE KEY") {
            derived.set("private_key_format", raw("der"));
        }
    }
    Some(derived)
}

/// Derives the write-only members of a certificate authority: the serial number in its distinguished name. `None` for
/// other configurations, and without a readable certificate.
pub(super) fn of_authority(config_type: &str, value: &JsonObject) -> Option<JsonObject> {
    if !matches!(config_type, "private_cert_configuration_root_ca" | "private_cert_configuration_intermediate_ca") {
        return None;
    }
    let data = value.object("data")?;
    let certificate = certificate(data.get("certificate")?)?;
    let mut derived = JsonObject::default();
    let subject = certificate.tbs_certificate().subject();
    let serial = subject.iter().find(|attribute| attribute.oid == SERIAL_NUMBER);
    if let Some(serial) = serial.and_then(|serial| std::str::from_utf8(serial.value.value()).ok()) {
        derived.set("serial_number", raw(serial));
    }
    Some(derived)
}

/// Parses the first certificate of a PEM text.
fn certificate(pem: &RawValue) -> Option<Certificate> {
    Certificate::load_pem_chain(as_str(pem)?.as_bytes()).ok()?.into_iter().next()
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// The names of a certificate in addition to its subject.
#[derive(Debug, Default)]
struct CertificateNames {
    /// Host names and mail addresses.
    plain: Vec<String>,
    addresses: Vec<String>,
    uris: Vec<String>,
    others: Vec<String>,
}

impl CertificateNames {
    fn of(certificate: &Certificate) -> Self {
        let mut names = Self::default();
        let Ok(Some((_, list))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
            return names;
        };
        for name in &list.0 {
            match name {
                GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) => names.plain.push(name.to_string()),
                GeneralName::UniformResourceIdentifier(uri) => names.uris.push(uri.to_string()),
                GeneralName::IpAddress(bytes) => names.addresses.extend(address(bytes.as_bytes())),
                GeneralName::OtherName(other) => names.others.extend(other_name(other)),
                _ => {}
            }
        }
        names
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_string())
}

/// Converts a name to the only form that a create request accepts; omits other names.
fn other_name(other: &OtherName) -> Option<String> {
    let text = other.value.decode_as::<Utf8StringRef<'_>>().ok()?;
    Some(format!("{};UTF8:{}", other.type_id, text.as_str()))
}

/// Returns the requested time to live, measured from the creation of the version, because a certificate starts some
/// seconds before it is made. From one hour, it is in whole minutes, so that a second between the two has no effect.
fn ttl(certificate: &Certificate, created: Option<Timestamp>) -> Option<String> {
    let validity = certificate.tbs_certificate().validity();
    let at = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).ok();
    let end = at(validity.not_after)?;
    let (start, about) = match created {
        Some(created) => (created.millis().div_euclid(1_000), MINUTE / 2),
        // The early start must not make the new certificate live longer than its template allows.
        None => (at(validity.not_before)?, 0),
    };
    match end - start {
        ..=0 => None,
        short @ ..HOUR => Some(format!("{short}s")),
        long => {
            let minutes = (long + about).div_euclid(MINUTE);
            let hours = minutes.div_euclid(60);
            Some(if minutes % 60 == 0 { format!("{hours}h") } else { format!("{minutes}m") })
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    /// Created 2026-11-22T17:54:10Z, valid for ten years.
    const EVERY_NAME: &str = include_str!("testdata/every-name.pem");
    /// Valid for a day; its common name is not a host name.
    const OWN_NAME_LEFT_OUT: &str = include_str!("testdata/own-name-left-out.pem");

    fn derived(pem: &str, key: &str, row: &str, created: Option<&str>) -> String {
        let payload = format!(r#"{{"certificate":{},"private_key":"{key}"}}"#, raw(pem));
        let payload = Payload::new(Zeroizing::new(payload));
        let created = created.map(|at| at.parse().unwrap());
        let object = of_private_certificate(&JsonObject::parse(row).unwrap(), &payload, created);
        object.map_or_else(String::new, |object| object.to_raw().get().to_owned())
    }

    #[test]
    fn every_name_comes_back_in_the_form_that_a_create_takes() {
        let found = derived(EVERY_NAME, "-----BEGIN PRIVATE KEY-----", "{}", Some("2026-11-22T17:54:12Z"));
        let wanted = concat!(
            r#"{"alt_names":["api.example.com","www.example.com","ops@example.com"],"#,
            r#""ip_sans":"10.0.0.7,2001:db8::1","uri_sans":"spiffe://example/api","#,
            r#""other_sans":["1.3.6.1.4.1.311.20.2.3;UTF8:ops@example.com"],"#,
            r#""exclude_cn_from_sans":false,"ttl":"87600h","private_key_format":"pkcs8"}"#
        );
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_answers_show_is_not_repeated_and_what_is_not_there_is_not_said() {
        let found = derived(OWN_NAME_LEFT_OUT, "-----BEGIN EC PRIVATE KEY-----", r#"{"alt_names":[]}"#, None);
        assert_eq!(found, r#"{"exclude_cn_from_sans":true,"ttl":"24h","private_key_format":"der"}"#);
        assert!(!derived(OWN_NAME_LEFT_OUT, "", "{}", None).contains("private_key_format"));
        assert_eq!(derived("no certificate", "", "{}", None), "");
    }

    #[test]
    fn a_time_to_live_is_what_was_asked_for_and_never_more_than_the_certificate_has() {
        let ttl = |created: &str| {
            let found = JsonObject::parse(&derived(OWN_NAME_LEFT_OUT, "", "{}", Some(created))).unwrap();
            found.str("ttl")
        };
        assert_eq!(ttl("2026-11-22T17:54:41Z").as_deref(), Some("1439m"));
        assert_eq!(ttl("2026-11-22T17:54:39Z").as_deref(), Some("24h"));
        assert_eq!(ttl("2026-11-23T17:52:40Z").as_deref(), Some("90s"));
        assert_eq!(ttl("2026-11-23T17:54:10Z"), None);
    }

    #[test]
    fn an_authority_tells_the_serial_number_of_its_name() {
        let value = format!(r#"{{"data":{{"certificate":{}}}}}"#, raw(EVERY_NAME));
        let value = JsonObject::parse(&value).unwrap();
        let derived = of_authority("private_cert_configuration_root_ca", &value).unwrap();
        assert_eq!(derived.to_raw().get(), r#"{"serial_number":"SN-4711"}"#);
        assert!(of_authority("private_cert_configuration_template", &value).is_none());
        let waiting = JsonObject::parse(r#"{"data":{"csr":"x"}}"#).unwrap();
        assert!(of_authority("private_cert_configuration_intermediate_ca", &waiting).is_none());
    }
}
