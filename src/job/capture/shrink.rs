//! Tells deleted items from items that are no longer visible.

use crate::model::Timestamp;

/// Age in milliseconds up to which the largest snapshot is used for comparison.
const WINDOW: i64 = 7 * 24 * 3600 * 1000;
/// Maximum number of vanished items that are requested by id.
pub(super) const ASKED: usize = 20;

/// A past snapshot, as the guard sees it, in ledger order.
#[derive(Debug, Clone, Copy)]
pub(super) struct PastSnapshot {
    pub(super) time: Timestamp,
    /// Number of items.
    pub(super) items: u64,
    /// True if it was good when it was made.
    pub(super) good: bool,
    /// True if it was suspect and custodians accepted it.
    pub(super) accepted: bool,
    /// True if its catalogue was swept, so that nothing can be compared with it.
    pub(super) swept: bool,
}

/// Returns the snapshot that a listing is compared with: the largest good one of the last seven days (the newest among
/// equals), otherwise the newest good one. Snapshots before an accepted one are ignored, even if the accepted one is
/// swept. Forgotten snapshots still count: forgetting a snapshot must not disable the guard.
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

/// Returns true if the share of missing items exceeds `max_shrink`.
#[expect(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]
pub(super) fn too_few(missing: u64, of: u64, max_shrink: f64) -> bool {
    missing as f64 > max_shrink * of as f64
}

/// Returns up to [`ASKED`] indexes below `count`, evenly spaced.
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
