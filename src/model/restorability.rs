//! Restorability of items, known before the disaster.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::key::is_word;

/// The class of an item (`docs/architecture.md`, *Restorability*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Restorability {
    /// Everything that a client can set is restored, payloads byte for byte.
    Exact,
    /// Restored as another type that serves the same purpose.
    Converted,
    /// The standby issues a new one from the same definition.
    Reissued,
    /// Only the definition is kept; the payload was not read or cannot be set.
    DefinitionOnly,
    /// Cannot be restored at all.
    Impossible,
}

impl Restorability {
    /// Every class, best first.
    pub const ALL: [Restorability; 5] =
        [Self::Exact, Self::Converted, Self::Reissued, Self::DefinitionOnly, Self::Impossible];

    /// Returns the word used in output and in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Converted => "converted",
            Self::Reissued => "reissued",
            Self::DefinitionOnly => "definition_only",
            Self::Impossible => "impossible",
        }
    }
}

impl fmt::Display for Restorability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The class of an item in a catalogue: one that this version knows, or the word of a later version.
///
/// An unknown word is kept, written back unchanged and counted under its own name. Such an item is never restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemClass {
    /// A known class.
    Known(Restorability),
    /// The word of a class of a later version: 1 to 64 characters `a` to `z` and `_`.
    Other(Box<str>),
}

impl ItemClass {
    /// Returns the class; `None` if this version does not know it.
    #[must_use]
    pub fn known(&self) -> Option<Restorability> {
        match self {
            Self::Known(class) => Some(*class),
            Self::Other(_) => None,
        }
    }

    /// Returns the word used in output and in entries.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(class) => class.as_str(),
            Self::Other(word) => word,
        }
    }
}

impl From<Restorability> for ItemClass {
    fn from(class: Restorability) -> Self {
        Self::Known(class)
    }
}

impl PartialEq<Restorability> for ItemClass {
    fn eq(&self, other: &Restorability) -> bool {
        self.known() == Some(*other)
    }
}

impl fmt::Display for ItemClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ItemClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ItemClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match Restorability::ALL.into_iter().find(|class| class.as_str() == word) {
            Some(class) => Ok(Self::Known(class)),
            None if is_word(&word) => Ok(Self::Other(word.into())),
            None => Err(serde::de::Error::custom("a class is 1 to 64 characters a to z and _")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_a_later_version_keeps_its_word() {
        for word in Restorability::ALL.map(Restorability::as_str).into_iter().chain(["half_way"]) {
            let class: ItemClass = serde_json::from_str(&format!("\"{word}\"")).unwrap();
            assert_eq!((class.as_str(), serde_json::to_string(&class).unwrap()), (word, format!("\"{word}\"")));
            assert_eq!(class.known().is_none(), word == "half_way");
        }
        assert!(ItemClass::Known(Restorability::Exact) == Restorability::Exact);
        assert!(ItemClass::Other("exact_".into()) != Restorability::Exact);
        for word in ["", "Exact", "a b", "x1", &"a".repeat(65)] {
            assert!(serde_json::from_str::<ItemClass>(&format!("\"{word}\"")).is_err(), "{word}");
        }
    }
}
