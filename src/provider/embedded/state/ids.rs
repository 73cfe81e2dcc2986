//! Ids and generated passwords.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::items::Items;
use crate::crypto::digest::sha256;
use crate::model::json::JsonObject;

/// Random number generator of one instance.
pub(crate) struct Ids(ChaCha20Rng);

impl Ids {
    /// Creates a generator: deterministic for a `seed`, unpredictable without.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        match seed {
            Some(seed) => Self(ChaCha20Rng::seed_from_u64(seed)),
            None => {
                let mut start = [0; 32];
                start[..16].copy_from_slice(Uuid::new_v4().as_bytes());
                start[16..].copy_from_slice(Uuid::new_v4().as_bytes());
                Self(ChaCha20Rng::from_seed(start))
            }
        }
    }

    /// Creates a generator for an instance that already has items: deterministic for the same `seed` and items, and
    /// never repeating the ids of those items.
    pub(crate) fn beside(seed: Option<u64>, items: &Items) -> Self {
        let Some(seed) = seed else { return Self::new(None) };
        let mut text = seed.to_string();
        let secrets = items.secrets.values();
        let versions = secrets.clone().flat_map(|secret| &secret.versions).map(|version| &version.id);
        let tasks = secrets.clone().flat_map(|secret| &secret.tasks).map(|task| &task.id);
        let groups = items.groups.values().map(|group| &group.id);
        for id in secrets.map(|secret| &secret.id).chain(versions).chain(tasks).chain(groups) {
            text.push(' ');
            text.push_str(id);
        }
        Self(ChaCha20Rng::from_seed(*sha256(text.as_bytes()).as_bytes()))
    }

    /// Returns a version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid().to_string()
    }

    /// Returns an API key: 44 letters and digits.
    pub(crate) fn api_key(&mut self) -> Zeroizing<String> {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut key = Zeroizing::new(String::with_capacity(44));
        for _ in 0..44 {
            let pick = self.0.random_range(0..letters.len());
            key.push(char::from(letters.get(pick).copied().unwrap_or(b'A')));
        }
        key
    }

    /// Returns random bytes, for keys and serial numbers.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        self.0.fill_bytes(bytes.as_mut_slice());
        bytes
    }

    /// Returns a password for a `password_generation_policy`. Default: 32 characters of all kinds.
    pub(crate) fn password(&mut self, policy: Option<&JsonObject>) -> Zeroizing<String> {
        let wants = |name: &str| policy.and_then(|policy| policy.bool(name)).unwrap_or(true);
        let mut alphabet: Vec<char> = ('a'..='z').collect();
        if wants("include_uppercase") {
            alphabet.extend('A'..='Z');
        }
        if wants("include_digits") {
            alphabet.extend('0'..='9');
        }
        if wants("include_symbols") {
            alphabet.extend("!#$%&*+-.:=?@_~".chars());
        }
        let length = policy.and_then(|policy| policy.u64("length")).unwrap_or(32).clamp(6, 256);
        let mut password = Zeroizing::new(String::with_capacity(256));
        for _ in 0..length {
            let pick = self.0.random_range(0..alphabet.len());
            password.push(alphabet.get(pick).copied().unwrap_or('a'));
        }
        password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_ids_and_none_gives_others() {
        assert_eq!(Ids::new(Some(7)).uuid(), Ids::new(Some(7)).uuid());
        assert_ne!(Ids::new(None).uuid(), Ids::new(None).uuid());
        assert_eq!(Ids::new(Some(7)).uuid().as_bytes()[14], b'4');
    }

    #[test]
    fn a_policy_is_kept() {
        let policy = JsonObject::parse(r#"{"length":12,"include_symbols":false,"include_digits":false}"#).unwrap();
        let password = Ids::new(Some(1)).password(Some(&policy));
        assert_eq!(password.len(), 12);
        assert!(password.chars().all(|c| c.is_ascii_alphabetic()));
        assert_eq!(Ids::new(Some(1)).password(None).len(), 32);
    }
}
