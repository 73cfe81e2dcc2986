//! A repository that exists: its id, its store, its ledger as of now.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use super::cache::EntryCache;
use super::ledger::Ledger;
use super::{ObjectInfo, RepositoryError, StateFolder, Store, StoreError};
use crate::crypto::PublicKey;
use crate::crypto::digest::sha256;
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
    inner: Arc<Inner>,
    cache: Option<Arc<EntryCache>>,
}

struct Inner {
    store: Store,
    id: RepositoryId,
    trust: Vec<PublicKey>,
    warnings: Vec<String>,
    /// Entries that cannot be had again without a request, by path.
    entries: Mutex<HashMap<String, Bytes>>,
    /// Whether entries must come from the store itself, whatever the disk has.
    anew: AtomicBool,
}

/// `keyhaven.json`: decides nothing, tells people and tools what lies there.
#[derive(Deserialize)]
struct Marker {
    repository: String,
}

/// What asking for one listed file of the ledger gave.
enum Read {
    /// Its path and bytes; no bytes for what cannot be an entry.
    Bytes(String, Bytes),
    /// It is there and may not be read.
    Denied(String, StoreError),
    /// It has gone since it was listed.
    Gone,
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

    /// Lists the ledger and reads every entry of it. What is no entry is in the ledger's problems, never an error.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] when the ledger is empty; what the store answers.
    pub async fn read_ledger(&self) -> Result<Ledger, RepositoryError> {
        self.build_ledger(self.read_entries().await?).await
    }

    /// As [`Repository::read_ledger`], with every entry fetched again: what is remembered, in memory or on disk, proves
    /// nothing about the store.
    ///
    /// # Errors
    /// As [`Repository::read_ledger`].
    pub async fn read_ledger_anew(&self) -> Result<Ledger, RepositoryError> {
        self.forget_entries();
        self.read_ledger().await
    }

