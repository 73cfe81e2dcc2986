//! Execution of a fault script.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::FaultPlayer;
use super::act::{Act, Hook};
use super::script::{Condition, FaultAction, FaultScript, Pause, Rule};
use super::when::SeenRequest;
use super::writer::RandomWriter;
use crate::crypto::digest::sha256;
use crate::model::Timestamp;
use crate::provider::embedded::clock::http_date;
use crate::provider::embedded::instance::EmbeddedInstance;
use crate::provider::embedded::state::Items;

/// A script in progress: its rules and the progress of each.
pub(super) struct Player {
    rules: Vec<Playing>,
    /// Time of the first request.
    began: Option<Timestamp>,
    /// End and fault of the current outage.
    outage: Option<(Timestamp, Act)>,
}

struct Playing {
    rule: Rule,
    random: ChaCha20Rng,
    /// Writer of the changes of this rule, if it makes any.
    writer: Option<Arc<Mutex<RandomWriter>>>,
    /// Number of requests that match, before numbering and probability.
    seen: u64,
    /// Number of times it has applied.
    done: u64,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("rules", &self.rules.len()).field("outage", &self.outage).finish_non_exhaustive()
    }
}

impl EmbeddedInstance {
    /// Plays a fault script, in addition to individual faults. Its run begins with the next request.
    pub fn play(&self, script: &FaultScript) {
        self.play_with(|items| Box::new(Player::new(script, mixed(items))));
    }
}

/// Returns a number derived from the instance's content. The ids that a script's writers create depend on it: the same
/// script on the same state does the same, and on a later state creates no id again.
fn mixed(items: &Items) -> u64 {
    let mut text = String::new();
    for (id, secret) in &items.secrets {
        text.push_str(id);
        secret.versions.iter().for_each(|version| text.push_str(&version.id));
    }
    items.groups.keys().for_each(|id| text.push_str(id));
    let digest = sha256(text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0_u64, |mixed, byte| (mixed << 8) | u64::from(*byte))
}

impl Player {
    /// `mixed` seeds the ids that the script's writers create.
    pub(super) fn new(script: &FaultScript, mixed: u64) -> Self {
        let playing = |(rule, number): (&Rule, u64)| {
            // Each rule has its own random numbers, so that a new rule does not change those before it.
            let seed = script.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
            let writer = match &rule.act {
                FaultAction::Write { changes, .. } | FaultAction::Shift { changes } => {
                    Some(Arc::new(Mutex::new(RandomWriter::new(seed ^ mixed, changes.clone()))))
                }
                _ => None,
            };
            Playing { rule: rule.clone(), random: ChaCha20Rng::seed_from_u64(seed), writer, seen: 0, done: 0 }
        };
        Self { rules: script.rules.iter().zip(0..).map(playing).collect(), began: None, outage: None }
    }
}

impl FaultPlayer for Player {
    fn played(&self) -> Vec<u64> {
        self.rules.iter().map(|playing| playing.done).collect()
    }

    fn take(&mut self, seen: &SeenRequest, now: Timestamp) -> Vec<Act> {
        let began = *self.began.get_or_insert(now);
        if let Some((until, act)) = &self.outage {
            if now < *until {
                return vec![act.clone()];
            }
            self.outage = None;
        }
        let age = Duration::from_millis(u64::try_from(now.millis_since(began)).unwrap_or_default());
        let mut acts = Vec::new();
        for playing in &mut self.rules {
            if !playing.happens(seen, age) {
                continue;
            }
            if let FaultAction::Outage { lasting, status } = playing.rule.act {
                let act = status.map_or(Act::DropBefore, |status| Act::Status { status, retry_after: None });
                let millis = i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX);
                self.outage = Some((now.plus_millis(millis), act.clone()));
                return vec![act];
            }
            playing.acts(now, &mut acts);
        }
        acts
    }
}

impl Playing {
    /// Decides whether the rule applies to this request, and counts the request if it matches.
    fn happens(&mut self, seen: &SeenRequest, age: Duration) -> bool {
        let Condition { which, every, probability, times, after, lasting } = &self.rule.when;
        let in_time = age >= *after && lasting.is_none_or(|lasting| age < after.saturating_add(lasting));
        if !in_time || !which.matches(seen) {
            return false;
        }
        self.seen += 1;
        let happens = which.counts(self.seen)
            && every.is_none_or(|every| self.seen.is_multiple_of(every))
            && times.is_none_or(|times| self.done < times)
            && probability.is_none_or(|probability| self.random.random_bool(probability));
        self.done += u64::from(happens);
        happens
    }

    fn acts(&mut self, now: Timestamp, acts: &mut Vec<Act>) {
        match &self.rule.act {
            FaultAction::Latency { least, most } => acts.push(Act::Wait(self.random.random_range(*least..=*most))),
            FaultAction::Answer { status, pause } => {
                let retry_after = match *pause {
                    Pause::None => None,
                    Pause::Seconds(seconds) => Some(seconds.to_string()),
                    Pause::Date(seconds) => {
                        let ahead = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
                        Some(http_date(now.plus_millis(ahead)))
                    }
                };
                acts.push(Act::Status { status: *status, retry_after });
            }
            FaultAction::Drop { done: false } => acts.push(Act::DropBefore),
            FaultAction::Drop { done: true } => acts.push(Act::DropAfter),
            FaultAction::Cut => acts.push(Act::CutBody),
            FaultAction::Empty => acts.push(Act::EmptyBody),
            FaultAction::Garbage => acts.push(Act::InvalidJson),
            FaultAction::Hang => acts.push(Act::Hang),
            FaultAction::ExpireTokens => acts.push(Act::ExpireTokens),
            FaultAction::Page(fault) => acts.push(Act::Page(*fault)),
            // Started by the player, because it outlasts this request.
            FaultAction::Outage { .. } => {}
            FaultAction::Shift { .. } => acts.extend(self.writing().map(Act::After)),
            FaultAction::Write { at_once, .. } => {
                for _ in 0..*at_once {
                    let before = self.random.random_bool(0.5);
                    acts.extend(self.writing().map(|hook| if before { Act::Before(hook) } else { Act::After(hook) }));
                }
            }
        }
    }

