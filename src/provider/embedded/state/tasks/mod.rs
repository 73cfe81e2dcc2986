//! Tasks for the job of a custom credentials engine, processed one at a time per secret.

mod answer;
#[cfg(test)]
mod invariants;
mod queue;
mod requests;
mod retry;
mod task;
#[cfg(test)]
mod tests;
mod time;

pub(super) use retry::next_retry;

pub use task::{SecretTask, TaskError, TaskKind, TaskStatus, TaskTrigger};
