//! What the tests of the repository share: keys, a small snapshot, and a store that fails on request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use keyhaven::crypto::{Identities, Recipients, SigningKey};
use keyhaven::format::catalogue::PartBuilder;
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::pack::PackBuilder;
use keyhaven::format::snapshot::{Consistency, ItemCounts, PartRef, RequestCounts, SnapshotCounts};
use keyhaven::format::{
    Draft, Entry, EntryEvent, Policy, PolicyRef, RepositoryId, SigningRole, SnapshotEvent, SourceName,
};
use keyhaven::model::{Clock, Digest, Item, ItemKey, ItemKind, Payload, Pointer, Restorability, Slot, Timestamp};
use keyhaven::repository::store::{Backend, Cause};
use keyhaven::repository::{
    EntryWriter, ObjectInfo, Repository, RepositoryError, Retention, StateDirectory, Store, StoreError,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::policy_kit::{self, Named};

pub(crate) const TOOL: &str = "keyhaven/test";
pub(crate) const CRN: &str = "crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2::";

/// A clock that goes on by a second whenever it is asked.
#[derive(Debug)]
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1_000, Ordering::SeqCst))
    }
}

/// The instance that the kit's repositories belong to.
pub(crate) fn source_name() -> SourceName {
    SourceName { provider: "ibm".to_owned(), instance: CRN.to_owned(), region: Some("eu-de".to_owned()) }
}

