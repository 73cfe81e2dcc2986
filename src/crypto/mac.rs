//! The MAC that binds a payload to its item and version.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{CryptoError, random};
use crate::model::Digest;

/// Characters of a key: 32 bytes as hexadecimal digits.
const DIGITS: usize = 64;

/// The random key of one pack's MACs, as the 64 hexadecimal digits that are hashed. Wiped when dropped. It exists only
/// inside the sealed pack.
pub struct MacKey(Zeroizing<String>);

impl MacKey {
    /// Generates a new key.
    ///
    /// # Errors
    /// When the operating system returns no random bytes.
    pub fn generate() -> Result<Self, CryptoError> {
        let bytes = random::bytes::<32>()?;
        Ok(Self(Zeroizing::new(HEXLOWER.encode(bytes.as_slice()))))
    }

    /// Parses a key; `None` unless the text is 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == DIGITS && text.bytes().all(is_digit)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Returns the text of the key, for the first line of a pack.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the SHA-256 over the text of the key, `key`, `version` and `text`, separated by line feeds.
    ///
    /// Neither key nor version can contain a line feed, so the parts cannot run into each other. A plain hash is
    /// enough: a length extension would require a change to a sealed pack, which is named by its digest.
    #[must_use]
    pub fn mac(&self, key: &str, version: &str, text: &str) -> Digest {
        let mut hash = Sha256::new();
        for part in [self.expose(), "\n", key, "\n", version, "\n", text] {
            hash.update(part.as_bytes());
        }
        Digest::from_bytes(hash.finalize().into())
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_sha256_of_the_joined_parts() {
        // printf '%064d\nsecret/a\nv1\n{"payload":"x"}' 0 | sha256sum
        let key = MacKey::from_text(&"0".repeat(64)).unwrap();
        let mac = key.mac("secret/a", "v1", r#"{"payload":"x"}"#);
        assert_eq!(mac.to_string(), "701c4f105be169ee0d3a0ce44bd6f3b0c2a5344527a92ff14086805dee0298e5");
    }

    #[test]
    fn moving_a_payload_to_another_item_or_version_breaks_it() {
        let key = MacKey::generate().unwrap();
        let mac = key.mac("secret/a", "v1", "{}");
        for (item, version, text) in [("secret/b", "v1", "{}"), ("secret/a", "v2", "{}"), ("secret/a", "v1", "{ }")] {
            assert_ne!(key.mac(item, version, text), mac);
        }
        assert_ne!(MacKey::generate().unwrap().mac("secret/a", "v1", "{}"), mac, "another pack's key");
    }

    #[test]
    fn a_key_has_one_spelling() {
        let key = MacKey::generate().unwrap();
        assert_eq!(MacKey::from_text(key.expose()).unwrap().expose(), key.expose());
        for text in ["0".repeat(63), "0".repeat(65), "A".repeat(64), "g".repeat(64), "é".repeat(32), String::new()] {
            assert!(MacKey::from_text(&text).is_none(), "{text}");
        }
    }
}
