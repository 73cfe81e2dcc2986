//! Periodic refresh: when an unchanged item is read again.

use crate::crypto::digest::sha256;
use crate::model::{ItemKey, Timestamp};

/// Returns true if the refresh of an item is due. Each item has its own time in every period of `full_every`
/// milliseconds; it is due if one of these lies after `read_at` and at or before `now`.
///
/// The time within the period follows from a hash of the key, which spreads the refreshes of an instance evenly instead
/// of reading everything in one night. An item that was never read is due.
pub(super) fn due(key: &ItemKey, read_at: Option<Timestamp>, now: Timestamp, full_every: i64) -> bool {
    let Some(read_at) = read_at else { return true };
    let period = full_every.max(1);
    let own = own_moment(key, period);
    let passed = |at: Timestamp| at.millis().saturating_sub(own).div_euclid(period);
    passed(now) > passed(read_at)
}

/// Returns the offset of an item's refresh time within the period, in milliseconds.
fn own_moment(key: &ItemKey, period: i64) -> i64 {
    let digest = sha256(key.as_str().as_bytes());
    let number = digest.as_bytes().iter().take(7).fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    number.rem_euclid(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;
    const WEEK: i64 = 7 * DAY;

    fn key(n: u32) -> ItemKey {
        format!("secret/{n}").parse().unwrap()
    }

    #[test]
    fn every_item_is_due_once_in_a_period_and_a_seventh_of_them_a_day() {
        let read = Timestamp::from_millis(1_800_000_000_000);
        for n in 0..200 {
            assert!(due(&key(n), Some(read), read.plus_millis(WEEK), WEEK));
            assert!(!due(&key(n), Some(read), read, WEEK));
        }
        let in_a_day = (0..7_000).filter(|n| due(&key(*n), Some(read), read.plus_millis(DAY), WEEK)).count();
        assert!((900..1_100).contains(&in_a_day), "{in_a_day} of 7,000 on one day of seven");
    }

    #[test]
    fn what_was_read_at_its_moment_rests_for_the_whole_period() {
        let own = own_moment(&key(1), WEEK);
        let moment = Timestamp::from_millis(own + 100 * WEEK);
        assert!(due(&key(1), Some(moment.plus_millis(-1)), moment, WEEK));
        assert!(!due(&key(1), Some(moment), moment.plus_millis(WEEK - 1), WEEK));
        assert!(due(&key(1), Some(moment), moment.plus_millis(WEEK), WEEK));
        assert!(due(&key(1), None, moment, WEEK));
    }
}
