//! Keyhaven: backup and disaster recovery for secrets-manager instances.
//!
//! The map of the crate is `docs/architecture.md`. A folder may use those below it in that map, never those above or
//! beside it.

pub mod cli;
pub mod config;
pub mod crypto;
pub mod daemon;
pub mod files;
pub mod format;
pub mod job;
pub mod model;
pub mod provider;
pub mod repository;
pub mod schedule;
