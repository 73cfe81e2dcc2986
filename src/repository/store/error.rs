//! Errors of a store.

use std::fmt;

use super::retention::Hold;
use crate::model::FailureKind;

/// A failed operation on a store. Never holds a credential or the content of an object.
///
/// `what` names the operation and the object (`read ledger/000000/…`), `place` the folder or bucket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No answer: refused, timed out, cut off, TLS. Whether a write arrived is unknown.
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
    /// The store does not know the access key, or the secret does not fit.
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
    /// The credentials (or the file permissions) do not allow it.
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
    /// The store retains the object until a date, or until a legal hold is removed; no right would change that.
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
    /// The bucket is in another region than the one that requests are signed for.
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
    /// The answer with status 200 is no listing.
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
    /// The store refuses the checksum header of a write, or wants another one.
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
    /// The object was moved to a storage class that is not read at once.
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
    /// The store refuses requests that are signed at a time so far from its own.
    #[error("cannot {what} in {place}: this host's clock is too far from the store's; set the clock")]
    Clock {
        /// The operation.
        what: String,
        /// The store.
        place: String,
    },
    /// The object is larger than anything of its kind may be.
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
    /// The settings cannot work.
    #[error("{what}: {why}")]
    Settings {
        /// The setting.
        what: String,
        /// What is wrong with it and how to fix it.
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

    /// Returns true if the object simply is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// The innermost reason of a failure in one line of at most [`Cause::LIMIT`] characters.
///
/// The errors of the HTTP stack quote whole answers (the text that was signed among them); this keeps the status, the
/// store's own code and message, or the system's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// Characters kept.
    pub const LIMIT: usize = 300;

    /// Takes a reason; what is too long or no printable character goes.
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
