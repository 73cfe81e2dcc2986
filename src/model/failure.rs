//! Kind of failure; it determines the exit code and nothing else.

use serde::Serialize;

/// Documented exit codes, by meaning. Every error type of the crate has a `kind()` that returns one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// Failed for a reason that no other variant covers: a full disk, an unwritable bucket, a bug.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Partial or suspect: something that the configuration wants was not captured or restored.
    Partial,
    /// There is no repository at the given location.
    NoRepository,
    /// A key is missing or does not fit.
    Key,
    /// An integrity check or a signature failed.
    Integrity,
    /// The recovery point objective was missed.
    Stale,
    /// A plan is not empty, or drift was found.
    Different,
    /// The target has moved or conflicts.
    Moved,
    /// The instance cannot be reached or refused us.
    Instance,
    /// Interrupted by a signal.
    Interrupted,
}

impl FailureKind {
    /// Returns the process exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::NoRepository => 10,
            Self::Key => 12,
            Self::Integrity => 13,
            Self::Stale => 14,
            Self::Different => 15,
            Self::Moved => 16,
            Self::Instance => 17,
            Self::Interrupted => 130,
        }
    }
}
