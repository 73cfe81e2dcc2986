//! The snapshot that a command means.

use super::failure::Failure;
use crate::format::Entry;
use crate::format::event::{Event, SnapshotEvent, Verdict};
use crate::model::Timestamp;
use crate::repository::find::{Wanted, find};
use crate::repository::ledger::Ledger;

/// Arguments of every command that reads one snapshot.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SnapshotArguments {
    /// `latest`, a sequence number, or the start of a digest
    #[arg(long, value_name = "SNAPSHOT", default_value = "latest")]
    snapshot: Wanted,
    /// The newest good snapshot that is not younger than this moment (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "snapshot")]
    at: Option<Timestamp>,
}

impl SnapshotArguments {
    /// What is asked for.
    pub(super) fn wanted(&self) -> Wanted {
        self.at.map_or_else(|| self.snapshot.clone(), Wanted::At)
    }
}

/// A snapshot with the entry that made it real.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) entry: Entry,
    pub(super) event: SnapshotEvent,
    pub(super) standing: Standing,
}

/// What a snapshot is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// Nothing looked wrong.
    Good,
    /// Something looked wrong.
    Suspect,
    /// Something looked wrong, and a custodian has accepted it.
    Accepted,
}

impl Standing {
    /// The word in tables.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Suspect => "suspect",
            Self::Accepted => "accepted",
        }
    }
}

/// The snapshot that is wanted.
///
/// # Errors
/// When none or more than one fits.
pub(super) fn pick(ledger: &Ledger, wanted: &Wanted) -> Result<Snapshot, Failure> {
    let (entry, event) = find(ledger, wanted)?;
    Ok(Snapshot { entry: entry.clone(), event: event.clone(), standing: standing(ledger, entry, event) })
}

/// Every snapshot that counts, oldest first.
pub(super) fn all(ledger: &Ledger) -> Vec<Snapshot> {
    let snapshots = ledger.snapshots().into_iter();
    snapshots
        .filter_map(|entry| match &entry.event {
            Event::Snapshot(event) => {
                let standing = standing(ledger, entry, event);
                Some(Snapshot { entry: entry.clone(), event: (**event).clone(), standing })
            }
            _ => None,
        })
        .collect()
}

fn standing(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Standing {
    match event.verdict {
        Verdict::Good => Standing::Good,
        Verdict::Suspect { .. } if ledger.accepted(&entry.digest) => Standing::Accepted,
        Verdict::Suspect { .. } => Standing::Suspect,
    }
}
