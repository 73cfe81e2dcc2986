//! Keys of authorities and certificates: generation, PKCS #8 storage, signing.
//!
//! Elliptic-curve and Ed25519 keys come from the instance's random numbers, so the same seed gives the same keys. P-256
//! and Ed25519 signatures are deterministic. RSA keys, and signatures on the larger curves, use the system's random
//! numbers, because no dependency can derive them from a seed.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use p256::ecdsa::signature::{self, Keypair, Signer};
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePrivateKey, LineEnding, PrivateKeyInfoRef};
use x509_cert::der::asn1::{Any, BitString, Null, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, SecretDocument};
use x509_cert::spki::{
    AlgorithmIdentifierOwned, Document, DynSignatureAlgorithmIdentifier, EncodePublicKey, SignatureBitStringEncoding,
    SubjectPublicKeyInfoOwned,
};
use zeroize::Zeroizing;

use super::super::ids::Ids;
use super::super::refusal::Refusal;

pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub(crate) const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
pub(crate) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub(crate) const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
pub(crate) const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// Key algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa2048,
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Algorithm {
    /// Parses `key_type` and `key_bits`. Default: RSA, and the smallest supported size.
    pub(crate) fn parse(key_type: Option<&str>, key_bits: Option<u64>) -> Result<Self, Refusal> {
        match (key_type.unwrap_or("rsa"), key_bits.unwrap_or(0)) {
            ("rsa", 0 | 2048) => Ok(Self::Rsa2048),
            ("rsa", 4096) => Ok(Self::Rsa4096),
            ("ec", 0 | 256) => Ok(Self::P256),
            ("ec", 384) => Ok(Self::P384),
            ("ec", 521) => Ok(Self::P521),
            ("ec", 224) => Err(Refusal::invalid("The embedded instance does not support 224-bit EC keys.")),
            ("ed25519", _) => Ok(Self::Ed25519),
            _ => Err(Refusal::invalid("The fields 'key_type' and 'key_bits' do not name a known kind of key.")),
        }
    }

    /// Parses the `key_algorithm` of a public certificate.
    pub(crate) fn of_public(key_algorithm: &str) -> Result<Self, Refusal> {
        match key_algorithm {
            "RSA2048" => Ok(Self::Rsa2048),
            "RSA4096" => Ok(Self::Rsa4096),
            "ECDSA256" => Ok(Self::P256),
            "ECDSA384" => Ok(Self::P384),
            _ => Err(Refusal::invalid("The field 'key_algorithm' has an unknown value.")),
        }
    }

    /// Returns `rsa`, `ec` or `ed25519`.
    pub(crate) fn key_type(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa4096 => "rsa",
            Self::P256 | Self::P384 | Self::P521 => "ec",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Returns the key size in bits.
    pub(crate) fn key_bits(self) -> u64 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa4096 => 4096,
            Self::P256 | Self::Ed25519 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }
}

