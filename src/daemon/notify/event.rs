//! Events that are notified, a run's start and a repository's freshness, and warnings about failed notifications.

use crate::model::{ScheduledRun, Timestamp};

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// Job name; for a manual run, the command name.
    pub job: String,
    /// Command, such as `backup`.
    pub kind: String,
    /// Instance name from the configuration; empty if there is only one.
    pub instance: String,
    /// Scheduled run; `None` for a manual run.
    pub due: Option<ScheduledRun>,
    /// Start time.
    pub started: Timestamp,
    /// Attempt number, from 1.
    pub attempt: u32,
}

/// Freshness of a repository.
#[derive(Debug, Clone)]
pub struct Freshness {
    /// Instance name from the configuration; empty if there is only one.
    pub instance: String,
    /// Reasons why it is stale, as text; empty if it is fresh.
    pub stale: Vec<String>,
    /// Time of the check.
    pub at: Timestamp,
}

/// A failed notification or a failed hook after a run. It never affects the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyWarning {
    /// Target or hook.
    pub who: String,
    /// Description of the problem, without URLs and secrets.
    pub why: String,
}

impl std::fmt::Display for NotifyWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.who, self.why)
    }
}
