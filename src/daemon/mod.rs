//! Long-running operation and reporting: the run loop, run statistics, metrics, notifications, hooks, systemd.
//!
//! A job runs as its own process, with the same command that a person would type, and returns its result as `--json`.
//! So a crashing job takes nothing with it, keys are read again for every run, and a scheduled run equals a manual run.

mod attempt;
pub mod audit_line;
pub mod daemon_state;
pub mod engine;
pub mod http;
pub mod kinds;
pub mod lease_manager;
pub mod metrics;
pub mod notify;
#[cfg(feature = "otel")]
pub mod otel;
pub mod plan;
pub mod ports;
pub mod process_runner;
pub mod run;
pub mod run_statistics;
pub mod slots;
#[expect(clippy::disallowed_methods, reason = "a memory is a file of the state folder, outside of every store")]
pub mod state_file;
pub mod systemd;
pub mod task;

pub use daemon_state::{DaemonRole, DaemonState, InstanceView, JobView, RepositoryView};
pub use notify::Notifier;
pub use run::{JobRun, RunOutcome};
pub use run_statistics::RunStatistics;
pub use state_file::{StateFile, StateFileError};
