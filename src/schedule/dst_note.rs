//! Effect of daylight saving on a due time, for people.

use std::fmt;

use chrono::NaiveDateTime;

use super::times::Schedule;
use super::zone::naive;
use crate::model::Timestamp;

/// Effect of a clock change on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DstNote {
    /// The clocks left its time out; it runs right after the gap.
    Moved {
        /// The local time that there is not.
        from: NaiveDateTime,
    },
    /// The clocks show its time twice; this is the first.
    First,
    /// The clocks show its time twice; this is the second.
    Second,
    /// The first run since the clocks were set.
    Since {
        /// By how many seconds they went forward; negative: back.
        forward: i64,
    },
}

impl DstNote {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved { .. } => "moved",
            Self::First => "first_of_two",
            Self::Second => "second_of_two",
            Self::Since { .. } => "clock_changed",
        }
    }
}

impl fmt::Display for DstNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { from } => write!(f, "{} does not exist that day", from.format("%H:%M")),
            Self::First => f.write_str("the clock shows it twice: the first"),
            Self::Second => f.write_str("the clock shows it twice: the second"),
            Self::Since { forward } => {
                let way = if *forward > 0 { "forward" } else { "back" };
                match forward.unsigned_abs() / 60 {
                    minutes if minutes % 60 == 0 => write!(f, "the clock went {way} {} h", minutes / 60),
                    minutes => write!(f, "the clock went {way} {minutes} min"),
                }
            }
        }
    }
}

impl Schedule {
    /// Returns the effect of a clock change on the run at `due`, one of this schedule's times.
    #[must_use]
    pub fn mark(&self, due: Timestamp) -> Option<DstNote> {
        let at = due.millis().div_euclid(1_000);
        let zone = self.zone();
        if let Some(change) = zone.first_change(at - 1, at).filter(|change| change.by() > 0) {
            let gap = change.at + change.before;
            if let Some(from) = self.fits_after(gap - 1).filter(|local| *local < gap + change.by()) {
                return Some(DstNote::Moved { from: naive(from) });
            }
        }
        if zone.repeated(at).is_some() {
            return Some(DstNote::First);
        }
        if zone.repeats(at).is_some() {
            return Some(DstNote::Second);
        }
        let before = self.last_until(due.plus_millis(-1_000))?.millis() / 1_000;
        let forward = zone.offset(at) - zone.offset(before);
        (forward != 0).then_some(DstNote::Since { forward })
    }
}
