//! A repository that exists: its id, its store, its ledger as of now.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::Deserialize;

use super::cache::EntryCache;
use super::{RepositoryError, StateFolder, Store, StoreError};
use crate::crypto::PublicKey;
use crate::format::{RepositoryId, names};
use crate::model::limits;

/// Requests for small objects that run side by side.
pub(super) const SMALL_IN_FLIGHT: usize = 16;

/// A repository, by its pinned id; cheap to clone.
///
/// Reading never writes to the store. Entries are immutable, so only what a listing shows anew is fetched: those that were
/// read are kept on this host's disk with [`Repository::cached_in`], else in memory, and not at all where the store is a
/// folder of this host.
#[derive(Clone)]
pub struct Repository {
    pub(super) inner: Arc<Inner>,
    pub(super) cache: Option<Arc<EntryCache>>,
}

pub(super) struct Inner {
    store: Store,
    id: RepositoryId,
    /// Keys whose entries count whatever the ledger says of them.
    pub(super) trust: Vec<PublicKey>,
    warnings: Vec<String>,
    /// Entries that cannot be had again without a request, by path.
    pub(super) entries: Mutex<HashMap<String, Bytes>>,
    /// Whether entries must come from the store itself, whatever the disk has.
    pub(super) anew: AtomicBool,
}

/// `keyhaven.json`: decides nothing, tells people and tools what lies there.
#[derive(Deserialize)]
struct Marker {
    repository: String,
}

impl Repository {
    /// Opens the repository that begins with the entry whose digest is `pin`.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] when the ledger is empty, which is never taken for a new start;
    /// [`RepositoryError::OtherRepository`] when there is a ledger without that entry; what the store answers.
    pub async fn open(store: Store, pin: RepositoryId) -> Result<Self, RepositoryError> {
        Self::open_trusting(store, pin, Vec::new()).await
    }

    /// Opens a repository in which entries by these keys count whatever the ledger says of them (`--trust KEY`), and
    /// whose first entry may be gone. For a restore after a loss, never for a writer.
    ///
    /// # Errors
    /// As [`Repository::open`]; with a key given, a missing first entry is none.
    pub async fn open_trusting(
        store: Store,
        pin: RepositoryId,
        trust: Vec<PublicKey>,
    ) -> Result<Self, RepositoryError> {
        let listed = store.list(names::LEDGER).await?;
        let entries: Vec<_> = listed.iter().filter_map(|object| names::parse_entry(&object.path)).collect();
        if entries.is_empty() {
            let why = match listed.len() {
                0 => "its ledger is empty".to_owned(),
                count => format!("its ledger holds {count} files, none of them an entry"),
            };
            return Err(RepositoryError::NoRepository { place: store.place(), why });
        }
        if trust.is_empty() && !entries.iter().any(|(_, digest)| RepositoryId(*digest) == pin) {
            return Err(RepositoryError::OtherRepository { place: store.place(), pin: pin.to_string() });
        }
        let warnings = check_marker(&store, &pin).await;
        let (entries, anew) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { inner: Arc::new(Inner { store, id: pin, trust, warnings, entries, anew }), cache: None })
    }

    /// As it is, with the entries that are read kept in the part of a state folder that belongs to this repository, and
    /// taken from there. A folder that is missing or cannot be used costs requests and fails nothing.
    #[must_use]
    pub fn cached_in(self, state: &StateFolder) -> Self {
        Self { cache: Some(Arc::new(EntryCache::new(state))), ..self }
    }

    /// The id: the digest of the first entry.
    #[must_use]
    pub fn id(&self) -> &RepositoryId {
        &self.inner.id
    }

    /// Where it lies.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What is odd about the files that decide nothing.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository({} in {})", self.inner.id, self.inner.store)
    }
}

/// What is odd about `keyhaven.json`. It decides nothing, so nothing that is wrong with it stops anybody.
async fn check_marker(store: &Store, pin: &RepositoryId) -> Vec<String> {
    let path = names::KEYHAVEN_JSON;
    let warning = match store.get(path, limits::LIST).await {
        Ok(bytes) => match serde_json::from_slice::<Marker>(&bytes) {
            Ok(marker) if marker.repository == pin.to_string() => return Vec::new(),
            Ok(_) => {
                format!("{path} names another repository id than the pinned one; the ledger decides, not this file")
            }
            Err(_) => format!("{path} is damaged; the ledger decides, not this file"),
        },
        Err(StoreError::NotFound { .. }) => format!("{path} is missing; the ledger decides, not this file"),
        Err(StoreError::TooLarge { .. }) => format!("{path} is damaged; the ledger decides, not this file"),
        Err(error) => format!("{path} cannot be read ({error}); the ledger decides, not this file"),
    };
    vec![warning]
}
