//! Delay of a run after its due time, so that many hosts do not start at once.

use std::time::Duration;

use crate::model::Timestamp;

/// A delay from nothing up to `most` (both included, to the millisecond), spread evenly over jobs, moments and hosts.
///
/// By hash, not by chance: the same job and moment with the same `salt` always give the same, so that a restarted
/// daemon neither waits anew nor starts early. `salt` is what differs between hosts. The hash is ours (FNV-1a, finished
/// by MurmurHash3's mixer) because that of the standard library may change with the compiler.
#[must_use]
pub fn jitter(job: &str, at: Timestamp, salt: &str, most: Duration) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    // Lengths in front, or `a` + `bc` would be `ab` + `c`.
    for text in [job, salt] {
        take(&(text.len() as u64).to_be_bytes());
        take(text.as_bytes());
    }
    take(&at.millis().to_be_bytes());
    // The high half of a product: no bias worth naming, and no division.
    let share = (u128::from(mixed(hash)) * (u128::from(most) + 1)) >> 64;
    Duration::from_millis(u64::try_from(share).unwrap_or(most))
}

/// Spreads every bit over all others: FNV-1a leaves the high bits of similar texts alike.
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(300);

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(1_780_000_000_000 + hour * 3_600_000)
    }

    #[test]
    fn it_is_the_same_in_every_build() {
        // A fixed value: a change of the hash would move every run of every host at once.
        assert_eq!(jitter("nightly", at(0), "host-a", MOST).as_millis(), 30_716);
    }

    #[test]
    fn job_moment_and_host_each_make_a_difference() {
        let one = jitter("nightly", at(0), "host-a", MOST);
        assert_eq!(one, jitter("nightly", at(0), "host-a", MOST));
        assert_ne!(one, jitter("nightly", at(0), "host-b", MOST));
        assert_ne!(one, jitter("nightly", at(1), "host-a", MOST));
        assert_ne!(one, jitter("hourly", at(0), "host-a", MOST));
        assert_ne!(jitter("a", at(0), "bc", MOST), jitter("ab", at(0), "c", MOST));
    }

    #[test]
    fn it_fills_its_range_and_never_leaves_it() {
        let mut parts = [0_u32; 10];
        for hour in 0..2_000 {
            let millis = jitter("nightly", at(hour), "host", MOST).as_millis();
            assert!(millis <= MOST.as_millis());
            parts[usize::try_from(millis * 10 / (MOST.as_millis() + 1)).unwrap()] += 1;
        }
        assert!(parts.iter().all(|count| (130..=270).contains(count)), "{parts:?}");
        assert_eq!(jitter("x", at(0), "h", Duration::ZERO), Duration::ZERO);
        assert!((0..100).any(|hour| jitter("x", at(hour), "h", Duration::from_millis(1)).as_millis() == 1));
        let longest = jitter("x", at(0), "h", Duration::MAX);
        assert!(longest <= Duration::from_millis(u64::MAX));
    }
}
