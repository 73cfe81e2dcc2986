//! Events that a running job emits for the terminal, the log and the metrics.

use std::fmt;

/// A stage of a job, shown as one progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Listing the instance.
    List,
    /// Reading payloads.
    Read,
    /// Sealing and uploading packs and catalogue parts.
    Upload,
    /// Checking ledger entries.
    CheckEntries,
    /// Checking objects.
    CheckObjects,
    /// Opening catalogue parts.
    CheckCatalogue,
    /// Opening packs.
    CheckPayloads,
    /// Comparing a snapshot with an instance.
    Compare,
    /// Applying a plan.
    Apply,
}

/// An event of a job. Never contains a payload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JobEvent {
    /// A stage begins; `total` units are expected if known.
    Begin {
        /// The stage.
        stage: Stage,
        /// Total number of units, if known.
        total: Option<u64>,
    },
    /// More units of the stage are done.
    Advance {
        /// The stage.
        stage: Stage,
        /// Number of units since the last such event.
        by: u64,
    },
    /// A stage ends.
    End {
        /// The stage.
        stage: Stage,
    },
    /// Information (a round, a retry, the base of a run).
    Note(String),
    /// A warning for the operator.
    Warning(String),
}

/// Consumes events. Called from many tasks; must not block.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Handles one event.
    fn observe(&self, event: JobEvent);
}

/// Observer that ignores all events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: JobEvent) {}
}
