//! An item in provider-independent form.
//!
//! The settings `name`, `description`, `labels` and `custom_metadata` have these names for every provider.

use serde::{Deserialize, Serialize};

use crate::model::json::JsonObject;
use crate::model::{ItemKey, Timestamp};

use super::mark::{MARK, RestoreMark, set_mark, set_version_mark};

/// The setting with the user-defined metadata, which holds marks.
const CUSTOM_METADATA: &str = "custom_metadata";

/// An item of a snapshot or of a standby, as seen by a restore. Contains no payload.
#[derive(Debug, Clone)]
pub struct RestoreItem {
    /// The item's key in its instance.
    pub key: ItemKey,
    /// The name shown to users.
    pub name: String,
    /// The provider's type.
    pub item_type: String,
    /// The id of its group, for secrets.
    pub group: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Our mark, if it carries one.
    pub mark: Option<RestoreMark>,
    /// Settings that a client can set, without our mark, with defaults filled in, each value as exact text. Ids of
    /// other items are [references](super::reference) once those are known.
    pub settings: JsonObject,
    /// Settings that only a create request takes although answers show them, and that do not identify the item: never
    /// compared.
    pub fixed: &'static [&'static str],
    /// Settings that no patch can change.
    pub unpatchable: &'static [&'static str],
    /// Settings that a new version may clear or change.
    pub cleared_by_versions: &'static [&'static str],
    /// Settings that no answer showed and that were not supplied, as fragments.
    pub lost: Vec<String>,
    /// Maximum bytes of custom metadata of the item and of each of its versions.
    pub metadata_room: usize,
    /// Members that only a create request takes and no answer shows: derived from a payload at capture time, or
    /// supplied by the operator. Never compared.
    pub inputs: JsonObject,
    /// The rotation policy, if it rotates automatically.
    pub rotation: Option<JsonObject>,
    /// End of its payload.
    pub expires: Option<Timestamp>,
    /// Number of versions that the lists count.
    pub versions_total: Option<u64>,
    /// Its versions, oldest first; `None` if they were not requested.
    pub versions: Option<Vec<RestoreVersion>>,
    /// Its locks with all details; `None` if they were not requested.
    pub locks: Option<Vec<RestoreLock>>,
    /// The locks as the lists show them: version id and lock name.
    pub lock_names: Vec<(String, String)>,
    /// The ids of the current and the previous version, as the lists show them.
    pub newest: Vec<String>,
    /// Progress of a certificate authority; `None` for other items.
    pub certification: Option<Certification>,
    /// The signing request (PEM) of a certificate authority without a certificate, if its value was read.
    pub request: Option<String>,
    /// True if the provider is still issuing its first payload.
    pub pending: bool,
    /// A short digest over the rewrites of its payload during a restore; empty if it is sent unchanged.
    pub rewrites: String,
}

/// Certification state of a certificate authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certification {
    /// It waits for a signature by a certificate authority of the same instance.
    Unsigned,
    /// It has a signing request and waits for a certificate signed elsewhere.
    Requested,
    /// It has a certificate and can issue.
    Certified,
    /// Its certificate has expired or was revoked.
    Ended,
}

impl RestoreItem {
    /// Creates an item with only its names. `metadata_room` is in bytes.
    #[must_use]
    pub fn new(key: ItemKey, name: &str, item_type: &str, metadata_room: usize) -> Self {
        Self {
            key,
            name: name.to_owned(),
            item_type: item_type.to_owned(),
            group: None,
            labels: Vec::new(),
            mark: None,
            settings: JsonObject::default(),
            fixed: &[],
            unpatchable: &[],
            cleared_by_versions: &[],
            lost: Vec::new(),
            metadata_room,
            inputs: JsonObject::default(),
            rotation: None,
            expires: None,
            versions_total: None,
            versions: None,
            locks: None,
            lock_names: Vec::new(),
            newest: Vec::new(),
            certification: None,
            request: None,
            pending: false,
            rewrites: String::new(),
        }
    }

    /// Iterates over the names of the compared settings.
    pub fn compared(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(name, _)| name).filter(|name| !self.fixed.contains(name))
    }

    /// Returns its custom metadata, with the mark if given.
    #[must_use]
    pub fn marked(&self, mark: Option<&RestoreMark>) -> JsonObject {
        let mut metadata = self.settings.object(CUSTOM_METADATA).unwrap_or_default();
        if let Some(mark) = mark {
            set_mark(&mut metadata, mark);
        }
        metadata
    }

    /// Returns true if its custom metadata can take the mark: it has room, and no own member of that name.
    #[must_use]
    pub fn fits(&self, mark: &RestoreMark) -> bool {
        let own = self.settings.object(CUSTOM_METADATA).is_some_and(|metadata| metadata.get(MARK).is_some());
        !own && self.marked(Some(mark)).to_raw().get().len() <= self.metadata_room
    }

    /// Returns true if the metadata of a version can take its mark.
    #[must_use]
    pub fn fits_version(&self, version: &RestoreVersion) -> bool {
        let own = version.metadata.get(MARK).is_some();
        !own && version.marked(Some(&version.id)).to_raw().get().len() <= self.metadata_room
    }

    /// Returns true if adding a version may clear or change settings that it has.
    #[must_use]
    pub fn version_moves_settings(&self) -> bool {
        let set = |name: &&str| self.settings.get(name).is_some_and(|value| value.get() != "null");
        self.cleared_by_versions.iter().any(set)
    }

    /// Returns the newest version, if versions were requested.
    #[must_use]
    pub fn current(&self) -> Option<&RestoreVersion> {
        self.versions.as_ref()?.last()
    }

    /// Returns a version by its id.
    #[must_use]
    pub fn version(&self, id: &str) -> Option<&RestoreVersion> {
        self.versions.as_ref()?.iter().find(|version| version.id == id)
    }
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub struct RestoreVersion {
    /// Its id.
    pub id: String,
    /// True if the provider still has its payload.
    pub payload: bool,
    /// The metadata that a client can set, without our mark.
    pub metadata: JsonObject,
    /// The id in the source, from our mark.
    pub mark: Option<String>,
    /// End of its payload.
    pub expires: Option<Timestamp>,
}

impl RestoreVersion {
    /// Returns its metadata, with a mark for that version of the source if given.
    #[must_use]
    pub fn marked(&self, source: Option<&str>) -> JsonObject {
        let mut metadata = self.metadata.clone();
        if let Some(source) = source {
            set_version_mark(&mut metadata, source);
        }
        metadata
    }
}

/// One lock on a version.
#[derive(Debug, Clone)]
pub struct RestoreLock {
    /// The version's id.
    pub version: String,
    /// The lock's name, unique on its version.
    pub name: String,
    /// Settings of the lock: name, description, attributes.
    pub settings: JsonObject,
}
