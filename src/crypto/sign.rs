//! Ed25519 keys in the forms that `openssl` reads; signing and verification.

use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use ed25519_dalek::pkcs8::{KeypairBytes, PublicKeyBytes};
use ed25519_dalek::{Signature, Signer as _, Verifier as _, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use super::digest::sha256;
use super::{CryptoError, random};
use crate::model::Digest;

/// DER bytes before the 32 bytes of a key in a SubjectPublicKeyInfo: RFC 8410, section 4.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private Ed25519 key. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Generates a new key.
    ///
    /// # Errors
    /// When the operating system returns no random bytes.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&*random::bytes()?)))
    }

    /// Creates the key with these 32 secret bytes, for keys that must be the same each time, as in fixtures.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Reads a PKCS#8 PEM file (`BEGIN PRIVATE KEY`), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`CryptoError::Key`] if it is not one, belongs to another algorithm, or is protected by a passphrase.
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let why = "expected PKCS#8 PEM, not encrypted (BEGIN PRIVATE KEY)";
        let mut pair =
            KeypairBytes::from_pkcs8_pem(text.trim()).map_err(|_| CryptoError::Key { what: "signing key", why })?;
        let key = ed25519_dalek::SigningKey::try_from(&pair);
        pair.secret_key.zeroize();
        key.map(Self).map_err(|_| CryptoError::Key { what: "signing key", why: "its two halves do not fit" })
    }

    /// Returns the key as PKCS#8 PEM, version 1 (RFC 8410): `openssl` does not read the form that includes the public
    /// half.
    ///
    /// # Errors
    /// Only when the encoder fails, which does not happen for a valid key.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, CryptoError> {
        let mut pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(Default::default());
        pair.secret_key.zeroize();
        pem.map_err(|error| CryptoError::Failed { what: "write a signing key", problem: error.to_string() })
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().fingerprint().short())
    }
}

/// A public Ed25519 key. In JSON it is the Base64 of its SubjectPublicKeyInfo: the body of the PEM file, on one line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo PEM file (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// [`CryptoError::Key`] if it is not one, or is one of the few weak keys that accept any signature.
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let why = "expected a PEM file (BEGIN PUBLIC KEY) of an Ed25519 key";
        let bytes = PublicKeyBytes::from_public_key_pem(text.trim())
            .map_err(|_| CryptoError::Key { what: "public key", why })?;
        Self::from_raw(&bytes.to_bytes())
    }

    /// Reads the DER bytes of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`PublicKey::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
        let why = "expected the SubjectPublicKeyInfo of an Ed25519 key";
        let raw = der.strip_prefix(&SPKI_PREFIX).and_then(|raw| raw.try_into().ok());
        Self::from_raw(raw.ok_or(CryptoError::Key { what: "public key", why })?)
    }

    /// Returns true if DER bytes are declared as an Ed25519 key, sound or not.
    pub(super) fn is_ed25519_der(der: &[u8]) -> bool {
        der.strip_prefix(&SPKI_PREFIX).is_some_and(|raw| raw.len() == 32)
    }

    /// Creates a key from its 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::Key`] if they are not a point of the curve, a point of small order, or not the canonical
    /// encoding.
    pub fn from_raw(raw: &[u8; 32]) -> Result<Self, CryptoError> {
        let key = VerifyingKey::from_bytes(raw)
            .map_err(|_| CryptoError::Key { what: "public key", why: "not a point of the curve" })?;
        if key.is_weak() {
            return Err(CryptoError::Key { what: "public key", why: "a weak key, it fits any signature" });
        }
        if !is_canonical(raw) {
            return Err(CryptoError::Key { what: "public key", why: "not the one spelling of its point" });
        }
        Ok(Self(key))
    }

    /// Returns the key as a SubjectPublicKeyInfo PEM file.
    #[must_use]
    pub fn to_pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&self.to_der()))
    }

    /// Returns the DER bytes of the SubjectPublicKeyInfo; always 44.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.0.as_bytes()].concat()
    }

    /// Returns the fingerprint, which names the key in entries: the SHA-256 of its SubjectPublicKeyInfo.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        sha256(&self.to_der())
    }

    /// Returns true if `signature` is this key's signature of `message`, as RFC 8032 checks without cofactor: S below
    /// the group order, R compared as bytes. `openssl` does the same. If we also refused an R of small order, the
    /// holder of a key could make entries that one of the two accepts and the other does not.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// Returns true if the y coordinate is below the prime 2^255 - 19. (An x of zero with a sign is of small order, so it
