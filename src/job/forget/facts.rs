//! What a policy has to know of each snapshot.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Candidate;
use crate::format::event::InitEvent;
use crate::format::{Entry, Event, SnapshotEvent, names};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError, SKEW_MILLIS};

/// When the store says that each entry was written.
pub type StoredTimes = BTreeMap<Digest, Timestamp>;

/// Asks the store when each entry was written.
///
/// # Errors
/// What the store answers.
pub async fn stored_times(repository: &Repository) -> Result<StoredTimes, RepositoryError> {
    let listed = repository.store().list(names::LEDGER).await?;
    Ok(listed.iter().filter_map(|object| Some((names::parse_entry(&object.path)?.1, object.modified))).collect())
}

/// The snapshots that are kept so far, oldest first.
#[must_use]
pub fn candidates(ledger: &Ledger, stored: &StoredTimes, now: Timestamp) -> Vec<Candidate> {
    let verified = verified(ledger);
    let longest = ledger.init().map_or(InitEvent::LONGEST_RUN_SECONDS, |init| init.longest_run_seconds);
    let longest = i64::try_from(longest).unwrap_or(i64::MAX).saturating_mul(1_000);
    let candidate = |entry: &Entry| {
        let event = entry.snapshot()?;
        let times = Times { longest, now, written: stored.get(&entry.digest).copied() };
        let (time, stored) = times.of(ledger, entry, event);
        Some(Candidate {
            digest: entry.digest,
            sequence: entry.sequence,
            time,
            stored,
            good: ledger.is_good(entry),
            verified: verified.contains(&entry.digest),
            pinned: ledger.pins().get(&entry.digest).map(|pin| pin.reason.clone()),
            tags: event.tags.clone(),
        })
    };
    ledger.live().filter_map(candidate).collect()
}

/// The snapshots that a verification names which counts, passed and looked at the objects.
fn verified(ledger: &Ledger) -> BTreeSet<Digest> {
    let passed = ledger.counted().filter_map(|entry| match &entry.event {
        Event::Verification(event) if event.passed && event.level != "ledger" => Some(&event.entries),
        _ => None,
    });
    // By its name, however the verification names it: a copy means the same.
    passed.flatten().filter_map(|digest| Some(ledger.get(digest)?.digest)).collect()
}

/// What the times of a snapshot are measured by.
struct Times {
    /// The longest run, in milliseconds.
    longest: i64,
    now: Timestamp,
    /// When the store says that its entry was written.
    written: Option<Timestamp>,
}

impl Times {
    /// When it was made: as it claims unless that cannot be, and as the store has it where that is something else.
    fn of(&self, ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> (Timestamp, Timestamp) {
        let parents = entry.parents.iter().filter_map(|parent| ledger.get(parent));
        let mistimed = parents.into_iter().any(|parent| parent.time > entry.time)
            || entry.time.millis_since(self.now) > SKEW_MILLIS
            || !self.fits(event.time, entry.time);
        let claimed = if mistimed { self.written.unwrap_or(event.time.min(self.now)) } else { event.time };
        match self.written {
            Some(written) if !self.fits(claimed, written) => (claimed, written),
            _ => (claimed, claimed),
        }
    }

    /// Whether a run that began at `begun` can have ended at `ended`.
    fn fits(&self, begun: Timestamp, ended: Timestamp) -> bool {
        let took = ended.millis_since(begun);
        took >= -SKEW_MILLIS && took <= self.longest.saturating_add(SKEW_MILLIS)
    }
}
