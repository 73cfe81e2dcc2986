//! Scheduled runs that the ledger shows.

use super::plan::CompletedSlot;
use crate::model::Timestamp;
use crate::repository::ledger::Ledger;

/// Returns the newest slot of a job that an entry names, due at or before `until`. Ignores entries that do not count.
#[must_use]
pub fn newest_filled(ledger: &Ledger, job: &str, until: Timestamp) -> Option<CompletedSlot> {
    let of_job = || {
        let named = ledger.counted().filter_map(|entry| Some((entry.due.as_ref()?, entry)));
        named.filter(|(due, _)| due.job == job && due.at <= until)
    };
    let at = of_job().map(|(due, _)| due.at).max()?;
    let mut of_slot = of_job().filter(|(due, _)| due.at == at).map(|(_, entry)| entry);
    let first = of_slot.next()?;
    // Use the start of the snapshot's cut. Measured from the due time, a run that was caught up would seem to take
    // hours.
    let took = first.snapshot().map_or(0, |snapshot| first.time.millis_since(snapshot.from));
    Some(CompletedSlot { at, took_millis: took.max(0), contested: of_slot.next().is_some() })
}
