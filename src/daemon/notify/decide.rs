//! What is worth telling: pure, over what a target was told before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::notify::Occasion;
use crate::model::Timestamp;

/// A way to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadCondition {
    /// The last run failed or did not end in time.
    Failed,
    /// The last run recorded something that lacks something.
    Partial,
    /// The last run recorded a suspect snapshot.
    Suspect,
    /// The repository is stale.
    Stale,
}

impl BadCondition {
    /// What a target is told of it.
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

/// What a target knows of one job: that it is bad. A target that was told nothing, or that it is well, knows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastNotification {
    /// How bad it was when it was told last.
    pub condition: BadCondition,
    /// When it was told first.
    pub since: Timestamp,
    /// When it was told last.
    pub at: Timestamp,
}

/// What to tell, and what the target knows once that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to tell, if anything.
    pub tell: Option<Occasion>,
    /// What the target knows then.
    pub remember: Option<LastNotification>,
}

/// Decides what a target that knows `told` is told of what was seen now (`None`: all is well), when it wants to hear of
/// `on`.
///
/// Bad news is told at once, told again when it is of another sort, and otherwise not before `repeat_every` has passed. A
/// recovery is told only to whom the bad news was told.
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
        // A clock that was put back must not silence it for long.
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

    /// What is told, run after run: (minute, what was seen, what must be told).
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
