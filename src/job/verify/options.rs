//! Options and keys of a verification.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SliceChoice, VerifyError};
use crate::crypto::identity::Identities;
use crate::model::Digest;
use crate::repository::find::SnapshotQuery;

/// Depth of a verification. Each level includes the previous ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Links, signatures, roles. Needs the repository id.
    Ledger,
    /// Every object that a snapshot names exists with the signed content. Needs the repository id.
    Objects,
    /// The inventory is complete and agrees with its entry. Needs a catalogue key.
    Catalogue,
    /// Every payload opens and matches. Needs a recovery key.
    Payload,
}

impl Level {
    /// Every level, shallowest first.
    pub const ALL: [Level; 4] = [Self::Ledger, Self::Objects, Self::Catalogue, Self::Payload];

    /// Returns the word used on the command line and in entries.
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

/// Snapshots to verify, from [`Level::Objects`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// Every valid snapshot that is not swept.
    Live,
    /// A single snapshot.
    One(SnapshotQuery),
}

/// Available identities.
#[derive(Debug, Clone, Default)]
pub struct VerifyKeys {
    /// Identities that open catalogues.
    pub catalogue: Option<Arc<Identities>>,
    /// Identities that open everything.
    pub recovery: Option<Arc<Identities>>,
}

/// Options of a verification.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Level to verify at.
    pub level: Level,
    /// Snapshots to verify.
    pub snapshots: Snapshots,
    /// Packs to open at [`Level::Payload`]; all if not set.
    pub slice: Option<SliceChoice>,
    /// Entries that were heads, as remembered outside the repository.
    pub pinned_heads: Vec<Digest>,
}

impl VerifyOptions {
    /// Returns options for every valid snapshot at one level, without pinned heads.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level, snapshots: Snapshots::Live, slice: None, pinned_heads: Vec::new() }
    }

    /// Rejects impossible options before any work.
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