/// A private key that signs.
pub(crate) enum CertificateKey {
    P256(Box<SigningKey>),
    P384(Box<EcdsaKeyPair>),
    P521(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

fn broken() -> Refusal {
    Refusal::invalid("A private key cannot be made or read.")
}

impl CertificateKey {
    /// Generates a key.
    pub(crate) fn generate(algorithm: Algorithm, ids: &mut Ids) -> Result<Self, Refusal> {
        match algorithm {
            Algorithm::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(|key| Self::Rsa(Box::new(key))),
            Algorithm::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(|key| Self::Rsa(Box::new(key))),
            Algorithm::Ed25519 => {
                let seed = ids.bytes::<32>();
                return Ok(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))));
            }
            Algorithm::P256 => loop {
                // A draw is outside the curve's order with a chance of 1 in 2^32; then draw again.
                if let Ok(key) = SigningKey::from_slice(ids.bytes::<32>().as_slice()) {
                    return Ok(Self::P256(Box::new(key)));
                }
            },
            Algorithm::P384 => {
                let scalar = ids.bytes::<48>();
                return larger_curve(&ECDH_P384, &ECDSA_P384_SHA384_ASN1_SIGNING, scalar.as_slice()).map(Self::P384);
            }
            Algorithm::P521 => {
                let mut scalar = ids.bytes::<66>();
                // 521 bits in 66 bytes: clear the upper seven.
                scalar[0] &= 1;
                return larger_curve(&ECDH_P521, &ECDSA_P521_SHA512_ASN1_SIGNING, scalar.as_slice()).map(Self::P521);
            }
        }
        .map_err(|_| broken())
    }

    /// Parses a key from unencrypted PKCS #8 in PEM.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, Refusal> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| broken())?;
        if label != "PRIVATE KEY" {
            return Err(broken());
        }
        let der = document.as_bytes();
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| broken())?;
        let curve = info.algorithm.parameters.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        match (info.algorithm.oid, curve) {
            (RSA, _) => RsaKeyPair::from_pkcs8(der).map(|key| Self::Rsa(Box::new(key))).map_err(|_| broken()),
            (EC, Some(P256)) => {
                let secret = p256::SecretKey::try_from(info).map_err(|_| broken())?;
                Ok(Self::P256(Box::new(SigningKey::from(secret))))
            }
            (EC, Some(P384)) => pair(&ECDSA_P384_SHA384_ASN1_SIGNING, der).map(Self::P384),
            (EC, Some(P521)) => pair(&ECDSA_P521_SHA512_ASN1_SIGNING, der).map(Self::P521),
            (ED25519, _) => {
                let key = ed25519_dalek::SigningKey::try_from(info).map_err(|_| broken())?;
                Ok(Self::Ed25519(Box::new(key)))
            }
            _ => Err(broken()),
        }
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let der = match self {
            Self::P256(key) => key.to_pkcs8_der().map(|der| der.to_bytes()).map_err(|_| broken())?,
            Self::Ed25519(key) => key.to_pkcs8_der().map(|der| der.to_bytes()).map_err(|_| broken())?,
            Self::P384(key) | Self::P521(key) => {
                Zeroizing::new(key.to_pkcs8v1().map_err(|_| broken())?.as_ref().to_vec())
            }
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| broken())?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        Ok(der)
    }

    /// Encodes the key as unencrypted PKCS #8 in PEM.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, Refusal> {
        pem("PRIVATE KEY", &self.pkcs8()?)
    }

    /// Encodes the key in its traditional PEM form, if it has one: PKCS #1 for RSA, SEC 1 for curves.
    pub(crate) fn to_traditional_pem(&self) -> Result<Zeroizing<String>, Refusal> {
        let der = self.pkcs8()?;
        let info = PrivateKeyInfoRef::from_der(&der).map_err(|_| broken())?;
        let curve = match self {
            Self::Ed25519(_) => return self.to_pem(),
            Self::Rsa(_) => return pem("RSA PRIVATE KEY", info.private_key.as_bytes()),
            Self::P256(_) => &ECDH_P256,
            Self::P384(_) => &ECDH_P384,
            Self::P521(_) => &ECDH_P521,
        };
        // PKCS #8 does not name the curve inside the key; SEC 1 must.
        let key = agreement::PrivateKey::from_private_key_der(curve, &der).map_err(|_| broken())?;
        let der: EcPrivateKeyRfc5915Der<'_> = key.as_der().map_err(|_| broken())?;
        pem("EC PRIVATE KEY", der.as_ref())
    }

    /// Returns the public key as certificates contain it.
    pub(crate) fn public(&self) -> Result<SubjectPublicKeyInfoOwned, Refusal> {
        let (oid, parameters, bytes) = match self {
            Self::P256(key) => {
                return SubjectPublicKeyInfoOwned::from_key(key.verifying_key()).map_err(|_| broken());
            }
            Self::Ed25519(key) => {
                return SubjectPublicKeyInfoOwned::from_key(&key.verifying_key()).map_err(|_| broken());
            }
            Self::P384(key) => (EC, Any::encode_from(&P384), key.public_key().as_ref()),
            Self::P521(key) => (EC, Any::encode_from(&P521), key.public_key().as_ref()),
            Self::Rsa(key) => (RSA, Any::encode_from(&Null), key.public_key().as_ref()),
        };
        let parameters = Some(parameters.map_err(|_| broken())?);
        Ok(SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters },
            subject_public_key: BitString::from_bytes(bytes).map_err(|_| broken())?,
        })
    }
}

fn larger_curve(
    curve: &'static agreement::Algorithm,
    algorithm: &'static EcdsaSigningAlgorithm,
    scalar: &[u8],
) -> Result<Box<EcdsaKeyPair>, Refusal> {
    let key = agreement::PrivateKey::from_private_key(curve, scalar).map_err(|_| broken())?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| broken())?;
    pair(algorithm, der.as_ref())
}

fn pair(algorithm: &'static EcdsaSigningAlgorithm, pkcs8: &[u8]) -> Result<Box<EcdsaKeyPair>, Refusal> {
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).map(Box::new).map_err(|_| broken())
}

