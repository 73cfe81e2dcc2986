//! What the result of a run says beside itself: how it ended, and the few numbers that the record of a run keeps.

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// What a run found or made: numbers and digests, never a name or a value. Metrics, notifications, hooks and the audit
/// trail get this, and the daemon reads it from what a job prints: the member `run` of its result as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFacts {
    /// The sequence of the snapshot that it made, checked or brought, or of the entry that it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The digest of that snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// Requests to an instance that it took; those that were sent again count once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Problems or differences that it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<u64>,
    /// Whether it recorded a suspect snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
}

/// The result of a command whose runs are recorded.
pub trait RunResult {
    /// What the record of the run keeps of it.
    fn facts(&self) -> RunFacts;
}

/// How many there are in all of these lists.
pub(crate) fn total<const N: usize>(lengths: [usize; N]) -> Option<u64> {
    u64::try_from(lengths.into_iter().sum::<usize>()).ok()
}
