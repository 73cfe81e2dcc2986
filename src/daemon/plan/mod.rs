//! What to do about a job now: pure, plain data in and out. The run loop asks, acts, and says what became of it.
//!
//! A run is a *slot*: a job and the moment when it is due. A slot is *filled* once some run of it, by any daemon, is over.
//! Of several slots that are open only the newest is run: one backup now is worth all that were missed.

mod retry;

use std::time::Duration;

use super::RunOutcome;
use super::task::JobTask;
use crate::model::Timestamp;
use crate::schedule::jitter;

pub use retry::{RetryDecision, retry_decision};

/// How late a slot may be noticed and still count as seen in time, in milliseconds; past that it was missed.
const LATE_MILLIS: i64 = 60_000;
/// How far ahead of the clock something may lie before it is taken for the trace of a clock that was wrong, in milliseconds.
pub(super) const AHEAD_MILLIS: i64 = 5 * 60 * 1_000;

/// How daemons of one repository take turns.
#[derive(Debug, Clone)]
pub struct TakeoverPolicy {
    /// What differs between the daemons.
    pub salt: String,
    /// How long a daemon that did not run a job last waits for the one that did.
    pub takeover_after: Duration,
}

/// A slot that is filled, as the ledger shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedSlot {
    /// When it was due.
    pub at: Timestamp,
    /// How long its run took, as far as its entry shows, in milliseconds.
    pub took_millis: i64,
    /// Whether more than one daemon filled it: then none of them may think that it ran_last.
    pub contested: bool,
}

/// An attempt that failed and gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlannedRetry {
    slot: Timestamp,
    /// Attempts made.
    made: u32,
    not_before: Timestamp,
}

/// What a daemon knows of one job.
#[derive(Debug, Clone)]
pub struct JobProgress {
    /// Since when it looks after the job.
    armed: Timestamp,
    /// The newest slot that is known to be filled, by whomever.
    filled: Option<CompletedSlot>,
    /// The newest slot that this daemon filled.
    own: Option<Timestamp>,
    /// The newest slot that this daemon has given up.
    given_up: Option<Timestamp>,
    /// The first slot that it saw open since one was filled.
    waiting: Option<Timestamp>,
    /// The newest slot that it saw in time.
    noticed: Option<Timestamp>,
    retry: Option<PlannedRetry>,
    /// Since when it wants to run and has not.
    wanting: Option<Timestamp>,
    /// Whether the ledger was asked since it looks after the job.
    looked: bool,
    /// Whether the ledger was read and showed no run of the job, by anybody.
    unheard: bool,
}

/// What to do about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask the ledger which slot was filled last, before anything is decided.
    Look,
    /// Nothing until then, if ever.
    Wait(Option<Timestamp>),
    /// A slot was missed and is not made up for.
    Skip(Timestamp),
    /// Run this slot, unless the ledger shows it filled.
    Run {
        /// The slot.
        slot: Timestamp,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
}