    fn writing(&self) -> Option<Hook> {
        let writer = Arc::clone(self.writer.as_ref()?);
        Some(Arc::new(move |instance, _| writer.lock().unwrap_or_else(PoisonError::into_inner).write(instance)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::embedded::state::{Class, Verb};

    fn start() -> Timestamp {
        Timestamp::from_millis(1_795_356_000_000)
    }

    fn player(text: &str) -> Player {
        Player::new(&FaultScript::parse(text, "f.toml").unwrap(), 0)
    }

    fn get(path: &str, class: Class) -> SeenRequest {
        SeenRequest { verb: Verb::Get, path: path.to_owned(), class }
    }

    /// Returns which of `count` requests, one per second, have a fault.
    fn hit(text: &str, count: i64) -> Vec<i64> {
        let mut player = player(text);
        let seen = get("/api/v2/secrets/1", Class::Reading);
        (0..count).filter(|second| !player.take(&seen, start().plus_millis(second * 1_000)).is_empty()).collect()
    }

    #[test]
    fn numbers_times_and_seconds_say_which_requests() {
        let rule = |when: &str| format!("[[rule]]\nact = \"cut\"\nwhen = {{ {when} }}\n");
        assert_eq!(hit(&rule("nth = 3"), 6), [2]);
        assert_eq!(hit(&rule("from = 2, to = 3"), 6), [1, 2]);
        assert_eq!(hit(&rule("every = 2"), 6), [1, 3, 5]);
        assert_eq!(hit(&rule("times = 2"), 6), [0, 1]);
        assert_eq!(hit(&rule("after = 2, for = 3"), 8), [2, 3, 4]);
        assert_eq!(hit(&rule("after = 2, nth = 1"), 8), [2], "only requests within the time are counted");
        assert_eq!(hit(&rule("class = \"listing\""), 4), [] as [i64; 0]);
        assert_eq!(hit(&rule("path = \"/secrets/\", verb = \"GET\""), 2), [0, 1]);
    }

    #[test]
    fn probability_follows_the_seed() {
        let rule = |seed: u64| format!("seed = {seed}\n[[rule]]\nact = \"cut\"\nwhen = {{ probability = 0.3 }}\n");
        let first = hit(&rule(1), 200);
        assert_eq!(first, hit(&rule(1), 200));
        assert_ne!(first, hit(&rule(2), 200));
        assert!((30..=90).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn an_outage_stops_everything_for_its_time_tokens_too() {
        let mut player = player("[[rule]]\nact = \"outage\"\nseconds = 30\nstatus = 503\nwhen = { nth = 2 }\n");
        let mut at = |seconds: i64, class: Class| {
            let acts = player.take(&get("/x", class), start().plus_millis(seconds * 1_000));
            acts.first().map(|act| matches!(act, Act::Status { status: 503, .. }))
        };
        assert_eq!(at(0, Class::Reading), None);
        assert_eq!(at(1, Class::Reading), Some(true));
        assert_eq!(at(2, Class::Token), Some(true));
        assert_eq!(at(30, Class::Listing), Some(true));
        assert_eq!(at(31, Class::Reading), None);
        assert_eq!(at(40, Class::Reading), None);
    }

    #[test]
    fn a_pause_is_seconds_or_a_date_by_the_instances_clock() {
        let asked = |line: &str| {
            let text = format!("[[rule]]\nact = \"answer\"\nstatus = 429\n{line}\n");
            match player(&text).take(&get("/x", Class::Reading), start()).pop() {
                Some(Act::Status { status: 429, retry_after }) => retry_after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(asked(""), None);
        assert_eq!(asked("retry_after = 7").as_deref(), Some("7"));
        assert_eq!(asked("retry_after_date = 90").as_deref(), Some("Sun, 22 Nov 2026 14:01:30 GMT"));
    }

    #[test]
    fn only_pages_of_lists_are_shifted() {
        let mut player = player("[[rule]]\nact = \"shift\"\n");
        assert!(player.take(&get("/api/v2/secrets/1", Class::Reading), start()).is_empty());
        let acts = player.take(&get("/api/v2/secrets", Class::Listing), start());
        assert!(matches!(acts.as_slice(), [Act::After(_)]), "{acts:?}");
    }

    #[test]
    fn rules_happen_together_and_tokens_only_when_named() {
        let text = "[[rule]]\nact = \"latency\"\nseconds = 0\n[[rule]]\nact = \"cut\"\nwhen = { class = \"any\" }\n";
        let mut player = player(text);
        assert_eq!(player.take(&get("/api/v2/secrets", Class::Listing), start()).len(), 2);
        assert_eq!(player.take(&get("/identity/token", Class::Token), start()).len(), 1);
    }
}
