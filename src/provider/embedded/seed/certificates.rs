//! Made-up certificate authorities and their certificates. Signatures are deterministic (RFC 6979, RFC 8032).

use std::str::FromStr;
use std::time::Duration;

use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Error};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::EncodePem;
use x509_cert::der::asn1::{Ia5String, UtcTime};
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;
use zeroize::Zeroizing;

use crate::model::Timestamp;

/// Subject, issuer and usage of a certificate.
struct Profile {
    subject: Name,
    issuer: Name,
    authority: bool,
    names: Vec<String>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> Result<Vec<Extension>, Error> {
        let usages: FlagSet<KeyUsages> = if self.authority {
            KeyUsages::KeyCertSign | KeyUsages::CRLSign
        } else {
            KeyUsages::DigitalSignature.into()
        };
        let constraints = BasicConstraints { ca: self.authority, path_len_constraint: None };
        let mut extensions = vec![constraints.to_extension(tbs.subject(), &[])?];
        extensions.push(KeyUsage(usages).to_extension(tbs.subject(), &extensions)?);
        if !self.names.is_empty() {
            let names: Result<Vec<_>, _> =
                self.names.iter().map(|name| Ia5String::new(name).map(GeneralName::DnsName)).collect();
            extensions.push(SubjectAltName(names?).to_extension(tbs.subject(), &extensions)?);
        }
        Ok(extensions)
    }
}

/// Validity period of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateLife {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl CertificateLife {
    fn validity(self) -> Result<Validity, Error> {
        let time = |time: Timestamp| -> Result<x509_cert::time::Time, Error> {
            let seconds = u64::try_from(time.millis() / 1000).unwrap_or(0);
            Ok(UtcTime::from_unix_duration(Duration::from_secs(seconds))?.into())
        };
        Ok(Validity::new(time(self.from)?, time(self.to)?))
    }
}

/// A made-up certificate authority.
pub(crate) struct Authority {
    name: Name,
    key: SigningKey,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate with its private key.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) private_key: Zeroizing<String>,
}

/// Generates a P-256 key from these random numbers.
pub(crate) fn p256_key(rng: &mut ChaCha20Rng) -> SigningKey {
    loop {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rng.random());
        // One draw in 2^32 is outside the curve's order.
        if let Ok(key) = SigningKey::from_slice(bytes.as_slice()) {
            return key;
        }
    }
}

/// Encodes a key as PKCS#8 PEM.
pub(crate) fn p256_pem(key: &SigningKey) -> Result<Zeroizing<String>, Error> {
    p256::SecretKey::from(key).to_pkcs8_pem(LineEnding::LF).map_err(|_| Error::MissingAttributes)
}

impl Authority {
    /// Creates a root authority.
    pub(crate) fn new(name: &str, life: CertificateLife, rng: &mut ChaCha20Rng) -> Result<Self, Error> {
        let name = Name::from_str(&format!("CN={name},O=Keyhaven Sandbox,C=DE"))?;
        let key = p256_key(rng);
        let profile = Profile { subject: name.clone(), issuer: name.clone(), authority: true, names: Vec::new() };
        let public = SubjectPublicKeyInfoOwned::from_key(key.verifying_key())?;
        let builder = CertificateBuilder::new(profile, serial(rng)?, life.validity()?, public)?;
        let certificate = builder.build::<_, DerSignature>(&key)?;
        Ok(Self { name, key, pem: certificate.to_pem(LineEnding::LF)? })
    }

    /// Signs a certificate for a new key: Ed25519 if `edwards`, otherwise P-256.
    pub(crate) fn issue(
        &self,
        names: Vec<String>,
        life: CertificateLife,
        edwards: bool,
        rng: &mut ChaCha20Rng,
    ) -> Result<Leaf, Error> {
        let subject = names.first().cloned().unwrap_or_default();
        let subject = Name::from_str(&format!("CN={subject},O=Keyhaven Sandbox,C=DE"))?;
        let (public, private_key) = if edwards {
            let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rng.random());
            let key = ed25519_dalek::SigningKey::from_bytes(&bytes);
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| Error::MissingAttributes)?;
            (SubjectPublicKeyInfoOwned::from_key(&key.verifying_key())?, pem)
        } else {
            let key = p256_key(rng);
            (SubjectPublicKeyInfoOwned::from_key(key.verifying_key())?, p256_pem(&key)?)
        };
        let profile = Profile { subject, issuer: self.name.clone(), authority: false, names };
        let builder = CertificateBuilder::new(profile, serial(rng)?, life.validity()?, public)?;
        let certificate = builder.build::<_, DerSignature>(&self.key)?;
        Ok(Leaf { certificate: certificate.to_pem(LineEnding::LF)?, private_key })
    }
}

fn serial(rng: &mut ChaCha20Rng) -> Result<SerialNumber, Error> {
    let mut bytes: [u8; 16] = rng.random();
    // Make it positive and of constant length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}
