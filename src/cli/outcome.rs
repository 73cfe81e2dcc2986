//! Outcome of a command, and the facts of its result for the run record.

use super::failure::Failure;
use crate::job::{RunFacts, RunResult};
use crate::model::FailureKind;

/// Outcome of a command that did not fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CommandOutcome {
    /// The problem; the printed result describes it, and only the exit code remains to be set.
    reported: Option<FailureKind>,
    facts: RunFacts,
}

impl CommandOutcome {
    /// Everything was done.
    pub(super) fn done() -> Self {
        Self::default()
    }

    /// The result was printed and says itself what is wrong, if anything is.
    pub(super) fn reported(what: impl Into<Option<FailureKind>>) -> Self {
        Self { reported: what.into(), facts: RunFacts::default() }
    }

    /// With what the record of the run keeps.
    pub(super) fn with(mut self, result: &impl RunResult) -> Self {
        self.facts = result.facts();
        self
    }
}

/// Returns the failure kind of a finished command; `None` if it succeeded.
pub(super) fn kind(ended: &Result<CommandOutcome, Failure>) -> Option<FailureKind> {
    match ended {
        Ok(outcome) => outcome.reported,
        Err(failure) => Some(failure.kind()),
    }
}

/// Returns the facts for the run record, also for a command that failed after it printed its result.
pub(super) fn facts(ended: &Result<CommandOutcome, Failure>) -> RunFacts {
    match ended {
        Ok(outcome) => outcome.facts.clone(),
        Err(failure) => failure.facts(),
    }
}
