//! The snapshot that a command means.

use super::failure::Failure;
use super::printer::Printer;
use crate::format::Entry;
use crate::format::event::{SnapshotEvent, Verdict};
use crate::model::Timestamp;
use crate::repository::find::{Wanted, find};
use crate::repository::ledger::{Ledger, Life};

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
    pub(super) life: Life,
    /// Why it is kept whatever the policy says.
    pub(super) pinned: Option<String>,
}

impl Snapshot {
    /// The word for its life.
    pub(super) const fn life_word(&self) -> &'static str {
        match self.life {
            Life::Live => "live",
            Life::Forgotten { .. } => "forgotten",
            Life::Swept { .. } => "swept",
        }
    }
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
    Ok(of(ledger, entry, event))
}

/// As [`pick`], for a command that reads what is in it: warns when it is not kept any more.
///
/// # Errors
/// When none or more than one fits.
pub(super) fn pick_to_read(printer: &Printer, ledger: &Ledger, wanted: &Wanted) -> Result<Snapshot, Failure> {
    let found = pick(ledger, wanted)?;
    let sequence = found.entry.sequence;
    match &found.life {
        Life::Live => {}
        Life::Forgotten { rule, .. } => printer.warning(&format!(
            "snapshot {sequence} was forgotten ({rule}): a sweep may delete it; `keyhaven forget --undo {sequence} \
             --reason …` keeps it"
        )),
        Life::Swept { .. } => printer.warning(&format!(
            "snapshot {sequence} was swept: what only it needed is gone, as far as the bucket let it be deleted"
        )),
    }
    Ok(found)
}

/// Every snapshot that counts, oldest first; also those that were forgotten or swept.
pub(super) fn all(ledger: &Ledger) -> Vec<Snapshot> {
    let snapshots = ledger.snapshots().into_iter();
    snapshots.filter_map(|entry| Some(of(ledger, entry, entry.snapshot()?))).collect()
}

/// Every snapshot that is kept, oldest first.
pub(super) fn live(ledger: &Ledger) -> Vec<Snapshot> {
    ledger.live().filter_map(|entry| Some(of(ledger, entry, entry.snapshot()?))).collect()
}

fn of(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Snapshot {
    Snapshot {
        entry: entry.clone(),
        event: event.clone(),
        standing: standing(ledger, entry, event),
        life: ledger.life(&entry.digest).unwrap_or(Life::Live),
        pinned: ledger.pins().get(&entry.digest).map(|pin| pin.reason.clone()),
    }
}

fn standing(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Standing {
    match event.verdict {
        Verdict::Good => Standing::Good,
        Verdict::Suspect { .. } if ledger.accepted(&entry.digest) => Standing::Accepted,
        Verdict::Suspect { .. } => Standing::Suspect,
    }
}
