//! One job on one instance, as the run loop uses it.

use std::time::Duration;

use super::kinds::JobKind;
use crate::model::ScheduledRun;
use crate::model::Timestamp;
use crate::schedule::Schedule;

/// A configured job on one of its instances.
#[derive(Debug, Clone)]
pub struct JobTask {
    /// Instance name from the configuration; empty if there is only one.
    pub instance: String,
    /// Job name.
    pub name: String,
    /// Job kind.
    pub kind: &'static JobKind,
    /// Schedule.
    pub schedule: Schedule,
    /// Maximum delay after the due time.
    pub jitter: Duration,
    /// Deadline of one attempt.
    pub deadline: Duration,
    /// Maximum number of retries.
    pub retries: u32,
    /// Wait before the first retry; each further wait is twice as long.
    pub retry_after: Duration,
    /// True if a missed run is caught up.
    pub catch_up: bool,
    /// Further arguments of the command.
    pub arguments: Vec<String>,
}

/// Key of a task across configuration reloads: instance and job name.
pub type TaskId = (String, String);

impl JobTask {
    /// Returns the key.
    #[must_use]
    pub fn id(&self) -> TaskId {
        (self.instance.clone(), self.name.clone())
    }

    /// Returns the scheduled run at a due time.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> ScheduledRun {
        ScheduledRun { job: self.name.clone(), at }
    }

    /// True if the two tasks must not overlap: they are the same job, or work on the same instance.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        self.instance == other.instance && (self.name == other.name || self.kind.excludes(other.kind))
    }
}
