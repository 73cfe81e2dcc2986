//! Reads the current ledger of a repository: lists, fetches and checks entries one at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::ledger::{HostMemory, Ledger, LedgerReader};
use super::objects::blocking;
use super::open::SMALL_IN_FLIGHT;
use super::policies::{NO_FILE, lacking};
use super::store::Listing;
use super::{ObjectInfo, Repository, RepositoryError, StateDirectory, StoreError};
use crate::format::{EntryRef, Envelope, names};
use crate::model::limits;

/// Maximum number of files that wait to be checked: this many entries of a long ledger are in memory as bytes.
const WAITING: usize = 64;
/// Name of the blocking work, for errors.
const CHECK: &str = "check the ledger";

/// A file of the ledger.
struct File {
    path: String,
    /// Empty for a file that cannot be an entry.
    bytes: Bytes,
    /// True if it was fetched from the store; files from memory or disk are cached already.
    asked: bool,
}

/// Result of fetching one listed file of the ledger.
enum FetchedEntry {
    /// The file was read.
    Bytes(File),
    /// The file exists, but reading it is denied.
    Denied(String, StoreError),
    /// The file was deleted since it was listed.
    Gone,
}

impl Repository {
    /// Lists trust policy and ledger and reads every entry. Files that are not entries become problems of the ledger,
    /// never an error.
    ///
    /// # Errors
    /// [`RepositoryError::NoRepository`] if there is neither a policy nor an entry;
    /// [`RepositoryError::OtherRepository`] and [`RepositoryError::Pin`] if no version of the policy can be in force;
    /// errors of the store.
    pub async fn read_ledger(&self) -> Result<Ledger, RepositoryError> {
        Ok(self.read_ledger_of(self.list_entries().await?, &[]).await?.0)
    }

    /// As [`Repository::read_ledger`], but fetches every entry again: what is cached in memory or on disk proves
    /// nothing about the store.
    ///
    /// # Errors
    /// As [`Repository::read_ledger`].
    pub async fn read_ledger_anew(&self) -> Result<Ledger, RepositoryError> {
        self.forget_entries();
        self.read_ledger().await
    }

    /// Drops the cached entries, so that every entry is fetched again. From then on the cache on disk is written but
    /// not read.
    pub fn forget_entries(&self) {
        self.inner.anew.store(true, Ordering::SeqCst);
        self.known().clear();
    }

    /// As [`Repository::read_ledger`], from a listing and from entries that are looked up by name, which the listing
    /// may lack. Also returns the names among these that are not there as entries.
    ///
    /// # Errors
    /// As [`Repository::read_ledger`].
    pub async fn read_ledger_of(
        &self,
        listed: Listing,
        by_name: &[String],
    ) -> Result<(Ledger, Vec<String>), RepositoryError> {
        let stored = self.read_policies().await?;
        let (pins, kept_policies) = self.pins().await?;
        let (remembered, kept) = match &self.state {
            Some(state) => (state.heads().await?, state.kept_entries().await?),
            None => (Vec::new(), Vec::new()),
        };
        let Listing { current: listed, older } = listed;
        if listed.is_empty() && older.is_empty() && stored.is_empty() && kept_policies.is_empty() {
            let why = "its trust policy and its ledger are empty".to_owned();
            return Err(RepositoryError::NoRepository { place: self.store().place(), why });
        }
        let mut pool = stored.pool.clone();
        pool.extend(stored.older);
        pool.extend(kept_policies);
        // Look up by name, in addition to the listing, what the caller asks for and what this host remembers.
        let wanted: BTreeSet<String> = by_name.iter().chain(&remembered).cloned().collect();
        let mut reader = self.read_entries(listed, wanted).await?;
        let superseded = self.push_older(&mut reader, older).await?;
        // A file that is not an entry, such as one without its signature, counts as missing.
        let gone = |path: &String| names::parse_entry(path).filter(|entry| !reader.has(&entry.digest));
        let mut lost: Vec<EntryRef> = remembered.iter().filter_map(gone).collect();
        let mut asked: Vec<String> = by_name.iter().filter(|path| gone(path).is_some()).cloned().collect();
        let kept = reader.push_wanted(kept, &remembered);
        pool.extend(reader.carried().clone());
        let trust = self.judge(pool, &pins, &stored.pool)?;
        for path in reader.to_confirm(&trust) {
            if let Some(bytes) = self.ask_entry(&path, None).await? {
                reader.confirm(&trust, &path, &bytes);
            }
        }
        lost.retain(|entry| !reader.has_later(&entry.digest));
        asked.retain(|path| names::parse_entry(path).is_none_or(|entry| !reader.has_later(&entry.digest)));
        let policies = lacking(&trust, &stored.pool);
        let rubbish = stored.rubbish;
        let mut ledger = blocking(CHECK.to_owned(), move || Ok(reader.finish(trust, rubbish))).await?;
        let accepted = |entry: &&EntryRef| ledger.trust().accepts_loss_of(&entry.digest);
        let heads = lost.iter().filter(|entry| !accepted(entry)).copied().collect();
        ledger.set_memory(HostMemory { heads, policies, kept, superseded });
        if let Some(source) = ledger.source() {
            self.inner.source.get_or_init(|| source.clone());
        }
        Ok((ledger, asked))
    }

