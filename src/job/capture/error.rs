//! Errors that end a capture. None of them leaves a recorded snapshot.

use crate::crypto::CryptoError;
use crate::format::FormatError;
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};
use crate::provider::InstanceError;
use crate::repository::RepositoryError;

/// A failed capture. It leaves at most objects in the repository that no snapshot names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The instance failed.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Data could not be encoded in or decoded from the format.
    #[error("cannot {what}")]
    Format {
        /// Operation that failed.
        what: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// Data could not be sealed.
    #[error("cannot {what}")]
    Crypto {
        /// Operation that failed.
        what: String,
        /// The cause.
        #[source]
        source: CryptoError,
    },
    /// The instance is not the one that the repository belongs to.
    #[error(
        "wrong instance: this repository holds backups of {expected}, the URL points to {found}; correct the URL, or \
         create a repository for this instance"
    )]
    OtherInstance {
        /// Instance found by the listing.
        found: String,
        /// Instance named by the trust policy.
        expected: String,
    },
    /// No version of the trust policy is in force.
    #[error(
        "no trust policy version is in force, so the recipients are unknown; run `keyhaven verify` to see the damage"
    )]
    NoPolicy,
    /// A snapshot names a newer policy version, which this host does not have.
    #[error(
        "not sealed: snapshot {} was written under version {version} of the trust policy, which is not here, and its \
         recovery recipients may differ; give this host the newest policy (`--policy`, it is on the recovery sheet)",
        snapshot.short()
    )]
    PolicyUnknown {
        /// The snapshot.
        snapshot: Digest,
        /// Policy version that it names.
        version: u64,
    },
    /// The listing has no secrets.
    #[error(
        "the instance lists no secret at all; if it really is empty, set `allow_empty`, else see whether the identity \
         lost its access"
    )]
    Empty,
    /// An item that was readable is now hidden.
    #[error(
        "access to {key} was lost (the instance does not say whether it still exists), so the backup would be \
         incomplete; restore the identity's role"
    )]
    SightLost {
        /// The item.
        key: ItemKey,
    },
    /// An item is missing from two stable listings but exists when requested.
    #[error(
        "the lists lack {key}, but it answers when asked for: the lists are not complete for this identity; \
         `keyhaven doctor` shows its roles"
    )]
    Unlisted {
        /// The item.
        key: ItemKey,
    },
    /// Too many consecutive items could not be read.
    #[error("aborted after {failures} consecutive read failures; last error")]
    Unreadable {
        /// Number of consecutive failures.
        failures: u32,
        /// Last error.
        #[source]
        source: InstanceError,
    },
    /// The clocks of this host and of the provider differ too much to sign.
    #[error(
        "not signed: this host's clock says {here}, the instance's {there}, more than 5 minutes apart; set the clock"
    )]
    ClockSkew {
        /// This host's clock.
        here: Timestamp,
        /// The instance's clock.
        there: Timestamp,
    },
    /// The run exceeded the longest run of the repository, so a sweep may delete objects that it needs.
    #[error(
        "gave up after {hours} h, the longest run that this repository allows; a higher pace or another `full_every` \
         makes runs shorter"
    )]
    TooLong {
        /// Limit in hours.
        hours: u64,
    },
    /// The payloads need more packs than one snapshot may name.
    #[error("the snapshot needs {packs} packs; the limit is {limit}")]
    TooManyPacks {
        /// Number of packs.
        packs: usize,
        /// Number of packs that this run wrote.
        new: usize,
        /// Limit of format 1.
        limit: usize,
    },
    /// Objects just written disappeared before the entry could name them, repeatedly.
    #[error(
        "aborted after {attempts} attempts: objects disappear after they were written; check what deletes \
             objects in the bucket"
    )]
    Vanishing {
        /// Number of attempts.
        attempts: u32,
    },
    /// Stopped by the user or the platform.
    #[error("interrupted; nothing was recorded")]
    Interrupted,
    /// A bug.
    #[error("{what}; this is a bug in Keyhaven, please report it")]
    Internal {
        /// The inconsistency found.
        what: String,
    },
}

impl CaptureError {
    /// Returns the kind of this failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Instance(error) => error.kind(),
            Self::Repository(error) => error.kind(),
            Self::Format { source, .. } => source.kind(),
            Self::Crypto { source, .. } => source.kind(),
            Self::OtherInstance { .. } => FailureKind::Moved,
            Self::NoPolicy => FailureKind::Integrity,
            Self::PolicyUnknown { .. } => FailureKind::Key,
            Self::Empty | Self::SightLost { .. } | Self::Unlisted { .. } | Self::Unreadable { .. } => {
                FailureKind::Instance
            }
            Self::ClockSkew { .. }
            | Self::TooLong { .. }
            | Self::TooManyPacks { .. }
            | Self::Vanishing { .. }
            | Self::Internal { .. } => FailureKind::Failed,
            Self::Interrupted => FailureKind::Interrupted,
        }
    }
}
