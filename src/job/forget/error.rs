//! Errors of forget and undo.

use crate::model::FailureKind;
use crate::repository::RepositoryError;

/// Reason why snapshots were neither forgotten nor undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// The policy has no rule and would keep almost nothing.
    #[error("no retention rule is set, so every snapshot except the newest would be forgotten; nothing was forgotten")]
    EmptyPolicy,
    /// The snapshot must not be forgotten.
    #[error("snapshot {sequence} is never forgotten: {reason}")]
    Guarded {
        /// Sequence number.
        sequence: u64,
        /// Reason.
        reason: String,
    },
    /// The snapshot is already forgotten or swept, or does not exist.
    #[error("snapshot {sequence} is {state}")]
    NotLive {
        /// Sequence number.
        sequence: u64,
        /// Current state.
        state: &'static str,
    },
    /// The snapshot is not forgotten, so there is nothing to undo.
    #[error("snapshot {sequence} is not forgotten: there is nothing to undo")]
    NotForgotten {
        /// Sequence number.
        sequence: u64,
    },
    /// A sweep came first.
    #[error("too late: {} swept, and what only they needed is deleted", named(sequences))]
    TooLate {
        /// Sequence numbers.
        sequences: Vec<u64>,
    },
    /// No snapshot was named.
    #[error("no snapshot was named")]
    NothingNamed,
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

fn named(sequences: &[u64]) -> String {
    let numbers = sequences.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if sequences.len() == 1 { format!("snapshot {numbers} was") } else { format!("snapshots {numbers} were") }
}

impl ForgetError {
    /// Returns the kind of this failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::EmptyPolicy
            | Self::Guarded { .. }
            | Self::NotLive { .. }
            | Self::NotForgotten { .. }
            | Self::NothingNamed => FailureKind::Usage,
            Self::TooLate { .. } => FailureKind::Moved,
            Self::Repository(error) => error.kind(),
        }
    }
}
