//! Decides whether to notify, from what a target was last notified of. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::notify::Occasion;
use crate::model::Timestamp;

/// A reason why a job is in a bad state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadCondition {
    /// The last run failed or timed out.
    Failed,
    /// The last run recorded an incomplete result.
    Partial,
    /// The last run recorded a suspect snapshot.
    Suspect,
    /// The repository is stale.
    Stale,
}

impl BadCondition {
    /// Returns the occasion that a target is notified of.
    #[must_use]
    pub fn occasion(self) -> Occasion {
        match self {
            Self::Failed => Occasion::Failure,
            Self::Partial => Occasion::Partial,
            Self::Suspect => Occasion::Suspect,
            Self::Stale => Occasion::Stale,
        }
    }
}

/// Last failure notification of one job to one target. None exists after a success or recovery, or if none was ever
/// sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastNotification {
    /// Condition in the last notification.
    pub condition: BadCondition,
    /// Time of the first notification.
    pub since: Timestamp,
    /// Time of the last notification.
    pub at: Timestamp,
}

/// The notification to send, and the state to remember once it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The notification to send, if any.
    pub tell: Option<Occasion>,
    /// The state after delivery.
    pub remember: Option<LastNotification>,
}

/// Decides what to notify a target of. `told` is its last notification, `seen` the current condition (`None`: all is
/// well), `on` the occasions that it wants.
///
/// A bad condition is notified at once, again when it changes, and otherwise after `repeat_every`. A recovery is sent
/// only to targets that were notified of the failure.
#[must_use]
pub fn decide(
    told: Option<&LastNotification>,
    seen: Option<BadCondition>,
    on: &[Occasion],
    now: Timestamp,
    repeat_every: Duration,
) -> Decision {
    let Some(condition) = seen else {
        let recovered = told.is_some() && on.contains(&Occasion::Recovery);
        let tell = if recovered { Some(Occasion::Recovery) } else { Some(Occasion::Success) };
        return Decision { tell: tell.filter(|occasion| on.contains(occasion)), remember: None };
    };
    let occasion = condition.occasion();
    let recently = |told: &&LastNotification| {
        let passed = now.millis_since(told.at);
        // A clock that was set back must not suppress notifications for long.
        told.condition == condition && passed >= 0 && u128::try_from(passed).unwrap_or(0) < repeat_every.as_millis()
    };
    if !on.contains(&occasion) || told.as_ref().is_some_and(recently) {
        return Decision { tell: None, remember: told.cloned() };
    }
    let since = told.map_or(now, |told| told.since);
    Decision { tell: Some(occasion), remember: Some(LastNotification { condition, since, at: now }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const ALL: &[Occasion] = Occasion::ALL;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    /// Checks a series of runs: (minute, current condition, expected notification).
    fn story(on: &[Occasion], runs: &[(i64, Option<BadCondition>, Option<Occasion>)]) {
        let mut told = None;
        for (minute, seen, expected) in runs {
            let decision = decide(told.as_ref(), *seen, on, at(*minute), DAY);
            assert_eq!(decision.tell, *expected, "minute {minute}");
            told = decision.remember;
        }
    }

    #[test]
    fn bad_news_once_then_daily_then_the_recovery_once() {
        let failed = Some(BadCondition::Failed);
        let on = [Occasion::Failure, Occasion::Recovery];
        story(
            &on,
            &[
                (0, None, None),
                (15, failed, Some(Occasion::Failure)),
                (30, failed, None),
                (15 + 24 * 60 - 1, failed, None),
                (15 + 24 * 60, failed, Some(Occasion::Failure)),
                (30 + 24 * 60, failed, None),
                (45 + 24 * 60, None, Some(Occasion::Recovery)),
                (60 + 24 * 60, None, None),
                (75 + 24 * 60, failed, Some(Occasion::Failure)),
            ],
        );
    }

    #[test]
    fn another_sort_of_bad_is_news() {
        let (failed, suspect) = (Some(BadCondition::Failed), Some(BadCondition::Suspect));
        story(
            ALL,
            &[
                (0, failed, Some(Occasion::Failure)),
                (1, suspect, Some(Occasion::Suspect)),
                (2, suspect, None),
                (3, None, Some(Occasion::Recovery)),
                (4, None, Some(Occasion::Success)),
            ],
        );
    }

    #[test]
    fn what_a_target_does_not_want_is_not_told_and_does_not_end_what_it_knows() {
        let on = [Occasion::Failure, Occasion::Recovery];
        story(
            &on,
            &[
                (0, Some(BadCondition::Partial), None),
                (1, None, None),
                (2, Some(BadCondition::Failed), Some(Occasion::Failure)),
                (3, Some(BadCondition::Partial), None),
                (4, None, Some(Occasion::Recovery)),
            ],
        );
        story(&[Occasion::Failure], &[(0, Some(BadCondition::Failed), Some(Occasion::Failure)), (1, None, None)]);
    }

    #[test]
    fn since_is_the_first_time_and_a_clock_put_back_does_not_silence() {
        let failed = Some(BadCondition::Failed);
        let first = decide(None, failed, ALL, at(100), DAY).remember.unwrap();
        let again = decide(Some(&first), Some(BadCondition::Partial), ALL, at(200), DAY).remember.unwrap();
        assert_eq!((again.since, again.at), (at(100), at(200)));
        assert_eq!(decide(Some(&first), failed, ALL, at(10), DAY).tell, Some(Occasion::Failure));
    }
}
