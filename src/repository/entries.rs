//! The ledger of a repository as of now: listed, fetched and checked, an entry at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::ledger::{Ledger, Reader};
use super::objects::blocking;
use super::open::SMALL_IN_FLIGHT;
use super::{ObjectInfo, Repository, RepositoryError, StoreError};
use crate::crypto::digest::sha256;
use crate::format::names;
use crate::model::limits;

/// Files that wait to be checked, at most: so many of a long ledger are in memory as bytes.
const WAITING: usize = 64;
/// What is done on a blocking thread, for errors.
const CHECK: &str = "check the ledger";

/// A file of the ledger: its path and its bytes; no bytes for what cannot be an entry.
pub(super) type File = (String, Bytes);

/// What asking for one listed file of the ledger gave.
enum Read {
    /// It is there.
    Bytes(File),
    /// It is there and may not be read.
    Denied(String, StoreError),
    /// It has gone since it was listed.
    Gone,
}

impl Repository {
    /// Lists the ledger and reads every entry of it. What is no entry is in the ledger's problems, never an error.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] when the ledger is empty; what the store answers.
    pub async fn read_ledger(&self) -> Result<Ledger, RepositoryError> {
        Ok(self.read_ledger_of(self.list_entries().await?, &[]).await?.0)
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
        self.read_ledger_with(listed, by_name, None).await
    }

    /// As [`Repository::read_ledger_of`], with one more file that is not in the store.
    ///
    /// What was fetched is checked on a blocking thread while the next is fetched: it is much arithmetic, and a long
    /// ledger is much memory.
    pub(super) async fn read_ledger_with(
        &self,
        listed: Vec<ObjectInfo>,
        by_name: &[String],
        more: Option<File>,
    ) -> Result<(Ledger, Vec<String>), RepositoryError> {
        if listed.is_empty() {
            let why = "its ledger is empty".to_owned();
            return Err(RepositoryError::NoRepository { place: self.store().place(), why });
        }
        let (sender, mut receiver) = mpsc::channel::<File>(WAITING);
        let mut reader = Reader::new(*self.id(), &self.inner.trust);
        let checking = blocking(CHECK.to_owned(), move || {
            while let Some((file, bytes)) = receiver.blocking_recv() {
                reader.push(file, &bytes);
            }
            Ok(reader.finish())
        });
        let fetching = async {
            let absent = self.fetch_all(listed, by_name, &sender).await?;
            if let Some(file) = more {
                hand_on(&sender, file).await;
            }
            drop(sender);
            Ok(absent)
        };
        let (absent, ledger) = tokio::try_join!(fetching, checking)?;
        Ok((ledger, absent))
    }

    /// As [`Ledger::with`], on a blocking thread.
    pub(super) async fn extend_ledger(
        &self,
        ledger: Ledger,
        (file, bytes): File,
    ) -> Result<Option<Ledger>, RepositoryError> {
        let trust = self.inner.trust.clone();
        blocking(CHECK.to_owned(), move || Ok(ledger.with(&file, &bytes, &trust))).await
    }

    /// Lists the ledger.
    pub(super) async fn list_entries(&self) -> Result<Vec<ObjectInfo>, RepositoryError> {
        let listed = self.store().list(names::LEDGER).await?;
        if let Some(cache) = &self.cache {
            cache.admit(&listed);
            cache.tidy(&listed).await;
        }
        Ok(listed)
    }

    /// Fetches what is listed, in that order, then asks by name for what is not among it. Gives the names of which there
    /// is nothing.
    async fn fetch_all(
        &self,
        listed: Vec<ObjectInfo>,
        by_name: &[String],
        sender: &mpsc::Sender<File>,
    ) -> Result<Vec<String>, RepositoryError> {
        // What is asked for by name, as the listing had it: nothing where it had not.
        let mut wanted: BTreeMap<&str, Option<Bytes>> = by_name.iter().map(|path| (path.as_str(), None)).collect();
        let mut denied = None;
        let mut readable = false;
        let entries = listed.into_iter().map(|object| self.read_entry(object));
        let mut entries = stream::iter(entries).buffered(SMALL_IN_FLIGHT);
        while let Some(read) = entries.try_next().await? {
            let (path, bytes) = match read {
                Read::Bytes(file) => file,
                // One file that nobody may read is like one that is no entry: else whoever can put it there could stop
                // every restore. A writer still asks for the heads that it saw by name.
                Read::Denied(path, error) => {
                    denied.get_or_insert(error);
                    (path, Bytes::new())
                }
                Read::Gone => continue,
            };
            readable |= !bytes.is_empty();
            match wanted.get_mut(path.as_str()) {
                Some(found) => *found = Some(bytes),
                None => hand_on(sender, (path, bytes)).await,
            }
        }
        if let Some(error) = denied.filter(|_| !readable) {
            return Err(error.into());
        }
        let mut absent = Vec::new();
        for (path, found) in wanted {
            let bytes = match found {
                Some(bytes) if !bytes.is_empty() => Some(bytes),
                listed => {
                    let asked = self.ask_entry(path).await?;
                    if asked.is_none() {
                        absent.push(path.to_owned());
                    }
                    asked.or(listed)
                }
            };
            if let Some(bytes) = bytes {
                hand_on(sender, (path.to_owned(), bytes)).await;
            }
        }
        Ok(absent)
    }

    async fn read_entry(&self, object: ObjectInfo) -> Result<Read, RepositoryError> {
        let path = object.path;
        if names::parse_entry(&path).is_none() || object.size > limits::ENTRY as u64 {
            return Ok(Read::Bytes((path, Bytes::new())));
        }
        match self.fetch_entry(&path, object.size).await {
            Ok(Some(bytes)) => Ok(Read::Bytes((path, bytes))),
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
    async fn ask_entry(&self, path: &str) -> Result<Option<Bytes>, RepositoryError> {
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

    fn known(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.inner.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cache on disk is not read.
    fn anew(&self) -> bool {
        self.inner.anew.load(Ordering::SeqCst)
    }
}

/// Where nobody takes it, the thread that checks has failed, and says so itself.
async fn hand_on(sender: &mpsc::Sender<File>, file: File) {
    drop(sender.send(file).await);
}
