//! Keyhaven: backup and disaster recovery for secrets-manager instances.
//!
//! A **capture** ([`job::capture`]) reads an instance through its [`provider::Source`] and writes a snapshot into a
//! [`repository::Repository`], a folder or a prefix in a bucket. Whoever captures seals what he writes to public keys and
//! cannot open it. Each snapshot, and all that happens to it later, is a signed entry of the ledger; the trust policy says
//! whose signature counts for what.
//!
//! A **restore** ([`job::restore`]) opens a snapshot with a recovery key, plans what would change in a
//! [`provider::Standby`], and does it. **Verification** ([`job::verify`]) says whether what the ledger names is there,
//! whole and readable. Jobs print nothing: each takes a [`job::Context`] and gives a report.
//!
//! The features `mail` (notifications by mail) and `s3` (repositories in a bucket) are on by default.
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
