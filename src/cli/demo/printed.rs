//! JSON results of the demo's commands, as far as the demo reads them. A missing member is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::format::RepositoryId;
use crate::job::RunFacts;
use crate::job::restore::plan::{Remark, Totals};
use crate::job::verify::VerifyCounts;
use crate::model::{Digest, Timestamp};

/// A result: the whole of it, and what the story reads.
#[derive(Debug)]
pub(super) struct Printed<T> {
    /// As it was printed.
    pub(super) json: Value,
    /// Members that the demo reads.
    pub(super) read: T,
}

/// A result of which nothing is read.
#[derive(Debug, Deserialize)]
pub(super) struct Unread {}

/// Of `init`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedInit {
    pub(super) repository_id: RepositoryId,
    pub(super) add_to_config: String,
}

/// Of `backup`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedBackup {
    pub(super) snapshot: Digest,
    pub(super) cut: String,
    pub(super) from: Timestamp,
    pub(super) moved: u64,
    pub(super) rounds: u64,
    pub(super) sealed_bytes: u64,
    pub(super) duration_ms: i64,
    pub(super) run: RunFacts,
}

impl PrintedBackup {
    /// Requests that it spent.
    pub(super) fn requests(&self) -> u64 {
        self.run.requests.unwrap_or_default()
    }
}

/// Of `verify`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedVerify {
    pub(super) counts: VerifyCounts,
}

/// Of `coverage`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedCoverage {
    pub(super) classes: BTreeMap<String, u64>,
}

/// Of `restore plan`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedPlan {
    pub(super) totals: Totals,
}

/// Of `restore apply`.
#[derive(Debug, Deserialize)]
pub(super) struct PrintedRestore {
    losses: Vec<Remark>,
    waiting: Vec<Remark>,
    skipped: Vec<Remark>,
}

impl PrintedRestore {
    /// Items that it reported as not restored, or as waiting.
    pub(super) fn named(&self) -> impl Iterator<Item = &Remark> {
        self.losses.iter().chain(&self.waiting).chain(&self.skipped)
    }
}
