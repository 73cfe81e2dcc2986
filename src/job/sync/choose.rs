//! Chooses the snapshot for a standby. Pure.
//!
//! Corruption of the source must not propagate at once, so only a snapshot of some age is used. Its age counts from the
//! latest of several times that a collector cannot all choose: the end of its cut, its entry's time, and the times of
//! the entry's parents. A collector that backdates a snapshot gains nothing beyond its last honest neighbour.

use crate::format::{Entry, SnapshotEvent};
use crate::model::Timestamp;
use crate::repository::ledger::Ledger;

/// Choice of a snapshot for a standby.
#[derive(Debug)]
pub enum SyncChoice<'a> {
    /// The newest good snapshot that is old enough.
    Take(&'a Entry, &'a SnapshotEvent),
    /// Time at which the oldest good snapshot becomes old enough.
    Wait(Timestamp),
    /// There is no good snapshot.
    None,
}

/// Returns the newest live snapshot that is good or accepted and at least `delay_millis` old; `now` is this host's
/// clock.
#[must_use]
pub fn choose(ledger: &Ledger, now: Timestamp, delay_millis: i64) -> SyncChoice<'_> {
    let good = ledger.live().rev().filter(|entry| ledger.is_good(entry));
    let mut soonest: Option<Timestamp> = None;
    for entry in good {
        let Some(event) = entry.snapshot() else { continue };
        let ripe = latest_time(ledger, entry, event).plus_millis(delay_millis);
        if ripe <= now {
            return SyncChoice::Take(entry, event);
        }
        soonest = Some(soonest.map_or(ripe, |other| other.min(ripe)));
    }
    soonest.map_or(SyncChoice::None, SyncChoice::Wait)
}

/// Returns the latest time that dates a snapshot.
fn latest_time(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Timestamp {
    let parents = entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest)).map(|parent| parent.time);
    parents.chain([entry.time, event.to]).max().unwrap_or(entry.time)
}
