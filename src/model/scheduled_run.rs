//! Which run of a schedule something is.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One due run of a job: what a schedule says should happen, and when. An entry that names it says that it did happen,
/// so that no other host does it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// The name of the job, as the configuration has it.
    pub job: String,
    /// The moment that its schedule names, before any jitter.
    pub at: Timestamp,
}
