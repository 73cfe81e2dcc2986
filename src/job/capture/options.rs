//! Options of a capture.

use std::time::Duration;

use crate::crypto::seal::DEFAULT_LEVEL;
use crate::model::policies::Override;

/// Options of a capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// Read everything and reuse no pack.
    pub full: bool,
    /// Time in which every item is read again, each at its own time.
    pub full_every: Duration,
    /// Share of items, 0 to 1, that may be missing before the snapshot is suspect.
    pub max_shrink: f64,
    /// Accept an instance without secrets as empty.
    pub allow_empty: bool,
    /// Accept values that the identity may not read as missing. The snapshot still records them as missing.
    pub allow_partial: bool,
    /// Number of items read in parallel, at least 1. The client's pace applies to all of them together.
    pub concurrency: usize,
    /// Members that the operator supplies because no response contains them, for the items that each selects.
    pub overrides: Vec<Override>,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// zstd level of packs and catalogue parts.
    pub level: i32,
    /// Recorded in every entry: true if this process can open packs because the configuration accepts a recovery key
    /// here.
    pub recovery_key_on_collector: bool,
}

impl Default for CaptureOptions {
    /// Default: refresh within 7 days, suspect if more than a fifth is missing, 16 parallel reads.
    fn default() -> Self {
        Self {
            full: false,
            full_every: Duration::from_secs(7 * 24 * 3600),
            max_shrink: 0.2,
            allow_empty: false,
            allow_partial: false,
            concurrency: 16,
            overrides: Vec::new(),
            tags: Vec::new(),
            level: DEFAULT_LEVEL,
            recovery_key_on_collector: false,
        }
    }
}
