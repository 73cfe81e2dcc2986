//! Clock of an embedded instance.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;

use crate::model::{Clock, Timestamp};

/// Formats a time for HTTP headers.
pub(crate) fn http_date(time: Timestamp) -> String {
    time.datetime().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The instance's current time, as shown in `Date`, `created_at` and `updated_at`.
///
/// Clones share the clock, so a test can keep one and move it while the server runs.
#[derive(Debug, Clone)]
pub struct InstanceClock(Arc<Mutex<Mode>>);

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// The system clock plus this number of milliseconds.
    Running { ahead: i64 },
    /// Stopped until it is moved.
    Manual { now: Timestamp },
}

impl InstanceClock {
    /// Creates a clock that follows the system clock.
    #[must_use]
    pub fn system() -> Self {
        Self::ahead(0)
    }

    /// Creates a clock that is `millis` milliseconds ahead of the system clock (behind if negative).
    #[must_use]
    pub fn ahead(millis: i64) -> Self {
        Self(Arc::new(Mutex::new(Mode::Running { ahead: millis })))
    }

    /// Creates a clock that stays at `now` until it is moved.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Mode::Manual { now })))
    }

    /// Moves the clock forward by `millis` milliseconds, whether it is running or stopped.
    pub fn advance(&self, millis: i64) {
        let mut mode = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *mode = match *mode {
            Mode::Running { ahead } => Mode::Running { ahead: ahead.saturating_add(millis) },
            Mode::Manual { now } => Mode::Manual { now: now.plus_millis(millis) },
        };
    }

    /// Stops the clock at `now`.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Mode::Manual { now };
    }
}

impl Clock for InstanceClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the instance")]
    fn now(&self) -> Timestamp {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Mode::Running { ahead } => Timestamp::from(Utc::now()).plus_millis(ahead),
            Mode::Manual { now } => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_for_every_clone() {
        let clock = InstanceClock::manual(Timestamp::from_millis(1_000));
        let seen_by_server = clock.clone();
        assert_eq!(seen_by_server.now().millis(), 1_000);
        clock.advance(250);
        assert_eq!(seen_by_server.now().millis(), 1_250);
    }

    #[test]
    fn a_running_clock_keeps_its_distance() {
        let ten_years = 10 * 365 * 86_400_000;
        let apart = InstanceClock::ahead(ten_years).now().millis_since(InstanceClock::system().now());
        assert!((ten_years - 60_000..=ten_years + 60_000).contains(&apart), "{apart}");
    }
}
