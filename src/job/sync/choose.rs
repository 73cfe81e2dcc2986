//! Which snapshot a standby is brought to. Pure.
//!
//! A corruption of the source must not travel at once, so only a snapshot of some age is taken. Its age counts from the
//! latest of the times that it cannot choose alone: the end of its cut, its entry's own time, and those of its parents. A
//! collector that dates a snapshot back gains nothing beyond its last honest neighbour.

use crate::format::{Entry, SnapshotEvent};
use crate::model::Timestamp;
use crate::repository::ledger::Ledger;

/// What there is to bring into a standby.
#[derive(Debug)]
pub enum SyncChoice<'a> {
    /// This snapshot: the newest good one that is old enough.
    Take(&'a Entry, &'a SnapshotEvent),
    /// The oldest good one becomes old enough then.
    Wait(Timestamp),
    /// There is no good snapshot.
    None,
}

/// The newest snapshot that is kept, that is good, or was accepted, and at least `delay_millis` old; `now` is this host's clock.
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

/// The latest time that speaks for a snapshot.
fn latest_time(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Timestamp {
    let parents = entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest)).map(|parent| parent.time);
    parents.chain([entry.time, event.to]).max().unwrap_or(entry.time)
}
