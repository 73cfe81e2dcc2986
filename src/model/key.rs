//! The name of an item inside one instance.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Kind of an item. Versions and locks are parts of their secret's item and have no key of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A configuration of an engine; its id is `TYPE/NAME`, since names repeat across types.
    Configuration,
    /// A secret group.
    Group,
    /// The registration with the notification service; there is at most one.
    Registration,
    /// A secret with its versions and locks.
    Secret,
    /// A kind that this version does not know; [`ItemKey::kind_word`] returns its word. Counted and verified, never
    /// restored.
    Other,
}

impl ItemKind {
    /// Every known kind, in the order of keys.
    pub const ALL: [ItemKind; 4] = [ItemKind::Configuration, ItemKind::Group, ItemKind::Registration, ItemKind::Secret];

    /// Returns the word that starts a key of this kind; for [`ItemKind::Other`] only a description.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Group => "group",
            Self::Registration => "registration",
            Self::Secret => "secret",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The key of an item: its kind, a slash, and the provider's id (`docs/format.md`, *Item keys*).
///
/// Unique in an instance and stable for the life of the item. At most 512 bytes, no control characters. Ordered by its
/// bytes, which is the order of catalogues.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(Box<str>);

/// Returns true if this can be the name of a kind or class: 1 to 64 characters `a` to `z` and `_`.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Reason why a text is not an item key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The word before the first slash cannot be a kind; or an id is missing or not allowed for the kind.
    #[error(
        "an item key is a kind (1 to 64 characters a to z and _), a slash and an id, or `registration`; this one is not"
    )]
    Kind,
    /// The id is empty, longer than 512 bytes or holds a control character.
    #[error("an item id is 1 to 512 bytes without control characters, this one is not")]
    Id,
}

impl ItemKey {
    /// Builds the key of an item of a known kind. The registration takes no id.
    ///
    /// # Errors
    /// [`KeyError::Id`] when the id is empty, too long or holds a control character; [`KeyError::Kind`] for
    /// [`ItemKind::Other`], which has no word of its own.
    pub fn new(kind: ItemKind, id: &str) -> Result<Self, KeyError> {
        let text = match kind {
            ItemKind::Registration => kind.as_str().to_owned(),
            ItemKind::Other => return Err(KeyError::Kind),
            _ => format!("{kind}/{id}"),
        };
        text.parse()
    }

    /// Kind of the item.
    #[must_use]
    pub fn kind(&self) -> ItemKind {
        let word = self.kind_word();
        ItemKind::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(ItemKind::Other)
    }

    /// Returns the word of the kind, also for a kind that this version does not know.
    #[must_use]
    pub fn kind_word(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Returns the provider's id: `TYPE/NAME` for a configuration, empty for the registration.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }

    /// Returns the whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text == ItemKind::Registration.as_str() {
            return Ok(Self(text.into()));
        }
        let (word, id) = text.split_once('/').ok_or(KeyError::Kind)?;
        if !is_word(word) || word == ItemKind::Registration.as_str() {
            return Err(KeyError::Kind);
        }
        if id.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err(KeyError::Id);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ItemKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ItemKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_keep_slashes_of_the_id() {
        let key = ItemKey::new(ItemKind::Configuration, "private_cert_configuration_template/a/b").unwrap();
        assert_eq!(key.kind(), ItemKind::Configuration);
        assert_eq!(key.id(), "private_cert_configuration_template/a/b");
        assert_eq!(key.as_str().parse::<ItemKey>().unwrap(), key);
        let registration = ItemKey::new(ItemKind::Registration, "").unwrap();
        assert_eq!((registration.kind(), registration.id()), (ItemKind::Registration, ""));
    }

    #[test]
    fn a_key_that_could_forge_a_line_is_refused() {
        assert_eq!(ItemKey::new(ItemKind::Secret, "a\nb"), Err(KeyError::Id));
        assert_eq!(ItemKey::new(ItemKind::Secret, ""), Err(KeyError::Id));
        assert_eq!("registration/x".parse::<ItemKey>(), Err(KeyError::Kind));
        for text in ["secret", "", "/x", "Secret/x", "a-b/x", "a1/x", &format!("{}/x", "a".repeat(65))] {
            assert_eq!(text.parse::<ItemKey>(), Err(KeyError::Kind), "{text}");
        }
    }

    #[test]
    fn a_kind_of_a_later_version_keeps_its_word() {
        for word in ["certificate_store", "other", &"a".repeat(64)] {
            let text = format!("{word}/id/with/slashes");
            let key: ItemKey = text.parse().unwrap();
            assert_eq!((key.kind(), key.kind_word(), key.id()), (ItemKind::Other, word, "id/with/slashes"));
            assert_eq!(key.to_string(), text);
        }
        assert_eq!("store/".parse::<ItemKey>(), Err(KeyError::Id));
        assert_eq!(ItemKey::new(ItemKind::Other, "x"), Err(KeyError::Kind));
        assert_eq!(ItemKey::new(ItemKind::Secret, "x").unwrap().kind_word(), "secret");
    }
}
