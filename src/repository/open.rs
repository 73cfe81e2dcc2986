//! A repository that exists: its id, its store, its pins, its ledger as of now.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use super::cache::EntryCache;
use super::store::Listing;
use super::trust::Pin;
use super::{RepositoryError, StateDirectory, Store, StoreError, marker};
use crate::format::{RepositoryId, SourceName, names};

/// Requests for small objects that run side by side.
pub(super) const SMALL_IN_FLIGHT: usize = 16;

/// A repository, by its id; cheap to clone.
///
/// Reading never writes to the store. Entries are immutable, so only what a listing shows anew is fetched: those that
/// were read are kept on this host's disk with [`Repository::cached_in`], else in memory, and not at all where the
/// store is a directory of this host.
#[derive(Clone)]
pub struct Repository {
    pub(super) inner: Arc<RepositoryInner>,
    pub(super) cache: Option<Arc<EntryCache>>,
    pub(super) state: Option<StateDirectory>,
    /// True if the pins were chosen for one command: then what the host remembers of the policy is left aside.
    pub(super) policy_chosen: bool,
}

pub(super) struct RepositoryInner {
    store: Store,
    id: RepositoryId,
    /// Versions of the trust policy that this host holds on to.
    pub(super) pins: Vec<Pin>,
    /// `keyhaven.json`, when it names this repository.
    pub(super) marker: Option<Bytes>,
    warnings: Vec<String>,
    /// The instance that the repository belongs to, once the policy was read.
    pub(super) source: OnceLock<SourceName>,
    /// Entries that cannot be had again without a request, by path.
    pub(super) entries: Mutex<HashMap<String, Bytes>>,
    /// True if entries must come from the store itself, whatever the disk has.
    pub(super) anew: AtomicBool,
    /// Objects that were read from an older version.
    pub(super) superseded: Mutex<BTreeSet<String>>,
}

impl Repository {
    /// Opens the repository whose version 1 of the trust policy has the digest `id`.
    ///
    /// # Errors
    /// As [`Repository::open_pinned`].
    pub async fn open(store: Store, id: RepositoryId) -> Result<Self, RepositoryError> {
        Self::open_pinned(store, id, Vec::new()).await
    }

    /// As [`Repository::open`], with versions of the trust policy that this host holds on to.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] when there is neither a policy nor an entry, which is never taken for a new
    /// start; [`RepositoryError::OtherRepository`] when there are only other repositories; what the store answers.
    pub async fn open_pinned(store: Store, id: RepositoryId, pins: Vec<Pin>) -> Result<Self, RepositoryError> {
        let (trust, ledger) = tokio::try_join!(paths(&store, names::TRUST), paths(&store, names::LEDGER))?;
        let policies: Vec<_> = trust.iter().filter_map(|path| names::parse_policy(path)).collect();
        let has_entry = ledger.iter().any(|path| names::parse_entry(path).is_some());
        if policies.is_empty() && !has_entry {
            let why = match trust.len() + ledger.len() {
                0 => "its trust policy and its ledger are empty".to_owned(),
                count => format!("it has {count} files, none of them an entry or a trust policy"),
            };
            return Err(RepositoryError::NoRepository { place: store.place(), why });
        }
        let first = policies.iter().filter(|version| version.version == 1);
        let found: Vec<RepositoryId> = first.map(|version| RepositoryId(version.digest)).collect();
        let has_bytes = pins.iter().any(|pin| pin.bytes.is_some());
        if !found.is_empty() && !found.contains(&id) && !has_bytes && !has_entry {
            return Err(RepositoryError::OtherRepository { place: store.place(), id, found });
        }
        let (marker, warnings) = match marker::read(&store, &id).await {
            Ok(bytes) => (Some(bytes), Vec::new()),
            Err(odd) => (None, vec![odd]),
        };
        let inner = RepositoryInner {
            store,
            id,
            pins,
            marker,
            warnings,
            source: OnceLock::new(),
            entries: Mutex::default(),
            anew: AtomicBool::new(false),
            superseded: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), cache: None, state: None, policy_chosen: false })
    }

    /// As it is, with the entries that are read kept in the part of a state directory that belongs to this repository,
    /// and taken from there. A directory that is missing or cannot be used costs requests and fails nothing.
    #[must_use]
    pub fn cached_in(self, state: &StateDirectory) -> Self {
        Self { cache: Some(Arc::new(EntryCache::new(state))), ..self }
    }

    /// As it is, with the memory of this host: heads and policy that it saw before are asked for, and remembered.
    #[must_use]
    pub fn remembered_in(self, state: StateDirectory) -> Self {
        Self { state: Some(state), ..self }
    }

    /// As it is, with pins that were chosen for one command: the policy that this host, or a writer, remembers is
    /// neither held against them nor replaced. Heads and entries that it remembers are asked for as ever.
    #[must_use]
    pub fn choosing_policy(self) -> Self {
        Self { policy_chosen: true, ..self }
    }

    /// The id: the digest of version 1 of the trust policy.
    #[must_use]
    pub fn id(&self) -> &RepositoryId {
        &self.inner.id
    }

    /// The instance that the repository belongs to; `None` before its policy was read.
    #[must_use]
    pub fn source(&self) -> Option<SourceName> {
        self.inner.source.get().cloned()
    }

    /// Its location.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Returns oddities of the files on which no decision depends.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }
}

/// Paths of what is in a folder, or was: what was deleted in a versioned bucket is still part of the repository.
async fn paths(store: &Store, folder: &str) -> Result<BTreeSet<String>, StoreError> {
    let Listing { current, older } = store.list_with_older(folder).await?;
    Ok(current.into_iter().chain(older.into_iter().map(|version| version.object)).map(|object| object.path).collect())
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({} in {})", self.inner.id, self.inner.store)
    }
}
