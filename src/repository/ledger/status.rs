//! Whether an entry counts.

use crate::model::Digest;

/// Whether an entry counts. Decided by the policy in force alone, in no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryStatus {
    /// It counts.
    Counts,
    /// Its key has not ended, and whether it counts cannot be said yet.
    Pending(Pending),
    /// Its key is listed, and may not sign it.
    Void(Void),
    /// Its key is not in the policy.
    Stranger,
}

/// Why an entry is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Pending {
    /// It names a policy version that nothing here leads to.
    #[error("it was written under a policy version that is not known here")]
    UnknownPolicy,
    /// Its sequence is far above everything else.
    #[error("its sequence is more than 10,000 above any entry below it")]
    OutOfReach,
}

/// Why an entry is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Void {
    /// Its key has no role for its kind.
    #[error("its key has no role that may sign this kind")]
    NoRole,
    /// Its key has ended before it.
    #[error("its key has ended, and it is not at or below the end")]
    Ended,
    /// It is by an ended key and far above everything else, or under an unknown version.
    #[error("its key has ended, and it cannot be placed")]
    Unplaced,
    /// Its key is of an algorithm that this program cannot check.
    #[error("its key is of an algorithm that this version of keyhaven cannot check")]
    Unchecked,
}

impl EntryStatus {
    /// Returns true if it counts.
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(self, Self::Counts)
    }

    /// The word used in output.
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

/// Whether a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    /// It is kept.
    Live,
    /// It was marked for deletion, and that can be undone until it is swept.
    Forgotten {
        /// The entry that marked it: of those that hold, the first in order.
        by: Digest,
        /// By which rule.
        rule: String,
    },
    /// Its objects are gone, as far as the bucket let them be deleted.
    Swept {
        /// The sweep.
        by: Digest,
    },
}

/// Why a snapshot is kept whatever the retention policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The entry that holds it: of those that hold, the last in order. `None`: the trust policy does.
    pub by: Option<Digest>,
    /// Value found.
    pub reason: String,
}

/// Why a snapshot is suspect, whatever its entry says of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// Its own reasons.
    #[error("{0}")]
    Own(String),
    /// It says that it was sealed to others than the policy has.
    #[error("its packs are not sealed to the recovery recipients of the policy version that it names")]
    Recipients,
    /// It reuses packs of a snapshot that does not count.
    #[error("it reuses packs of snapshot {}, which does not count or is gone", .0.short())]
    Base(Digest),
}
