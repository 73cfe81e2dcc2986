//! The repository and its stores.

mod commits;
mod lease;
mod older_versions;
mod s3;
