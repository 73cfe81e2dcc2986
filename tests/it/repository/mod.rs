//! The repository and its stores.

mod commits;
mod lease;
mod s3;
