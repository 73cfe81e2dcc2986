//! What is told: that a run begins, how fresh a repository is; and what went wrong while telling it.

use crate::model::{ScheduledRun, Timestamp};

/// A run that is about to begin.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The name of the job; for a command run by hand, that of the command.
    pub job: String,
    /// The command, such as `backup`.
    pub kind: String,
    /// The instance of the configuration; empty where it has only one.
    pub instance: String,
    /// Which run of the schedule it is; `None` for a run by hand.
    pub due: Option<ScheduledRun>,
    /// When it begins.
    pub started: Timestamp,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// Whether what the repository holds is fresh enough.
#[derive(Debug, Clone)]
pub struct Freshness {
    /// The instance of the configuration; empty where it has only one.
    pub instance: String,
    /// Why it is stale, in words; empty when it is fresh.
    pub stale: Vec<String>,
    /// When that was found.
    pub at: Timestamp,
}

/// A target could not be told, or a hook after a run failed. Nothing that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyWarning {
    /// The target or hook.
    pub who: String,
    /// What went wrong, without URLs and secrets.
    pub why: String,
}

impl std::fmt::Display for NotifyWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.who, self.why)
    }
}
