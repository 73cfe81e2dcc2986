//! Why nothing was forgotten or undone.

use crate::model::FailureKind;
use crate::repository::RepositoryError;

/// Why snapshots were neither forgotten nor undone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// A policy without a rule would keep next to nothing.
    #[error(
        "no rule of retention is set, and without one every snapshot but the newest would go; nothing was forgotten"
    )]
    EmptyPolicy,
    /// It cannot be forgotten.
    #[error("snapshot {sequence} is never forgotten: {reason}")]
    Guarded {
        /// Its sequence.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// There is nothing to forget.
    #[error("snapshot {sequence} is {state}")]
    NotLive {
        /// Its sequence.
        sequence: u64,
        /// What it is.
        state: &'static str,
    },
    /// There is nothing to undo.
    #[error("snapshot {sequence} is not forgotten: there is nothing to undo")]
    NotForgotten {
        /// Its sequence.
        sequence: u64,
    },
    /// A sweep was faster.
    #[error("too late: {} swept, and what only they needed is deleted", named(sequences))]
    TooLate {
        /// Their sequences.
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
    /// The exit code's meaning.
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
