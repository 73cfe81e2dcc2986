//! Time zones and the moments at which their clocks are changed.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::ScheduleError;
use crate::model::Timestamp;

/// Names offered for an unknown one.
const MOST_NEAREST: usize = 3;
/// No zone changes its clock twice within this time, in seconds.
const STRIDE: i64 = 12 * 3_600;
/// No clock was ever set by more than a day (Samoa left one out in 2011).
const LARGEST_CHANGE: i64 = 26 * 3_600;

/// A time zone of the IANA database, which is compiled in: a rule that changes needs a new release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    zone: Tz,
}

/// A moment at which the clocks of a zone are set, with the offsets from UTC on both sides, all in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockChange {
    /// The first second with the new offset.
    pub(super) at: i64,
    pub(super) before: i64,
    pub(super) after: i64,
}

impl ClockChange {
    /// By how much the clock goes forward; negative when it goes back.
    pub(super) fn by(self) -> i64 {
        self.after - self.before
    }
}

impl Zone {
    /// The zone of that name, in the database's own spelling.
    ///
    /// # Errors
    /// [`ScheduleError::Zone`] with the nearest names when there is none.
    pub fn new(name: &str) -> Result<Self, ScheduleError> {
        let zone = name.parse::<Tz>();
        zone.map(|zone| Self { zone })
            .map_err(|_| ScheduleError::Zone { found: name.to_owned(), nearest: nearest(name) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.zone.name()
    }

    /// A moment by the clocks of this zone, with their offset.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> DateTime<FixedOffset> {
        let offset = self.zone.offset_from_utc_datetime(&at.datetime().naive_utc());
        at.datetime().with_timezone(&offset.fix())
    }

    /// Returns the name of the zone's time at that moment, such as `CEST` or `+0530`.
    #[must_use]
    pub fn abbreviation(&self, at: Timestamp) -> String {
        at.datetime().with_timezone(&self.zone).format("%Z").to_string()
    }

    /// The version of the database, such as `2026a`.
    #[must_use]
    pub const fn database() -> &'static str {
        chrono_tz::IANA_TZDB_VERSION
    }

    /// The offset from UTC at a moment, both in seconds.
    pub(super) fn offset(&self, at: i64) -> i64 {
        self.zone.offset_from_utc_datetime(&naive(at)).fix().local_minus_utc().into()
    }

    /// The first change after `from` and not after `to`.
    pub(super) fn first_change(&self, from: i64, to: i64) -> Option<ClockChange> {
        let before = self.offset(from);
        let mut low = from;
        while low < to {
            let mut high = low.saturating_add(STRIDE).min(to);
            if self.offset(high) == before {
                low = high;
                continue;
            }
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if self.offset(middle) == before { low = middle } else { high = middle }
            }
            return Some(ClockChange { at: high, before, after: self.offset(high) });
        }
        None
    }

    /// The change that made the clocks show the time of this moment for a second time, if they do.
    pub(super) fn repeats(&self, at: i64) -> Option<ClockChange> {
        let change = self.first_change(at.saturating_sub(LARGEST_CHANGE), at)?;
        (at < change.at - change.by()).then_some(change)
    }

    /// The change after which the clocks will show the time of this moment again, if they will.
    pub(super) fn repeated(&self, at: i64) -> Option<ClockChange> {
        let change = self.first_change(at, at.saturating_add(LARGEST_CHANGE))?;
        (at >= change.at + change.by()).then_some(change)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Seconds since 1970 as a date; 1970 where chrono has none.
pub(super) fn naive(seconds: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}

/// The names that look most like one that is unknown.
fn nearest(name: &str) -> Vec<&'static str> {
    let wanted = folded(name);
    if wanted.is_empty() {
        return Vec::new();
    }
    let score = |known: &'static str| {
        let known_folded = folded(known);
        // People type the city alone, and know their own.
        let city = known_folded.rsplit('/').next().unwrap_or_default();
        let whole = strsim::jaro_winkler(&known_folded, &wanted);
        let own = strsim::jaro_winkler(city, wanted.rsplit('/').next().unwrap_or_default()) - 0.001;
        (known, whole.max(own))
    };
    let mut scored: Vec<_> =
        TZ_VARIANTS.iter().map(|zone| score(zone.name())).filter(|(_, score)| *score > 0.85).collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1));
    // The right name in the wrong case needs no company.
    let certain = scored.first().is_some_and(|(_, score)| *score >= 0.999);
    scored.into_iter().take(if certain { 1 } else { MOST_NEAREST }).map(|(name, _)| name).collect()
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(name: &str) -> String {
        Zone::new(name).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_zone_names_the_nearest() {
        assert_eq!(fails("europe/berlin"), "unknown time zone `europe/berlin`; did you mean `Europe/Berlin`?");
        assert_eq!(fails("Berlin"), "unknown time zone `Berlin`; did you mean `Europe/Berlin`?");
        assert_eq!(fails("America/New York"), "unknown time zone `America/New York`; did you mean `America/New_York`?");
        assert!(fails("Europe/Berlim").contains("did you mean `Europe/Berlin`"));
        assert!(fails("Asia/Calcuta").contains("`Asia/Calcutta`"));
        for name in ["", "UTC+2", "Xyzzy/Plugh", "local"] {
            assert!(fails(name).starts_with(&format!("unknown time zone `{name}`; ")), "{}", fails(name));
        }
        assert!(fails("").contains("such as `UTC` or `Europe/Berlin`"));
    }

    #[test]
    fn changes_are_found_to_the_second() {
        let berlin = Zone::new("Europe/Berlin").unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().millis() / 1_000;
        let forward = berlin.first_change(at("2027-01-01T00:00:00Z"), at("2027-12-31T00:00:00Z")).unwrap();
        assert_eq!(forward, ClockChange { at: at("2027-03-28T01:00:00Z"), before: 3_600, after: 7_200 });
        let back = berlin.first_change(forward.at, at("2027-12-31T00:00:00Z")).unwrap();
        assert_eq!((back.at, back.by()), (at("2027-10-31T01:00:00Z"), -3_600));
        assert_eq!(berlin.first_change(forward.at, back.at - 1), None);
        assert_eq!(berlin.first_change(back.at - 1, back.at), Some(back));
        let first = at("2027-10-31T00:00:00Z");
        assert_eq!((berlin.repeated(first - 1), berlin.repeated(first)), (None, Some(back)));
        assert_eq!((berlin.repeats(back.at - 1), berlin.repeats(back.at)), (None, Some(back)));
        assert_eq!((berlin.repeats(back.at + 3_599), berlin.repeats(back.at + 3_600)), (Some(back), None));
    }
}
