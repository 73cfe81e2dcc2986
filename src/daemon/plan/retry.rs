//! Decides which failures are retried, and when.

use std::time::Duration;

use crate::daemon::RunOutcome;
use crate::model::FailureKind;

/// Longest wait between two attempts, unless the first wait is already longer.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Consequence of an outcome for its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// The job did its work, whatever it found.
    Done,
    /// Another attempt may succeed.
    Retry,
    /// It fails again until something is changed.
    GiveUp,
}

/// Returns the consequence of an outcome for its slot.
#[must_use]
pub fn retry_decision(ending: &RunOutcome) -> RetryDecision {
    let is = |exit: u8, kinds: &[FailureKind]| kinds.iter().any(|kind| kind.exit_code() == exit);
    match ending {
        RunOutcome::Succeeded | RunOutcome::Partial | RunOutcome::Suspect => RetryDecision::Done,
        RunOutcome::Failed { exit }
            if is(*exit, &[FailureKind::Partial, FailureKind::Stale, FailureKind::Different]) =>
        {
            RetryDecision::Done
        }
        RunOutcome::Failed { exit }
            if is(
                *exit,
                &[
                    FailureKind::Usage,
                    FailureKind::NoRepository,
                    FailureKind::Key,
                    FailureKind::Integrity,
                    FailureKind::Moved,
                ],
            ) =>
        {
            RetryDecision::GiveUp
        }
        RunOutcome::Failed { .. } | RunOutcome::TimedOut | RunOutcome::Interrupted => RetryDecision::Retry,
    }
}

/// Returns the wait after `made` attempts: doubled each time, at most an hour unless `first` is longer.
pub(super) fn delay(first: Duration, made: u32) -> Duration {
    let doublings = made.saturating_sub(1).min(20);
    first.saturating_mul(1 << doublings).min(LONGEST.max(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let minute = Duration::from_secs(60);
        let waits: Vec<u64> = (1..=9).map(|made| delay(minute, made).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(delay(minute, u32::MAX), LONGEST);
        assert_eq!(delay(LONGEST * 3, 5), LONGEST * 3, "as long as was asked for");
    }

    #[test]
    fn what_cannot_mend_itself_is_not_tried_again() {
        let of = |exit| retry_decision(&RunOutcome::Failed { exit });
        for exit in [2, 10, 12, 13, 16] {
            assert_eq!(of(exit), RetryDecision::GiveUp, "{exit}");
        }
        for exit in [1, 17, 101, 137] {
            assert_eq!(of(exit), RetryDecision::Retry, "{exit}");
        }
        for exit in [3, 14, 15] {
            assert_eq!(of(exit), RetryDecision::Done, "{exit}");
        }
        assert_eq!(retry_decision(&RunOutcome::Suspect), RetryDecision::Done);
        assert_eq!(retry_decision(&RunOutcome::TimedOut), RetryDecision::Retry);
    }
}
