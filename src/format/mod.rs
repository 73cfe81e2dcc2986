//! The stored format, to the byte: names, packs, catalogues, lists, entries (`docs/format.md`).
//!
//! Pure: works on bytes and uses no store, clock or file. Each type has one writer and one reader. Readers refuse
//! ambiguous input and report the reason.

pub mod canonical;
pub mod catalogue;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod event;
mod header;
mod json_string;
pub mod later;
mod lines;
pub mod list;
pub mod names;
pub mod pack;
pub mod policy;
pub mod reference;
pub mod role;
pub mod sealed_reader;
pub mod snapshot;
pub mod statement;
pub mod version;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

pub use entry::{Draft, Entry, EntryPlace};
pub use envelope::Envelope;
pub use error::FormatError;
pub use event::EntryEvent;
pub use later::Later;
pub use policy::Policy;
pub use reference::{EntryRef, PolicyRef};
pub use role::SigningRole;
pub use snapshot::SnapshotEvent;

use crate::model::Digest;
use crate::model::digest::DigestError;

/// The id of a repository: the digest of version 1 of its trust policy, which is the root of trust.
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

/// The instance that a repository belongs to. Provider and instance identify it; the region is only informative.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceName {
    /// The provider's own name of the instance.
    pub instance: String,
    /// The provider.
    pub provider: String,
    /// The region of the instance, if the provider has regions.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub region: Option<String>,
}

impl SourceName {
    /// Returns true if both name the same instance.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.provider == other.provider && self.instance == other.instance
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.instance, self.provider)
    }
}

/// Reads an optional member that is present; it must not be `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
