//! Decides what to do about a job now. Pure: plain data in and out. The run loop asks, acts, and reports the result.
//!
//! A run is a *slot*: a job and the time when it is due. A slot is *filled* once a run of it, by any daemon, has
//! completed. Of several open slots only the newest is run: one backup now is worth all that were missed.

mod retry;

use std::time::Duration;

use super::RunOutcome;
use super::task::JobTask;
use crate::model::Timestamp;
use crate::schedule::jitter;

pub use retry::{RetryDecision, retry_decision};

/// Maximum delay until a slot is noticed, in milliseconds. Beyond it the slot was missed.
const LATE_MILLIS: i64 = 60_000;
/// Maximum distance into the future, in milliseconds, before a time is attributed to a clock that was wrong.
pub(super) const AHEAD_MILLIS: i64 = 5 * 60 * 1_000;

/// Policy by which daemons of one repository take over from each other.
#[derive(Debug, Clone)]
pub struct TakeoverPolicy {
    /// Text that differs between daemons; input of the jitter hash.
    pub salt: String,
    /// Time that a daemon waits for another daemon that ran the job last.
    pub takeover_after: Duration,
}

/// A filled slot, as recorded in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedSlot {
    /// Due time.
    pub at: Timestamp,
    /// Duration of its run, in milliseconds, as far as its entry shows.
    pub took_millis: i64,
    /// True if more than one daemon filled it. Then none of them counts as the one that ran last.
    pub contested: bool,
}

/// A failed attempt that will be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PlannedRetry {
    slot: Timestamp,
    /// Number of attempts made.
    made: u32,
    not_before: Timestamp,
}

/// A daemon's knowledge of one job.
#[derive(Debug, Clone)]
pub struct JobProgress {
    /// When this daemon began to handle the job.
    armed: Timestamp,
    /// Newest slot known to be filled, by any daemon.
    filled: Option<CompletedSlot>,
    /// Newest slot that this daemon filled.
    own: Option<Timestamp>,
    /// Newest slot that this daemon gave up.
    given_up: Option<Timestamp>,
    /// First slot seen open since the last filled one.
    waiting: Option<Timestamp>,
    /// Newest slot noticed in time.
    noticed: Option<Timestamp>,
    retry: Option<PlannedRetry>,
    /// Since when it is ready to run without having run.
    wanting: Option<Timestamp>,
    /// True if the ledger was asked since this daemon began to handle the job.
    looked: bool,
    /// True if the ledger was read and shows no run of the job by any daemon.
    unheard: bool,
}

/// Next step for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read the last filled slot from the ledger before deciding anything.
    Look,
    /// Do nothing until this time; `None`: nothing more is scheduled.
    Wait(Option<Timestamp>),
    /// The slot was missed and is not caught up.
    Skip(Timestamp),
    /// Run this slot, unless the ledger shows it filled.
    Run {
        /// The slot.
        slot: Timestamp,
        /// Attempt number, from 1.
        attempt: u32,
    },
}

impl JobProgress {
    /// Starts to handle a job. `own` is the last slot that this host remembers filling.
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

    /// Returns since when it is ready to run: the first [`Step::Run`] since the last attempt ended or another daemon
    /// filled a slot.
    #[must_use]
    pub fn wanting(&self) -> Option<Timestamp> {
        self.wanting
    }

    /// True if this daemon alone ran the job last, so that it need not wait for another. If two daemons ran the same
    /// slot, both back off by different times; otherwise every slot would run twice.
    #[must_use]
    pub fn ran_last(&self) -> bool {
        self.own.is_some_and(|own| self.filled.is_none_or(|filled| own >= filled.at && !filled.contested))
    }

    /// Returns the next step.
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
        // A newer slot takes precedence over a retry of an older one.
        let retry = self.retry.filter(|retry| retry.slot == slot);
        let (opens, attempt) = match retry {
            Some(retry) => (retry.not_before, retry.made.saturating_add(1)),
            None => (self.opens(task, turns, slot), 1),
        };
        if opens <= now {
            // Use the time it became ready, not the due time, so that a job that was running does not overtake jobs
            // that were waiting.
            self.wanting.get_or_insert(now);
            Step::Run { slot, attempt }
        } else {
            Step::Wait(Some(next.map_or(opens, |next| next.min(opens))))
        }
    }

    /// Returns when this daemon may run an open slot.
    fn opens(&self, task: &JobTask, turns: &TakeoverPolicy, slot: Timestamp) -> Timestamp {
        let start = slot.plus_millis(millis(jitter(&task.name, slot, &turns.salt, task.jitter)));
        if self.ran_last() {
            return start;
        }
        // Count from the first slot without a run: if slots come faster than the wait ends, the newest one would always
        // be too young.
        let first = self.filled.and_then(|filled| task.schedule.next_after(filled.at)).or(self.waiting);
        let from = first.unwrap_or(slot).min(slot).max(self.armed);
        // Spread the standby daemons, so that they do not all start at once.
        let spread = jitter(&task.name, slot, &turns.salt, turns.takeover_after / 2);
        start.max(from.plus_millis(self.patience(task, turns, slot)).plus_millis(millis(spread)))
    }

    /// Returns how long to wait for the daemon that ran last, in milliseconds. Longer if its runs take longer, because
    /// a slot shows as filled only after its run.
    fn patience(&self, task: &JobTask, turns: &TakeoverPolicy, slot: Timestamp) -> i64 {
        // A job that never ran has no daemon to wait for.
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

    /// Records that the ledger could not be read.
    pub fn saw_nothing(&mut self) {
        self.looked = true;
    }

    /// Records the last filled slot in the ledger, if any.
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

    /// Records that another daemon holds the lease; the slot is checked again at `until`.
    pub fn held_back(&mut self, slot: Timestamp, attempt: u32, until: Timestamp) {
        self.retry = Some(PlannedRetry { slot, made: attempt.saturating_sub(1), not_before: until });
    }

    /// Records the end of an attempt, and returns the time of the next one, if any.
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

    /// Drops slots in the future. After a fast clock was corrected, they would keep the next slots from being run.
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

/// Selects which ready tasks may start, given those that run: the longest waiting first, never with a task that it
/// excludes, and at most `most` at once.
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
