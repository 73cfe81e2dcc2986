//! What can be wrong with a ledger, each by name.

use super::Why;
use crate::format::{FormatError, RepositoryId};
use crate::model::{Digest, Timestamp};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be known; a check still passes.
    Warning,
    /// Something was altered, removed or put there by somebody without the right to; a check fails.
    Error,
}

/// Something wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file in the ledger's folders that is no entry.
    #[error("{file} is not an entry: {why}")]
    NotAnEntry {
        /// Its name.
        file: String,
        /// What is wrong with it.
        why: FormatError,
    },
    /// A file whose name is not that of its content.
    #[error("{file} is not an entry: {why}")]
    WrongName {
        /// Its name.
        file: String,
        /// Which part of the name is wrong.
        why: &'static str,
    },
    /// An entry of another repository.
    #[error("{file} belongs to repository {found}: it was put here from elsewhere")]
    Foreign {
        /// Its name.
        file: String,
        /// The repository that it names.
        found: RepositoryId,
    },
    /// An entry that names another source instance than the first entry.
    #[error("{file} names the source instance {found}, which is not this repository's")]
    OtherSource {
        /// Its name.
        file: String,
        /// The instance that it names.
        found: String,
    },
    /// A first entry that is not this repository's.
    #[error("{file} is a second first entry: somebody ran init here again, or wants to be trusted from the start")]
    SecondFirst {
        /// Its name.
        file: String,
    },
    /// Signed by a key that no entry of this ledger names.
    #[error("{file} is signed by {key}, a key that this ledger does not know")]
    UnknownKey {
        /// Its name.
        file: String,
        /// The fingerprint of the key.
        key: Digest,
    },
    /// The signature is not that of the key that it names.
    #[error("{file} carries a signature that is not {key}'s: it was altered or forged")]
    BadSignature {
        /// Its name.
        file: String,
        /// The fingerprint of the key.
        key: Digest,
    },
    /// A second file with the same payload, signed by the same key.
    #[error("{file} says the same as entry {of}; both are one")]
    Copy {
        /// Its name.
        file: String,
        /// The entry that it is a copy of.
        of: Digest,
    },
    /// The first entry is not there.
    #[error(
        "the first entry {id} is not there: nothing says which keys to trust; check the repository id, or name keys with --trust"
    )]
    NoFirst {
        /// The repository id.
        id: RepositoryId,
    },
    /// An entry that does not count.
    #[error("{entry} does not count: {why} (key {key})")]
    Ignored {
        /// Its name.
        entry: String,
        /// The fingerprint of its key.
        key: Digest,
        /// Why.
        why: Why,
    },
    /// An entry that counts by `--trust` alone.
    #[error("{entry} counts by --trust alone: {why} (key {key})")]
    Overridden {
        /// Its name.
        entry: String,
        /// The fingerprint of its key.
        key: Digest,
        /// Why it would not count.
        why: Why,
    },
    /// An entry that others name as parent and that is not there.
    #[error("entry {parent} is gone; {} names it as parent{}", .named_by.join(", "), if *.accepted { " (the loss was accepted)" } else { "" })]
    Missing {
        /// Its digest.
        parent: Digest,
        /// The names of the entries that count and name it.
        named_by: Vec<String>,
        /// Whether an entry has accepted the loss.
        accepted: bool,
    },
    /// An entry that claims to be older than its parent.
    #[error("{entry} is mistimed: it claims to be older than its parent {parent}")]
    Mistimed {
        /// Its name.
        entry: String,
        /// The parent's name.
        parent: String,
    },
    /// An entry whose time lies ahead of the store's clock.
    #[error("{entry} is mistimed: its time {time} lies ahead of the store's clock {clock}")]
    Ahead {
        /// Its name.
        entry: String,
        /// Its time.
        time: Timestamp,
        /// The store's clock.
        clock: Timestamp,
    },
}

impl Problem {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Copy { .. } | Self::Mistimed { .. } | Self::Ahead { .. } | Self::Missing { accepted: true, .. } => {
                Severity::Warning
            }
            _ => Severity::Error,
        }
    }
}
