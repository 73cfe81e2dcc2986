//! Forgetting, undoing and holding snapshots.

mod command;
mod facts;
mod meanwhile;
