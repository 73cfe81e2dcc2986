//! The in-toto Statement inside an entry.

use serde::{Deserialize, Serialize};

use super::{FormatError, RepositoryId, names};
use crate::model::Digest;

/// The type of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of an entry's predicate.
pub const ENTRY_TYPE: &str = "urn:keyhaven:entry:1";
/// The type of a trust policy's predicate.
pub const POLICY_TYPE: &str = "urn:keyhaven:policy:1";

/// A subject of a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The name of an object, `entry/` with the digest, or `repository`.
    pub name: String,
    /// Its digest.
    pub digest: DigestSet,
}

/// The digests of a subject; only SHA-256 is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DigestSet {
    /// The SHA-256.
    pub sha256: Digest,
}

impl Subject {
    fn new(name: String, sha256: Digest) -> Self {
        Self { name, digest: DigestSet { sha256 } }
    }

    /// Creates the subject for a catalogue part.
    #[must_use]
    pub fn part(digest: Digest) -> Self {
        Self::new(names::catalogue(&digest), digest)
    }

    /// Creates the subject for a pack list.
    #[must_use]
    pub fn list(digest: Digest) -> Self {
        Self::new(names::list(&digest), digest)
    }

    /// Creates the subject for a signed statement that is not an entry.
    #[must_use]
    pub fn evidence(digest: Digest) -> Self {
        Self::new(names::evidence(&digest), digest)
    }

    /// Creates the subject for the recovery instructions.
    #[must_use]
    pub fn recover_md(digest: Digest) -> Self {
        Self::new(names::RECOVER_MD.to_owned(), digest)
    }

    /// Creates the subject for another entry.
    #[must_use]
    pub fn entry(digest: Digest) -> Self {
        Self::new(format!("entry/{digest}"), digest)
    }

    /// Creates the subject for the repository itself, if a statement is about nothing more specific.
    #[must_use]
    pub fn repository(id: RepositoryId) -> Self {
        Self::new("repository".to_owned(), id.0)
    }
}

/// A statement around a predicate.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Statement<P> {
    #[serde(rename = "_type")]
    pub(super) statement_type: String,
    pub(super) subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
    pub(super) predicate: P,
}

impl<P> Statement<P> {
    pub(super) fn new(predicate_type: &str, subject: Vec<Subject>, predicate: P) -> Self {
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    pub(super) fn check_type(&self, what: &'static str, predicate_type: &str) -> Result<(), FormatError> {
        match self.statement_type == STATEMENT_TYPE && self.predicate_type == predicate_type {
            true => Ok(()),
            false => Err(FormatError::malformed(what, "its statement or predicate has another type")),
        }
    }
}

/// Refuses a document with critical members that this version does not know.
pub(super) fn check_critical(
    what: &'static str,
    critical: Option<&[String]>,
    known: &[&str],
) -> Result<(), FormatError> {
    let Some(critical) = critical else { return Ok(()) };
    if critical.is_empty() || !critical.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::malformed(what, "`critical` is empty or not sorted"));
    }
    match critical.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(FormatError::Critical { what, member: name.clone() }),
    }
}
