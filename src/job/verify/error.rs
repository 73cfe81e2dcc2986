//! Errors of a verification.

use super::Level;
use crate::model::FailureKind;
use crate::repository::RepositoryError;

/// A verification that could not be done, as opposed to one with findings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The level needs a key that is not available.
    #[error("verify at level `{level}` needs {key}, and none was given; name its file, or check at a lower level")]
    KeyNeeded {
        /// The level.
        level: Level,
        /// The key.
        key: &'static str,
    },
    /// A slice was requested at a level that does not open packs.
    #[error("`--slice` requires level `payload`; other levels always check everything")]
    SliceWithoutPayload,
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The check was interrupted.
    #[error("interrupted; nothing was changed")]
    Interrupted,
}

impl VerifyError {
    /// Returns the kind of this failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::KeyNeeded { .. } => FailureKind::Key,
            Self::SliceWithoutPayload => FailureKind::Usage,
            Self::Repository(error) => error.kind(),
            Self::Interrupted => FailureKind::Interrupted,
        }
    }
}
