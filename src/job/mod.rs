//! The use cases, one folder each. Plan, then do: a plan is plain data, printable, testable.
//!
//! Jobs print nothing and draw nothing: they emit [`event::JobEvent`]s.

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

/// What every job gets from outside.
#[derive(Clone, Debug)]
pub struct Context {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Who listens.
    pub observer: Arc<dyn event::Observer>,
    /// Cancelled when the user or the platform wants us to stop; a job then ends at the next safe point with an error of
    /// kind [`crate::model::FailureKind::Interrupted`].
    pub cancel: CancellationToken,
}
