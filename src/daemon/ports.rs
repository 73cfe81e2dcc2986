//! Interfaces of the run loop to the outside, so that tests can simulate it.

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

/// Request to run one attempt.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Instance name from the configuration; empty if there is only one.
    pub instance: String,
    /// The command.
    pub kind: &'static str,
    /// Its further arguments.
    pub arguments: Vec<String>,
    /// The scheduled run.
    pub due: ScheduledRun,
    /// Deadline.
    pub deadline: Duration,
}

/// Outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// Its outcome.
    pub ending: RunOutcome,
    /// Facts that the run reported.
    pub facts: RunFacts,
    /// First words of the error, if it failed.
    pub why: Option<String>,
}

/// Stop request to a run.
#[derive(Debug, Clone, Default)]
pub struct StopRequest {
    /// Stop at the next safe point.
    pub soon: CancellationToken,
    /// Stop at once.
    pub now: CancellationToken,
}

/// Runs jobs.
#[async_trait]
pub trait Runner: Send + Sync + fmt::Debug {
    /// Runs a job to its end, or stops it after its deadline or on `stop`. Infallible: a failure to run is an outcome.
    async fn run(&self, order: &RunRequest, stop: &StopRequest) -> AttemptOutcome;
}

/// Reads which scheduled runs are completed.
#[async_trait]
pub trait Ledgers: Send + Sync + fmt::Debug {
    /// Returns the newest run of a job, due at or before `until`, that the instance's ledger shows as completed, if
    /// any.
    ///
    /// # Errors
    /// Why the ledger cannot be read, as text.
    async fn filled(&self, instance: &str, job: &str, until: Timestamp) -> Result<Option<CompletedSlot>, String>;
}

/// Receives every event: hooks, notifications, counters, the daemon state.
#[async_trait]
pub trait RunObserver: Send + Sync + fmt::Debug {
    /// Called before an attempt begins; [`RunObserver::run_finished`] follows.
    ///
    /// # Errors
    /// The reason, if a hook forbids the attempt.
    async fn run_started(&self, start: &RunStart) -> Result<(), String>;

    /// Called after an attempt, also one that was forbidden. `again` is true if another follows.
    async fn run_finished(&self, run: &JobRun, again: bool);

    /// Publishes the state of all jobs.
    fn show(&self, states: &[(TaskId, JobView)], role: DaemonRole);

    /// Called at least every [`super::engine::PULSE`] while the loop is alive.
    fn pulse(&self);

    /// Called when every ledger was read once.
    fn reached(&self);
}
