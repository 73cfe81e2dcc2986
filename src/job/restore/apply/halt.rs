//! Reasons why an item goes no further.

use crate::job::restore::error::RestoreError;
use crate::model::with_causes;
use crate::provider::InstanceError;

/// Reason why no further step of an item is executed.
#[derive(Debug)]
pub(super) enum Halt {
    /// Its state matches none of the plan's states.
    Conflict(String),
    /// A step was refused.
    Failed(String),
    /// It can no longer be restored.
    Lost(String),
    /// It waits for an action outside this run.
    Waiting(String),
    /// A dependency is missing or not usable yet.
    Skipped(String),
    /// All retries ended in server errors, of this item or of the whole instance.
    Overload(RestoreError),
    /// The whole run stops.
    Stop(RestoreError),
}

impl From<RestoreError> for Halt {
    /// Errors about one item fail that item; all others stop the run.
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
