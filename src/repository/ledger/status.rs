//! Status of entries and snapshots.

use crate::model::Digest;

/// Whether an entry counts. Only the policy in force decides; the order of entries does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryStatus {
    /// It counts.
    Counts,
    /// Its key has not ended, but it cannot be decided yet whether it counts.
    Pending(Pending),
    /// Its key is listed, but must not sign it.
    Void(Void),
    /// The policy does not list its key.
    Stranger,
}

/// Reason why an entry is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Pending {
    /// It names a policy version that is not known here.
    #[error("it was written under a policy version that is not known here")]
    UnknownPolicy,
    /// Its sequence is far above those of all other entries.
    #[error("its sequence is more than 10,000 above any entry below it")]
    OutOfReach,
}

/// Reason why an entry is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Void {
    /// Its key has no role for its kind.
    #[error("its key has no role that may sign this kind")]
    NoRole,
    /// Its key had ended before it.
    #[error("its key has ended, and it is not at or below the end")]
    Ended,
    /// Its key has ended, and its sequence is far above all others, or its policy version is unknown.
    #[error("its key has ended, and it cannot be placed")]
    Unplaced,
    /// The algorithm of its key is unknown to this version.
    #[error("its key is of an algorithm that this version of keyhaven cannot check")]
    Unchecked,
}

impl EntryStatus {
    /// Returns true if it counts.
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(self, Self::Counts)
    }

    /// Returns the word used in output.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Pending(_) => "pending",
            Self::Void(_) => "void",
            Self::Stranger => "stranger",
        }
    }
}

/// State of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    /// Kept.
    Live,
    /// Marked for deletion, which can be undone until it is swept.
    Forgotten {
        /// The forget entry; if several apply, the first in order.
        by: Digest,
        /// The retention rule.
        rule: String,
    },
    /// Its objects are deleted, as far as the bucket allowed it.
    Swept {
        /// The sweep.
        by: Digest,
    },
}

/// Reason why a snapshot is kept regardless of the retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The hold entry; if several apply, the last in order. `None`: the trust policy holds it.
    pub by: Option<Digest>,
    /// The reason given.
    pub reason: String,
}

/// Reason why a snapshot is suspect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// The first reason in its own entry.
    #[error("{0}")]
    Own(String),
    /// By its own entry, it was sealed to other recipients than those of the policy.
    #[error("its packs are not sealed to the recovery recipients of the policy version that it names")]
    Recipients,
    /// It reuses packs of a snapshot that does not count or is missing.
    #[error("it reuses packs of snapshot {}, which does not count or is gone", .0.short())]
    Base(Digest),
}
