//! Limits of listings and requests.

use std::time::Duration;

/// Maximum number of objects in one listing: years of quarter-hourly entries of one repository.
pub const LISTED_OBJECTS: usize = 2_000_000;

/// Timeout of one request to a bucket.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Time in which a failed request to a bucket is retried.
pub(super) const RETRY_FOR: Duration = Duration::from_secs(120);
/// Time in which writing an object and reading it back completes, or fails with an error that it may not be stored.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(2 * (REQUEST_TIMEOUT.as_secs() + RETRY_FOR.as_secs()));
