//! How a command ended, and what the record of its run keeps of its result.

use super::failure::Failure;
use crate::job::{RunFacts, RunResult};
use crate::model::FailureKind;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CommandOutcome {
    /// What is wrong; the printed result says it, and only the exit code is left to give.
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

/// What is wrong with the end of a command; `None` when nothing is.
pub(super) fn kind(ended: &Result<CommandOutcome, Failure>) -> Option<FailureKind> {
    match ended {
        Ok(outcome) => outcome.reported,
        Err(failure) => Some(failure.kind()),
    }
}

/// What the record of the run keeps, also of a command that failed after it had printed its result.
pub(super) fn facts(ended: &Result<CommandOutcome, Failure>) -> RunFacts {
    match ended {
        Ok(outcome) => outcome.facts.clone(),
        Err(failure) => failure.facts(),
    }
}
