//! Which moment is believed.
//!
//! An entry whose time precedes a parent's or lies ahead of the present is mistimed: the moment at which the store got it
//! takes its place.

use std::collections::HashMap;

use crate::format::{Entry, SnapshotEvent, names};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError, SKEW_MILLIS};

/// When the store got each entry, by its digest.
#[derive(Debug, Clone, Default)]
pub struct StoreTimes(HashMap<Digest, Timestamp>);

impl StoreTimes {
    /// Asks the store, with one listing.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn ask(repository: &Repository) -> Result<Self, RepositoryError> {
        let listed = repository.store().list(names::LEDGER).await?;
        Ok(Self::of(listed.iter().map(|object| (object.path.as_str(), object.modified))))
    }

    /// From the paths of objects and when they were written; what is no entry is passed over.
    pub fn of<'a>(objects: impl IntoIterator<Item = (&'a str, Timestamp)>) -> Self {
        let entries = objects.into_iter().filter_map(|(path, at)| Some((names::parse_entry(path)?.digest, at)));
        Self(entries.collect())
    }

    fn get(&self, digest: &Digest) -> Option<Timestamp> {
        self.0.get(digest).copied()
    }
}

/// Whether the time of an entry that counts cannot be believed.
pub(super) fn any_mistimed(ledger: &Ledger, now: Timestamp) -> bool {
    ledger.counted().any(|entry| is_mistimed(ledger, entry, now))
}

/// Whether an entry claims to be older than a parent, or to come from the future.
pub(super) fn is_mistimed(ledger: &Ledger, entry: &Entry, now: Timestamp) -> bool {
    let early =
        entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest)).any(|parent| parent.time > entry.time);
    let ahead = |time: Timestamp| time.millis_since(now) > SKEW_MILLIS;
    early || ahead(entry.time) || entry.snapshot().is_some_and(|event| ahead(event.time))
}

/// The moment from which a snapshot's recovery point counts; `None` when that cannot be known.
pub(super) fn of_snapshot(
    ledger: &Ledger,
    entry: &Entry,
    event: &SnapshotEvent,
    now: Timestamp,
    stored: &StoreTimes,
) -> Option<Timestamp> {
    believed(ledger, entry, event.time, now, stored)
}

/// The moment of any other entry; where that cannot be known, what it says, but never after `now`.
pub(super) fn of_entry(ledger: &Ledger, entry: &Entry, now: Timestamp, stored: &StoreTimes) -> Timestamp {
    believed(ledger, entry, entry.time, now, stored).unwrap_or(now)
}

fn believed(ledger: &Ledger, entry: &Entry, time: Timestamp, now: Timestamp, stored: &StoreTimes) -> Option<Timestamp> {
    if !is_mistimed(ledger, entry, now) {
        return Some(time);
    }
    let believable = time.millis_since(now) <= SKEW_MILLIS;
    stored.get(&entry.digest).or(believable.then_some(time))
}

/// Whole seconds from one moment to a later one; 0 when it is not later.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.millis_since(from) / 1_000).unwrap_or(0)
}
