//! Why an item goes no further.

use crate::job::restore::error::RestoreError;
use crate::model::with_causes;
use crate::provider::InstanceError;

/// Why no further step of an item is done.
#[derive(Debug)]
pub(super) enum Halt {
    /// Its state is in none of the plan's.
    Conflict(String),
    /// A step was refused.
    Failed(String),
    /// It cannot be brought back any more.
    Lost(String),
    /// It waits for an action outside this run.
    Waiting(String),
    /// What it needs is not there or cannot be used yet.
    Skipped(String),
    /// Server errors to the end: this item's, or the whole instance's.
    Overload(RestoreError),
    /// The whole run stops.
    Stop(RestoreError),
}

impl From<RestoreError> for Halt {
    /// What concerns one item fails that item; the rest stops the run.
    fn from(error: RestoreError) -> Self {
        match &error {
            RestoreError::Instance(
                InstanceError::Refused { .. }
                | InstanceError::Forbidden { .. }
                | InstanceError::Unsafe { .. }
                | InstanceError::Malformed { .. },
            )
            | RestoreError::PayloadMissing { .. }
            | RestoreError::PackDamaged { .. }
            | RestoreError::Convert(_) => Self::Failed(with_causes(&error)),
            RestoreError::Instance(InstanceError::Overloaded { .. }) => Self::Overload(error),
            RestoreError::Instance(InstanceError::Gone { .. } | InstanceError::Moved { .. }) => {
                Self::Conflict(with_causes(&error))
            }
            _ => Self::Stop(error),
        }
    }
}
