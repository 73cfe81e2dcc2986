//! What a capture is told.

use std::time::Duration;

use crate::crypto::seal::DEFAULT_LEVEL;
use crate::model::policies::Override;

/// How to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// Read everything and trust no earlier pack.
    pub full: bool,
    /// Every item is read again within this time, each at a moment of its own.
    pub full_every: Duration,
    /// The share of items, 0 to 1, whose absence makes a snapshot suspect.
    pub max_shrink: f64,
    /// Whether an instance without a single secret is taken for what it is.
    pub allow_empty: bool,
    /// Whether values that the identity may not read are accepted as missing. The snapshot says so all the same.
    pub allow_partial: bool,
    /// Items that are read side by side, at least 1; the client's pace holds for all of them together.
    pub concurrency: usize,
    /// Members that the operator supplies because no answer returns them, for the items that each selects.
    pub overrides: Vec<Override>,
    /// What the snapshot is tagged with.
    pub tags: Vec<String>,
    /// The zstd level of packs and catalogue parts.
    pub level: i32,
    /// Stated in every entry: this process may open packs, because the configuration accepts a recovery key here.
    pub recovery_key_on_collector: bool,
}

impl Default for CaptureOptions {
    /// Refresh within 7 days, suspect when more than a fifth is gone, 16 reads side by side.
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
