//! Metadata of imported certificates.

use chrono::DateTime;
use p256::pkcs8::{PrivateKeyInfoRef, der::Decode};
use x509_cert::Certificate;
use x509_cert::der::SecretDocument;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::pki::key::{CertificateKey, EC, ED25519, P256, P384, P521, RSA};
use super::refusal::Refusal;
use super::text::{self, ObjectText};
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};

/// Metadata that the instance reads from a certificate.
#[derive(Debug)]
pub(crate) struct Facts {
    common_name: Option<String>,
    alt_names: Vec<String>,
    issuer: String,
    serial_number: String,
    key_algorithm: String,
    signing_algorithm: String,
    not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Facts {
    fn validity(&self) -> String {
        let mut validity = ObjectText::new();
        validity.str("not_before", &text::date(self.not_before)).str("not_after", &text::date(self.not_after));
        validity.finish().to_string()
    }

    /// Returns members of the secret's metadata.
    pub(crate) fn secret_fields(&self) -> JsonObject {
        let mut fields = JsonObject::default();
        fields.set("signing_algorithm", raw(&self.signing_algorithm));
        fields.set("alt_names", raw(&self.alt_names));
        if let Some(name) = &self.common_name {
            fields.set("common_name", raw(name));
        }
        fields.set("issuer", raw(&self.issuer));
        fields.set("key_algorithm", raw(&self.key_algorithm));
        for (name, value) in self.version_fields().iter() {
            fields.set(name, value.to_owned());
        }
        fields
    }

    /// Returns members of the version's metadata.
    pub(crate) fn version_fields(&self) -> JsonObject {
        let mut fields = JsonObject::default();
        fields.set("serial_number", raw(&self.serial_number));
        if let Ok(validity) = serde_json::value::RawValue::from_string(self.validity()) {
            fields.set("validity", validity);
        }
        fields
    }
}

/// Parses a certificate, and checks that the intermediate parses and that the key matches.
///
/// Keys of types that the instance can generate, and all RSA keys, are compared with the certificate; others only have
/// to parse.
pub(crate) fn inspect(
    certificate: &str,
    intermediate: Option<&str>,
    private_key: Option<&str>,
) -> Result<Facts, Refusal> {
    let parsed = first_certificate("certificate", certificate)?;
    if let Some(intermediate) = intermediate {
        first_certificate("intermediate", intermediate)?;
    }
    let tbs = parsed.tbs_certificate();
    if let Some(private_key) = private_key {
        check_key(private_key, tbs.subject_public_key_info())?;
    }
    let serial: Vec<String> = tbs.serial_number().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let seconds = |time: x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        DateTime::from_timestamp(seconds, 0).unwrap_or_default().into()
    };
    Ok(Facts {
        common_name: tbs.subject().common_name().ok().flatten().map(|name| name.value().into_owned()),
        alt_names: alt_names(&parsed),
        issuer: tbs.issuer().to_string(),
        serial_number: serial.join(":"),
        key_algorithm: key_algorithm(tbs.subject_public_key_info()),
        signing_algorithm: signing_algorithm(parsed.signature_algorithm().oid),
        not_before: seconds(tbs.validity().not_before),
        not_after: seconds(tbs.validity().not_after),
    })
}

fn first_certificate(field: &str, pem: &str) -> Result<Certificate, Refusal> {
    let refuse = || Refusal::invalid(format!("The field '{field}' is not a PEM encoded X.509 certificate."));
    Certificate::load_pem_chain(pem.as_bytes()).map_err(|_| refuse())?.into_iter().next().ok_or_else(refuse)
}

fn alt_names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let names = names.0.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::Rfc822Name(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        _ => None,
    });
    names.collect()
}

fn key_algorithm(key: &SubjectPublicKeyInfoOwned) -> String {
    match key.algorithm.oid {
        RSA => {
            let modulus = integers(key.subject_public_key.raw_bytes()).into_iter().next().unwrap_or_default();
            format!("RSA{}", modulus.len() * 8)
        }
        EC if is_p256(key) => "ECDSA256".to_owned(),
        EC if curve(key) == Some(P521) => "ECDSA521".to_owned(),
        EC => "ECDSA384".to_owned(),
        ED25519 => "Ed25519".to_owned(),
        other => other.to_string(),
    }
}

fn is_p256(key: &SubjectPublicKeyInfoOwned) -> bool {
    curve(key) == Some(P256)
}

fn curve(key: &SubjectPublicKeyInfoOwned) -> Option<ObjectIdentifier> {
    key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as().ok())
}

fn signing_algorithm(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.11" => "SHA256-RSA".to_owned(),
        "1.2.840.113549.1.1.12" => "SHA384-RSA".to_owned(),
        "1.2.840.113549.1.1.13" => "SHA512-RSA".to_owned(),
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256".to_owned(),
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384".to_owned(),
        "1.2.840.10045.4.3.4" => "ECDSA-SHA512".to_owned(),
        "1.3.101.112" => "Ed25519".to_owned(),
        other => other.to_owned(),
    }
}

