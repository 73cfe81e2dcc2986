//! A public key of any algorithm, as documents contain it.

use std::cmp::Ordering;
use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PublicKey;
use super::digest::sha256;
use crate::model::Digest;

/// Maximum bytes of a key of any algorithm; post-quantum keys have some thousands.
const LARGEST: usize = 16 * 1024;

/// A SubjectPublicKeyInfo in Base64. A key of an unknown algorithm is kept and verifies nothing. An unsound Ed25519 key
/// (small order, non-canonical encoding) is kept, too, so that a policy that names it can be read and refused by name.
#[derive(Clone)]
pub struct KeyInfo {
    text: Box<str>,
    fingerprint: Digest,
    key: Usable,
}

#[derive(Clone, Copy)]
enum Usable {
    Ed25519(PublicKey),
    Weak,
    Unknown,
}

impl KeyInfo {
    /// Returns the SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Returns the key, if it is a sound Ed25519 key.
    #[must_use]
    pub fn ed25519(&self) -> Option<&PublicKey> {
        match &self.key {
            Usable::Ed25519(key) => Some(key),
            Usable::Weak | Usable::Unknown => None,
        }
    }

    /// Returns true if it is declared as an Ed25519 key and is of small order, not a point of the curve, or not
    /// canonical.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        matches!(self.key, Usable::Weak)
    }

    /// Returns the Base64 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parse(text: &str) -> Option<Self> {
        let der = BASE64.decode(text.as_bytes()).ok().filter(|der| !der.is_empty() && der.len() <= LARGEST)?;
        let key = match PublicKey::from_der(&der) {
            Ok(key) => Usable::Ed25519(key),
            Err(_) if PublicKey::is_ed25519_der(&der) => Usable::Weak,
            Err(_) => Usable::Unknown,
        };
        Some(Self { text: text.into(), fingerprint: sha256(&der), key })
    }
}

impl From<PublicKey> for KeyInfo {
    fn from(key: PublicKey) -> Self {
        Self { text: key.to_string().into(), fingerprint: key.fingerprint(), key: Usable::Ed25519(key) }
    }
}

impl fmt::Debug for KeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyInfo({})", self.fingerprint.short())
    }
}

impl PartialEq for KeyInfo {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for KeyInfo {}

impl PartialOrd for KeyInfo {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Ordered by the text, as documents sort keys.
impl Ord for KeyInfo {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Serialize for KeyInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for KeyInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a public key is Base64 of at most 16 KiB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;

    fn read(text: &str) -> Option<KeyInfo> {
        serde_json::from_value(serde_json::json!(text)).ok()
    }

    #[test]
    fn keys_of_every_sort_are_kept_and_only_sound_ones_are_used() {
        let key = SigningKey::from_seed(&[1; 32]).public();
        let sound = read(&key.to_string()).unwrap();
        assert_eq!((sound.ed25519(), sound.is_weak(), sound.fingerprint()), (Some(&key), false, key.fingerprint()));
        let mut weak = key.to_der();
        weak[12..].copy_from_slice(&[0; 32]);
        weak[12] = 1;
        let weak = read(&BASE64.encode(&weak)).unwrap();
        assert!(weak.is_weak() && weak.ed25519().is_none());
        let unknown = read(&BASE64.encode(b"a key of tomorrow")).unwrap();
        assert!(!unknown.is_weak() && unknown.ed25519().is_none());
        assert_eq!(serde_json::to_value(&unknown).unwrap(), BASE64.encode(b"a key of tomorrow"));
        for text in ["", "AAA", "not base64"] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
