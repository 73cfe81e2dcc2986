//! Report of a verification.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Level, VerifyOptions};
use crate::job::{RunFacts, RunResult, total};
use crate::model::with_causes;
use crate::model::{Digest, FailureKind};
use crate::repository::{Repository, RepositoryError};

/// Kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A ledger file is not an entry, or an entry does not count or lacks a parent.
    Ledger,
    /// An entry pinned as a head is missing.
    HeadMissing,
    /// An object that a snapshot names is missing.
    Missing,
    /// An object does not match its name, its seal or the ledger.
    Damaged,
    /// An object is intact, but the available keys do not open it.
    Locked,
    /// An object has a format that this version is too old for.
    Unsupported,
    /// An object is gone or wrong, and an older version of it in the bucket is whole.
    Superseded,
    /// Objects are intact but contradict each other.
    Disagrees,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind of problem.
    pub kind: ProblemKind,
    /// Path of the file or object in the repository; a digest if it has no path.
    pub object: String,
    /// Description of the problem.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

/// Counts of verified objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCounts {
    /// Number of valid ledger entries.
    pub entries: u64,
    /// Number of invalid ones.
    pub entries_ignored: u64,
    /// Number of snapshots checked.
    pub snapshots: u64,
    /// Number of objects hashed.
    pub objects: u64,
    /// Total bytes of these objects, without pack lists.
    pub bytes: u64,
    /// Number of catalogue parts opened.
    pub parts: u64,
    /// Number of items in these parts; a part shared by several snapshots counts once.
    pub items: u64,
    /// Number of packs opened.
    pub packs: u64,
    /// Number of payloads in these packs whose MAC was checked.
    pub payloads: u64,
    /// Number of catalogue pointers that led to their line.
    pub pointers: u64,
}

/// Result of a verification.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Id of the repository.
    pub repository: String,
    /// Location of the repository.
    pub place: String,
    /// Level.
    pub level: Level,
    /// Part of the packs that was opened, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// True if no problem was found.
    pub ok: bool,
    /// Heads of the ledger.
    pub heads: Vec<Digest>,
    /// Entries that the result covers: the heads, or the chosen snapshot.
    pub checked: Vec<Digest>,
    /// True if the newest entries may have been removed without a trace, because no head was pinned.
    pub newest_may_be_missing: bool,
    /// Counts of verified objects.
    pub counts: VerifyCounts,
    /// Problems found.
    pub problems: Vec<Problem>,
    /// Warnings, which do not affect the result.
    pub warnings: Vec<String>,
    /// Entry that records this verification, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Digest>,
}

impl VerifyReport {
    pub(super) fn new(repository: &Repository, options: &VerifyOptions) -> Self {
        Self {
            repository: repository.id().to_string(),
            place: repository.store().place(),
            level: options.level,
            slice: None,
            ok: false,
            heads: Vec::new(),
            checked: Vec::new(),
            newest_may_be_missing: options.pinned_heads.is_empty(),
            counts: VerifyCounts::default(),
            problems: Vec::new(),
            warnings: repository.warnings().to_vec(),
            recorded: None,
        }
    }

    /// Returns the kind of failure, most severe first; `None` if there is none.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        let failure = |problem: &Problem| match problem.kind {
            ProblemKind::Locked => FailureKind::Key,
            ProblemKind::Unsupported => FailureKind::Failed,
            _ => FailureKind::Integrity,
        };
        let failures: Vec<_> = self.problems.iter().map(failure).collect();
        [FailureKind::Integrity, FailureKind::Key, FailureKind::Failed].into_iter().find(|kind| failures.contains(kind))
    }

    pub(super) fn found(&mut self, kind: ProblemKind, object: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem { kind, object: object.into(), why: why.into() });
    }

    /// Records an error that is a finding; returns an error that ends the verification.
    pub(super) fn take<T>(&mut self, result: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(RepositoryError::Damaged { path, why }) => self.found(ProblemKind::Damaged, path, why),
            Err(RepositoryError::Missing { path }) => self.found(ProblemKind::Missing, path, "it is not there"),
            Err(RepositoryError::Locked { path, source }) => {
                self.found(ProblemKind::Locked, path, with_causes(&source));
            }
            Err(RepositoryError::Unsupported { path, source }) => {
                self.found(ProblemKind::Unsupported, path, with_causes(&source));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    pub(super) fn finish(&mut self) {
        self.problems.sort_by(|a, b| (a.kind, &a.object, &a.why).cmp(&(b.kind, &b.object, &b.why)));
        self.problems.dedup();
        self.ok = self.problems.is_empty();
    }
}

impl RunResult for VerifyReport {
    fn facts(&self) -> RunFacts {
        RunFacts { problems: total([self.problems.len()]), ..RunFacts::default() }
    }
}
