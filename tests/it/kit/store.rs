//! Stores around others, which let everything through but what a test wants to go wrong; and one in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use keyhaven::model::Timestamp;
use keyhaven::repository::store::{Backend, Cause};
use keyhaven::repository::{ObjectInfo, Retention, Store, StoreError};

/// What a store is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Get,
    Put,
    List,
    Delete,
    Retention,
    Head,
}

/// What a store around another does otherwise.
#[async_trait]
pub(crate) trait Wrapper: fmt::Debug + Send + Sync + Sized + 'static {
    fn inner(&self) -> &Store;

    /// Before each operation, which an error prevents.
    fn before(&self, _operation: Operation, _path: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.inner().put(path, bytes).await
    }

    /// Whether a listing shows this object.
    fn lists(&self, _path: &str) -> bool {
        true
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        self.inner().retention(path).await
    }

    fn clock(&self) -> Option<Timestamp> {
        self.inner().clock()
    }

    fn shares_clock(&self) -> bool {
        self.inner().shares_clock()
    }

    fn store(self: &Arc<Self>) -> Store {
        Store::with_backend(Arc::new(Wrapped(Arc::clone(self))))
    }
}

#[derive(Debug)]
struct Wrapped<W>(Arc<W>);

impl<W: Wrapper> Wrapped<W> {
    fn listed(&self, mut listed: Vec<ObjectInfo>) -> Vec<ObjectInfo> {
        listed.retain(|object| self.0.lists(&object.path));
        listed
    }
}

#[async_trait]
impl<W: Wrapper> Backend for Wrapped<W> {
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.0.before(Operation::Get, path)?;
        self.0.inner().get(path, limit).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.0.before(Operation::Put, path)?;
        self.0.put(path, bytes).await
    }

    async fn list(&self, directory: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        self.0.before(Operation::List, directory)?;
        let inner = self.0.inner();
        Ok(self.listed(match after {
            None => inner.list(directory).await?,
            Some(after) => inner.list_from(directory, after).await?,
        }))
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.0.before(Operation::Delete, path)?;
        self.0.inner().delete(path).await
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        self.0.before(Operation::Retention, path)?;
        self.0.retention(path).await
    }

    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.0.before(Operation::Head, path)?;
        self.0.inner().head(path).await
    }

    fn clock(&self) -> Option<Timestamp> {
        self.0.clock()
    }

    fn shares_clock(&self) -> bool {
        self.0.shares_clock()
    }

    fn place(&self) -> String {
        self.0.inner().place()
    }
}

/// What goes wrong with one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is stored, and nothing answers any more.
    CrashBefore,
    /// It is stored, and nothing answers any more.
    CrashAfter,
    /// It is stored, but the answer is lost; the rest works.
    LostAnswer,
    /// Nothing is stored and the answer is lost; the rest works.
    LostRequest,
    /// Refused for want of room; the rest works.
    Full,
}

/// A store that does one thing wrong at one write.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Store,
    plan: Mutex<Option<(usize, Fault)>>,
    writes: AtomicUsize,
    dead: Mutex<bool>,
    clock: Mutex<Option<Timestamp>>,
    unlisted: Mutex<Option<String>>,
    blocked: Mutex<Option<PathBuf>>,
}

impl FaultyStore {
    pub(crate) fn around(inner: Store) -> Arc<Self> {
        let (plan, dead, clock) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (unlisted, blocked) = (Mutex::default(), Mutex::default());
        Arc::new(Self { inner, plan, writes: AtomicUsize::new(0), dead, clock, unlisted, blocked })
    }

    /// The `nth` write from now on, counted from 0, goes wrong.
    pub(crate) fn fail(&self, nth: usize, fault: Fault) {
        self.writes.store(0, Ordering::SeqCst);
        *self.dead.lock().unwrap() = false;
        *self.plan.lock().unwrap() = Some((nth, fault));
    }

    /// Writes since the last call of [`FaultyStore::fail`], those that failed included.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// From now on no listing shows this object.
    pub(crate) fn hide(&self, path: &str) {
        *self.unlisted.lock().unwrap() = Some(path.to_owned());
    }

    /// With the next write, a folder takes the place of this file of the host, so that it cannot be written any more.
    pub(crate) fn block(&self, file: PathBuf) {
        *self.blocked.lock().unwrap() = Some(file);
    }

    pub(crate) fn set_clock(&self, clock: Timestamp) {
        *self.clock.lock().unwrap() = Some(clock);
    }

