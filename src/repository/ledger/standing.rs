//! Whether an entry counts.

use crate::model::Digest;

/// Whether an entry counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Counts,
    /// It would not count, but its key was named by `--trust`.
    Overridden {
        /// Why it would not.
        why: Why,
    },
    /// It is linked and passed over.
    Ignored {
        /// Why.
        why: Why,
    },
}

/// Why an entry does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its sequence is not one more than its highest parent's.
    #[error("its sequence is not one more than its highest parent's ({expected})")]
    Sequence {
        /// What it should be.
        expected: u64,
    },
    /// Nothing among its ancestors gives its key a role that may sign this kind.
    #[error("no entry among its ancestors gives its key a role that may sign `{kind}`")]
    NoRole {
        /// The kind.
        kind: String,
    },
    /// Its key had been retired before it, or is retired by an entry that it is no ancestor of.
    #[error("its key was retired by {by}, and it is no ancestor of that entry")]
    Retired {
        /// The entry that retires the key.
        by: Digest,
    },
    /// Its key was revoked, and it does not come before the last good entry.
    #[error("its key was revoked by {by}, and it is not the last good entry or an ancestor of it")]
    Revoked {
        /// The entry that revokes the key.
        by: Digest,
    },
    /// It would take away the right of its own signer, or another key entry took it first.
    #[error("it takes away its own signer's right, or a key entry that was adopted first took it")]
    Undone,
    /// It names the catalogue of an old snapshot again.
    #[error("it names the catalogue of an old snapshot again, not that of the newest among its ancestors")]
    OldCatalogue,
    /// It accepts something that is no snapshot among its ancestors.
    #[error("it accepts {snapshot}, which is no snapshot among its ancestors")]
    NothingToAccept {
        /// What it names.
        snapshot: Digest,
    },
}

impl Standing {
    /// Whether it counts, also if only by override.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self, Self::Ignored { .. })
    }
}
