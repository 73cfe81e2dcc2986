//! Record of one run of a job, for metrics, notifications, hooks and the state directory.

use serde::{Deserialize, Serialize};

use crate::job::RunFacts;
use crate::model::{FailureKind, ScheduledRun, Timestamp};

/// Outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum RunOutcome {
    /// Complete success.
    Succeeded,
    /// An incomplete result was recorded (exit code 3).
    Partial,
    /// A suspect snapshot was recorded (exit code 3).
    Suspect,
    /// The run failed.
    Failed {
        /// Process exit code.
        exit: u8,
    },
    /// The run exceeded its deadline and was stopped.
    TimedOut,
    /// The run was stopped, by a signal or because the daemon ends.
    Interrupted,
}

/// One finished run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// Job name; for a manual run, the command name.
    pub job: String,
    /// Command, such as `backup`.
    pub kind: String,
    /// Instance name from the configuration; empty if there is only one.
    #[serde(default)]
    pub instance: String,
    /// Scheduled run; `None` for a manual run.
    #[serde(default)]
    pub due: Option<ScheduledRun>,
    /// Start time.
    pub started: Timestamp,
    /// End time.
    pub ended: Timestamp,
    /// Attempt number, from 1.
    pub attempt: u32,
    /// Outcome.
    #[serde(flatten)]
    pub ending: RunOutcome,
    /// Facts that the run reported.
    #[serde(default)]
    pub facts: RunFacts,
    /// First words of the error. May contain names: it is logged, and sent elsewhere only where names are allowed.
    #[serde(default)]
    pub why: Option<String>,
}

impl RunOutcome {
    /// Returns the outcome for a kind of failure; `None` is success.
    #[must_use]
    pub fn of(kind: Option<FailureKind>, suspect: bool) -> Self {
        match kind {
            None => Self::Succeeded,
            Some(FailureKind::Partial) if suspect => Self::Suspect,
            Some(FailureKind::Partial) => Self::Partial,
            Some(FailureKind::Interrupted) => Self::Interrupted,
            Some(kind) => Self::Failed { exit: kind.exit_code() },
        }
    }

    /// Returns the outcome as one word, as in JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Suspect => "suspect",
            Self::Failed { .. } => "failed",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
        }
    }

    /// True if nothing needs attention.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Succeeded)
    }
}

impl JobRun {
    /// True if it did what it was asked to. A dry run that found something to do has: exit code 15 is its result.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let plan = RunOutcome::Failed { exit: FailureKind::Different.exit_code() };
        let plans = ["sync", "forget", "sweep", "restore"].contains(&self.kind.as_str());
        self.ending.is_good() || plans && self.ending == plan
    }
}