fn check_key(pem: &str, key: &SubjectPublicKeyInfoOwned) -> Result<(), Refusal> {
    let unreadable = || Refusal::invalid("The field 'private_key' is not an unencrypted PEM private key.");
    let differs = || Refusal::invalid("The field 'private_key' does not match the certificate.");
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| unreadable())?;
    let public = key.subject_public_key.raw_bytes();
    match label {
        "PRIVATE KEY" => {
            let info = PrivateKeyInfoRef::from_der(document.as_bytes()).map_err(|_| unreadable())?;
            let fits = match info.algorithm.oid {
                other if other != key.algorithm.oid => false,
                RSA => same_modulus(info.private_key.as_bytes(), public),
                ED25519 => {
                    let signing = ed25519_dalek::SigningKey::try_from(info).map_err(|_| unreadable())?;
                    signing.verifying_key().as_bytes() == public
                }
                EC if is_p256(key) => p256::SecretKey::try_from(info).is_ok_and(|secret| ec_public(&secret) == public),
                // Keys on curves that the instance cannot generate only have to parse.
                _ => {
                    CertificateKey::from_pem(pem)
                        .and_then(|secret| secret.public())
                        .is_ok_and(|own| own.subject_public_key.raw_bytes() == public)
                        || ![P384, P521].map(Some).contains(&curve(key))
                }
            };
            if fits { Ok(()) } else { Err(differs()) }
        }
        "EC PRIVATE KEY" if is_p256(key) => {
            let secret = p256::SecretKey::from_sec1_der(document.as_bytes()).map_err(|_| unreadable())?;
            if ec_public(&secret) == public { Ok(()) } else { Err(differs()) }
        }
        "EC PRIVATE KEY" if key.algorithm.oid == EC => Ok(()),
        "RSA PRIVATE KEY" if same_modulus(document.as_bytes(), public) => Ok(()),
        "EC PRIVATE KEY" | "RSA PRIVATE KEY" => Err(differs()),
        _ => Err(unreadable()),
    }
}

fn ec_public(secret: &p256::SecretKey) -> Vec<u8> {
    secret.public_key().to_sec1_bytes().into_vec()
}

/// True if an `RSAPrivateKey` (version, modulus, …) and an `RSAPublicKey` (modulus, …) have the same modulus.
fn same_modulus(private: &[u8], public: &[u8]) -> bool {
    matches!((integers(private).get(1), integers(public).first()), (Some(a), Some(b)) if a == b)
}

/// Returns the leading INTEGERs of a DER SEQUENCE without sign bytes, as many as are readable.
fn integers(der: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Some((0x30, mut rest, _)) = element(der) else { return found };
    while let Some((0x02, value, after)) = element(rest) {
        found.push(value.iter().copied().skip_while(|byte| *byte == 0).collect());
        rest = after;
    }
    found
}

