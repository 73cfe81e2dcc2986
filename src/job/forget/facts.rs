//! Facts that a retention policy needs about each snapshot.

use std::collections::BTreeMap;

use super::judge::Candidate;
use crate::format::policy::PolicySettings;
use crate::format::{Entry, EntryEvent, SnapshotEvent, names};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError, SKEW_MILLIS};

/// Time at which each entry was written, according to the store.
pub type StoredTimes = BTreeMap<Digest, Timestamp>;

/// Lists the times at which the entries were written.
///
/// # Errors
/// Errors of the store.
pub async fn stored_times(repository: &Repository) -> Result<StoredTimes, RepositoryError> {
    let listed = repository.store().list(names::LEDGER).await?;
    Ok(listed.iter().filter_map(|object| Some((names::parse_entry(&object.path)?.digest, object.modified))).collect())
}

/// Returns the live snapshots, oldest first.
#[must_use]
pub fn candidates(ledger: &Ledger, stored: &StoredTimes, now: Timestamp) -> Vec<Candidate> {
    let verified = newest_verified(ledger);
    let longest = ledger.policy();
    let longest = longest.map_or(PolicySettings::LONGEST_RUN_SECONDS, |policy| policy.settings.longest_run_seconds);
    let longest = i64::try_from(longest).unwrap_or(i64::MAX).saturating_mul(1_000);
    let candidate = |entry: &Entry| {
        let event = entry.snapshot()?;
        let times = SnapshotTimes { longest, now, written: stored.get(&entry.digest).copied() };
        let (time, stored) = times.of(ledger, entry, event);
        Some(Candidate {
            digest: entry.digest,
            sequence: entry.sequence,
            time,
            stored,
            good: ledger.is_good(entry),
            verified: verified == Some(entry.digest),
            pinned: ledger.holds().get(&entry.digest).map(|hold| hold.reason.clone()),
            tags: event.tags.clone(),
        })
    };
    ledger.live().filter_map(candidate).collect()
}

/// Returns the newest live, good snapshot that is covered by a valid, passed verification of its objects.
///
/// A verification of everything names the current heads and covers every snapshot below them; a verification of a
/// single snapshot names that snapshot. The two are indistinguishable if the only head was a snapshot. If that snapshot
/// is suspect, it is assumed to be the only one checked: keeping an older verified snapshot is safer than relying on
/// one that was never checked.
fn newest_verified(ledger: &Ledger) -> Option<Digest> {
    let passed = ledger.counted().filter_map(|entry| match &entry.event {
        EntryEvent::Verification(event) if event.passed && event.level != "ledger" => Some(&event.entries),
        _ => None,
    });
    let named: Vec<&Entry> = passed.flatten().filter_map(|digest| ledger.get(digest)).collect();
    let covers = |named: &Entry, snapshot: &Entry| {
        let below = named.snapshot().is_none() || ledger.is_good(named);
        named.digest == snapshot.digest || below && ledger.is_below(&snapshot.digest, &named.digest)
    };
    let mut good = ledger.live().rev().filter(|entry| ledger.is_good(entry));
    good.find(|snapshot| named.iter().any(|named| covers(named, snapshot))).map(|entry| entry.digest)
}

/// Inputs for determining the times of a snapshot.
struct SnapshotTimes {
    /// Longest run, in milliseconds.
    longest: i64,
    now: Timestamp,
    /// Time at which the store received its entry.
    written: Option<Timestamp>,
}

impl SnapshotTimes {
    /// Returns the time claimed by the snapshot, unless it is implausible, and the store's time if it differs.
    fn of(&self, ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> (Timestamp, Timestamp) {
        let parents = entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest));
        let mistimed = parents.into_iter().any(|parent| parent.time > entry.time)
            || entry.time.millis_since(self.now) > SKEW_MILLIS
            || !self.fits(event.time, entry.time);
        let claimed = if mistimed { self.written.unwrap_or(event.time.min(self.now)) } else { event.time };
        match self.written {
            Some(written) if !self.fits(claimed, written) => (claimed, written),
            _ => (claimed, claimed),
        }
    }

    /// Returns true if a run from `begun` to `ended` is plausible.
    fn fits(&self, begun: Timestamp, ended: Timestamp) -> bool {
        let took = ended.millis_since(begun);
        took >= -SKEW_MILLIS && took <= self.longest.saturating_add(SKEW_MILLIS)
    }
}
