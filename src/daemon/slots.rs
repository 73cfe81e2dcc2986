//! Which runs of a schedule the ledger shows.

use super::plan::Filled;
use crate::model::Timestamp;
use crate::repository::ledger::Ledger;

/// The newest slot of a job that an entry names, not later than `until`. Entries that do not count show nothing.
#[must_use]
pub fn newest_filled(ledger: &Ledger, job: &str, until: Timestamp) -> Option<Filled> {
    let named = ledger.counted().filter_map(|entry| Some((entry.due.as_ref()?, entry.time)));
    let of_job = named.filter(|(due, _)| due.job == job && due.at <= until);
    of_job
        .max_by(|(a, signed_a), (b, signed_b)| a.at.cmp(&b.at).then(signed_b.cmp(signed_a)))
        .map(|(due, signed)| Filled { at: due.at, lag_millis: signed.millis_since(due.at).max(0) })
}
