//! An item in the terms that every provider shares.
//!
//! The settings `name`, `description`, `labels` and `custom_metadata` have these names whatever the provider calls
//! them.

use serde::{Deserialize, Serialize};

use crate::model::json::JsonObject;
use crate::model::{ItemKey, Timestamp};

use super::mark::{MARK, RestoreMark, set_mark, set_version_mark};

/// The setting that holds the metadata of users, where marks go.
const CUSTOM_METADATA: &str = "custom_metadata";

/// An item of a snapshot or of a standby, as a restore sees it. Holds no payload.
#[derive(Debug, Clone)]
pub struct RestoreItem {
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
    /// What a client can set of it, without our mark, defaults filled in, each value as its exact text; ids of other
    /// items as [references](super::reference) once those are known.
    pub settings: JsonObject,
    /// Settings that only a create takes although answers show them, and that make no other item of it: never compared.
    pub fixed: &'static [&'static str],
    /// Settings that no patch can change.
    pub unpatchable: &'static [&'static str],
    /// Settings that a new version may clear or change.
    pub cleared_by_versions: &'static [&'static str],
    /// Settings that no answer showed and that were not supplied, as fragments: they are lost.
    pub lost: Vec<String>,
    /// Bytes that custom metadata may have, of the item and of each of its versions.
    pub metadata_room: usize,
    /// What only a create takes and no answer shows again: derived from a payload when it was captured, or supplied by
    /// the operator. Never compared.
    pub inputs: JsonObject,
    /// The rotation policy, if it rotates by itself.
    pub rotation: Option<JsonObject>,
    /// When its payload ends.
    pub expires: Option<Timestamp>,
    /// Number of versions that the lists count.
    pub versions_total: Option<u64>,
    /// Its versions, oldest first; `None` when they were not asked for.
    pub versions: Option<Vec<RestoreVersion>>,
    /// Its locks with all their details; `None` when they were not asked for.
    pub locks: Option<Vec<RestoreLock>>,
    /// The locks as the lists show them: version id and lock name.
    pub lock_names: Vec<(String, String)>,
    /// The ids of the current and the previous version, as the lists show them.
    pub newest: Vec<String>,
    /// Progress of a certificate authority; `None` for other items.
    pub certification: Option<Certification>,
    /// The signing request (PEM) of an authority that has no certificate yet, if its value was read.
    pub request: Option<String>,
    /// True if the provider is still issuing its first payload.
    pub pending: bool,
    /// A short digest over the rewrites of its payload on the way into a standby; empty when it is sent as it is.
    pub rewrites: String,
}

/// Progress of a certificate authority towards its certificate.
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

impl RestoreItem {
    /// An item of which nothing but its names is known. `metadata_room` is in bytes.
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

    /// The names of the settings that are compared.
    pub fn compared(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(name, _)| name).filter(|name| !self.fixed.contains(name))
    }

    /// Its custom metadata, with a mark if there is one.
    #[must_use]
    pub fn marked(&self, mark: Option<&RestoreMark>) -> JsonObject {
        let mut metadata = self.settings.object(CUSTOM_METADATA).unwrap_or_default();
        if let Some(mark) = mark {
            set_mark(&mut metadata, mark);
        }
        metadata
    }

    /// Returns true if its custom metadata can take the mark: it has room, and no member of that name of its own.
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

    /// Whether adding a version may clear or change settings that it has.
    #[must_use]
    pub fn version_moves_settings(&self) -> bool {
        let set = |name: &&str| self.settings.get(name).is_some_and(|value| value.get() != "null");
        self.cleared_by_versions.iter().any(set)
    }

    /// The newest version, when versions were asked for.
    #[must_use]
    pub fn current(&self) -> Option<&RestoreVersion> {
        self.versions.as_ref()?.last()
    }

    /// A version by its id.
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
    /// The id in the source, if our mark says so.
    pub mark: Option<String>,
    /// When its payload ends.
    pub expires: Option<Timestamp>,
}

impl RestoreVersion {
    /// Its metadata, with the mark of that version of the source if there is one.
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
    /// Settings of a lock: name, description, attributes.
    pub settings: JsonObject,
}
