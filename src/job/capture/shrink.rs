//! Telling a deletion from a loss of sight.

use crate::model::Timestamp;

/// How far back the largest snapshot is looked for, in milliseconds.
const WINDOW: i64 = 7 * 24 * 3600 * 1000;
/// How many vanished items are asked for by id.
pub(super) const ASKED: usize = 20;

/// A snapshot of the past, as the guard sees it. In the order of the ledger.
#[derive(Debug, Clone, Copy)]
pub(super) struct PastSnapshot {
    /// Its time.
    pub(super) time: Timestamp,
    /// How many items it holds.
    pub(super) items: u64,
    /// Whether it was good when it was made.
    pub(super) good: bool,
    /// Whether it was suspect and the custodians accepted it.
    pub(super) accepted: bool,
    /// Whether its catalogue is gone for good, so that nothing can be compared with it.
    pub(super) swept: bool,
}

/// The snapshot that a listing is measured by: the largest good one of the last seven days, the newest of equals, or the
/// newest good one when there is none so young. An accepted snapshot ends the memory of all before it, also when it is
/// swept. One that was only forgotten counts like any other: who forgets a snapshot must not blind the guard.
pub(super) fn baseline(past: &[PastSnapshot], now: Timestamp) -> Option<usize> {
    let start = past.iter().rposition(|snapshot| snapshot.accepted).unwrap_or(0);
    let good = || {
        past.iter()
            .enumerate()
            .skip(start)
            .filter(|(_, snapshot)| !snapshot.swept && (snapshot.good || snapshot.accepted))
    };
    let young = good().filter(|(_, snapshot)| now.millis_since(snapshot.time) <= WINDOW);
    young.max_by_key(|(at, snapshot)| (snapshot.items, *at)).or_else(|| good().next_back()).map(|(at, _)| at)
}

/// Whether so many missing items of so many are more than the share `max_shrink`.
#[expect(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]
pub(super) fn too_few(missing: u64, of: u64, max_shrink: f64) -> bool {
    missing as f64 > max_shrink * of as f64
}

/// Up to [`ASKED`] places among `count`, spread evenly.
pub(super) fn sample(count: usize) -> impl Iterator<Item = usize> {
    let asked = count.min(ASKED);
    (0..asked).map(move |n| n * count / asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    fn past(day: i64, items: u64, good: bool, accepted: bool) -> PastSnapshot {
        PastSnapshot { time: Timestamp::from_millis(day * DAY), items, good, accepted, swept: false }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(100 * DAY)
    }

    #[test]
    fn the_largest_good_of_the_week_counts_and_of_equals_the_newest() {
        let all = [
            past(90, 900, true, false),
            past(95, 500, true, false),
            past(96, 500, true, false),
            past(97, 800, false, false),
            past(98, 400, true, false),
        ];
        assert_eq!(baseline(&all, now()), Some(2));
    }

    #[test]
    fn a_week_of_suspect_snapshots_does_not_make_them_the_measure() {
        let all = [past(80, 500, true, false), past(95, 10, false, false), past(99, 10, false, false)];
        assert_eq!(baseline(&all, now()), Some(0));
    }

    #[test]
    fn what_was_swept_is_no_measure_and_still_ends_the_memory_when_it_was_accepted() {
        let swept = |past: PastSnapshot| PastSnapshot { swept: true, ..past };
        let largest_gone = [past(97, 500, true, false), swept(past(98, 900, true, false)), past(99, 400, true, false)];
        assert_eq!(baseline(&largest_gone, now()), Some(0));
        let accepted_gone = [past(97, 500, true, false), swept(past(98, 10, false, true)), past(99, 11, true, false)];
        assert_eq!(baseline(&accepted_gone, now()), Some(2));
    }

    #[test]
    fn what_somebody_accepted_is_the_new_measure() {
        let all = [past(98, 500, true, false), past(99, 10, false, true), past(99, 11, true, false)];
        assert_eq!(baseline(&all, now()), Some(2));
        assert_eq!(baseline(&all[..2], now()), Some(1));
        assert_eq!(baseline(&[], now()), None);
    }

    #[test]
    fn a_fifth_is_allowed_and_one_more_is_not() {
        assert!(!too_few(20, 100, 0.2));
        assert!(too_few(21, 100, 0.2));
        assert!(!too_few(0, 0, 0.2));
        assert!(!too_few(5, 5, 1.0));
    }

    #[test]
    fn at_most_twenty_are_asked_for_all_over_what_vanished() {
        assert_eq!(sample(3).collect::<Vec<_>>(), [0, 1, 2]);
        let many: Vec<_> = sample(1_000).collect();
        assert_eq!((many.len(), many[0], many[19]), (20, 0, 950));
        assert_eq!(sample(0).count(), 0);
    }
}
