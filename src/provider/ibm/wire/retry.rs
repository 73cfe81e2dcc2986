//! Delays before retries.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use super::clock::{ProviderClock, http_date};
use crate::provider::ibm::settings::RetrySettings;

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Tries {
    retry: RetrySettings,
    /// Time of the first attempt.
    begun: Option<Instant>,
    made: u32,
}

impl Tries {
    /// Creates the state before the first attempt.
    pub(super) fn new(retry: RetrySettings) -> Self {
        Self { retry, begun: None, made: 1 }
    }

    /// Records the start of an attempt. The first one starts the time budget, so that a wait for the turn before it,
    /// however long, is not counted.
    pub(super) fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Returns the number of the current attempt, from 1.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// Waits before the next attempt, at least as long as `asked`. Returns false if there must be no further attempt.
    pub(super) async fn again(&mut self, asked: Option<Duration>) -> bool {
        let doubled = self.retry.first.saturating_mul(1_u32.checked_shl(self.made - 1).unwrap_or(u32::MAX));
        let wait = doubled.min(self.retry.longest).mul_f64(shorter()).max(asked.unwrap_or_default());
        let spent = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        if self.made >= self.retry.attempts || spent.saturating_add(wait) > self.retry.within {
            return false;
        }
        tokio::time::sleep(wait).await;
        self.made += 1;
        true
    }
}

/// Returns a factor between a half and one, so that callers that failed together do not retry together. The random keys
/// of the standard library's maps are random enough for that.
fn shorter() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default();
    0.5 + f64::from(bits) / f64::from(u32::MAX) / 2.0
}

/// Parses `Retry-After`: seconds, or an HTTP date (relative to the provider's clock).
pub(super) fn asked(headers: &HeaderMap, clock: &ProviderClock) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(text)?.millis_since(clock.now()?);
    Some(Duration::from_millis(u64::try_from(wait).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{DATE, HeaderValue};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_are_bounded_and_end() {
        let retry = RetrySettings {
            attempts: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(3),
            within: Duration::from_secs(600),
        };
        let mut tries = Tries::new(retry);
        for longest in [1.0, 2.0, 3.0, 3.0] {
            let begin = Instant::now();
            assert!(tries.again(None).await);
            let waited = begin.elapsed().as_secs_f64();
            assert!(waited >= longest / 2.0 && waited <= longest + 0.01, "{waited} of {longest}");
        }
        assert!(!tries.again(None).await, "five tries are five");
        assert_eq!(tries.made(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_wait_is_honoured_unless_it_leads_past_the_end() {
        let retry = RetrySettings { within: Duration::from_secs(60), ..RetrySettings::default() };
        let mut tries = Tries::new(retry);
        tries.begin();
        let begin = Instant::now();
        assert!(tries.again(Some(Duration::from_secs(30))).await);
        assert!(begin.elapsed() >= Duration::from_secs(30));
        assert!(!tries.again(Some(Duration::from_secs(31))).await);
        assert!(begin.elapsed() < Duration::from_secs(31), "no wait for a try that is not made");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_seconds_or_a_date() {
        let clock = ProviderClock::default();
        let with = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
        assert_eq!(asked(&with("17"), &clock), Some(Duration::from_secs(17)));
        assert_eq!(asked(&with("soon"), &clock), None);
        let date = HeaderValue::from_static("Sun, 22 Nov 2026 14:00:00 GMT");
        clock.learn(&HeaderMap::from_iter([(DATE, date)]));
        assert_eq!(asked(&with("Sun, 22 Nov 2026 14:00:09 GMT"), &clock), Some(Duration::from_secs(9)));
        assert_eq!(asked(&with("Sun, 22 Nov 2026 13:00:00 GMT"), &clock), Some(Duration::ZERO), "past is now");
    }
}
