//! The record of one run of a job: what metrics, notifications, hooks and the state folder are told.

use serde::{Deserialize, Serialize};

use crate::job::RunFacts;
use crate::model::{FailureKind, ScheduledRun, Timestamp};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ending")]
pub enum RunOutcome {
    /// Everything was done.
    Succeeded,
    /// Something was recorded, and it lacks something (exit code 3).
    Partial,
    /// A snapshot was recorded, and it is suspect (exit code 3).
    Suspect,
    /// It failed.
    Failed {
        /// The process exit code.
        exit: u8,
    },
    /// It did not end within its deadline and was stopped.
    TimedOut,
    /// It was asked to stop, by a signal or because the daemon ends.
    Interrupted,
}

/// One run of a job, over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// The name of the job; for a command run by hand, that of the command.
    pub job: String,
    /// The command, such as `backup`.
    pub kind: String,
    /// The instance of the configuration; empty where it has only one.
    #[serde(default)]
    pub instance: String,
    /// Which run of the schedule it was; `None` for a run by hand.
    #[serde(default)]
    pub due: Option<ScheduledRun>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Which attempt of this run it was, from 1.
    pub attempt: u32,
    /// How it ended.
    #[serde(flatten)]
    pub ending: RunOutcome,
    /// What it found or made.
    #[serde(default)]
    pub facts: RunFacts,
    /// The first words of the error. May hold names: it goes to the log, and elsewhere only where names are allowed.
    #[serde(default)]
    pub why: Option<String>,
}

impl RunOutcome {
    /// How a run ended that gave this kind of failure, or none.
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

    /// How it ended, in one word: as it stands in JSON.
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

    /// Whether nothing needs attention.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Succeeded)
    }
}

impl JobRun {
    /// Whether it did what it was asked to. A dry run that found something to do has: its exit code 15 is its result.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let plan = RunOutcome::Failed { exit: FailureKind::Different.exit_code() };
        let plans = ["sync", "forget", "sweep", "restore"].contains(&self.kind.as_str());
        self.ending.is_good() || plans && self.ending == plan
    }
}