    /// Remembers the state of a ledger, if this host has a state directory: its heads, missing heads, and the policy. A
    /// failed write weakens the memory but is not an error.
    pub async fn remember(&self, ledger: &Ledger) {
        let Some(state) = &self.state else { return };
        let own = own_entries(state).await.unwrap_or_default();
        let heads = heads_to_remember(ledger, None).into_iter().chain(own).collect::<BTreeSet<String>>();
        let remembered = state.remember_heads(heads.into_iter().collect()).await;
        let policy = match Self::known_policy(ledger).filter(|_| !ledger.trust().is_fork() && !self.policy_chosen) {
            Some(known) => state.remember_policy(known).await,
            None => Ok(()),
        };
        drop(remembered.and(policy));
    }

    /// Lists the ledger.
    pub(super) async fn list_entries(&self) -> Result<Listing, RepositoryError> {
        let listed = self.store().list_with_older(names::LEDGER).await?;
        if let Some(cache) = &self.cache {
            cache.admit(&listed.current);
            cache.tidy(&listed.current).await;
        }
        Ok(listed)
    }

    /// Fetches listed entries and those requested by name, and reads them.
    ///
    /// Entries are checked on a blocking thread while the next ones are fetched, because checking is CPU-bound and a
    /// long ledger needs much memory.
    async fn read_entries(
        &self,
        mut listed: Vec<ObjectInfo>,
        by_name: BTreeSet<String>,
    ) -> Result<LedgerReader, RepositoryError> {
        let mut reader = LedgerReader::new(*self.id());
        listed.retain(|object| {
            let is_entry = names::parse_entry(&object.path).is_some();
            if !is_entry {
                reader.reject(object.path.clone(), "no entry has such a name");
            }
            is_entry
        });
        for odd in self.store().odd(names::LEDGER).await? {
            if !(odd.is_directory && names::is_entry_directory(&odd.path)) {
                reader.reject(odd.path, NO_FILE);
            }
        }
        let (sender, mut receiver) = mpsc::channel::<File>(WAITING);
        let keeper = self.clone();
        let checking = blocking(CHECK.to_owned(), move || {
            while let Some(File { path, bytes, asked }) = receiver.blocking_recv() {
                // The name does not cover the signature, so a damaged one can be repaired under the same name and size.
                if reader.push(&path, &bytes) && asked {
                    keeper.keep(&path, &bytes);
                }
            }
            Ok(reader)
        });
        let fetching = async {
            self.fetch_all(listed, by_name, &sender).await?;
            drop(sender);
            Ok(())
        };
        let ((), reader) = tokio::try_join!(fetching, checking)?;
        Ok(reader)
    }

    /// Fetches listed entries in order, then those requested by name that are not among them. Everything is read, even
    /// if an attacker adds many files: a skipped one could be the newest snapshot.
    async fn fetch_all(
        &self,
        listed: Vec<ObjectInfo>,
        by_name: BTreeSet<String>,
        sender: &mpsc::Sender<File>,
    ) -> Result<(), RepositoryError> {
        // Files requested by name, as read from the listing: `None` if not listed.
        let mut wanted: BTreeMap<String, Option<File>> = by_name.into_iter().map(|path| (path, None)).collect();
        let mut denied = None;
        let mut readable = false;
        let entries = listed.into_iter().map(|object| self.read_entry(object));
        let mut entries = stream::iter(entries).buffered(SMALL_IN_FLIGHT);
        while let Some(read) = entries.try_next().await? {
            let file = match read {
                FetchedEntry::Bytes(file) => file,
                // Treat an unreadable file like one that is not an entry. Otherwise anyone who can put such a file
                // there could stop every restore. Heads that this host saw are still looked up by name.
                FetchedEntry::Denied(path, error) => {
                    denied.get_or_insert(error);
                    File { path, bytes: Bytes::new(), asked: true }
                }
                FetchedEntry::Gone => continue,
            };
            readable |= !file.bytes.is_empty();
            match wanted.get_mut(&file.path) {
                Some(found) => *found = Some(file),
                None => hand_on(sender, file).await,
            }
        }
        if let Some(error) = denied.filter(|_| !readable) {
            return Err(error.into());
        }
        for (path, found) in wanted {
            let file = match found {
                Some(file) if !file.bytes.is_empty() => Some(file),
                listed => {
                    let bytes = self.ask_entry(&path, None).await?;
                    bytes.map(|bytes| File { path, bytes, asked: true }).or(listed)
                }
            };
            if let Some(file) = file {
                hand_on(sender, file).await;
            }
        }
        Ok(())
    }

