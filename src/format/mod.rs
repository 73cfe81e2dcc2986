//! What is stored, to the byte: names, packs, catalogues, lists, entries (`docs/format.md`).
//!
//! Pure: works on bytes, knows no store, no clock and no file. Every type here is written by one function and read by
//! one function; readers refuse what they cannot be sure of and say why.

pub mod catalogue;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod event;
mod header;
mod json_string;
mod lines;
pub mod list;
pub mod names;
pub mod pack;
pub mod role;
pub mod statement;
pub mod version;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use entry::{Draft, Entry, Place};
pub use error::FormatError;
pub use event::{Event, SnapshotEvent};
pub use role::Role;

use crate::model::Digest;
use crate::model::digest::DigestError;

/// The name of a repository for ever: the digest of its first entry. Who knows it needs nothing else to trust the rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryId(pub Digest);

impl FromStr for RepositoryId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The instance that a repository belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceName {
    /// The provider's own name for the instance, a CRN.
    pub crn: String,
    /// The region it runs in.
    pub region: String,
}
