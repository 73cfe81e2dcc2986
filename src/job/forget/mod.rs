//! Forgetting snapshots, by a policy or by hand, and undoing that. Nothing is deleted here: a sweep does that, once the
//! grace is over.

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

/// What a policy makes of one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotDecision {
    /// The snapshot.
    pub snapshot: Candidate,
    /// Why it is kept; nothing when it is forgotten.
    pub reasons: Vec<KeepReason>,
}

/// What a policy makes of all snapshots that are kept so far, oldest first.
///
/// `now` is the store's clock where it has one.
///
/// # Errors
/// [`ForgetError::EmptyPolicy`] when no rule keeps anything.
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

/// Checks that these may be forgotten by hand: each is kept so far, and none is what is never forgotten.
///
/// # Errors
/// [`ForgetError::NotLive`] or [`ForgetError::Guarded`], naming the first that may not.
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

/// What was forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct ForgottenSnapshots {
    /// The entries that say so.
    pub entries: Vec<Entry>,
    /// What went wrong beside them.
    pub warnings: Vec<String>,
    /// Snapshots that were held in the same moment: their forgetting was undone.
    pub undone: Vec<Digest>,
    /// Until then at least all of it can be undone.
    pub undo_until: Timestamp,
}

/// Signs that these snapshots are forgotten. More than [`SNAPSHOTS_AN_ENTRY`] take several entries.
///
/// # Errors
/// What the repository answers; of several entries, the first ones may have been written.
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
    // A hold that was signed while this entry was on its way did not see it, and it did not see the hold: the hold wins.
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

/// Signs that these snapshots are kept after all, and looks again: a sweep may have been faster.
///
/// # Errors
/// [`ForgetError::NotForgotten`] when one is not forgotten; [`ForgetError::TooLate`] when one was swept, before or
/// meanwhile; what the repository answers.
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

/// How long a snapshot stays after it was forgotten, in milliseconds, as the trust policy says.
#[must_use]
pub fn grace_millis(ledger: &Ledger) -> i64 {
    let seconds = ledger.policy().map_or(PolicySettings::GRACE_SECONDS, |policy| policy.settings.grace_seconds);
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

/// The store's present, or this host's where the store shows none.
#[must_use]
pub fn now_of(repository: &Repository, clock: &dyn Clock) -> Timestamp {
    repository.store().clock().unwrap_or_else(|| clock.now())
}

fn draft(writer: &EntryWriter, tool: &str, event: EntryEvent) -> Draft {
    Draft { time: writer.clock.now(), tool: tool.to_owned(), event }
}
