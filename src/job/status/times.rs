//! Determines which time of an entry is believed.
//!
//! An entry dated before a parent or in the future is mistimed: the time at which the store received it is used
//! instead.

use std::collections::HashMap;

use crate::format::{Entry, SnapshotEvent, names};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError, SKEW_MILLIS};

/// Times at which the store received each entry, by digest.
#[derive(Debug, Clone, Default)]
pub struct StoreTimes(HashMap<Digest, Timestamp>);

impl StoreTimes {
    /// Queries the store, with one listing.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn ask(repository: &Repository) -> Result<Self, RepositoryError> {
        let listed = repository.store().list(names::LEDGER).await?;
        Ok(Self::of(listed.iter().map(|object| (object.path.as_str(), object.modified))))
    }

    /// Creates the map from object paths and their modification times; ignores objects that are not entries.
    pub fn of<'a>(objects: impl IntoIterator<Item = (&'a str, Timestamp)>) -> Self {
        let entries = objects.into_iter().filter_map(|(path, at)| Some((names::parse_entry(path)?.digest, at)));
        Self(entries.collect())
    }

    fn get(&self, digest: &Digest) -> Option<Timestamp> {
        self.0.get(digest).copied()
    }
}

/// Returns true if the time of any valid entry is implausible.
pub(super) fn any_mistimed(ledger: &Ledger, now: Timestamp) -> bool {
    ledger.counted().any(|entry| is_mistimed(ledger, entry, now))
}

/// Returns true if an entry is dated before a parent, or in the future.
pub(super) fn is_mistimed(ledger: &Ledger, entry: &Entry, now: Timestamp) -> bool {
    let early =
        entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest)).any(|parent| parent.time > entry.time);
    let ahead = |time: Timestamp| time.millis_since(now) > SKEW_MILLIS;
    early || ahead(entry.time) || entry.snapshot().is_some_and(|event| ahead(event.time))
}

/// Returns the time from which a snapshot's recovery point counts; `None` if it is unknown.
pub(super) fn of_snapshot(
    ledger: &Ledger,
    entry: &Entry,
    event: &SnapshotEvent,
    now: Timestamp,
    stored: &StoreTimes,
) -> Option<Timestamp> {
    believed(ledger, entry, event.time, now, stored)
}

/// Returns the time of any other entry; if it is unknown, the claimed time, but never later than `now`.
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

/// Returns the whole seconds between two times; 0 if the second is not later.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.millis_since(from) / 1_000).unwrap_or(0)
}
