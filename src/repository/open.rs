//! An existing repository: its id, store, pins and current ledger.

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

/// Maximum number of concurrent requests for small objects.
pub(super) const SMALL_IN_FLIGHT: usize = 16;

/// A repository, by its id; cheap to clone.
///
/// Reading never writes to the store. Entries are immutable, so only newly listed ones are fetched. Entries already
/// read are cached on this host's disk with [`Repository::cached_in`], otherwise in memory, and not at all if the store
/// is a local directory.
#[derive(Clone)]
pub struct Repository {
    pub(super) inner: Arc<RepositoryInner>,
    pub(super) cache: Option<Arc<EntryCache>>,
    pub(super) state: Option<StateDirectory>,
    /// True if the pins were chosen for one command. The policy that the host remembers is then ignored.
    pub(super) policy_chosen: bool,
}

pub(super) struct RepositoryInner {
    store: Store,
    id: RepositoryId,
    /// Versions of the trust policy that this host relies on.
    pub(super) pins: Vec<Pin>,
    /// `keyhaven.json`, if it names this repository.
    pub(super) marker: Option<Bytes>,
    warnings: Vec<String>,
    /// The source instance, set once the policy was read.
    pub(super) source: OnceLock<SourceName>,
    /// Entries that are cached in memory, by path, because nothing else avoids a request for them.
    pub(super) entries: Mutex<HashMap<String, Bytes>>,
    /// True if entries must come from the store, regardless of the cache on disk.
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

    /// As [`Repository::open`], with versions of the trust policy that this host relies on.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] if there is neither a policy nor an entry, which never counts as a new
    /// repository; [`RepositoryError::OtherRepository`] if there are only other repositories; errors of the store.
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

    /// Returns the repository with a disk cache of entries, in this repository's part of a state directory. A missing
    /// or unusable directory only costs requests.
    #[must_use]
    pub fn cached_in(self, state: &StateDirectory) -> Self {
        Self { cache: Some(Arc::new(EntryCache::new(state))), ..self }
    }

    /// Returns the repository with the memory of this host: looks up the heads and policy that it saw, and remembers
    /// new ones.
    #[must_use]
    pub fn remembered_in(self, state: StateDirectory) -> Self {
        Self { state: Some(state), ..self }
    }

    /// Returns the repository with pins that were chosen for one command. The policy that this host, or a writer,
    /// remembers is neither checked against them nor replaced. Remembered heads and entries are still looked up.
    #[must_use]
    pub fn choosing_policy(self) -> Self {
        Self { policy_chosen: true, ..self }
    }

    /// Returns the id: the digest of version 1 of the trust policy.
    #[must_use]
    pub fn id(&self) -> &RepositoryId {
        &self.inner.id
    }

    /// Returns the source instance; `None` before the policy was read.
    #[must_use]
    pub fn source(&self) -> Option<SourceName> {
        self.inner.source.get().cloned()
    }

    /// Returns its location.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Returns warnings about files on which no decision depends.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }
}

/// Returns the paths of current and former objects in a directory: objects deleted in a versioned bucket still belong
/// to the repository.
async fn paths(store: &Store, folder: &str) -> Result<BTreeSet<String>, StoreError> {
    let Listing { current, older } = store.list_with_older(folder).await?;
    Ok(current.into_iter().chain(older.into_iter().map(|version| version.object)).map(|object| object.path).collect())
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({} in {})", self.inner.id, self.inner.store)
    }
}
