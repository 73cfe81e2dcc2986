//! One job on one instance, as the run loop has it.

use std::time::Duration;

use super::kinds::JobKind;
use crate::model::ScheduledRun;
use crate::model::Timestamp;
use crate::schedule::Schedule;

/// A job of the configuration on one of its instances.
#[derive(Debug, Clone)]
pub struct JobTask {
    /// The instance of the configuration; empty where it has only one.
    pub instance: String,
    /// The name of the job.
    pub name: String,
    /// What it is.
    pub kind: &'static JobKind,
    /// When it is due.
    pub schedule: Schedule,
    /// How much later than due it starts at most.
    pub jitter: Duration,
    /// How long one attempt may take.
    pub deadline: Duration,
    /// How many further attempts a failed one gets.
    pub retries: u32,
    /// How long the first of them waits; the next ones twice as long each.
    pub retry_after: Duration,
    /// Whether a run that was missed is made up for.
    pub catch_up: bool,
    /// Further arguments of the command.
    pub arguments: Vec<String>,
}

/// What a task is known by when the configuration is read again: its instance and its name.
pub type TaskId = (String, String);

impl JobTask {
    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> TaskId {
        (self.instance.clone(), self.name.clone())
    }

    /// The run that is due at that moment.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> ScheduledRun {
        ScheduledRun { job: self.name.clone(), at }
    }

    /// Whether it must wait until the other has ended: it is the same job, or works on the same instance.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        self.instance == other.instance && (self.name == other.name || self.kind.excludes(other.kind))
    }
}
