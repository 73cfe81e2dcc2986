//! One item of an inventory, as a catalogue stores it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::JsonObject;
use super::{Digest, ItemClass, ItemKey, ItemKind, Revision, Timestamp};

/// The provider's complete answers about an item, by a name that the provider's module assigns.
///
/// Fields that are secret by class have already been cut out.
pub type Docs = BTreeMap<String, Box<RawValue>>;

/// Position of a payload within its item: the id of a version, or [`Slot::VALUE`] for items without versions.
///
/// At most 256 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(String);

impl Slot {
    /// The slot of a configuration's value.
    pub const VALUE: &'static str = "value";
    /// The slot of secret fields that the provider shows in metadata answers and that are cut out of them.
    pub const WITHHELD: &'static str = "withheld";

    /// Takes a version id or one of the constants.
    ///
    /// Returns `None` if the text is empty, longer than 256 bytes, or contains a control character.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the slot as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Pointer to a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The version (or other part of the item) that the payload belongs to.
    pub version: Slot,
    /// The pack that holds it.
    pub pack: Digest,
}

/// One line of a catalogue: everything about an item but its payloads (`docs/format.md`, *Catalogue lines*).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// The item's key; lines are sorted by it.
    pub key: ItemKey,
    /// The name shown to users.
    pub name: String,
    /// The provider's type: a secret type, a configuration type, or the kind again for groups and the registration.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The id of the secret group, for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its restorability.
    pub class: ItemClass,
    /// The revision that was listed both before and after the payloads were read. If absent, the next run reads the
    /// item again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Time at which the payloads and the unlisted documents were read, by the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// Pointers to the payloads, newest version first.
    #[serde(default)]
    pub payloads: Vec<Pointer>,
    /// The provider's complete answers.
    pub docs: Docs,
}

impl Item {
    /// Returns why this version must not touch the item, as a fragment: its kind or class is of a later version. `None`
    /// for a known kind and class.
    #[must_use]
    pub fn unknown(&self) -> Option<String> {
        if self.key.kind() == ItemKind::Other {
            return Some(format!("this version does not know the kind `{}`", self.key.kind_word()));
        }
        self.class.known().is_none().then(|| format!("this version does not know the class `{}`", self.class))
    }

    /// Returns a document of the item as an object. `None` if it is absent or not an object.
    #[must_use]
    pub fn doc(&self, name: &str) -> Option<JsonObject> {
        JsonObject::parse(self.docs.get(name)?.get()).ok()
    }
}
