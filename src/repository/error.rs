//! What can go wrong with a repository as a whole.

use std::io;

use super::StoreError;
use crate::crypto::CryptoError;
use crate::format::{FormatError, RepositoryId};
use crate::model::{Digest, FailureKind, Timestamp};

/// A failed operation on a repository. Never holds a payload or a credential.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of ours could not be built or sealed.
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
    /// Nothing that could be a ledger lies there.
    #[error("there is no repository in {place}: {why}; check the place, or make one with `keyhaven init`")]
    NoRepository {
        /// The store.
        place: String,
        /// What is there instead.
        why: String,
    },
    /// A ledger lies there, but it does not begin with the pinned first entry.
    #[error(
        "the ledger in {place} does not begin with {pin}: it is another repository, or its first entry was removed; \
         check the place and the repository id in the configuration"
    )]
    OtherRepository {
        /// The store.
        place: String,
        /// The pinned id.
        pin: String,
    },
    /// `init` found something there.
    #[error("{place} already holds {}; nothing was written", held(ids))]
    Exists {
        /// The store.
        place: String,
        /// The ids that the first entries there would give: one, unless somebody put more there or took it away.
        ids: Vec<RepositoryId>,
    },
    /// An object does not hold what its name, its seal or the ledger says.
    #[error(
        "{path} is damaged: {why}; restore it from a copy of the repository, or use a snapshot that does not need it"
    )]
    Damaged {
        /// The object.
        path: String,
        /// What does not fit.
        why: String,
    },
    /// An object that the ledger names is not there.
    #[error("{path} is missing; restore it from a copy of the repository, or use a snapshot that does not need it")]
    Missing {
        /// The object.
        path: String,
    },
    /// An object is whole, but opens with another key only.
    #[error("{path} does not open with this key")]
    Locked {
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// An object is of a format that this program is too old for.
    #[error("{path} cannot be read by this version of keyhaven")]
    Unsupported {
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: FormatError,
    },
    /// Objects that a snapshot would name are not there whole; their items are to be read again.
    #[error("{} object(s) that the snapshot needs are missing or not whole ({}); nothing was recorded, run it again",
        packs.len() + others.len(), first(packs, others))]
    ObjectsMissing {
        /// The packs.
        packs: Vec<Digest>,
        /// Paths of catalogue parts and lists.
        others: Vec<String>,
    },
    /// Entries that this writer saw as heads are gone.
    #[error(
        "the ledger in {place} lacks {} that this host saw there: somebody removed history or rolled the bucket back; \
         find out who, bring the files back, or sign the loss with `keyhaven ledger accept-loss --reason …`", paths.join(", "))]
    LostHeads {
        /// The store.
        place: String,
        /// The missing entries.
        paths: Vec<String>,
    },
    /// More heads than an entry may name.
    #[error("the ledger has {count} heads, more than the {limit} that an entry may name; look for a writer gone wild")]
    TooManyHeads {
        /// How many.
        count: usize,
        /// The limit of format 1.
        limit: usize,
    },
    /// The entry would not count, so it was not written.
    #[error("not recorded: an entry by this key would not count: {why}")]
    WouldNotCount {
        /// Why not.
        why: String,
    },
    /// This host's clock and the store's are too far apart to sign.
    #[error("not signed: this host's clock says {here}, the store's {there}, more than 5 minutes apart; set the clock")]
    ClockSkew {
        /// This host's clock.
        here: Timestamp,
        /// The store's clock.
        there: Timestamp,
    },
    /// Whether the entry arrived is unknown.
    #[error("it is unknown whether {path} was recorded: reading it back failed; the next run will show it")]
    Unconfirmed {
        /// The entry.
        path: String,
        /// Why it could not be read back.
        #[source]
        source: StoreError,
    },
    /// The writer's own folder failed.
    #[error("cannot {action} the state folder {folder}; it must be writable and hold only what keyhaven wrote there")]
    State {
        /// `read` or `write`.
        action: &'static str,
        /// The folder.
        folder: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// There is no such snapshot.
    #[error("no snapshot matches {wanted}: {why}; `keyhaven snapshots` lists them")]
    NoSnapshot {
        /// What was asked for.
        wanted: String,
        /// Why nothing fits.
        why: String,
    },
    /// A task of ours ended without a result.
    #[error("cannot {what}: its task died, which is a bug of keyhaven's; please report it")]
    Task {
        /// The operation.
        what: String,
        /// The cause.
        #[source]
        source: tokio::task::JoinError,
    },
}

fn held(ids: &[RepositoryId]) -> String {
    match ids {
        [] => "a ledger without a first entry".to_owned(),
        [only] => format!("the repository {only}"),
        several => format!("a ledger with {} first entries", several.len()),
    }
}

fn first(packs: &[Digest], others: &[String]) -> String {
    match packs.first() {
        Some(pack) => format!("pack {}", pack.short()),
        None => others.first().cloned().unwrap_or_default(),
    }
}

impl RepositoryError {
    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Write { source, .. } => source.kind(),
            Self::Seal { source, .. } => source.kind(),
            Self::NoRepository { .. } => FailureKind::NoRepository,
            Self::Locked { .. } | Self::WouldNotCount { .. } => FailureKind::Key,
            Self::OtherRepository { .. }
            | Self::Damaged { .. }
            | Self::Missing { .. }
            | Self::ObjectsMissing { .. }
            | Self::LostHeads { .. }
            | Self::TooManyHeads { .. } => FailureKind::Integrity,
            Self::Exists { .. } | Self::NoSnapshot { .. } => FailureKind::Usage,
            Self::Unsupported { .. }
            | Self::ClockSkew { .. }
            | Self::Unconfirmed { .. }
            | Self::State { .. }
            | Self::Task { .. } => FailureKind::Failed,
        }
    }
}
