//! Retention policy.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use crate::schedule::Zone;

/// A retention policy. Snapshots that no rule keeps are forgotten, except protected ones ([`super::judge`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Number of newest good snapshots to keep, by ledger order.
    pub last: u32,
    /// Number of hours, days, weeks, months and years of which the last snapshot is kept. Periods without one do not
    /// count.
    pub every: Vec<(Period, u32)>,
    /// Keep everything up to this age, measured from the newest good snapshot.
    pub within: Option<Duration>,
    /// Keep everything with one of these tags.
    pub tags: Vec<String>,
    /// Minimum time to keep suspect snapshots.
    pub suspect: Duration,
    /// Time zone in which days and weeks begin.
    pub zone: Zone,
}

/// A calendar period of which one snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An hour. The hour repeated when clocks go back counts as two.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday (ISO 8601).
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All periods, shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Returns the word in its rule's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// Returns the name of the period that contains a time. Two times are in the same period exactly if the names are
    /// equal.
    #[must_use]
    pub fn name_of(self, local: DateTime<FixedOffset>) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%d %Hh%:z",
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        local.format(format).to_string()
    }
}

impl Policy {
    /// Returns true if no rule keeps anything. Such a policy is rejected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == 0
            && self.every.iter().all(|(_, count)| *count == 0)
            && self.within.is_none()
            && self.tags.is_empty()
    }

    /// Returns true if untagged snapshots are kept only by count. Anyone who can write many then displaces all others.
    #[must_use]
    pub fn only_by_number(&self) -> bool {
        self.last > 0 && self.every.iter().all(|(_, count)| *count == 0) && self.within.is_none()
    }
}

/// Formats the policy as in the ledger: `keep_last 5, keep_daily 7, keep_within 2d (Europe/Berlin)`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rules = Vec::new();
        if self.last > 0 {
            rules.push(format!("keep_last {}", self.last));
        }
        let every = self.every.iter().filter(|(_, count)| *count > 0);
        rules.extend(every.map(|(period, count)| format!("keep_{} {count}", period.as_str())));
        rules.extend(self.within.map(|within| format!("keep_within {}", days(within))));
        if !self.tags.is_empty() {
            rules.push(format!("keep_tags {}", self.tags.join(" ")));
        }
        rules.push(format!("keep_suspect {}", days(self.suspect)));
        write!(f, "{} ({})", rules.join(", "), self.zone)
    }
}

/// Formats a duration in the largest unit that gives a whole number.
pub(super) fn days(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let whole = units.iter().find(|(_, length)| seconds > 0 && seconds.is_multiple_of(*length));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, length)| format!("{}{unit}", seconds / length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn periods_follow_the_calendar_of_the_zone() {
        let zone = Zone::new("Europe/Berlin").unwrap();
        let name = |period: Period, text: &str| period.name_of(zone.local(text.parse::<Timestamp>().unwrap()));
        // Late on New Year's Eve in UTC, it is already next year in Berlin, but the ISO week belongs to the old year.
        assert_eq!(name(Period::Day, "2026-12-31T23:30:00Z"), "2027-01-01");
        assert_eq!(name(Period::Year, "2026-12-31T23:30:00Z"), "2027");
        assert_eq!(name(Period::Week, "2026-12-31T23:30:00Z"), "2026-W53");
        // The hour from two to three occurs twice when clocks go back.
        let (first, second) = (name(Period::Hour, "2026-10-25T00:30:00Z"), name(Period::Hour, "2026-10-25T01:30:00Z"));
        assert!(first.starts_with("2026-10-25 02h") && second.starts_with("2026-10-25 02h") && first != second);
    }

    #[test]
    fn a_policy_reads_as_it_was_written() {
        let policy = Policy {
            last: 5,
            every: vec![(Period::Day, 7), (Period::Week, 0)],
            within: Some(Duration::from_secs(2 * 86_400)),
            tags: vec!["release".to_owned()],
            suspect: Duration::from_secs(36 * 3_600),
            zone: Zone::new("UTC").unwrap(),
        };
        let text = "keep_last 5, keep_daily 7, keep_within 2d, keep_tags release, keep_suspect 36h (UTC)";
        assert_eq!(policy.to_string(), text);
        assert!(!policy.only_by_number());
        let number = Policy { every: vec![(Period::Day, 0)], within: None, ..policy.clone() };
        assert!(number.only_by_number() && !number.is_empty(), "a tag keeps only what carries it");
        assert!(!Policy { within: policy.within, ..number.clone() }.only_by_number());
        assert!(!Policy { last: 0, ..number }.only_by_number());
        let nothing = Policy { last: 0, every: vec![(Period::Day, 0)], within: None, tags: Vec::new(), ..policy };
        assert!(nothing.is_empty());
    }
}
