//! Errors of a store.

use std::fmt;

use super::retention::Hold;
use crate::model::FailureKind;

/// A failed operation on a store. Never contains a credential or the content of an object.
///
/// `what` names the operation and the object (`read ledger/000000/…`), `place` the directory or bucket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No answer: refused, timed out, interrupted, or a TLS failure. It is unknown whether a write arrived.
    #[error("cannot {what} in {place}: no usable answer; check the network, the endpoint and its certificate")]
    Unreachable {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The store does not know the access key, or the secret is wrong.
    #[error("cannot {what} in {place}: the credentials are not accepted; check the access key id and its secret")]
    Unauthenticated {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The credentials or file permissions do not allow the operation.
    #[error("cannot {what} in {place}: not allowed; give this user the right to do it there")]
    Denied {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The store retains the object until a date, or until a legal hold is removed; additional permissions do not help.
    #[error("{path} in {place} cannot be deleted: it is {hold}")]
    Held {
        /// The object's path inside the repository.
        path: String,
        /// The store.
        place: String,
        /// Reason for the hold.
        hold: Hold,
    },
    /// The bucket does not exist.
    #[error("cannot {what} in {place}: there is no such bucket; check its name, the endpoint and the region")]
    NoBucket {
        /// The operation.
        what: String,
        /// The store.
        place: String,
    },
    /// The bucket is in another region than the one used for signing.
    #[error(
        "cannot {what} in {place}: the bucket is in {}; set repository.region, and the endpoint of that region",
        .named.as_deref().unwrap_or("another region")
    )]
    Region {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The region that the answer names.
        named: Option<String>,
    },
    /// An answer with status 200 is not a listing.
    #[error(
        "cannot {what} in {place}: the answer is no listing of a bucket; check repository.endpoint, and whether a proxy or a \
         login page answers in its place"
    )]
    NotAListing {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// Beginning of the answer.
        #[source]
        source: Cause,
    },
    /// The store rejects the checksum header of a write, or requires another one.
    #[error(
        "cannot {what} in {place}: the store wants another checksum header; set repository.checksum to \"md5\", or to \"none\""
    )]
    Checksum {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The object is in a storage class that does not allow immediate reads.
    #[error(
        "{path}, in {place}, is archived; bring it back (`aws s3api restore-object`, hours to days), then run this again, and \
         take the repository out of the lifecycle rule that archives"
    )]
    Archived {
        /// The object's path inside the repository.
        path: String,
        /// The store.
        place: String,
    },
    /// The object does not exist.
    #[error("{path} is not there, in {place}")]
    NotFound {
        /// The object's path inside the repository.
        path: String,
        /// The store.
        place: String,
    },
    /// The disk or the quota is full.
    #[error("cannot {what} in {place}: no room left; free some or raise the quota, then run it again")]
    Full {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The store rejects the request because the clocks differ too much.
    #[error("cannot {what} in {place}: this host's clock is too far from the store's; set the clock")]
    Clock {
        /// The operation.
        what: String,
        /// The store.
        place: String,
    },
    /// The object is larger than its kind allows.
    #[error("{path}, in {place}, has {size} bytes, more than the {limit} that it may have; it was not read")]
    TooLarge {
        /// The object's path inside the repository.
        path: String,
        /// The store.
        place: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The settings are invalid.
    #[error("{what}: {why}")]
    Settings {
        /// The setting.
        what: String,
        /// The problem and how to fix it.
        why: String,
    },
    /// Anything else.
    #[error("cannot {what} in {place}")]
    Other {
        /// The operation.
        what: String,
        /// The store.
        place: String,
        /// The cause.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoBucket { .. } => FailureKind::NoRepository,
            Self::NotFound { .. } | Self::TooLarge { .. } => FailureKind::Integrity,
            Self::Settings { .. } => FailureKind::Usage,
            _ => FailureKind::Failed,
        }
    }

    /// Returns true if the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The innermost cause of a failure, as one line of at most [`Cause::LIMIT`] characters.
///
/// Errors of the HTTP stack quote whole answers (including the signed text). This keeps only the status, the store's
/// own code and message, or the system's error text.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// Maximum number of characters.
    pub const LIMIT: usize = 300;

    /// Creates a cause from a text; cuts it to the limit and replaces control characters by spaces.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(Self::LIMIT).collect())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Cause {}
