//! Forgets snapshots, by policy or by hand, and undoes that. Deletes nothing: a sweep does, once the grace period is
//! over.

mod error;
mod facts;
mod judge;
mod policy;

use std::collections::BTreeSet;

pub use error::ForgetError;
pub use facts::{StoredTimes, candidates, stored_times};
pub use judge::{Candidate, KeepReason, guarded, judge};
pub use policy::{Period, Policy};

use crate::format::event::{ForgetEvent, SNAPSHOTS_AN_ENTRY, SnapshotsEvent};
use crate::format::policy::PolicySettings;
use crate::format::{Draft, Entry, EntryEvent};
use crate::model::{Clock, Digest, Timestamp};
use crate::repository::ledger::{Ledger, SnapshotState};
use crate::repository::{Committed, EntryWriter, Repository};

/// Decision of a policy about one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotDecision {
    /// The snapshot.
    pub snapshot: Candidate,
    /// Reasons to keep it; empty if it is forgotten.
    pub reasons: Vec<KeepReason>,
}

/// Applies a policy to all live snapshots, oldest first.
///
/// `now` is the store's time if it has a clock.
///
/// # Errors
/// [`ForgetError::EmptyPolicy`] if no rule keeps anything.
pub fn decide(
    ledger: &Ledger,
    stored: &StoredTimes,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<SnapshotDecision>, ForgetError> {
    if policy.is_empty() {
        return Err(ForgetError::EmptyPolicy);
    }
    let candidates = candidates(ledger, stored, now);
    let reasons = judge(policy, &candidates, now);
    Ok(candidates.into_iter().zip(reasons).map(|(snapshot, reasons)| SnapshotDecision { snapshot, reasons }).collect())
}

/// Checks that snapshots may be forgotten by hand: each is live, and none is protected.
///
/// # Errors
/// [`ForgetError::NotLive`] or [`ForgetError::Guarded`] for the first snapshot that must not be forgotten.
pub fn check_by_hand(
    ledger: &Ledger,
    stored: &StoredTimes,
    chosen: &[Digest],
    now: Timestamp,
) -> Result<(), ForgetError> {
    let candidates = candidates(ledger, stored, now);
    let guarded = guarded(&candidates);
    for digest in chosen {
        let at = candidates.iter().position(|candidate| candidate.digest == *digest);
        let Some((candidate, reasons)) = at.and_then(|at| Some((candidates.get(at)?, guarded.get(at)?))) else {
            return Err(not_live(ledger, digest));
        };
        if let Some(reason) = reasons.first() {
            return Err(ForgetError::Guarded { sequence: candidate.sequence, reason: reason.to_string() });
        }
    }
    Ok(())
}

fn not_live(ledger: &Ledger, digest: &Digest) -> ForgetError {
    let sequence = ledger.get(digest).map_or(0, |entry| entry.sequence);
    let state = match ledger.state(digest) {
        Some(SnapshotState::Forgotten { .. }) => "forgotten already",
        Some(SnapshotState::Swept { .. }) => "swept already",
        Some(SnapshotState::Live) | None => "no snapshot that counts",
    };
    ForgetError::NotLive { sequence, state }
}

/// Result of forgetting snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct ForgottenSnapshots {
    /// Ledger entries written.
    pub entries: Vec<Entry>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Snapshots that were held concurrently, so that forgetting them was undone.
    pub undone: Vec<Digest>,
    /// Time until which everything can at least be undone.
    pub undo_until: Timestamp,
}

/// Signs entries that forget these snapshots; more than [`SNAPSHOTS_AN_ENTRY`] need several entries.
///
/// # Errors
/// Errors of the repository. Some of the entries may already have been written.
pub async fn forget_snapshots(
    repository: &Repository,
    writer: &EntryWriter,
    tool: &str,
    snapshots: &[Digest],
    rule: &str,
) -> Result<ForgottenSnapshots, ForgetError> {
    let (mut entries, mut warnings) = (Vec::new(), Vec::new());
    for some in snapshots.chunks(SNAPSHOTS_AN_ENTRY) {
        let change = EntryEvent::Forget(ForgetEvent { snapshots: some.to_vec(), rule: rule.to_owned() });
        let done = repository.commit(writer, draft(writer, tool, change)).await?;
        entries.push(done.entry.clone());
        warnings.extend(done.into_warnings());
    }
    let grace = repository.read_ledger().await?;
    let undo_until = now_of(repository, &*writer.clock).plus_millis(grace_millis(&grace));
    // A hold signed concurrently and this entry did not see each other: the hold wins.
    let pinned: Vec<Digest> = snapshots.iter().filter(|one| grace.holds().contains_key(one)).copied().collect();
    if !pinned.is_empty() {
        let reason = "held while it was forgotten".to_owned();
        let change = EntryEvent::Undo(SnapshotsEvent { snapshots: pinned.clone(), reason });
        let done = repository.commit(writer, draft(writer, tool, change)).await?;
        entries.push(done.entry.clone());
        warnings.extend(done.into_warnings());
    }
    Ok(ForgottenSnapshots { entries, warnings, undone: pinned, undo_until })
}

/// Signs entries that undo the forgetting of these snapshots, then checks that no sweep came first.
///
/// # Errors
/// [`ForgetError::NotForgotten`] if one is not forgotten; [`ForgetError::TooLate`] if one was swept, before or
/// meanwhile; errors of the repository.
pub async fn undo_forget(
    repository: &Repository,
    writer: &EntryWriter,
    tool: &str,
    snapshots: &[Digest],
    reason: &str,
) -> Result<Committed, ForgetError> {
    let ledger = repository.read_ledger().await?;
    swept(&ledger, snapshots)?;
    if let Some(digest) = snapshots.iter().find(|digest| ledger.is_live(digest) || ledger.state(digest).is_none()) {
        let sequence = ledger.get(digest).map_or(0, |entry| entry.sequence);
        return Err(ForgetError::NotForgotten { sequence });
    }
    let snapshots: Vec<Digest> = snapshots.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut last = None;
    for some in snapshots.chunks(SNAPSHOTS_AN_ENTRY) {
        let change = EntryEvent::Undo(SnapshotsEvent { snapshots: some.to_vec(), reason: reason.to_owned() });
        last = Some(repository.commit(writer, draft(writer, tool, change)).await?);
    }
    swept(&repository.read_ledger().await?, &snapshots)?;
    last.ok_or(ForgetError::NothingNamed)
}

fn swept(ledger: &Ledger, snapshots: &[Digest]) -> Result<(), ForgetError> {
    let gone = snapshots.iter().filter(|digest| matches!(ledger.state(digest), Some(SnapshotState::Swept { .. })));
    let sequences: Vec<u64> = gone.filter_map(|digest| Some(ledger.get(digest)?.sequence)).collect();
    match sequences.is_empty() {
        true => Ok(()),
        false => Err(ForgetError::TooLate { sequences }),
    }
}

/// Returns the grace period in milliseconds between forget and sweep, from the trust policy.
#[must_use]
pub fn grace_millis(ledger: &Ledger) -> i64 {
    let seconds = ledger.policy().map_or(PolicySettings::GRACE_SECONDS, |policy| policy.settings.grace_seconds);
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

/// Returns the store's time, or this host's if the store shows none.
#[must_use]
pub fn now_of(repository: &Repository, clock: &dyn Clock) -> Timestamp {
    repository.store().clock().unwrap_or_else(|| clock.now())
}

fn draft(writer: &EntryWriter, tool: &str, event: EntryEvent) -> Draft {
    Draft { time: writer.clock.now(), tool: tool.to_owned(), event }
}