/// is refused anyway.)
fn is_canonical(raw: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = raw;
    let all_ones = middle.iter().all(|byte| *byte == 0xff) && highest & 0x7f == 0x7f;
    !all_ones || *lowest < 0xed
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.to_der()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint().short())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let der = BASE64.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("a public key is no Base64"))?;
        Self::from_der(&der).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_one_spelling() {
        // y = p + 3 is another encoding of y = 3; 3 is on the curve.
        let mut other = [0xff; 32];
        other[0] = 0xf0;
        other[31] = 0x7f;
        assert!(VerifyingKey::from_bytes(&other).is_ok(), "the library takes it");
        assert!(PublicKey::from_raw(&other).is_err());
    }

    /// A signature with R = the neutral element. Only the holder of the key can make it, and it discloses the key.
    /// `openssl` accepts it, and so do we.
    #[test]
    fn an_r_of_small_order_is_judged_as_openssl_judges_it() {
        let mut signature = [0; 64];
        signature[0] = 1;
        // S = H(R, A, message) * a, made with the secret scalar of this key; `openssl` verifies it.
        let s = data_encoding::HEXLOWER
            .decode(b"5cb561cffef74102aec630c8f017c164bc8df301c57e7ac30abe1e28099ca608")
            .unwrap();
        signature[32..].copy_from_slice(&s);
        assert!(SigningKey::from_seed(&[3; 32]).public().verify(b"entry", &signature));
    }

    // From `openssl genpkey -algorithm ed25519`, its public half from `openssl pkey -pubout`, its fingerprint from
    // `openssl pkey -pubout -outform DER | sha256sum`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDYYSfXyymJPxPpjfGsq7WFBeg7xLFYGdthPkni3YOwJ\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA0G5AOxZhjUgbjb2fgO5ilbgpjba/cCe+vyqyI4XYwfs=\n-----END PUBLIC KEY-----\n";
    const FINGERPRINT: &str = "2837d8cfd55321e0025c78a7ad8231a63c03626675265d95272fc89a02327cfb";

    #[test]
    fn keys_of_openssl_are_read_and_written_alike() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        assert_eq!(key.to_pem().unwrap().as_str(), PRIVATE);
        assert_eq!(key.public().to_pem(), PUBLIC);
        assert_eq!(PublicKey::from_pem(PUBLIC).unwrap(), key.public());
        assert_eq!(key.public().fingerprint().to_string(), FINGERPRINT);
    }

    #[test]
    fn signatures_fit_their_key_and_message_only() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let mut signature = key.sign(b"message");
        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"massage", &signature));
        assert!(!other.public().verify(b"message", &signature));
        signature[40] ^= 1;
        assert!(!key.public().verify(b"message", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let error = SigningKey::from_pem(secret).unwrap_err().to_string();
        assert!(!error.contains("c2VjcmV0"), "{error}");
        assert!(PublicKey::from_pem(PRIVATE).is_err());
        // The neutral element verifies forged signatures in libraries that do not check for it.
        let mut weak = [0; 32];
        weak[0] = 1;
        assert!(PublicKey::from_raw(&weak).is_err());
    }

    #[test]
    fn debug_shows_no_private_bytes() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public().fingerprint().short()));
    }
}
