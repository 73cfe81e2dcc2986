//! What can end a capture. Whatever it is, nothing was recorded.

use crate::crypto::CryptoError;
use crate::format::FormatError;
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};
use crate::provider::InstanceError;
use crate::repository::RepositoryError;

/// A failed capture. The repository shows nothing of it, save perhaps objects that no snapshot names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The instance failed us.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The repository failed us.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Something could not be put into the format, or read from it.
    #[error("cannot {what}")]
    Format {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// Something could not be sealed.
    #[error("cannot {what}")]
    Crypto {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: CryptoError,
    },
    /// The instance is not the one that the repository belongs to.
    #[error(
        "the instance calls itself {found}, but this repository holds the backups of {expected}; \
         check the instance's URL, or give each instance a repository of its own"
    )]
    OtherInstance {
        /// What the listing showed.
        found: String,
        /// What the trust policy names.
        expected: String,
    },
    /// No version of the trust policy is in force.
    #[error(
        "no version of the trust policy is in force, so nobody says whom to seal to; `keyhaven verify` names the damage"
    )]
    NoPolicy,
    /// There is a newer policy version that this host cannot have seen.
    #[error(
        "not sealed: snapshot {} was written under version {version} of the trust policy, which is not here, and its \
         recovery recipients may differ; give this host the newest policy (`--policy`, it is on the recovery sheet)",
        snapshot.short()
    )]
    PolicyUnknown {
        /// The snapshot.
        snapshot: Digest,
        /// The version that it names.
        version: u64,
    },
    /// Not one secret was listed.
    #[error(
        "the instance lists no secret at all; if it really is empty, set `allow_empty`, else see whether the identity \
         lost its access"
    )]
    Empty,
    /// An item that was there is hidden from us now.
    #[error(
        "the instance refuses to say whether {key} still exists, so access to it was lost and a backup would miss it; \
         give the identity its role back"
    )]
    SightLost {
        /// The item.
        key: ItemKey,
    },
    /// Two steady listings lack an item that answers when asked for.
    #[error(
        "the lists lack {key}, but it answers when asked for: the lists are not complete for this identity; \
         `keyhaven doctor` shows its roles"
    )]
    Unlisted {
        /// The item.
        key: ItemKey,
    },
    /// Item after item could not be read.
    #[error("gave up after {failures} items in a row could not be read, the last because of this")]
    Unreadable {
        /// How many.
        failures: u32,
        /// The last refusal.
        #[source]
        source: InstanceError,
    },
    /// Our clock and the provider's are too far apart to sign.
    #[error(
        "not signed: this host's clock says {here}, the instance's {there}, more than 5 minutes apart; set the clock"
    )]
    ClockSkew {
        /// This host's clock.
        here: Timestamp,
        /// The instance's clock.
        there: Timestamp,
    },
    /// The run took longer than the repository allows, so objects that it needs may be swept under it.
    #[error(
        "gave up after {hours} h, the longest run that this repository allows; a higher pace or another `full_every` \
         makes runs shorter"
    )]
    TooLong {
        /// The limit, in hours.
        hours: u64,
    },
    /// The payloads do not fit into the packs that one snapshot may name.
    #[error("the snapshot would name {packs} packs, more than the {limit} that one may")]
    TooManyPacks {
        /// How many.
        packs: usize,
        /// How many of them this run wrote.
        new: usize,
        /// The limit of format 1.
        limit: usize,
    },
    /// What was just written is gone when the ledger is to name it, again and again.
    #[error("gave up after {attempts} attempts: what was just written is gone again; see what deletes objects there")]
    Vanishing {
        /// How often it was tried.
        attempts: u32,
    },
    /// Stopped by the user or the platform.
    #[error("interrupted; nothing was recorded")]
    Interrupted,
    /// A bug.
    #[error("{what}; this is a bug of keyhaven's, please report it")]
    Internal {
        /// What does not add up.
        what: String,
    },
}

impl CaptureError {
    /// What kind of failure this is.
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
