//! Facts about snapshots: the newest, gaps between good ones, counts per day.

use super::facts::{Backups, Day, SnapshotFact};
use super::times::{self, StoreTimes, seconds_between};
use crate::format::snapshot::Finding;
use crate::format::{Entry, SnapshotEvent};
use crate::model::Timestamp;
use crate::repository::ledger::{Ledger, SnapshotState, Suspicion};

const DAY_MILLIS: i64 = 86_400_000;
/// Number of days in which the worst gap is searched.
const GAP_DAYS: i64 = 7;
/// Number of days reported individually.
const DAYS: i64 = 14;

/// A valid snapshot with its believed time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dated<'a> {
    pub(super) entry: &'a Entry,
    pub(super) event: &'a SnapshotEvent,
    pub(super) time: Option<Timestamp>,
    pub(super) good: bool,
    /// True if neither forgotten nor swept.
    pub(super) live: bool,
}

/// Returns the valid snapshots, by ascending sequence.
pub(super) fn dated<'a>(ledger: &'a Ledger, now: Timestamp, stored: &StoreTimes) -> Vec<Dated<'a>> {
    let snapshots = ledger.snapshots().into_iter();
    snapshots
        .filter_map(|entry| {
            let event = entry.snapshot()?;
            let time = times::of_snapshot(ledger, entry, event, now, stored);
            let live = ledger.is_live(&entry.digest);
            Some(Dated { entry, event, time, good: ledger.is_good(entry), live })
        })
        .collect()
}

pub(super) fn backups(ledger: &Ledger, snapshots: &[Dated<'_>], now: Timestamp) -> Backups {
    let latest = ledger.latest_good().map(|entry| entry.digest);
    let newest_good = snapshots.iter().find(|one| Some(one.entry.digest) == latest);
    let good_times: Vec<Timestamp> = snapshots.iter().filter(|one| one.good).filter_map(|one| one.time).collect();
    let fact = |one: &Dated<'_>| fact(ledger, one, now);
    let count = |wanted: &dyn Fn(&Dated<'_>) -> bool| snapshots.iter().filter(|one| wanted(one)).count() as u64;
    let forgotten = |one: &Dated<'_>| matches!(ledger.state(&one.entry.digest), Some(SnapshotState::Forgotten { .. }));
    let swept = |one: &Dated<'_>| matches!(ledger.state(&one.entry.digest), Some(SnapshotState::Swept { .. }));
    Backups {
        newest: snapshots.last().map(fact),
        newest_good: newest_good.map(fact),
        first_good: good_times.iter().min().copied(),
        // If the time of the newest one is unknown, use the previous one.
        achieved_rpo_seconds: snapshots
            .iter()
            .rfind(|one| one.good && one.live && one.time.is_some())
            .and_then(|one| one.time)
            .map(|time| seconds_between(time, now)),
        worst_gap_seconds: worst_gap(good_times, now),
        suspect_since: suspect_since(snapshots),
        good: count(&|one| one.live && one.good),
        suspect: count(&|one| one.live && !one.good),
        forgotten: count(&forgotten),
        swept: count(&swept),
        held: count(&|one| one.live && ledger.holds().contains_key(&one.entry.digest)),
        days: days(snapshots, now),
    }
}

fn fact(ledger: &Ledger, one: &Dated<'_>, now: Timestamp) -> SnapshotFact {
    let Dated { entry, event, time, good, .. } = one;
    SnapshotFact {
        digest: entry.digest,
        sequence: entry.sequence,
        time: *time,
        mistimed: times::is_mistimed(ledger, entry, now),
        cut: event.consistency.as_str(),
        items: event.items(),
        counts: event.items_by_kind(),
        classes: event.items_by_class(),
        packs: event.packs,
        sealed_bytes: event.sealed_bytes,
        suspect: if *good { Vec::new() } else { suspicions(ledger, entry, event) },
        hidden: event.hidden.clone(),
    }
}

/// Returns the reasons why a snapshot is suspect: from its entry, its policy and its base.
fn suspicions(ledger: &Ledger, entry: &Entry, event: &SnapshotEvent) -> Vec<String> {
    let others = ledger.suspicion(entry).filter(|why| !matches!(why, Suspicion::Own(_))).map(ToString::to_string);
    event.reasons.iter().map(Finding::sentence).chain(others).collect()
}

/// Returns the longest gap between two good recovery points, or until now, if it ends within the last seven days.
fn worst_gap(mut times: Vec<Timestamp>, now: Timestamp) -> Option<u64> {
    times.retain(|time| *time <= now);
    times.sort_unstable();
    let begin = now.plus_millis(-GAP_DAYS * DAY_MILLIS);
    let open = seconds_between(*times.last()?, now);
    let closed = times.windows(2).filter_map(|pair| match pair {
        // Only the part of a gap within the seven days counts.
        [earlier, later] if *later > begin => Some(seconds_between(*earlier.max(&begin), *later)),
        _ => None,
    });
    closed.chain([open]).max()
}

/// Returns the time of the first snapshot after the newest good one, or of the oldest snapshot if none is good.
fn suspect_since(snapshots: &[Dated<'_>]) -> Option<Timestamp> {
    let after = snapshots.iter().rposition(|one| one.good).map_or(0, |position| position + 1);
    snapshots.get(after..)?.iter().find_map(|one| one.time)
}

fn days(snapshots: &[Dated<'_>], now: Timestamp) -> Vec<Day> {
    let today = now.millis().div_euclid(DAY_MILLIS);
    let day_of = |one: &Dated<'_>| one.time.map(|time| time.millis().div_euclid(DAY_MILLIS));
    (today - DAYS + 1..=today)
        .map(|day| {
            let count =
                |good: bool| snapshots.iter().filter(|one| one.good == good && day_of(one) == Some(day)).count() as u64;
            Day { from: Timestamp::from_millis(day * DAY_MILLIS), good: count(true), suspect: count(false) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + hour * 3_600_000)
    }

    #[test]
    fn the_worst_gap_is_the_longest_one_the_open_one_included() {
        assert_eq!(worst_gap(vec![], at(0)), None);
        assert_eq!(worst_gap(vec![at(0), at(1), at(6)], at(7)), Some(5 * 3_600));
        assert_eq!(worst_gap(vec![at(0), at(1)], at(9)), Some(8 * 3_600), "nothing new for eight hours");
        assert_eq!(worst_gap(vec![at(6), at(1), at(0)], at(7)), Some(5 * 3_600), "the order does not matter");
    }

    #[test]
    fn gaps_of_last_month_are_over_and_one_that_reaches_in_counts_as_far_as_it_does() {
        let mut times = vec![at(-1_000), at(-500)];
        times.extend((-200..=0).map(at));
        assert_eq!(worst_gap(times, at(0)), Some(3_600));
        assert_eq!(worst_gap(vec![at(-1_000), at(-100), at(0)], at(0)), Some(100 * 3_600));
        assert_eq!(worst_gap(vec![at(-1_000), at(-1), at(0)], at(0)), Some(167 * 3_600));
    }
}