impl JobProgress {
    /// Begins to look after a job. `own` is the slot that this host remembers to have filled last.
    #[must_use]
    pub fn new(own: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            armed: now,
            filled: own.map(|at| CompletedSlot { at, took_millis: 0, contested: false }),
            own,
            given_up: None,
            waiting: None,
            noticed: None,
            retry: None,
            wanting: None,
            looked: false,
            unheard: false,
        }
    }

    /// Since when it has wanted to run: the first [`Step::Run`] since an attempt of it was over or another daemon filled a slot.
    #[must_use]
    pub fn wanting(&self) -> Option<Timestamp> {
        self.wanting
    }

    /// Whether this daemon, and no other, ran the job last, so that it need not wait for another. If two daemons ran the same
    /// slot, both back off by different times; otherwise every slot would run twice.
    #[must_use]
    pub fn ran_last(&self) -> bool {
        self.own.is_some_and(|own| self.filled.is_none_or(|filled| own >= filled.at && !filled.contested))
    }

    /// What to do now.
    pub fn step(&mut self, task: &JobTask, turns: &TakeoverPolicy, now: Timestamp) -> Step {
        self.forget_what_lies_ahead(now);
        if !self.looked {
            return Step::Look;
        }
        let next = task.schedule.next_after(now);
        let Some(slot) = task.schedule.last_until(now).filter(|slot| !self.is_over(*slot)) else {
            return Step::Wait(next);
        };
        if self.noticed != Some(slot) {
            if !task.catch_up && now.millis_since(slot) > LATE_MILLIS {
                self.given_up = Some(slot);
                return Step::Skip(slot);
            }
            self.noticed = Some(slot);
            self.waiting.get_or_insert(slot);
        }
        // A newer slot is worth more than another attempt at an older one.
        let retry = self.retry.filter(|retry| retry.slot == slot);
        let (opens, attempt) = match retry {
            Some(retry) => (retry.not_before, retry.made.saturating_add(1)),
            None => (self.opens(task, turns, slot), 1),
        };
        if opens <= now {
            // The time it became ready, not the due time: a job that was running must not overtake jobs that were waiting.
            self.wanting.get_or_insert(now);
            Step::Run { slot, attempt }
        } else {
            Step::Wait(Some(next.map_or(opens, |next| next.min(opens))))
        }
    }

    /// When this daemon may run an open slot.
    fn opens(&self, task: &JobTask, turns: &TakeoverPolicy, slot: Timestamp) -> Timestamp {
        let start = slot.plus_millis(millis(jitter(&task.name, slot, &turns.salt, task.jitter)));
        if self.ran_last() {
            return start;
        }
        // Counted from the first slot without a run: where slots come faster than patience ends, the newest one would
        // for ever be too young.
        let first = self.filled.and_then(|filled| task.schedule.next_after(filled.at)).or(self.waiting);
        let from = first.unwrap_or(slot).min(slot).max(self.armed);
        // Several that stand by must not all wake at once.
        let spread = jitter(&task.name, slot, &turns.salt, turns.takeover_after / 2);
        start.max(from.plus_millis(self.patience(task, turns, slot)).plus_millis(millis(spread)))
    }

    /// How long the daemon that ran last is waited for, in milliseconds: longer where its runs take longer, as a slot shows
    /// as filled only when its run is over.
    fn patience(&self, task: &JobTask, turns: &TakeoverPolicy, slot: Timestamp) -> i64 {
        // A job that never ran has no leader to wait for.
        if self.unheard && self.filled.is_none() {
            return 0;
        }
        let least = millis(turns.takeover_after);
        let usual = self.filled.map_or(0, |filled| filled.took_millis.saturating_mul(2));
        if usual <= least {
            return least;
        }
        let most = task.schedule.interval(slot).map_or(least, millis).max(least);
        usual.min(most)
    }

    /// The ledger was to be asked and could not be read.
    pub fn saw_nothing(&mut self) {
        self.looked = true;
    }

    /// Which slot the ledger shows as filled last, if any.
    pub fn saw(&mut self, filled: Option<CompletedSlot>) {
        self.looked = true;
        self.unheard = filled.is_none();
        let Some(filled) = filled else { return };
        if self.filled.is_none_or(|known| known.at <= filled.at) {
            if self.filled.is_none_or(|known| known.at < filled.at) {
                self.waiting = None;
                self.wanting = None;
            }
            self.filled = Some(filled);
        }
    }

    /// Another daemon holds the lease: the slot is looked at again at that moment.
    pub fn held_back(&mut self, slot: Timestamp, attempt: u32, until: Timestamp) {
        self.retry = Some(PlannedRetry { slot, made: attempt.saturating_sub(1), not_before: until });
    }

    /// An attempt at a slot is over. When there will be another, gives its moment.
    pub fn ended(
        &mut self,
        task: &JobTask,
        turns: &TakeoverPolicy,
        slot: Timestamp,
        attempt: u32,
        ending: &RunOutcome,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.retry = None;
        self.wanting = None;
        match retry_decision(ending) {
            RetryDecision::Done => {
                self.own = self.own.max(Some(slot));
                let took_millis = self.filled.map_or(0, |filled| filled.took_millis);
                self.saw(Some(CompletedSlot { at: slot, took_millis, contested: false }));
                return None;
            }
            RetryDecision::Retry if attempt <= task.retries => {
                let delay = retry::delay(task.retry_after, attempt);
                let spread = jitter(&task.name, now, &turns.salt, delay / 4);
                let not_before = now.plus_millis(millis(delay)).plus_millis(millis(spread));
                self.retry = Some(PlannedRetry { slot, made: attempt, not_before });
                return Some(not_before);
            }
            RetryDecision::Retry | RetryDecision::GiveUp => self.given_up = self.given_up.max(Some(slot)),
        }
        None
    }

    fn is_over(&self, slot: Timestamp) -> bool {
        self.filled.is_some_and(|filled| slot <= filled.at) || self.given_up.is_some_and(|given_up| slot <= given_up)
    }

    /// A clock that ran ahead and was set right must not leave slots behind that keep the next ones from being run.
    fn forget_what_lies_ahead(&mut self, now: Timestamp) {
        let limit = now.plus_millis(AHEAD_MILLIS);
        let ahead = |at: Option<Timestamp>| at.is_some_and(|at| at > limit);
        if ahead(self.filled.map(|filled| filled.at)) || ahead(self.own) {
            self.filled = None;
            self.own = self.own.filter(|own| *own <= limit);
            self.looked = false;
        }
        self.given_up = self.given_up.filter(|at| *at <= limit);
        self.waiting = self.waiting.filter(|at| *at <= limit);
        self.noticed = self.noticed.filter(|at| *at <= limit);
        self.wanting = self.wanting.filter(|at| *at <= limit);
        self.retry = self.retry.filter(|retry| retry.slot <= limit);
        if let Some(retry) = &mut self.retry {
            retry.not_before = retry.not_before.min(now.plus_millis(millis(retry::LONGEST.saturating_mul(2))));
        }
        self.armed = self.armed.min(now);
    }
}

/// Which of the tasks that want to run, each since its moment, may start, given those that run: the one that waits longest
/// first, none beside one that it excludes, never more than `most` at once.
#[must_use]
pub fn choose(wanting: &[(&JobTask, Timestamp)], running: &[&JobTask], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wanting.len()).collect();
    order.sort_by_key(|at| wanting.get(*at).map(|(_, since)| *since));
    let mut beside: Vec<&JobTask> = running.to_vec();
    let mut chosen = Vec::new();
    for at in order {
        let Some((task, _)) = wanting.get(at) else { continue };
        if beside.len() < most && !beside.iter().any(|other| task.excludes(other)) {
            beside.push(task);
            chosen.push(at);
        }
    }
    chosen
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
