//! What a check found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Level, VerifyOptions};
use crate::job::{RunFacts, RunResult, total};
use crate::model::with_causes;
use crate::model::{Digest, FailureKind};
use crate::repository::{Repository, RepositoryError};

/// What is wrong with one thing in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A file of the ledger is no entry, or an entry does not count or lacks a parent.
    Ledger,
    /// An entry that was pinned as a head is not there.
    HeadMissing,
    /// An object that a snapshot names is not there.
    Missing,
    /// An object is not what its name, its seal or the ledger says.
    Damaged,
    /// An object is whole, and the key at hand does not open it.
    Locked,
    /// An object is of a format that this program is too old for.
    Unsupported,
    /// Objects are whole and contradict each other.
    Disagrees,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort of finding.
    pub kind: ProblemKind,
    /// The file or object, by its path in the repository; a digest for what has none.
    pub object: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.why)
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCounts {
    /// Entries of the ledger that count.
    pub entries: u64,
    /// Entries that do not.
    pub entries_ignored: u64,
    /// Snapshots checked.
    pub snapshots: u64,
    /// Objects whose bytes were hashed.
    pub objects: u64,
    /// Their bytes, without those of pack lists.
    pub bytes: u64,
    /// Catalogue parts opened.
    pub parts: u64,
    /// Items in them, each part counted once however many snapshots share it.
    pub items: u64,
    /// Packs opened.
    pub packs: u64,
    /// Payloads in them whose MAC was checked.
    pub payloads: u64,
    /// Pointers of the catalogues that led to their line.
    pub pointers: u64,
}

/// The result of a check.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The repository's id.
    pub repository: String,
    /// Where it lies.
    pub place: String,
    /// How deep it was checked.
    pub level: Level,
    /// Which part of the packs was opened, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Whether nothing was found.
    pub ok: bool,
    /// The heads of the ledger.
    pub heads: Vec<Digest>,
    /// The entries that the result speaks of: the heads, or the one snapshot that was chosen.
    pub checked: Vec<Digest>,
    /// Whether the newest entries may have been removed without a trace: so without a pinned head.
    pub newest_may_be_missing: bool,
    /// How much was looked at.
    pub counts: VerifyCounts,
    /// What was found.
    pub problems: Vec<Problem>,
    /// What is odd and decides nothing.
    pub warnings: Vec<String>,
    /// The entry that records this check, if one was asked for.
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

    /// The exit code's meaning, the gravest first; `None` when all is well.
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

    /// Takes what is a finding; gives back what ended the check itself.
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