    fn unreachable(&self, what: &str) -> StoreError {
        StoreError::Unreachable { what: what.to_owned(), place: self.inner.place(), source: Cause::new("planned") }
    }
}

#[async_trait]
impl Wrapper for FaultyStore {
    fn inner(&self) -> &Store {
        &self.inner
    }

    fn before(&self, _operation: Operation, path: &str) -> Result<(), StoreError> {
        if *self.dead.lock().unwrap() { Err(self.unreachable(path)) } else { Ok(()) }
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        if let Some(file) = self.blocked.lock().unwrap().take() {
            std::fs::remove_file(&file).unwrap();
            std::fs::create_dir_all(file.join("in the way")).unwrap();
        }
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        let fault = self.plan.lock().unwrap().filter(|(nth, _)| *nth == number).map(|(_, fault)| fault);
        if matches!(fault, None | Some(Fault::CrashAfter | Fault::LostAnswer)) {
            self.inner.put(path, bytes).await?;
        }
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            *self.dead.lock().unwrap() = true;
        }
        match fault {
            None => Ok(()),
            Some(Fault::Full) => Err(StoreError::Full {
                what: path.to_owned(),
                place: self.inner.place(),
                source: Cause::new("planned"),
            }),
            Some(_) => Err(self.unreachable(path)),
        }
    }

    fn lists(&self, path: &str) -> bool {
        self.unlisted.lock().unwrap().as_deref() != Some(path)
    }

    fn clock(&self) -> Option<Timestamp> {
        *self.clock.lock().unwrap()
    }

    /// A folder's is this host's, until the test sets another.
    fn shares_clock(&self) -> bool {
        self.clock.lock().unwrap().is_none()
    }
}

/// A store that keeps some objects, refuses or breaks at some delete, and may tell another time.
#[derive(Debug)]
pub(crate) struct KeepingStore {
    inner: Store,
    /// Until when it keeps an object; it refuses to delete it, whether a HEAD says so or not.
    pub(crate) keeps: Mutex<BTreeMap<String, Option<Timestamp>>>,
    /// Whether a HEAD says what is kept.
    pub(crate) says: bool,
    /// What is locked behind so many looks at it, until then. As on a versioned bucket a delete is not refused because of
    /// that: it hides the object.
    pub(crate) locks_late: Mutex<BTreeMap<String, (u32, Timestamp)>>,
    /// What it does not let anybody read.
    pub(crate) unreadable: Mutex<Option<String>>,
    /// Deletes from this one on fail.
    pub(crate) breaks_at: Mutex<Option<u64>>,
    /// What it says of its clock instead of its inner one's.
    pub(crate) clock: Mutex<Option<Option<Timestamp>>>,
}

impl KeepingStore {
    pub(crate) fn around(inner: Store, says: bool) -> Arc<Self> {
        let (keeps, locks_late, unreadable) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (breaks_at, clock) = (Mutex::default(), Mutex::default());
        Arc::new(Self { inner, keeps, says, locks_late, unreadable, breaks_at, clock })
    }

    fn denied(&self, what: &str, path: &str) -> StoreError {
        let source = Cause::new("AccessDenied: planned");
        StoreError::Denied { what: format!("{what} {path}"), place: self.inner.place(), source }
    }
}

#[async_trait]
impl Wrapper for KeepingStore {
    fn inner(&self) -> &Store {
        &self.inner
    }

