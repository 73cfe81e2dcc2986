//! The repository and its stores.

mod commits;
mod lease;
mod odd_buckets;
mod older_versions;
mod s3;
