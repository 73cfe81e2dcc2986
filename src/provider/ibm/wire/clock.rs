//! The provider's clock, derived from its answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap};
use tokio::time::Instant;

use crate::model::Timestamp;

/// The provider's current time: the newest `Date` plus the time since it arrived.
///
/// A `Date` is cut to whole seconds and was written before it arrived, so the sum is never ahead of the provider's
/// clock. The answer that gives the latest time is the most exact.
#[derive(Debug, Default)]
pub(super) struct ProviderClock {
    best: Mutex<Option<(Timestamp, Instant)>>,
}

impl ProviderClock {
    /// Records and returns the `Date` of an answer that has just arrived.
    pub(super) fn learn(&self, headers: &HeaderMap) -> Option<Timestamp> {
        let date = date(headers)?;
        let now = Instant::now();
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        if best.is_none_or(|(then, at)| date > later(then, now.duration_since(at))) {
            *best = Some((date, now));
        }
        Some(date)
    }

    /// Returns the provider's current time; `None` before the first answer.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let best = *self.best.lock().unwrap_or_else(PoisonError::into_inner);
        best.map(|(date, at)| later(date, at.elapsed()))
    }
}

fn later(date: Timestamp, by: Duration) -> Timestamp {
    date.plus_millis(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the `Date` of an answer.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Parses a time in HTTP format (`Sun, 06 Nov 1994 08:49:37 GMT`).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|moment| Timestamp::from_millis(moment.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, HeaderValue::from_str(date).unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn the_present_runs_on_from_the_newest_date_and_never_jumps_back() {
        let clock = ProviderClock::default();
        assert_eq!(clock.now(), None);
        clock.learn(&headers("Sun, 22 Nov 2026 14:00:00 GMT"));
        tokio::time::advance(Duration::from_millis(2_500)).await;
        assert_eq!(clock.now().unwrap().to_string(), "2026-11-22T14:00:02.500Z");
        clock.learn(&headers("Sun, 22 Nov 2026 14:00:02 GMT"));
        assert_eq!(clock.now().unwrap().to_string(), "2026-11-22T14:00:02.500Z", "an older reading is worse");
        clock.learn(&headers("Sun, 22 Nov 2026 14:00:03 GMT"));
        assert_eq!(clock.now().unwrap().to_string(), "2026-11-22T14:00:03.000Z");
        assert_eq!(clock.learn(&headers("rubbish")), None);
        assert_eq!(clock.learn(&HeaderMap::new()), None);
    }
}
