//! The snapshot that a command means.

use super::failure::Failure;
use super::printer::Printer;
use crate::format::snapshot::Finding;
use crate::format::{Entry, SnapshotEvent};
use crate::model::Timestamp;
use crate::repository::find::{SnapshotQuery, find};
use crate::repository::ledger::{Ledger, SnapshotState};

/// Arguments of every command that reads one snapshot.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SnapshotArguments {
    /// `latest`, a sequence number, or the start of a digest
    #[arg(long, value_name = "SNAPSHOT", default_value = "latest")]
    snapshot: SnapshotQuery,
    /// The newest good snapshot taken at or before this time (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "snapshot")]
    at: Option<Timestamp>,
}

impl SnapshotArguments {
    /// The requested snapshot.
    pub(super) fn wanted(&self) -> SnapshotQuery {
        self.at.map_or_else(|| self.snapshot.clone(), SnapshotQuery::At)
    }
}

/// A snapshot with the entry that made it real.
#[derive(Debug, Clone)]
pub(super) struct OpenedSnapshot {
    pub(super) entry: Entry,
    pub(super) event: SnapshotEvent,
    pub(super) judgement: SnapshotVerdict,
    /// Why it is suspect, whether that was accepted or not.
    pub(super) suspect: Vec<String>,
    pub(super) state: SnapshotState,
    /// True if it is by an ended key and cannot be judged, because entries are missing.
    pub(super) unproven: bool,
    /// Why it is held.
    pub(super) held: Option<String>,
}

impl OpenedSnapshot {
    /// The word for its state.
    pub(super) const fn state_word(&self) -> &'static str {
        match self.state {
            SnapshotState::Live => "live",
            SnapshotState::Forgotten { .. } => "forgotten",
            SnapshotState::Swept { .. } => "swept",
        }
    }
}

/// Whether a snapshot is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SnapshotVerdict {
    /// Not suspect.
    Good,
    /// Something makes it suspect.
    Suspect,
    /// Something makes it suspect, and the custodians accept it.
    Accepted,
}

impl SnapshotVerdict {
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
pub(super) fn pick(ledger: &Ledger, wanted: &SnapshotQuery) -> Result<OpenedSnapshot, Failure> {
    let (entry, event) = find(ledger, wanted)?;
    Ok(of(ledger, entry, event))
}

/// As [`pick`], for a command that reads what is in it: warns when it is not kept any more.
///
/// # Errors
/// When none or more than one fits.
pub(super) fn pick_to_read(
    printer: &Printer,
    ledger: &Ledger,
    wanted: &SnapshotQuery,
) -> Result<OpenedSnapshot, Failure> {
    let found = pick(ledger, wanted)?;
    let sequence = found.entry.sequence;
    if found.unproven {
        printer.warning(&format!(
            "snapshot {sequence} is unproven: its key has ended, and entries that would show whether it counts are missing"
        ));
    }
    match &found.state {
        SnapshotState::Live => {}
        SnapshotState::Forgotten { rule, .. } => printer.warning(&format!(
            "snapshot {sequence} was forgotten ({rule}): a sweep may delete it; `keyhaven forget --undo {sequence} \
             --reason …` keeps it"
        )),
        SnapshotState::Swept { .. } => printer.warning(&format!(
            "snapshot {sequence} was swept: what only it needed is gone, as far as the bucket let it be deleted"
        )),
    }
    Ok(found)
}

/// Every snapshot that counts, oldest first; also those that were forgotten or swept.
pub(super) fn all(ledger: &Ledger) -> Vec<OpenedSnapshot> {
    let snapshots = ledger.snapshots().into_iter();
    snapshots.filter_map(|entry| Some(of(ledger, entry, entry.snapshot()?))).collect()
}

/// Every snapshot that is kept, oldest first.
pub(super) fn live(ledger: &Ledger) -> Vec<OpenedSnapshot> {
    ledger.live().filter_map(|entry| Some(of(ledger, entry, entry.snapshot()?))).collect()
}

fn of(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> OpenedSnapshot {
    let state = ledger.state(&entry.digest);
    let mut suspect: Vec<String> = event.reasons.iter().map(Finding::sentence).collect();
    let suspicion = ledger.suspicion(entry).map(ToString::to_string);
    suspect.extend(suspicion.filter(|_| event.reasons.is_empty()));
    OpenedSnapshot {
        entry: entry.clone(),
        event: event.clone(),
        judgement: judgement(ledger, entry),
        suspect,
        unproven: state.is_none(),
        state: state.unwrap_or(SnapshotState::Live),
        held: ledger.holds().get(&entry.digest).map(|hold| hold.reason.clone()),
    }
}

fn judgement(ledger: &Ledger, entry: &Entry) -> SnapshotVerdict {
    match ledger.is_good(entry) {
        true if ledger.accepted(&entry.digest) => SnapshotVerdict::Accepted,
        true => SnapshotVerdict::Good,
        false => SnapshotVerdict::Suspect,
    }
}
