//! Errors of a sweep that was not tried.

use crate::model::FailureKind;
use crate::repository::{RepositoryError, StoreError};

/// A sweep that ended before it decided, or whose entry was not written: nothing was deleted. Findings, and failures
/// during the deletion, are in its report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The repository could not be read or written.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sweep was interrupted.
    #[error("interrupted; nothing was deleted")]
    Interrupted,
}

impl SweepError {
    /// Returns the kind of this failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Repository(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Interrupted => FailureKind::Interrupted,
        }
    }
}
