//! The in-toto Statement inside an entry.

use serde::{Deserialize, Serialize};

use super::names;
use crate::model::Digest;

/// The type of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of an entry's predicate.
pub const PREDICATE_TYPE: &str = "urn:keyhaven:ledger-entry:1";

/// Something that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// An object's name, or `entry/` or `key/` and the digest again.
    pub name: String,
    /// Its digest.
    pub digest: DigestSet,
}

/// The digests of a subject; others than SHA-256 are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DigestSet {
    /// The SHA-256.
    pub sha256: Digest,
}

impl Subject {
    fn new(name: String, sha256: Digest) -> Self {
        Self { name, digest: DigestSet { sha256 } }
    }

    /// A catalogue part.
    #[must_use]
    pub fn part(digest: Digest) -> Self {
        Self::new(names::catalogue(&digest), digest)
    }

    /// A pack list.
    #[must_use]
    pub fn list(digest: Digest) -> Self {
        Self::new(names::list(&digest), digest)
    }

    /// A signed statement that is not an entry.
    #[must_use]
    pub fn evidence(digest: Digest) -> Self {
        Self::new(names::evidence(&digest), digest)
    }

    /// The recovery instructions.
    #[must_use]
    pub fn recover_md(digest: Digest) -> Self {
        Self::new(names::RECOVER_MD.to_owned(), digest)
    }

    /// Another entry.
    #[must_use]
    pub fn entry(digest: Digest) -> Self {
        Self::new(format!("entry/{digest}"), digest)
    }

    /// A key, by its fingerprint.
    #[must_use]
    pub fn key(fingerprint: Digest) -> Self {
        Self::new(format!("key/{fingerprint}"), fingerprint)
    }
}

/// A statement around a predicate; members in the order written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Statement<P> {
    #[serde(rename = "_type")]
    pub(super) statement_type: String,
    pub(super) subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
    pub(super) predicate: P,
}