/// Keys, a folder, a clock.
pub(crate) struct Kit {
    pub(crate) folder: TempDir,
    pub(crate) collector: Arc<SigningKey>,
    pub(crate) custodian: Arc<SigningKey>,
    pub(crate) other_custodian: Arc<SigningKey>,
    pub(crate) verifier: Arc<SigningKey>,
    pub(crate) restorer: Arc<SigningKey>,
    pub(crate) reaper: Arc<SigningKey>,
    pub(crate) recovery: Arc<Identities>,
    pub(crate) recovery_file: Zeroizing<String>,
    pub(crate) catalogue: Arc<Identities>,
    pub(crate) clock: Arc<Ticking>,
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::beginning(Timestamp::from(chrono::Utc::now()))
    }

    /// With a clock that begins at this moment.
    pub(crate) fn beginning(at: Timestamp) -> Self {
        let key = || Arc::new(SigningKey::generate().unwrap());
        let (recovery, recovery_file) = Identities::generate();
        Self {
            folder: tempfile::tempdir().unwrap(),
            collector: key(),
            custodian: key(),
            other_custodian: key(),
            verifier: key(),
            restorer: key(),
            reaper: key(),
            recovery: Arc::new(recovery),
            recovery_file,
            catalogue: Arc::new(Identities::generate().0),
            clock: Arc::new(Ticking(AtomicI64::new(at.millis()))),
        }
    }

    /// A copy of another kit's repository, with its keys.
    pub(crate) fn new_sharing(other: &Self) -> Self {
        let kit = Self {
            folder: tempfile::tempdir().unwrap(),
            collector: Arc::clone(&other.collector),
            custodian: Arc::clone(&other.custodian),
            other_custodian: Arc::clone(&other.other_custodian),
            verifier: Arc::clone(&other.verifier),
            restorer: Arc::clone(&other.restorer),
            reaper: Arc::clone(&other.reaper),
            recovery: Arc::clone(&other.recovery),
            recovery_file: other.recovery_file.clone(),
            catalogue: Arc::clone(&other.catalogue),
            clock: Arc::clone(&other.clock),
        };
        for (path, bytes) in files(&other.place()) {
            let path = kit.place().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        kit
    }

    /// The folder that [`Kit::store`] keeps its objects in.
    pub(crate) fn place(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(crate) fn store(&self) -> Store {
        Store::local(&self.place())
    }

    pub(crate) fn source(&self) -> SourceName {
        source_name()
    }

    /// Version 1 of the policy: two custodians, both of whom must sign the next one, and a key for each of four roles.
    pub(crate) fn policy(&self) -> Policy {
        let named = Named {
            custodians: &[&self.custodian, &self.other_custodian],
            keys: &[
                (&self.collector, &[SigningRole::Collector]),
                (&self.verifier, &[SigningRole::Verifier]),
                (&self.restorer, &[SigningRole::Restorer]),
                (&self.reaper, &[SigningRole::Reaper]),
            ],
            recovery: &self.recovery,
            catalogue: &self.catalogue,
        };
        policy_kit::policy(self.source(), &named, self.clock.now(), TOOL)
    }

    /// A new repository in `store`, opened.
    pub(crate) async fn init_in(&self, store: Store) -> Repository {
        self.init_with(store, &self.policy()).await
    }

    pub(crate) async fn init_with(&self, store: Store, policy: &Policy) -> Repository {
        let id = policy_kit::init(store.clone(), policy).await;
        Repository::open(store, id).await.unwrap()
    }

    /// Publishes a version upon the one in force, signed by both custodians.
    pub(crate) async fn change(&self, repository: &Repository, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        policy_kit::change(repository, &[&self.custodian, &self.other_custodian], change).await
    }

    pub(crate) async fn init(&self) -> Repository {
        self.init_in(self.store()).await
    }

    /// A writer with a state folder of its own.
    pub(crate) fn writer(&self, name: &str, key: &Arc<SigningKey>, id: &RepositoryId) -> EntryWriter {
        let state = StateDirectory::new(&self.folder.path().join("state").join(name), &id.to_string());
        EntryWriter { key: Arc::clone(key), state, clock: Arc::clone(&self.clock) as Arc<dyn Clock>, due: None }
    }

    pub(crate) fn draft(&self, event: EntryEvent) -> Draft {
        Draft { time: self.clock.now(), tool: TOOL.to_owned(), event }
    }

    /// Puts a pack, one part per item, and a list into the repository; gives the event that names them.
    pub(crate) async fn put_snapshot(&self, repository: &Repository, secrets: &[(&str, &str)]) -> SnapshotEvent {
        let contents = Contents::of(self, repository.id(), secrets);
        contents.put(repository).await.unwrap();
        contents.event
    }

    /// Puts and commits a snapshot of these secrets (id and payload text), as the collector.
    pub(crate) async fn snapshot(
        &self,
        repository: &Repository,
        writer: &EntryWriter,
        secrets: &[(&str, &str)],
    ) -> Result<Entry, RepositoryError> {
        let contents = Contents::of(self, repository.id(), secrets);
        contents.put(repository).await?;
        let done = repository.commit(writer, self.draft(EntryEvent::Snapshot(Box::new(contents.event)))).await?;
        Ok(done.entry)
    }
}

/// The objects of a small snapshot, not yet stored.
pub(crate) struct Contents {
    pub(crate) pack: keyhaven::crypto::Sealed,
    pub(crate) parts: Vec<keyhaven::crypto::Sealed>,
    pub(crate) list: PackList,
    pub(crate) event: SnapshotEvent,
}

impl Contents {
    pub(crate) fn of(kit: &Kit, id: &RepositoryId, secrets: &[(&str, &str)]) -> Self {
        let mut builder = PackBuilder::new(*id, &source_name()).unwrap();
        for (secret, text) in secrets {
            let payload = Payload::new(Zeroizing::new((*text).to_owned()));
            builder.push(&key(secret), &version(), &payload).unwrap();
        }
        let recovery = Recipients::new(kit.recovery.recipients()).unwrap();
        let both = kit.recovery.recipients().into_iter().chain(kit.catalogue.recipients()).collect();
        let both = Recipients::new(both).unwrap();
        let pack = builder.seal(&recovery, 1).unwrap();
        let mut items: Vec<_> = secrets.iter().map(|(secret, _)| item(secret, &pack.digest)).collect();
        items.sort_by(|a, b| a.key.cmp(&b.key));
        let parts: Vec<_> = items.iter().map(|item| part(id, std::slice::from_ref(item), &both)).collect();
        let size = pack.bytes.len() as u64;
        let list =
            PackList::new(vec![ListedPack { pack: pack.digest, size, recipients: recovery.names(), since: None }])
                .unwrap();
        let time = kit.clock.now();
        let counts = ItemCounts { items: Some(secrets.len() as u64), ..ItemCounts::default() };
        let by = |word: &str| [(word.to_owned(), counts)].into_iter().collect();
        let event = SnapshotEvent {
            consistency: Consistency::PointInTime,
            from: time,
            to: time,
            time,
            recovery_point_millis: None,
            rounds: 2,
            full: true,
            base: None,
            reuses: Vec::new(),
            reference: None,
            recipients: policy_kit::recipients_digest(&kit.recovery),
            parts: parts
                .iter()
                .map(|part| PartRef { digest: part.digest, size: part.bytes.len() as u64, items: 1 })
                .collect(),
            list: list.digest().unwrap(),
            packs: 1,
            sealed_bytes: size,
            counts: SnapshotCounts { all: counts, kinds: by("secret"), classes: by("exact") },
            partial: false,
            reasons: Vec::new(),
            marks: Vec::new(),
            rules: None,
            floors: None,
            shares: None,
            expected: None,
            excepted: None,
            bucket: None,
            requests: RequestCounts::default(),
            notes: Vec::new(),
            tags: Vec::new(),
            hidden: Vec::new(),
            recovery_key_on_collector: false,
        };
        Self { pack, parts, list, event }
    }

    pub(crate) async fn put(&self, repository: &Repository) -> Result<(), RepositoryError> {
        repository.put_pack(&self.pack).await?;
        repository.put_list(&self.list).await?;
        for part in &self.parts {
            repository.put_part(part).await?;
        }
        Ok(())
    }
}

pub(crate) fn key(secret: &str) -> ItemKey {
    ItemKey::new(ItemKind::Secret, secret).unwrap()
}

pub(crate) fn version() -> Slot {
    Slot::new("version-1").unwrap()
}

pub(crate) fn item(secret: &str, pack: &Digest) -> Item {
    Item {
        key: key(secret),
        name: format!("name of {secret}"),
        item_type: "kv".to_owned(),
        group: None,
        class: Restorability::Exact.into(),
        revision: None,
        read_at: None,
        payloads: vec![Pointer { version: version(), pack: *pack }],
        docs: BTreeMap::new(),
    }
}

pub(crate) fn part(id: &RepositoryId, items: &[Item], recipients: &Recipients) -> keyhaven::crypto::Sealed {
    let mut builder = PartBuilder::new(*id, &source_name()).unwrap();
    for item in items {
        builder.push(item).unwrap();
    }
    builder.seal(recipients, 1).unwrap()
}

/// Every file below a folder with its bytes, by path.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
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
pub(crate) struct Faulty {
    inner: Store,
    plan: Mutex<Option<(usize, Fault)>>,
    writes: AtomicUsize,
    dead: Mutex<bool>,
    clock: Mutex<Option<Timestamp>>,
    unlisted: Mutex<Option<String>>,
    blocked: Mutex<Option<PathBuf>>,
}

impl Faulty {
    pub(crate) fn around(inner: Store) -> Arc<Self> {
        Arc::new(Self {
            inner,
            plan: Mutex::new(None),
            writes: AtomicUsize::new(0),
            dead: Mutex::new(false),
            clock: Mutex::new(None),
            unlisted: Mutex::new(None),
            blocked: Mutex::new(None),
        })
    }

    pub(crate) fn store(self: &Arc<Self>) -> Store {
        Store::with_backend(Arc::clone(self) as Arc<dyn Backend>)
    }

    /// The `nth` write from now on, counted from 0, goes wrong.
    pub(crate) fn fail(&self, nth: usize, fault: Fault) {
        self.writes.store(0, Ordering::SeqCst);
        *self.dead.lock().unwrap() = false;
        *self.plan.lock().unwrap() = Some((nth, fault));
    }

    /// Writes since the last call of [`Faulty::fail`], those that failed included.
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
        StoreError::Unreachable { what: what.to_owned(), place: self.place(), source: Cause::new("planned") }
    }

    fn alive(&self, what: &str) -> Result<(), StoreError> {
        if *self.dead.lock().unwrap() { Err(self.unreachable(what)) } else { Ok(()) }
    }
}

#[async_trait]
impl Backend for Faulty {
    fn inner(&self) -> Option<&dyn Backend> {
        Some(self.inner.backend())
    }

    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.alive(path)?;
        self.inner.get(path, limit).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.alive(path)?;
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
            Some(Fault::Full) => {
                Err(StoreError::Full { what: path.to_owned(), place: self.place(), source: Cause::new("planned") })
            }
            Some(_) => Err(self.unreachable(path)),
        }
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        self.alive(folder)?;
        let mut listed = self.inner.backend().list(folder, after).await?;
        let unlisted = self.unlisted.lock().unwrap().clone();
        listed.retain(|object| Some(&object.path) != unlisted.as_ref());
        Ok(listed)
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.alive(path)?;
        self.inner.delete(path).await
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        self.alive(path)?;
        self.inner.retention(path).await
    }

    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.alive(path)?;
        self.inner.head(path).await
    }

    fn clock(&self) -> Option<Timestamp> {
        *self.clock.lock().unwrap()
    }

    /// A folder's is this host's, until the test sets another.
    fn shares_clock(&self) -> bool {
        self.clock.lock().unwrap().is_none()
    }
}
