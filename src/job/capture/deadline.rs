//! Limit on the duration of a run.

use super::CaptureError;
use crate::model::{Clock, Timestamp};

/// Time limit of a run. Beyond the repository's longest run, a sweep may delete objects that the run has just written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline<'a> {
    clock: &'a dyn Clock,
    started: Timestamp,
    longest_seconds: u64,
}

impl<'a> Deadline<'a> {
    /// Starts the clock.
    pub(super) fn new(clock: &'a dyn Clock, longest_seconds: u64) -> Self {
        Self { clock, started: clock.now(), longest_seconds }
    }

    /// Returns the same start with another limit.
    pub(super) fn within(self, longest_seconds: u64) -> Self {
        Self { longest_seconds, ..self }
    }

    /// Checks that the run is within its limit.
    ///
    /// # Errors
    /// [`CaptureError::TooLong`] if it is not.
    pub(super) fn check(&self) -> Result<(), CaptureError> {
        let longest = i64::try_from(self.longest_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        match self.elapsed() <= longest {
            true => Ok(()),
            false => Err(CaptureError::TooLong { hours: self.longest_seconds / 3_600 }),
        }
    }

    /// Returns the milliseconds since the start, by this host's clock.
    pub(super) fn elapsed(&self) -> i64 {
        self.clock.now().millis_since(self.started)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_run_ends_with_the_longest_run_and_not_before() {
        let clock = Hand(AtomicI64::new(0));
        let deadline = Deadline::new(&clock, 3_600);
        clock.0.store(3_600_000, Ordering::Relaxed);
        assert!(deadline.check().is_ok());
        clock.0.store(3_600_001, Ordering::Relaxed);
        assert!(matches!(deadline.check(), Err(CaptureError::TooLong { hours: 1 })));
    }
}
