//! What a running job tells the terminal, the log, the metrics.

use std::fmt;

/// A stage of a job that can be drawn as one progress bar.
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

/// Something worth telling. Never holds a payload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JobEvent {
    /// A stage begins; `total` units are expected if known.
    Begin {
        /// The stage.
        stage: Stage,
        /// How many units it has, if known.
        total: Option<u64>,
    },
    /// So many more units of the stage are done.
    Advance {
        /// The stage.
        stage: Stage,
        /// Units done since the last such event.
        by: u64,
    },
    /// A stage is over.
    End {
        /// The stage.
        stage: Stage,
    },
    /// Something to know (a round, a retry, what a run builds on).
    Note(String),
    /// Something that the operator should look at.
    Warning(String),
}

/// Consumes events. Called from many tasks; must not block.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Takes one event.
    fn observe(&self, event: JobEvent);
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: JobEvent) {}
}