    fn before(&self, operation: Operation, path: &str) -> Result<(), StoreError> {
        match operation {
            Operation::Get if self.unreadable.lock().unwrap().as_deref() == Some(path) => {
                Err(self.denied("read", path))
            }
            Operation::Delete => {
                let mut left = self.breaks_at.lock().unwrap();
                let breaks = *left == Some(0);
                *left = left.map(|left| left.saturating_sub(1));
                let keeps = breaks || self.keeps.lock().unwrap().contains_key(path);
                if keeps { Err(self.denied("delete", path)) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        let Some(mut retention) = self.inner.retention(path).await? else { return Ok(None) };
        if let Some(until) = self.keeps.lock().unwrap().get(path).filter(|_| self.says) {
            (retention.until, retention.held) = (*until, until.is_none());
        }
        if let Some((looks, until)) = self.locks_late.lock().unwrap().get_mut(path) {
            retention.until = (*looks == 0).then_some(*until);
            *looks = looks.saturating_sub(1);
        }
        Ok(Some(retention))
    }

    fn clock(&self) -> Option<Timestamp> {
        self.clock.lock().unwrap().unwrap_or_else(|| self.inner.clock())
    }

    fn shares_clock(&self) -> bool {
        false
    }
}

/// Loses the first object that is written to it in a directory, and these files with it, and says that all is well.
#[derive(Debug)]
pub(crate) struct LosingStore {
    inner: Store,
    directory: &'static str,
    lost: Mutex<Option<Vec<PathBuf>>>,
}

impl LosingStore {
    pub(crate) fn around(inner: Store, directory: &'static str, with: Vec<PathBuf>) -> Store {
        Arc::new(Self { inner, directory, lost: Mutex::new(Some(with)) }).store()
    }
}

#[async_trait]
impl Wrapper for LosingStore {
    fn inner(&self) -> &Store {
        &self.inner
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let lost = path.starts_with(self.directory).then(|| self.lost.lock().unwrap().take()).flatten();
        match lost {
            Some(files) => {
                files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
                Ok(())
            }
            None => self.inner.put(path, bytes).await,
        }
    }
}

/// A folder that is asked as a bucket would be: every GET is written down.
#[derive(Debug)]
pub(crate) struct CountingStore {
    inner: Store,
    gets: Mutex<Vec<String>>,
    shares_clock: bool,
}

impl CountingStore {
    pub(crate) fn around(inner: Store, shares_clock: bool) -> Arc<Self> {
        Arc::new(Self { inner, gets: Mutex::default(), shares_clock })
    }

    /// The GETs since the last call: all of them, and the paths of the entries among them.
    pub(crate) fn take(&self) -> (usize, Vec<String>) {
        let gets = std::mem::take(&mut *self.gets.lock().unwrap());
        (gets.len(), gets.into_iter().filter(|path| path.starts_with("ledger/")).collect())
    }

    pub(crate) fn entries(&self) -> usize {
        self.take().1.len()
    }
}

impl Wrapper for CountingStore {
    fn inner(&self) -> &Store {
        &self.inner
    }

    fn before(&self, operation: Operation, path: &str) -> Result<(), StoreError> {
        if operation == Operation::Get {
            self.gets.lock().unwrap().push(path.to_owned());
        }
        Ok(())
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn shares_clock(&self) -> bool {
        self.shares_clock
    }
}

pub(crate) type Objects = BTreeMap<String, Bytes>;

/// A store in memory that is only read, with other bytes under some names, or nothing, and with names that are listed as
/// objects of a size and cannot be had. It writes down what is fetched.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    pub(crate) objects: Arc<Objects>,
    pub(crate) changed: BTreeMap<String, Option<Bytes>>,
    pub(crate) junk: BTreeMap<String, u64>,
    pub(crate) fetched: Mutex<Vec<String>>,
}

impl MemoryStore {
    pub(crate) fn store(self: &Arc<Self>) -> Store {
        Store::with_backend(Arc::clone(self) as Arc<dyn Backend>)
    }

    /// What was fetched below a directory.
    pub(crate) fn fetched(&self, below: &str) -> Vec<String> {
        self.fetched.lock().unwrap().iter().filter(|path| path.starts_with(below)).cloned().collect()
    }

    fn bytes(&self, path: &str) -> Option<&Bytes> {
        self.changed.get(path).map_or_else(|| self.objects.get(path), Option::as_ref)
    }

    fn info(&self, path: &str) -> Option<ObjectInfo> {
        let size = self.bytes(path).map(|bytes| bytes.len() as u64).or_else(|| self.junk.get(path).copied())?;
        Some(ObjectInfo { path: path.to_owned(), size, modified: Timestamp::from_millis(0) })
    }
}

#[async_trait]
impl Backend for MemoryStore {
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.fetched.lock().unwrap().push(path.to_owned());
        let missing = || StoreError::NotFound { path: path.to_owned(), place: self.place() };
        let bytes = self.bytes(path).cloned().ok_or_else(missing)?;
        assert!(bytes.len() <= limit, "{path} is larger than what reads it");
        Ok(bytes)
    }

    async fn put(&self, path: &str, _bytes: Bytes) -> Result<(), StoreError> {
        panic!("{path} was written by a reader")
    }

    async fn list(&self, directory: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        let prefix = format!("{directory}/");
        let paths: BTreeSet<&String> = self.objects.keys().chain(self.changed.keys()).chain(self.junk.keys()).collect();
        let later = |path: &str| after.is_none_or(|after| path > after);
        let below = paths.into_iter().filter(|path| path.starts_with(&prefix) && later(path));
        Ok(below.filter_map(|path| self.info(path)).collect())
    }

    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(self.info(path).filter(|_| self.bytes(path).is_some()))
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
