//! Facts about the result of a run that are kept in its record.

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// Result of a run as numbers and digests, never names or values. It goes to metrics, notifications, hooks and the
/// audit trail. The daemon reads it from a job's JSON output, as the member `run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFacts {
    /// Sequence of the snapshot that it made, checked or restored, or of the entry that it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Digest of that snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Digest>,
    /// Number of requests to an instance; a retried request counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Number of problems or differences found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<u64>,
    /// True if it recorded a suspect snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
}

/// The result of a command whose runs are recorded.
pub trait RunResult {
    /// Returns the facts for the record of the run.
    fn facts(&self) -> RunFacts;
}

/// Returns the sum of these list lengths.
pub(crate) fn total<const N: usize>(lengths: [usize; N]) -> Option<u64> {
    u64::try_from(lengths.into_iter().sum::<usize>()).ok()
}
