//! Why a check could not be done.

use super::Level;
use crate::model::FailureKind;
use crate::repository::RepositoryError;

/// A check that was not done, as opposed to one that found something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The level needs a key that was not given.
    #[error("verify at level `{level}` needs {key}, and none was given; name its file, or check at a lower level")]
    KeyNeeded {
        /// The level.
        level: Level,
        /// The key.
        key: &'static str,
    },
    /// A slice is of the packs, and they are opened at the last level only.
    #[error("a slice goes with level `payload` only; the other levels always check everything")]
    SliceWithoutPayload,
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The check was interrupted.
    #[error("interrupted; nothing was changed")]
    Interrupted,
}

impl VerifyError {
    /// What kind of failure this is.
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