/// Splits off the first DER element: its tag, its content, and the remaining bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::super::super::seed::certificates::{Authority, CertificateLife};
    use super::super::harness::Machine;
    use super::super::text::ObjectText;
    use super::*;
    use crate::provider::embedded::options::Switches;

    const RSA_CERTIFICATE: &str = include_str!("testdata/rsa-certificate.pem");
    const RSA_KEY: &str = include_str!("testdata/rsa-key.pem");
    const RSA_KEY_TRADITIONAL: &str = include_str!("testdata/rsa-key-traditional.pem");

    fn life() -> CertificateLife {
        // 2026-01-01 to 2031-01-01.
        CertificateLife {
            from: Timestamp::from_millis(1_767_225_600_000),
            to: Timestamp::from_millis(1_924_992_000_000),
        }
    }

    /// Creates a certificate, its key and its issuer's certificate.
    fn issued(number: u64, edwards: bool) -> (String, String, String) {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let authority = Authority::new("Test Root", life(), &mut rng).unwrap();
        let names = vec!["a.example.com".to_owned(), "b.example.com".to_owned()];
        let leaf = authority.issue(names, life(), edwards, &mut rng).unwrap();
        (leaf.certificate, leaf.private_key.to_string(), authority.pem)
    }

    fn body(certificate: &str, intermediate: Option<&str>, key: Option<&str>) -> String {
        let mut body = ObjectText::new();
        body.str("secret_type", "imported_cert").str("name", "cert").str("certificate", certificate);
        body.opt_str("intermediate", intermediate).opt_str("private_key", key);
        body.finish().to_string()
    }

    #[test]
    fn the_certificate_tells_its_metadata_and_comes_back_to_the_byte() {
        let (certificate, key, root) = issued(1, false);
        let mut machine = Machine::new();
        let got = machine.post("secrets", &body(&certificate, Some(&root), Some(&key)));
        assert_eq!(got.0, 201, "{}", got.1);
        assert_eq!((got.str("certificate"), got.str("intermediate"), got.str("private_key")), (certificate, root, key));
        let metadata = machine.get(&format!("secrets/{}/metadata", got.str("id")));
        assert_eq!(metadata.str("common_name"), "a.example.com");
        assert_eq!(metadata.raw("alt_names"), r#"["a.example.com","b.example.com"]"#);
        assert_eq!(metadata.str("issuer"), "CN=Test Root,O=Keyhaven Sandbox,C=DE");
        assert_eq!(
            (metadata.str("key_algorithm"), metadata.str("signing_algorithm")),
            ("ECDSA256".into(), "ECDSA-SHA256".into())
        );
        assert_eq!(
            metadata.raw("validity"),
            r#"{"not_before":"2026-01-01T00:00:00Z","not_after":"2031-01-01T00:00:00Z"}"#
        );
        assert_eq!(metadata.str("expiration_date"), "2031-01-01T00:00:00Z");
        assert_eq!(
            (metadata.raw("private_key_included"), metadata.raw("intermediate_included")),
            ("true".into(), "true".into())
        );
        assert_eq!(metadata.str("serial_number").len(), 16 * 3 - 1);
        assert!(!metadata.has("managed_csr"));
    }

    #[test]
    fn a_key_has_to_belong_to_its_certificate_whatever_its_algorithm() {
        let mut machine = Machine::new();
        let (p256, p256_key, _) = issued(1, false);
        let (edwards, edwards_key, _) = issued(2, true);
        let (_, other_p256, _) = issued(3, false);
        let (_, other_edwards, _) = issued(4, true);
        for (certificate, key, status) in [
            (p256.as_str(), other_p256.as_str(), 400),
            (&p256, &edwards_key, 400),
            (&edwards, &other_edwards, 400),
            (RSA_CERTIFICATE, &p256_key, 400),
            (&p256, RSA_KEY, 400),
            (
                &p256,
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIBvTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG\n-----END ENCRYPTED PRIVATE KEY-----\n",
                400,
            ),
            (&p256, &p256_key, 201),
            (&edwards, &edwards_key, 201),
            (RSA_CERTIFICATE, RSA_KEY, 201),
            (RSA_CERTIFICATE, RSA_KEY_TRADITIONAL, 201),
        ] {
            let got = machine.post("secrets", &body(certificate, None, Some(key)));
            assert_eq!(got.0, status, "{} {}", key.lines().next().unwrap(), got.1);
            if status == 201 {
                machine.delete(&format!("secrets/{}", got.str("id")));
            }
        }
        let rsa = machine.post("secrets", &body(RSA_CERTIFICATE, None, None));
        assert_eq!((rsa.str("key_algorithm"), rsa.str("signing_algorithm")), ("RSA2048".into(), "SHA256-RSA".into()));
        assert_eq!(rsa.str("serial_number"), "01:23:45:67:89:ab:cd:ef");
    }

    #[test]
    fn what_is_no_certificate_or_expired_is_refused() {
        let mut machine = Machine::new();
        let (certificate, _, _) = issued(1, false);
        let junk = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "A".repeat(64));
        assert_eq!(machine.post("secrets", &body(&junk, None, None)).0, 400);
        assert_eq!(machine.post("secrets", &body(&certificate, Some(&junk), None)).0, 400);
        assert_eq!(machine.post("secrets", &body(&"x".repeat(100), None, None)).0, 400);
        machine.later(6 * 365 * super::super::harness::DAY);
        assert_eq!(machine.post("secrets", &body(&certificate, None, None)).0, 400);
    }

    #[test]
    fn a_new_version_brings_its_own_facts() {
        let mut machine = Machine::new();
        let (first, key, _) = issued(1, false);
        let (second, _, root) = issued(2, true);
        let id = machine.post("secrets", &body(&first, None, Some(&key))).str("id");
        let mut version = ObjectText::new();
        version.str("certificate", &second).str("intermediate", &root);
        let got = machine.post(&format!("secrets/{id}/versions"), &version.finish());
        assert_eq!(got.0, 201, "{}", got.1);
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!(metadata.str("serial_number"), got.str("serial_number"));
        assert_eq!(
            (metadata.raw("private_key_included"), metadata.str("key_algorithm")),
            ("false".into(), "Ed25519".into())
        );
        let previous = machine.get(&format!("secrets/{id}/versions/previous/metadata"));
        assert_ne!(previous.str("serial_number"), got.str("serial_number"));
    }

    #[test]
    fn the_switch_shows_the_managed_key_in_every_metadata_answer() {
        let mut machine = Machine::with(Switches { show_managed_csr_key: true, ..Switches::default() });
        let (certificate, key, _) = issued(1, false);
        let id = machine.post("secrets", &body(&certificate, None, Some(&key))).str("id");
        for path in [format!("secrets/{id}/metadata"), "secrets".to_owned()] {
            let got = machine.get(&path).1;
            assert!(got.contains(r#""managed_csr":{"ou":[]"#) && got.contains("PRIVATE KEY"), "{got}");
        }
        assert!(!machine.get(&format!("secrets/{id}/versions")).1.contains("PRIVATE KEY"));
    }
}