    /// Forgets what was read of the ledger, so that every entry is fetched again. From then on the cache on disk is
    /// written and not read.
    pub fn forget_entries(&self) {
        self.inner.anew.store(true, Ordering::SeqCst);
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.inner.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Repository::read_ledger`], from files that somebody else has listed and from entries that are asked for
    /// by name, which a listing may lack. Gives the names of those that are not there too.
    ///
    /// # Errors
    /// As [`Repository::read_ledger`].
    pub async fn read_ledger_of(
        &self,
        listed: Vec<ObjectInfo>,
        by_name: &[String],
    ) -> Result<(Ledger, Vec<String>), RepositoryError> {
        let mut files: BTreeMap<String, Bytes> = self.read_files(listed).await?.into_iter().collect();
        let mut absent = Vec::new();
        for path in by_name {
            if files.get(path).is_some_and(|bytes| !bytes.is_empty()) {
                continue;
            }
            match self.ask_entry(path).await? {
                Some(bytes) => drop(files.insert(path.clone(), bytes)),
                None => absent.push(path.clone()),
            }
        }
        Ok((self.build_ledger(files.into_iter().collect()).await?, absent))
    }

    /// Every file of the ledger by path, with its bytes; a file that cannot be an entry comes without any.
    pub(super) async fn read_entries(&self) -> Result<Vec<(String, Bytes)>, RepositoryError> {
        let listed = self.store().list(names::LEDGER).await?;
        if let Some(cache) = &self.cache {
            cache.admit(&listed);
            cache.tidy(&listed).await;
        }
        self.read_files(listed).await
    }

    async fn read_files(&self, listed: Vec<ObjectInfo>) -> Result<Vec<(String, Bytes)>, RepositoryError> {
        if listed.is_empty() {
            let why = "its ledger is empty".to_owned();
            return Err(RepositoryError::NoRepository { place: self.store().place(), why });
        }
        let entries = listed.into_iter().map(|object| self.read_entry(object));
        let read: Vec<Read> = stream::iter(entries).buffered(SMALL_IN_FLIGHT).try_collect().await?;
        let mut files = Vec::with_capacity(read.len());
        let mut denied = None;
        let mut readable = false;
        for one in read {
            match one {
                Read::Bytes(path, bytes) => {
                    readable |= !bytes.is_empty();
                    files.push((path, bytes));
                }
                // One file that nobody may read is like one that is no entry: else whoever can put it there could stop
                // every restore. A writer still asks for the heads that it saw by name.
                Read::Denied(path, error) => {
                    files.push((path, Bytes::new()));
                    denied.get_or_insert(error);
                }
                Read::Gone => {}
            }
        }
        match denied {
            Some(error) if !readable => Err(error.into()),
            _ => Ok(files),
        }
    }

    async fn read_entry(&self, object: ObjectInfo) -> Result<Read, RepositoryError> {
        let path = object.path;
        if names::parse_entry(&path).is_none() || object.size > limits::ENTRY as u64 {
            return Ok(Read::Bytes(path, Bytes::new()));
        }
        match self.fetch_entry(&path, object.size).await {
            Ok(Some(bytes)) => Ok(Read::Bytes(path, bytes)),
            Ok(None) => Ok(Read::Gone),
            Err(RepositoryError::Store(error @ StoreError::Denied { .. })) => Ok(Read::Denied(path, error)),
            Err(error) => Err(error),
        }
    }

    /// The bytes of one file of the ledger that was listed just now with this size, from memory or from disk when it was
    /// read before.
    async fn fetch_entry(&self, path: &str, size: u64) -> Result<Option<Bytes>, RepositoryError> {
        let known = self.known().get(path).cloned();
        if known.is_some() {
            return Ok(known);
        }
        if let Some(cache) = self.cache.as_ref().filter(|_| !self.anew())
            && let Some(bytes) = cache.get(path, size).await
        {
            return Ok(Some(bytes));
        }
        self.ask_entry(path).await
    }

    /// The bytes of one file of the ledger, asked of the store; nothing when it is not there.
    pub(super) async fn ask_entry(&self, path: &str) -> Result<Option<Bytes>, RepositoryError> {
        let bytes = match self.store().get(path, limits::ENTRY).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(StoreError::TooLarge { .. }) => return Ok(Some(Bytes::new())),
            Err(error) => return Err(error.into()),
        };
        // Only what is what its name says may be taken for unchangeable; of anything else the name is enough to report
        // it, and its bytes would only fill the memory.
        if names::parse_entry(path).is_none_or(|(_, digest)| sha256(&bytes) != digest) {
            return Ok(Some(Bytes::new()));
        }
        self.keep_entry(path, &bytes).await;
        Ok(Some(bytes))
    }

    /// Keeps an entry that the store has, so that it is not fetched again.
    pub(super) async fn keep_entry(&self, path: &str, bytes: &Bytes) {
        let on_disk = match &self.cache {
            Some(cache) => cache.put(path, bytes.clone()).await,
            None => false,
        };
        // Only a folder shares this host's clock. A long ledger is more memory than all else of a quiet run.
        let near = self.store().shares_clock() || on_disk && !self.anew();
        if !near {
            self.known().insert(path.to_owned(), bytes.clone());
        }
    }

    /// Whether the cache on disk is not read.
    fn anew(&self) -> bool {
        self.inner.anew.load(Ordering::SeqCst)
    }

    /// Checks names, signatures and links: much arithmetic, so on a blocking thread.
    pub(super) async fn build_ledger(&self, files: Vec<(String, Bytes)>) -> Result<Ledger, RepositoryError> {
        let (pin, trust) = (self.inner.id, self.inner.trust.clone());
        super::objects::blocking("check the ledger".to_owned(), move || Ok(Ledger::build(files, pin, &trust))).await
    }

    /// As [`Ledger::with`], on a blocking thread.
    pub(super) async fn extend_ledger(
        &self,
        ledger: Ledger,
        file: String,
        bytes: Bytes,
    ) -> Result<Option<Ledger>, RepositoryError> {
        let trust = self.inner.trust.clone();
        super::objects::blocking("check the ledger".to_owned(), move || Ok(ledger.with(&file, &bytes, &trust))).await
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
