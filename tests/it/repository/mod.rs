//! The repository and its stores.

mod commits;
mod faulty_bucket;
mod lease;
mod odd_buckets;
mod older_versions;
mod s3;
