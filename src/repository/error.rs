//! Errors of a repository.

use std::io;

use super::StoreError;
use super::ledger::NotAuthorised;
use super::trust::PinError;
use crate::crypto::CryptoError;
use crate::format::{FormatError, RepositoryId};
use crate::model::{Digest, FailureKind, Timestamp};

/// A failed operation on a repository. Never contains a payload or a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An object could not be built or sealed.
    #[error("cannot {what}")]
    Write {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// Sealing failed.
    #[error("cannot {what}")]
    Seal {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: CryptoError,
    },
    /// There is nothing at this place that could be a ledger.
    #[error("there is no repository in {place}: {why}; check the place, or make one with `keyhaven init`")]
    NoRepository {
        /// The store.
        place: String,
        /// What is there instead.
        why: String,
    },
    /// A different repository is at this place.
    #[error(
        "{place} does not hold repository {id}{}; check the place and the repository id, or give the policy that is on the \
         recovery sheet (`--policy`)",
        others(found)
    )]
    OtherRepository {
        /// The store.
        place: String,
        /// The requested repository id.
        id: RepositoryId,
        /// Ids of the repositories whose version 1 is there.
        found: Vec<RepositoryId>,
    },
    /// The pins allow no version of the policy in force.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// `init` found an existing repository.
    #[error("{place} already holds {}; nothing was written", held(ids))]
    Exists {
        /// The store.
        place: String,
        /// Ids of the repositories whose version 1 is there; one, unless version 1 was removed or others were added.
        ids: Vec<RepositoryId>,
    },
    /// The content of an object does not match its name, its seal or the ledger.
    #[error(
        "{path} is damaged: {why}; restore it from a copy of the repository, or use a snapshot that does not need it"
    )]
    Damaged {
        /// The object.
        path: String,
        /// Description of the mismatch.
        why: String,
    },
    /// An object that the ledger names is missing.
    #[error("{path} is missing; restore it from a copy of the repository, or use a snapshot that does not need it")]
    Missing {
        /// The object.
        path: String,
    },
    /// An object is intact, but opens only with another key.
    #[error("{path} does not open with this key")]
    Locked {
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// An object has a format that is too new for this program.
    #[error("{path} cannot be read by this version of keyhaven")]
    Unsupported {
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// Objects that a snapshot would name are missing or incomplete; their items must be read again.
    #[error("{} object(s) that the snapshot needs are missing or not whole ({}); nothing was recorded, run it again",
        packs.len() + others.len(), first(packs, others))]
    ObjectsMissing {
        /// The packs.
        packs: Vec<Digest>,
        /// Paths of catalogue parts and lists.
        others: Vec<String>,
    },
    /// The entry would not count, so it was not written.
    #[error("not recorded: {0}")]
    NotAuthorised(#[from] NotAuthorised),
    /// Nothing can be recorded now.
    #[error("not recorded: {why}")]
    Undecided {
        /// The reason.
        why: String,
    },
    /// The recipients changed while a snapshot was made.
    #[error("not recorded: the recovery recipients of the trust policy changed during the run; run it again")]
    RecipientsChanged,
    /// A policy version would not be in force, so it was not published.
    #[error("not published: {why}")]
    NotPublished {
        /// The reason.
        why: String,
    },
    /// There may be a newer snapshot, but this host cannot decide whether it counts.
    #[error(
        "there is no latest snapshot: {} cannot be judged with the policy versions that are here; give one by name, or \
         the newest policy version with `--policy` (it is on the recovery sheet)", candidates.join(", "))]
    PendingSnapshots {
        /// The pending snapshots and the newest one that counts.
        candidates: Vec<String>,
    },
    /// This host's clock and the store's are too far apart to sign.
    #[error("not signed: this host's clock says {here}, the store's {there}, more than 5 minutes apart; set the clock")]
    ClockSkew {
        /// This host's clock.
        here: Timestamp,
        /// The store's clock.
        there: Timestamp,
    },
    /// It is unknown whether the entry was written.
    #[error("it is unknown whether {path} was recorded: reading it back failed; the next run will show it")]
    Unconfirmed {
        /// The entry.
        path: String,
        /// Reason why it could not be read back.
        #[source]
        source: StoreError,
    },
    /// The writer's state directory failed.
    #[error("cannot {action} the state folder {folder}; it must be writable and hold only what keyhaven wrote there")]
    State {
        /// `read` or `write`.
        action: &'static str,
        /// The directory.
        folder: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// No snapshot matches.
    #[error("no snapshot matches {wanted}: {why}; `keyhaven snapshots` lists them")]
    NoSnapshot {
        /// The query.
        wanted: String,
        /// The reason.
        why: String,
    },
    /// An internal task ended without a result.
    #[error("cannot {what}: its task died, which is a bug of keyhaven's; please report it")]
    Task {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: tokio::task::JoinError,
    },
}

fn others(found: &[RepositoryId]) -> String {
    match found {
        [] => String::new(),
        [only] => format!(" but {only}"),
        several => format!(" but {} others", several.len()),
    }
}

fn held(ids: &[RepositoryId]) -> String {
    match ids {
        [] => "a ledger without version 1 of its trust policy".to_owned(),
        [only] => format!("the repository {only}"),
        several => format!("{} versions 1 of a trust policy", several.len()),
    }
}

fn first(packs: &[Digest], others: &[String]) -> String {
    match packs.first() {
        Some(pack) => format!("pack {}", pack.short()),
        None => others.first().cloned().unwrap_or_default(),
    }
}

impl RepositoryError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Write { source, .. } => source.kind(),
            Self::Seal { source, .. } => source.kind(),
            Self::NoRepository { .. } => FailureKind::NoRepository,
            Self::Locked { .. } | Self::NotAuthorised(_) => FailureKind::Key,
            Self::OtherRepository { .. }
            | Self::Pin(_)
            | Self::Undecided { .. }
            | Self::PendingSnapshots { .. }
            | Self::Damaged { .. }
            | Self::Missing { .. }
            | Self::ObjectsMissing { .. } => FailureKind::Integrity,
            Self::Exists { .. } | Self::NoSnapshot { .. } | Self::NotPublished { .. } => FailureKind::Usage,
            Self::Unsupported { .. }
            | Self::RecipientsChanged
            | Self::ClockSkew { .. }
            | Self::Unconfirmed { .. }
            | Self::State { .. }
            | Self::Task { .. } => FailureKind::Failed,
        }
    }
}
