//! API keys of an instance, each with a number that its tokens carry.

use secrecy::{ExposeSecret, SecretString};

use super::key::{ApiKey, Grant};

/// Permissions of the caller behind a token.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// All permissions.
    Owner,
    /// The permissions of these grants together.
    Granted(Vec<Grant>),
    /// No permissions: a context-based restriction rejects the caller.
    Outside,
}

impl Caller {
    /// Returns the grants that limit a request; `None` for the owner, who is not limited.
    pub(crate) fn grants(&self) -> Option<&[Grant]> {
        match self {
            Self::Owner => None,
            Self::Granted(grants) => Some(grants),
            Self::Outside => Some(&[]),
        }
    }
}

/// All keys. Number 0 is the owner's key; the others follow in insertion order.
#[derive(Debug)]
pub(crate) struct Keyring {
    owner: SecretString,
    keys: Vec<ApiKey>,
}

impl Keyring {
    pub(crate) fn new(owner: SecretString, keys: Vec<ApiKey>) -> Self {
        let mut ring = Self { owner, keys: Vec::new() };
        keys.into_iter().for_each(|key| ring.set(key));
        ring
    }

    /// Adds a key, or replaces the grants of a key with the same text. The owner's key cannot be changed.
    pub(crate) fn set(&mut self, key: ApiKey) {
        let same = |found: &&mut ApiKey| found.key.expose_secret() == key.key.expose_secret();
        match self.keys.iter_mut().find(same) {
            Some(found) => *found = key,
            None => self.keys.push(key),
        }
    }

    /// Returns the number of a key.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        if self.owner.expose_secret() == key {
            return Some(0);
        }
        let index = self.keys.iter().position(|found| found.key.expose_secret() == key)?;
        u64::try_from(index + 1).ok()
    }

    /// Returns the caller with that key number, with its current permissions rather than those when its token was
    /// issued.
    pub(crate) fn caller(&self, number: u64) -> Option<Caller> {
        let Some(index) = usize::try_from(number).ok()?.checked_sub(1) else { return Some(Caller::Owner) };
        let key = self.keys.get(index)?;
        Some(if key.outside_context { Caller::Outside } else { Caller::Granted(key.grants.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::role::ServiceRole;
    use super::*;

    #[test]
    fn a_key_keeps_its_number_when_its_grants_change() {
        let owner = SecretString::from("owner");
        let mut ring =
            Keyring::new(owner, vec![ApiKey::new("a", ServiceRole::Reader), ApiKey::new("b", ServiceRole::Writer)]);
        assert_eq!((ring.number("owner"), ring.number("b"), ring.number("c")), (Some(0), Some(2), None));
        assert!(matches!(ring.caller(0), Some(Caller::Owner)));
        ring.set(ApiKey { outside_context: true, ..ApiKey::new("b", ServiceRole::Manager) });
        assert_eq!(ring.number("b"), Some(2));
        assert!(matches!(ring.caller(2), Some(Caller::Outside)));
        assert!(
            matches!(ring.caller(1), Some(Caller::Granted(grants)) if grants == [Grant::whole(ServiceRole::Reader)])
        );
        assert!(ring.caller(3).is_none());
    }
}
