//! An item in the terms that every provider shares.

use serde::{Deserialize, Serialize};

use crate::model::json::JsonObject;
use crate::model::{ItemKey, Timestamp};

use super::mark::RestoreMark;

/// What a restore needs to know of an item, of a snapshot or of a standby. Holds no payload.
#[derive(Debug, Clone)]
pub struct View {
    /// The item's key where it was seen.
    pub key: ItemKey,
    /// The name people use.
    pub name: String,
    /// The provider's type.
    pub item_type: String,
    /// The id of its group, for secrets.
    pub group: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Our mark, if it carries one.
    pub mark: Option<RestoreMark>,
    /// What a client can set of it, without our mark, defaults filled in, each value as its exact text; ids of other items
    /// as [references](super::reference) once those are known.
    pub settings: JsonObject,
    /// Settings that only a create takes although answers show them, and that make no other item of it: never compared.
    pub fixed: &'static [&'static str],
    /// What only a create takes and no answer shows again: derived from a payload when it was captured, or supplied by the
    /// operator. Never compared.
    pub inputs: JsonObject,
    /// The rotation policy, if it rotates by itself.
    pub rotation: Option<JsonObject>,
    /// When its payload ends.
    pub expires: Option<Timestamp>,
    /// How many versions the lists count.
    pub versions_total: Option<u64>,
    /// Its versions, oldest first; nothing when they were not asked for.
    pub versions: Option<Vec<VersionView>>,
    /// Its locks with all their details; nothing when they were not asked for.
    pub locks: Option<Vec<LockView>>,
    /// The locks as the lists show them: version id and lock name.
    pub lock_names: Vec<(String, String)>,
    /// The ids of the current and the previous version, as the lists show them.
    pub newest: Vec<String>,
    /// How far a certificate authority of the instance has come; nothing for what is none.
    pub certification: Option<Certification>,
    /// The signing request (PEM) of an authority that has no certificate yet, if its value was read.
    pub request: Option<String>,
    /// Whether the provider is still issuing its first payload.
    pub pending: bool,
    /// A short digest over the rewrites of its payload on the way into a standby; empty when it is sent as it is.
    pub rewrites: String,
}

/// How far a certificate authority has come on its way to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certification {
    /// It waits for an authority of the same instance to sign it.
    Unsigned,
    /// It has a signing request and waits for a certificate that was signed elsewhere.
    Requested,
    /// It has a certificate and can issue.
    Certified,
    /// Its certificate has expired or was revoked.
    Ended,
}

impl View {
    /// The names of the settings that are compared.
    pub fn compared(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(name, _)| name).filter(|name| !self.fixed.contains(name))
    }

    /// The newest version, when versions were asked for.
    #[must_use]
    pub fn current(&self) -> Option<&VersionView> {
        self.versions.as_ref()?.last()
    }

    /// A version by its id.
    #[must_use]
    pub fn version(&self, id: &str) -> Option<&VersionView> {
        self.versions.as_ref()?.iter().find(|version| version.id == id)
    }
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub struct VersionView {
    /// Its id.
    pub id: String,
    /// Whether the provider still has its payload.
    pub payload: bool,
    /// The metadata that a client can set, without our mark.
    pub metadata: JsonObject,
    /// The id in the source, if our mark says so.
    pub mark: Option<String>,
    /// When its payload ends.
    pub expires: Option<Timestamp>,
}

/// One lock on a version.
#[derive(Debug, Clone)]
pub struct LockView {
    /// The version's id.
    pub version: String,
    /// The lock's name, unique on its version.
    pub name: String,
    /// What a client can set: name, description, attributes.
    pub settings: JsonObject,
}
