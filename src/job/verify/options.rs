//! What is to be checked, and with which keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::VerifyError;
use crate::crypto::identity::Identities;
use crate::model::Digest;
use crate::repository::find::Wanted;

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

/// A part of the packs: those whose digest falls into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// Which part, from 1.
    index: u32,
    /// Of how many.
    of: u32,
}

/// The text is no slice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a slice is N/T with N from 1 to T and T at most 10000, like 3/30")]
pub struct SliceError;

impl Slice {
    /// The `index`-th of `of` parts, counted from 1.
    ///
    /// # Errors
    /// When `index` is not within 1 to `of`, or `of` is above 10,000.
    pub fn new(index: u32, of: u32) -> Result<Self, SliceError> {
        let fits = (1..=10_000).contains(&of) && (1..=of).contains(&index);
        fits.then_some(Self { index, of }).ok_or(SliceError)
    }

    /// Whether an object belongs to this slice. Every object belongs to exactly one of the `of` slices, always the same.
    #[must_use]
    pub fn holds(&self, object: &Digest) -> bool {
        let hash =
            object.as_bytes().iter().fold(0_u64, |hash, byte| (hash << 8 | u64::from(*byte)) % u64::from(self.of));
        hash + 1 == u64::from(self.index)
    }
}

impl FromStr for Slice {
    type Err = SliceError;

    fn from_str(text: &str) -> Result<Self, SliceError> {
        let (index, of) = text.split_once('/').ok_or(SliceError)?;
        Self::new(index.parse().map_err(|_| SliceError)?, of.parse().map_err(|_| SliceError)?)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// Which snapshots to check from [`Level::Objects`] on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// Every snapshot that counts.
    Live,
    /// One.
    One(Wanted),
}

/// The identities at hand.
#[derive(Debug, Clone, Default)]
pub struct Keys {
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
    pub slice: Option<Slice>,
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
    pub(super) fn check(&self, keys: &Keys) -> Result<(), VerifyError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::sha256;

    #[test]
    fn every_object_falls_into_exactly_one_slice() {
        for of in [1, 2, 7, 30] {
            let slices: Vec<_> = (1..=of).map(|index| Slice::new(index, of).unwrap()).collect();
            let mut used = vec![0; slices.len()];
            for number in 0..500_u32 {
                let object = sha256(&number.to_be_bytes());
                let holding: Vec<_> = (0..slices.len()).filter(|at| slices[*at].holds(&object)).collect();
                assert_eq!(holding.len(), 1, "{object} of {of}");
                used[holding[0]] += 1;
            }
            assert!(used.iter().all(|count| *count > 0), "{used:?}");
        }
    }

    #[test]
    fn a_slice_outside_of_its_range_is_refused() {
        for text in ["0/3", "4/3", "1/0", "1/10001", "1", "a/b", "-1/3", "1/2/3"] {
            assert_eq!(text.parse::<Slice>(), Err(SliceError), "{text}");
        }
        assert_eq!("3/30".parse::<Slice>().unwrap().to_string(), "3/30");
    }
}