    async fn read_entry(&self, object: ObjectInfo) -> Result<FetchedEntry, RepositoryError> {
        let path = object.path;
        if object.size > limits::ENTRY as u64 {
            return Ok(FetchedEntry::Bytes(File { path, bytes: Bytes::new(), asked: false }));
        }
        if let Some(bytes) = self.kept(&path, object.size).await {
            return Ok(FetchedEntry::Bytes(File { path, bytes, asked: false }));
        }
        let mut asked = self.ask_entry(&path, Some(object.size)).await;
        if matches!(asked, Ok(None)) {
            // It was listed just now, so ask again.
            asked = self.ask_entry(&path, Some(object.size)).await;
        }
        match asked {
            Ok(Some(bytes)) => Ok(FetchedEntry::Bytes(File { path, bytes, asked: true })),
            Ok(None) => Ok(FetchedEntry::Gone),
            Err(RepositoryError::Store(error @ StoreError::Denied { .. })) => Ok(FetchedEntry::Denied(path, error)),
            Err(error) => Err(error),
        }
    }

    /// Returns the cached bytes of a file of the ledger that was just listed with this size, from memory or disk.
    async fn kept(&self, path: &str, size: u64) -> Option<Bytes> {
        let known = self.known().get(path).cloned();
        if known.is_some() {
            return known;
        }
        self.cache.as_ref().filter(|_| !self.anew())?.get(path, size).await
    }

    /// Fetches the bytes of one file of the ledger from the store; `None` if it is missing.
    ///
    /// A file that does not match its name is fetched again, unless it has the listed size: there may be much rubbish.
    async fn ask_entry(&self, path: &str, size: Option<u64>) -> Result<Option<Bytes>, RepositoryError> {
        let fits = |bytes: &[u8]| size == Some(bytes.len() as u64) || names_its_payload(path, bytes);
        let bytes = match self.store().get_fitting(path, limits::ENTRY, fits).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(StoreError::TooLarge { .. }) => return Ok(Some(Bytes::new())),
            Err(error) => return Err(error.into()),
        };
        // Only content that matches its name is immutable. Of anything else the name is enough to report it, and its
        // bytes would only use memory.
        Ok(Some(if names_its_payload(path, &bytes) { bytes } else { Bytes::new() }))
    }

    /// Caches an entry that the store has, so that it is not fetched again.
    pub(super) async fn keep_entry(&self, path: &str, bytes: &Bytes) {
        let (keeper, path, bytes) = (self.clone(), path.to_owned(), bytes.clone());
        // A failure is ignored: an entry that is not cached is fetched again.
        drop(tokio::task::spawn_blocking(move || keeper.keep(&path, &bytes)).await);
    }

    fn keep(&self, path: &str, bytes: &Bytes) {
        let on_disk = self.cache.as_ref().is_some_and(|cache| cache.put(path, bytes));
        // Only a directory shares this host's clock. A long ledger would need more memory than the rest of an idle run.
        let near = self.store().shares_clock() || on_disk && !self.anew();
        if !near {
            self.known().insert(path.to_owned(), bytes.clone());
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.inner.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if the cache on disk is not read.
    fn anew(&self) -> bool {
        self.inner.anew.load(Ordering::SeqCst)
    }
}

/// Returns the paths of the heads of a ledger, of the missing heads, and of an entry just written, without duplicates.
pub(super) fn heads_to_remember(ledger: &Ledger, written: Option<String>) -> Vec<String> {
    let heads = ledger.heads().into_iter().map(crate::format::Entry::name);
    let lost = ledger.memory().heads.iter().map(names::entry);
    heads.chain(lost).chain(written).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Returns the paths of entries that this host wrote, knows to have arrived, and whose bytes it keeps. They may no
/// longer be heads; after a rollback of the bucket only this host can restore them.
async fn own_entries(state: &StateDirectory) -> Result<Vec<String>, RepositoryError> {
    let known = state.heads().await?;
    let kept = state.kept_entries().await?.into_iter().map(|(path, _)| path);
    Ok(kept.filter(|path| known.contains(path)).collect())
}

/// Returns true if a path names the payload of an envelope. The name does not cover the signatures: a file that was
/// overwritten with the same payload and no signature is detected when it is read.
pub(super) fn names_its_payload(path: &str, bytes: &[u8]) -> bool {
    let named = names::parse_entry(path);
    named.zip(Envelope::peek_digest(bytes)).is_some_and(|(named, digest)| digest == named.digest)
}

/// If the receiver is gone, the checking thread has failed, and reports that itself.
async fn hand_on(sender: &mpsc::Sender<File>, file: File) {
    drop(sender.send(file).await);
}
