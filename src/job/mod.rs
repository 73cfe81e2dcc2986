//! The use cases, one directory each. Plan, then apply: a plan is plain data, printable and testable.
//!
//! Jobs print nothing: they emit [`event::JobEvent`]s.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use self::run_result::total;
pub use self::run_result::{RunFacts, RunResult};
use crate::model::Clock;

pub mod activate;
pub mod capture;
pub mod coverage;
pub mod drift;
pub mod event;
#[cfg(test)]
mod fake;
pub mod forget;
pub mod plan_file;
pub mod restore;
mod run_result;
pub mod status;
pub mod sweep;
pub mod sync;
pub mod verify;

/// Context of a job.
#[derive(Clone, Debug)]
pub struct Context {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Receiver of events.
    pub observer: Arc<dyn event::Observer>,
    /// Cancelled when the user or the platform wants the job to stop. The job then ends at the next safe point with an
    /// error of kind [`crate::model::FailureKind::Interrupted`].
    pub cancel: CancellationToken,
}
