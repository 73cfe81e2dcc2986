//! What keeps Keyhaven running and what it tells the world: the run loop, the record of each run, metrics, notifications,
//! hooks, systemd.
//!
//! A job runs as a process of its own, the same command that a person would type; its result comes back as `--json`. So a
//! job that dies takes nothing with it, keys are read anew for every run, and a scheduled run is what a run by hand is.

mod attempt;
pub mod board;
pub mod child;
pub mod engine;
pub mod facts;
pub mod http;
pub mod kinds;
pub mod leasing;
#[expect(clippy::disallowed_methods, reason = "a memory is a file of the state folder, outside of every store")]
pub mod memory;
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
pub mod plan;
pub mod ports;
pub mod run;
pub mod slots;
pub mod systemd;
pub mod tally;
pub mod task;
pub mod tell;

pub use board::{DaemonState, BoardInstance, DaemonRole, JobView, RepositoryView};
pub use memory::{StateFile, StateFileError};
pub use run::{RunOutcome, RunFacts, JobRun};
pub use tally::RunStatistics;
pub use tell::Notifier;
