//! The MAC that ties a payload to its item and version.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{CryptoError, random};

/// The random key of one pack's MACs. Wiped when dropped; it stands inside the sealed pack and nowhere else.
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, CryptoError> {
        random::bytes().map(Self)
    }

    /// Takes the 32 bytes of a key over; nothing when there are not 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The bytes of the key, for the first line of a pack.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 over `key`, a line feed, `version`, a line feed, `text`.
    ///
    /// Neither of the first two can hold a line feed, so the parts cannot run into each other.
    #[must_use]
    pub fn mac(&self, key: &str, version: &str, text: &str) -> [u8; 32] {
        self.over(key, version, text).finalize().into_bytes().into()
    }

    /// Whether `mac` is the MAC of these parts; takes the same time wherever they differ.
    #[must_use]
    pub fn fits(&self, key: &str, version: &str, text: &str, mac: &[u8]) -> bool {
        self.over(key, version, text).verify_slice(mac).is_ok()
    }

    fn over(&self, key: &str, version: &str, text: &str) -> Hmac<Sha256> {
        // HMAC pads a short key with zeros to a block; doing that here needs no case for keys of a wrong length.
        let mut block = Zeroizing::new([0; 64]);
        for (slot, byte) in block.iter_mut().zip(self.0.iter()) {
            *slot = *byte;
        }
        let mut hmac = Hmac::<Sha256>::new((&*block).into());
        for part in [key, "\n", version, "\n", text] {
            hmac.update(part.as_bytes());
        }
        hmac
    }
}

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn the_mac_is_hmac_sha256_of_the_joined_parts() {
        // printf 'secret/a\nv1\n{"payload":"x"}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0000…00
        let key = MacKey::from_slice(&[0; 32]).unwrap();
        let mac = key.mac("secret/a", "v1", r#"{"payload":"x"}"#);
        assert_eq!(HEXLOWER.encode(&mac), "4a636572d460eb806d8abdc5615224159015b9a736fe7061c581ca071e6bb6c1");
        assert!(key.fits("secret/a", "v1", r#"{"payload":"x"}"#, &mac));
    }

    #[test]
    fn moving_a_payload_to_another_item_or_version_breaks_it() {
        let key = MacKey::generate().unwrap();
        let mac = key.mac("secret/a", "v1", "{}");
        assert!(!key.fits("secret/b", "v1", "{}", &mac));
        assert!(!key.fits("secret/a", "v2", "{}", &mac));
        assert!(!key.fits("secret/a", "v1", "{ }", &mac));
        assert!(!key.fits("secret/a", "v1", "{}", &mac[..16]));
        assert!(MacKey::from_slice(&[0; 31]).is_none());
    }
}
