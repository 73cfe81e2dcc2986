//! What is to be checked, and with which keys.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SliceChoice, VerifyError};
use crate::crypto::identity::Identities;
use crate::model::Digest;
use crate::repository::find::SnapshotQuery;

/// How deep to look. Each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Links, signatures, roles. Needs the repository id.
    Ledger,
    /// Every object that a snapshot names is there and its bytes are what was signed. Needs the same.
    Objects,
    /// The inventory is complete and agrees with its entry. Needs a catalogue key.
    Catalogue,
    /// Every payload opens and matches. Needs a recovery key.
    Payload,
}

impl Level {
    /// Every level, shallowest first.
    pub const ALL: [Level; 4] = [Self::Ledger, Self::Objects, Self::Catalogue, Self::Payload];

    /// The word used on the command line and in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Objects => "objects",
            Self::Catalogue => "catalogue",
            Self::Payload => "payload",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which snapshots to check from [`Level::Objects`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// Every snapshot that counts.
    Live,
    /// One.
    One(SnapshotQuery),
}

/// The identities at hand.
#[derive(Debug, Clone, Default)]
pub struct VerifyKeys {
    /// Opens catalogues.
    pub catalogue: Option<Arc<Identities>>,
    /// Opens everything.
    pub recovery: Option<Arc<Identities>>,
}

/// What to check.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// How deep.
    pub level: Level,
    /// Which snapshots.
    pub snapshots: Snapshots,
    /// Which of the packs to open at [`Level::Payload`]; all without it.
    pub slice: Option<SliceChoice>,
    /// Entries that were heads, remembered somewhere outside of the repository.
    pub pinned_heads: Vec<Digest>,
}

impl VerifyOptions {
    /// Everything that counts, at one level, without pinned heads.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level, snapshots: Snapshots::Live, slice: None, pinned_heads: Vec::new() }
    }

    /// Refuses what cannot be done before any work.
    pub(super) fn check(&self, keys: &VerifyKeys) -> Result<(), VerifyError> {
        if self.slice.is_some() && self.level < Level::Payload {
            return Err(VerifyError::SliceWithoutPayload);
        }
        match self.level {
            Level::Catalogue if keys.catalogue.is_none() && keys.recovery.is_none() => {
                Err(VerifyError::KeyNeeded { level: self.level, key: "a catalogue key or a recovery key" })
            }
            Level::Payload if keys.recovery.is_none() => {
                Err(VerifyError::KeyNeeded { level: self.level, key: "a recovery key" })
            }
            _ => Ok(()),
        }
    }
}
