//! What an imported certificate says about itself.

use chrono::DateTime;
use p256::pkcs8::{PrivateKeyInfoRef, der::Decode};
use x509_cert::Certificate;
use x509_cert::der::SecretDocument;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::refusal::Refusal;
use super::text::{self, ObjectText};
use crate::model::Timestamp;
use crate::model::json::{Object, raw};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The metadata that the instance takes from a certificate.
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

    /// Members of the secret's metadata.
    pub(crate) fn secret_fields(&self) -> Object {
        let mut fields = Object::default();
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

    /// Members of the version's metadata.
    pub(crate) fn version_fields(&self) -> Object {
        let mut fields = Object::default();
        fields.set("serial_number", raw(&self.serial_number));
        if let Ok(validity) = serde_json::value::RawValue::from_string(self.validity()) {
            fields.set("validity", validity);
        }
        fields
    }
}

/// Reads a certificate, and checks that the intermediate parses and that the key belongs to it.
///
/// P-256, Ed25519 and RSA keys are compared with the certificate; keys of other algorithms only have to parse.
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
        EC => "ECDSA384".to_owned(),
        ED25519 => "Ed25519".to_owned(),
        other => other.to_string(),
    }
}

fn is_p256(key: &SubjectPublicKeyInfoOwned) -> bool {
    key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok()) == Some(P256)
}

fn signing_algorithm(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.11" => "SHA256-RSA".to_owned(),
        "1.2.840.113549.1.1.12" => "SHA384-RSA".to_owned(),
        "1.2.840.113549.1.1.13" => "SHA512-RSA".to_owned(),
        "1.2.840.10045.4.3.2" => "ECDSA-SHA256".to_owned(),
        "1.2.840.10045.4.3.3" => "ECDSA-SHA384".to_owned(),
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
                RSA => same_modulus(info.private_key.as_bytes(), public),
                ED25519 => {
                    let signing = ed25519_dalek::SigningKey::try_from(info).map_err(|_| unreadable())?;
                    signing.verifying_key().as_bytes() == public
                }
                EC if is_p256(key) => p256::SecretKey::try_from(info).is_ok_and(|secret| ec_public(&secret) == public),
                _ => true,
            };
            if fits { Ok(()) } else { Err(differs()) }
        }
        "EC PRIVATE KEY" if is_p256(key) => {
            let secret = p256::SecretKey::from_sec1_der(document.as_bytes()).map_err(|_| unreadable())?;
            if ec_public(&secret) == public { Ok(()) } else { Err(differs()) }
        }
        "EC PRIVATE KEY" => Ok(()),
        "RSA PRIVATE KEY" if same_modulus(document.as_bytes(), public) => Ok(()),
        "RSA PRIVATE KEY" => Err(differs()),
        _ => Err(unreadable()),
    }
}

fn ec_public(secret: &p256::SecretKey) -> Vec<u8> {
    secret.public_key().to_sec1_bytes().into_vec()
}

/// Whether an `RSAPrivateKey` (version, modulus, …) and an `RSAPublicKey` (modulus, …) share their modulus.
fn same_modulus(private: &[u8], public: &[u8]) -> bool {
    matches!((integers(private).get(1), integers(public).first()), (Some(a), Some(b)) if a == b)
}

/// The leading INTEGERs of a DER SEQUENCE, without sign bytes; as many as can be read.
fn integers(der: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Some((0x30, mut rest, _)) = element(der) else { return found };
    while let Some((0x02, value, after)) = element(rest) {
        found.push(value.iter().copied().skip_while(|byte| *byte == 0).collect());
        rest = after;
    }
    found
}

/// Splits the first DER element off: its tag, its content, and what follows it.
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
