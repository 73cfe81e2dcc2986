//! Lifetimes, given as a string with a unit or as a number of seconds: `^[0-9]+[smhd]?$`, at most 10 characters.

use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::super::input::{InputBody, Patched};
use super::super::refusal::Refusal;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, as_str, raw};

/// Seconds per minute, hour and day.
pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// Maximum length of a lifetime, in characters.
const LENGTH: usize = 10;

/// A lifetime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ttl {
    /// Text as given.
    text: String,
    seconds: u64,
}

impl Ttl {
    /// Parses a text such as `30m`, `1d` or `3600`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LENGTH {
            return None;
        }
        let (digits, unit) = match text.as_bytes().last()? {
            b's' => (text.strip_suffix('s')?, 1),
            b'm' => (text.strip_suffix('m')?, MINUTE),
            b'h' => (text.strip_suffix('h')?, HOUR),
            b'd' => (text.strip_suffix('d')?, DAY),
            _ => (text, 1),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { text: text.to_owned(), seconds: digits.parse::<u64>().ok()?.checked_mul(unit)? })
    }

    /// Parses a JSON string or an integer within `bounds` (seconds), or 0 if `zero` allows it.
    fn read(name: &str, value: &RawValue, bounds: &RangeInclusive<u64>, zero: bool) -> Result<Self, Refusal> {
        let text = as_str(value).unwrap_or_else(|| value.get().to_owned());
        let ttl = Self::parse(&text);
        ttl.filter(|ttl| bounds.contains(&ttl.seconds) || (zero && ttl.seconds == 0)).ok_or_else(|| {
            let (from, to) = (bounds.start(), bounds.end());
            Refusal::invalid(format!("The field '{name}' must be a duration of {from} to {to} seconds."))
        })
    }

    /// Reads a member of a create body.
    pub(crate) fn given(
        body: &InputBody<'_>,
        name: &str,
        bounds: &RangeInclusive<u64>,
        zero: bool,
    ) -> Result<Option<Self>, Refusal> {
        body.get(name).map(|value| Self::read(name, value, bounds, zero)).transpose()
    }

    /// Reads a member of a metadata patch. `null` clears it if the lifetime is optional.
    pub(crate) fn patched(
        body: &InputBody<'_>,
        name: &str,
        bounds: &RangeInclusive<u64>,
        zero: bool,
    ) -> Result<Patched<Self>, Refusal> {
        match (body.get(name), body.has(name)) {
            (Some(value), _) => Ok(Patched::Set(Self::read(name, value, bounds, zero)?)),
            (None, true) if zero => Ok(Patched::Clear),
            (None, true) => Err(Refusal::invalid(format!("The field '{name}' cannot be cleared."))),
            (None, false) => Ok(Patched::Absent),
        }
    }

    /// Returns the lifetime among the metadata members of a secret, if any.
    pub(crate) fn of(fields: &JsonObject) -> Option<Self> {
        Self::parse(&fields.str("ttl")?)
    }

    /// Returns the value shown in answers: as given, or as a string of seconds.
    pub(crate) fn shown(&self, as_seconds: bool) -> Box<RawValue> {
        if as_seconds { raw(&self.seconds.to_string()) } else { raw(&self.text) }
    }

    /// True if it is not a whole number of hours.
    pub(crate) fn is_fine(&self) -> bool {
        !self.seconds.is_multiple_of(HOUR)
    }

    /// Returns seconds; 0 means unlimited.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Returns milliseconds; `None` if unlimited.
    pub(crate) fn millis(&self) -> Option<i64> {
        i64::try_from(self.seconds).ok()?.checked_mul(1000).filter(|millis| *millis > 0)
    }

    /// Returns the end of a lifetime that starts at `now`; `None` if unlimited.
    pub(crate) fn end(&self, now: Timestamp) -> Option<Timestamp> {
        Some(now.plus_millis(self.millis()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        let value: Box<RawValue> = serde_json::from_str(text).unwrap();
        Ttl::read("ttl", &value, &(MINUTE..=90 * DAY), false).ok().map(|ttl| ttl.seconds)
    }

    #[test]
    fn texts_with_and_without_a_unit_and_numbers_are_lifetimes() {
        for (text, seconds) in [
            (r#""30m""#, 1800),
            (r#""24h""#, 86_400),
            (r#""90d""#, 7_776_000),
            (r#""3600""#, 3600),
            ("3600", 3600),
            (r#""60s""#, 60),
        ] {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in
            [r#""59s""#, r#""91d""#, r#""1w""#, r#""""#, r#""d""#, "0", "-60", "60.5", r#""00000000060""#, "true"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_overflows_and_zero_never_ends() {
        assert_eq!(Ttl::parse("999999999d").unwrap().millis(), Some(86_399_999_913_600_000));
        assert_eq!(Ttl::parse("99999999999999999999d"), None);
        assert_eq!(Ttl::parse("0").unwrap().millis(), None);
        assert!(Ttl::parse("90m").unwrap().is_fine() && !Ttl::parse("120m").unwrap().is_fine());
    }
}
