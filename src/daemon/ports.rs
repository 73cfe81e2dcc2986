//! What the run loop needs from the outside, so that tests can put a simulated world around it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::notify::RunStart;
use super::plan::CompletedSlot;
use super::task::TaskId;
use super::{DaemonRole, JobRun, JobView, RunOutcome};
use crate::job::RunFacts;
use crate::model::{ScheduledRun, Timestamp};

/// One attempt at a run, as a runner gets it.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The instance of the configuration; empty where it has only one.
    pub instance: String,
    /// The command.
    pub kind: &'static str,
    /// Its further arguments.
    pub arguments: Vec<String>,
    /// Which run of the schedule it is.
    pub due: ScheduledRun,
    /// How long it may take.
    pub deadline: Duration,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// How it ended.
    pub ending: RunOutcome,
    /// What it found or made.
    pub facts: RunFacts,
    /// The first words of the error, if it failed.
    pub why: Option<String>,
}

/// How a run is asked to end.
#[derive(Debug, Clone, Default)]
pub struct StopRequest {
    /// At its next safe point.
    pub soon: CancellationToken,
    /// At once.
    pub now: CancellationToken,
}

/// Runs jobs.
#[async_trait]
pub trait Runner: Send + Sync + fmt::Debug {
    /// Runs one to its end, or stops it when its deadline has passed or `stop` asks for it. Never fails by itself: what
    /// keeps it from running is its outcome.
    async fn run(&self, order: &RunRequest, stop: &StopRequest) -> AttemptOutcome;
}

/// Knows which runs of a schedule are over.
#[async_trait]
pub trait Ledgers: Send + Sync + fmt::Debug {
    /// The newest run of a job, not later than `until`, that the ledger of an instance shows as done, if
    /// any.
    ///
    /// # Errors
    /// Why the ledger cannot be read, in words.
    async fn filled(&self, instance: &str, job: &str, until: Timestamp) -> Result<Option<CompletedSlot>, String>;
}

/// Hears of everything: hooks, notifications, counters, the daemon_state.
#[async_trait]
pub trait RunObserver: Send + Sync + fmt::Debug {
    /// An attempt is about to begin, and is handed back to [`RunObserver::run_finished`].
    ///
    /// # Errors
    /// Why it must not begin, when a hook forbids it.
    async fn run_started(&self, start: &RunStart) -> Result<(), String>;

    /// An attempt is over; `again` says that another follows. Also called for one that was not let begin.
    async fn run_finished(&self, run: &JobRun, again: bool);

    /// How all jobs stand, whenever that has changed.
    fn show(&self, states: &[(TaskId, JobView)], role: DaemonRole);

    /// The loop is alive; called at least every [`super::engine::PULSE`].
    fn pulse(&self);

    /// Every ledger was read once.
    fn reached(&self);
}
