//! Identity of one run of a schedule.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One due run of a job. A ledger entry that names it records that the run was done, so that no other host repeats it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// The name of the job in the configuration.
    pub job: String,
    /// The time given by the schedule, before any jitter.
    pub at: Timestamp,
}