fn pem(label: &'static str, der: &[u8]) -> Result<Zeroizing<String>, Refusal> {
    x509_cert::der::pem::encode_string(label, LineEnding::LF, der).map(Zeroizing::new).map_err(|_| broken())
}

/// A public key in the form that the builders need.
#[derive(Debug, Clone)]
pub(crate) struct Public(Result<SubjectPublicKeyInfoOwned, ()>);

impl EncodePublicKey for Public {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        let public = self.0.as_ref().map_err(|()| x509_cert::spki::Error::KeyMalformed)?;
        Ok(Document::try_from(public.to_der()?)?)
    }
}

/// A signature in its algorithm's encoding.
pub(crate) struct EncodedSignature(Vec<u8>);

impl SignatureBitStringEncoding for EncodedSignature {
    fn to_bitstring(&self) -> x509_cert::der::Result<BitString> {
        BitString::from_bytes(&self.0)
    }
}

impl Keypair for CertificateKey {
    type VerifyingKey = Public;

    fn verifying_key(&self) -> Public {
        Public(self.public().map_err(drop))
    }
}

impl Signer<EncodedSignature> for CertificateKey {
    fn try_sign(&self, message: &[u8]) -> Result<EncodedSignature, signature::Error> {
        let failed = |_| signature::Error::new();
        Ok(EncodedSignature(match self {
            Self::P256(key) => {
                let signed: DerSignature = key.try_sign(message)?;
                signed.as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.try_sign(message)?.to_bytes().to_vec(),
            Self::P384(key) | Self::P521(key) => {
                key.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed).map_err(failed)?;
                signed
            }
        }))
    }
}

impl DynSignatureAlgorithmIdentifier for CertificateKey {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match self {
            Self::P256(_) => (ECDSA_SHA256, None),
            Self::P384(_) => (ECDSA_SHA384, None),
            Self::P521(_) => (ECDSA_SHA512, None),
            Self::Ed25519(_) => (ED25519, None),
            Self::Rsa(_) => (SHA256_RSA, Some(Any::encode_from(&Null)?)),
        };
        Ok(AlgorithmIdentifierOwned { oid, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::super::verify::verifies;
    use super::*;

    const ALL: [Algorithm; 5] =
        [Algorithm::Rsa2048, Algorithm::P256, Algorithm::P384, Algorithm::P521, Algorithm::Ed25519];

    #[test]
    fn every_kind_of_key_survives_its_text_and_signs_what_its_public_half_accepts() {
        let mut ids = Ids::new(Some(3));
        for algorithm in ALL {
            let key = CertificateKey::generate(algorithm, &mut ids).unwrap();
            let again = CertificateKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(again.public().unwrap(), key.public().unwrap(), "{algorithm:?}");
            let signed = again.try_sign(b"message").unwrap();
            let oid = again.signature_algorithm_identifier().unwrap().oid;
            assert!(verifies(&key.public().unwrap(), oid, b"message", &signed.0), "{algorithm:?}");
            assert!(!verifies(&key.public().unwrap(), oid, b"massage", &signed.0), "{algorithm:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_key_on_every_curve() {
        for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::P521, Algorithm::Ed25519] {
            let make = |seed| CertificateKey::generate(algorithm, &mut Ids::new(Some(seed))).unwrap().to_pem().unwrap();
            assert_eq!(make(1), make(1), "{algorithm:?}");
            assert_ne!(make(1), make(2), "{algorithm:?}");
        }
    }

    #[test]
    fn the_traditional_form_is_named_by_its_kind() {
        let mut ids = Ids::new(Some(3));
        for (algorithm, label) in [
            (Algorithm::Rsa2048, "RSA PRIVATE KEY"),
            (Algorithm::P384, "EC PRIVATE KEY"),
            (Algorithm::Ed25519, "PRIVATE KEY"),
        ] {
            let pem = CertificateKey::generate(algorithm, &mut ids).unwrap().to_traditional_pem().unwrap();
            assert!(pem.starts_with(&format!("-----BEGIN {label}-----\n")), "{algorithm:?}");
        }
    }

    #[test]
    fn what_the_instance_cannot_make_is_refused() {
        assert_eq!(Algorithm::parse(None, None).unwrap(), Algorithm::Rsa2048);
        assert_eq!(Algorithm::parse(Some("ec"), Some(384)).unwrap(), Algorithm::P384);
        for (key_type, bits) in [("ec", 224), ("rsa", 1024), ("dsa", 2048)] {
            assert_eq!(Algorithm::parse(Some(key_type), Some(bits)).unwrap_err().status, 400);
        }
    }
}
