//! Times in UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with millisecond precision, written as RFC 3339 (`2026-11-22T14:03:00.250Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Converts milliseconds since 1970; out-of-range values become 1970.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(DateTime::from_timestamp_millis(millis).unwrap_or_default())
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Returns the moment as chrono's type.
    #[must_use]
    pub fn datetime(self) -> DateTime<Utc> {
        self.0
    }

    /// Returns the milliseconds since `earlier`; negative if this is before it.
    #[must_use]
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.millis().saturating_sub(earlier.millis())
    }

    /// Returns this moment plus `millis`; this moment itself if the sum is out of range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        TimeDelta::try_milliseconds(millis).and_then(|delta| self.0.checked_add_signed(delta)).map_or(self, Self)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    /// Parses any RFC 3339 time; digits beyond milliseconds are cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc).into())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Accepts only the form that [`Timestamp`] writes, because stored times have one spelling. Answers of a provider
    /// are read with [`FromStr`], which is lenient.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Self = text.parse().map_err(serde::de::Error::custom)?;
        if time.to_string() == text {
            Ok(time)
        } else {
            Err(serde::de::Error::custom("a time is RFC 3339 in UTC with milliseconds"))
        }
    }
}

/// Source of the current time. The program uses the system clock; tests supply their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_times_have_one_spelling() {
        let read = |text: &str| serde_json::from_str::<Timestamp>(&format!("\"{text}\""));
        let exact = "2026-11-22T14:03:00.250Z";
        let time = read(exact).unwrap();
        assert_eq!((time.to_string().as_str(), serde_json::to_string(&time).unwrap()), (exact, format!("\"{exact}\"")));
        for other in [
            "2026-11-22T14:03:00Z",
            "2026-11-22T14:03:00.25Z",
            "2026-11-22T14:03:00.250000Z",
            "2026-11-22T14:03:00.250+00:00",
            "2026-11-22T15:03:00.250+01:00",
            "2026-11-22t14:03:00.250z",
            "2026-11-22 14:03:00.250Z",
            "2026-11-22T14:03:60.000Z",
            "+12026-11-22T14:03:00.250Z",
        ] {
            assert!(read(other).is_err(), "{other}");
        }
        assert_eq!("2026-11-22T15:03:00.25+01:00".parse(), Ok(time), "a provider's answer may be written otherwise");
    }
}
