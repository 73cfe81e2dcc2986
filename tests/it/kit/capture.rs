//! What the tests of capture share: an embedded instance behind HTTP, a repository in a folder, and a clock that only
//! moves when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::{Entry, Policy, PolicyRef, RepositoryId, SigningRole, SnapshotEvent, SourceName};
use keyhaven::job::Context;
use keyhaven::job::capture::{CaptureError, CaptureOptions, CaptureReport, capture};
use keyhaven::job::event::Silent;
use keyhaven::model::{Clock, Docs, Item, ItemClass, ItemKey, Timestamp};
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Server};
use keyhaven::provider::ibm::Client;
use keyhaven::provider::{
    Address, CompleteListing, InstanceError, InstanceInventory, ItemContent, ItemReader, Listed, Look, Presence,
    Requests, Sink, StandbyQuery,
};
use keyhaven::repository::{EntryWriter, Repository, StateDirectory, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::instance::quick_client;
use super::policy::{self, Named};

/// When the tests begin.
pub(crate) const START: i64 = 1_800_000_000_000;

/// What happens while a source waits, so that a writer does not have to stand still meanwhile.
pub(crate) type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// The client, but for its clock: waiting moves the instance's own, so that no test sleeps.
pub(crate) struct ByHand {
    client: Client,
    clock: InstanceClock,
    instance: EmbeddedInstance,
    pub(crate) meanwhile: Option<Meanwhile>,
    /// The newest state in the instance's log when each listing began and when it was done.
    pub(crate) listings: Mutex<Vec<(usize, usize)>>,
}

impl std::fmt::Debug for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByHand").field("clock", &self.clock).finish_non_exhaustive()
    }
}

#[async_trait]
impl InstanceInventory for ByHand {
    fn address(&self) -> Address {
        self.client.address()
    }

    fn instance_id(&self, full_name: &str) -> Option<String> {
        self.client.instance_id(full_name)
    }

    fn instance_of(&self, item: &Item) -> Option<String> {
        self.client.instance_of(item)
    }

    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError> {
        self.client.find(wanted).await
    }

    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
        let newest = || self.instance.states().unwrap_or_default().saturating_sub(1);
        let began = newest();
        let listing = self.client.list(sink).await;
        self.listings.lock().unwrap().push((began, newest()));
        listing
    }

    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        self.client.presence(key).await
    }

    fn provider_now(&self) -> Option<Timestamp> {
        // As from a `Date`: whole seconds.
        self.client.provider_now()?;
        let now = self.clock.now().millis();
        Some(Timestamp::from_millis(now - now.rem_euclid(1_000)))
    }

    async fn wait_until(&self, at: Timestamp) {
        while at > self.clock.now() {
            self.clock.advance(at.millis_since(self.clock.now()).min(250));
            if let Some(meanwhile) = &self.meanwhile {
                meanwhile();
            }
        }
    }

    fn requests(&self) -> Requests {
        self.client.requests()
    }
}

#[async_trait]
impl ItemReader for ByHand {
    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<ItemContent, InstanceError> {
        self.client.read(listed, before).await
    }

    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError> {
        self.client.look(key, look).await
    }

    fn judge(&self, item: &Item) -> ItemClass {
        self.client.judge(item)
    }

    fn labels(&self, item: &Item) -> Vec<String> {
        self.client.labels(item)
    }
}

/// An instance, its server, a repository and the keys of both sides.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) clock: InstanceClock,
    pub(crate) instance: EmbeddedInstance,
    /// Serves for as long as the rig lives.
    _server: Server,
    pub(crate) source: ByHand,
    pub(crate) repository: Repository,
    pub(crate) collector: Arc<SigningKey>,
    pub(crate) other_collector: Arc<SigningKey>,
    pub(crate) custodian: Arc<SigningKey>,
    pub(crate) recovery: Arc<Identities>,
    pub(crate) catalogue: Arc<Identities>,
    pub(crate) cancel: CancellationToken,
}

impl Rig {
    /// An empty instance whose clock stands still.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = InstanceClock::manual(Timestamp::from_millis(START));
        Self::over(EmbeddedInstance::new(Options { clock: clock.clone(), ids: Some(7), ..options }), clock).await
    }

    pub(crate) async fn over(instance: EmbeddedInstance, clock: InstanceClock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(instance.clone(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let source = ByHand {
            client: client(&server, &instance),
            clock: clock.clone(),
            instance: instance.clone(),
            meanwhile: None,
            listings: Mutex::default(),
        };
        let key = || Arc::new(SigningKey::generate().unwrap());
        let (collector, other_collector, custodian) = (key(), key(), key());
        let (recovery, catalogue) = (Identities::generate().0, Identities::generate().0);
        let named = Named {
            custodians: &[&custodian],
            keys: &[(&collector, &[SigningRole::Collector]), (&other_collector, &[SigningRole::Collector])],
            recovery: &recovery,
            catalogue: &catalogue,
        };
        let source_name =
            SourceName { provider: "ibm".to_owned(), instance: instance.crn(), region: Some("eu-de".to_owned()) };
        let policy = policy::policy(source_name, &named, clock.now(), "keyhaven/test");
        let store = Store::local(&folder.path().join("repository"));
        let id = policy::init(store.clone(), &policy).await;
        let repository = Repository::open(store, id).await.unwrap();
        Self {
            folder,
            clock,
            instance,
            _server: server,
            source,
            repository,
            collector,
            other_collector,
            custodian,
            recovery: Arc::new(recovery),
            catalogue: Arc::new(catalogue),
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context { clock: Arc::new(self.clock.clone()), observer: Arc::new(Silent), cancel: self.cancel.clone() }
    }

    pub(crate) fn options(&self) -> CaptureOptions {
        CaptureOptions { level: 1, ..CaptureOptions::default() }
    }

    /// Publishes a version of the policy upon the one in force.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        policy::change(&self.repository, &[&self.custodian], change).await
    }

    /// The custodians name other recovery recipients from now on.
    pub(crate) async fn recover_with(&mut self, recovery: Arc<Identities>) {
        let listed = policy::recipients(&recovery);
        self.change(|policy| policy.recovery_recipients = listed).await;
        self.recovery = recovery;
    }

    /// The collector has another catalogue key from now on, and the custodians know it.
    pub(crate) async fn catalogue_with(&mut self, catalogue: Arc<Identities>) {
        let listed = policy::recipients(&catalogue);
        self.change(|policy| policy.catalogue_recipients = listed).await;
        self.catalogue = catalogue;
    }

    pub(crate) fn writer(&self, key: &Arc<SigningKey>) -> EntryWriter {
        let id: RepositoryId = *self.repository.id();
        let state = StateDirectory::new(&self.folder.path().join(key.public().fingerprint().short()), &id.to_string());
        EntryWriter { key: Arc::clone(key), state, clock: Arc::new(self.clock.clone()), due: None }
    }

    pub(crate) async fn capture(&self) -> Result<CaptureReport, CaptureError> {
        self.capture_with(&self.options()).await
    }

    pub(crate) async fn capture_with(&self, options: &CaptureOptions) -> Result<CaptureReport, CaptureError> {
        // Runs lie a minute apart: a run right after a change would have to wait for its tick.
        self.clock.advance(60_000);
        self.capture_now(options).await
    }

    pub(crate) async fn capture_now(&self, options: &CaptureOptions) -> Result<CaptureReport, CaptureError> {
        let writer = self.writer(&self.collector);
        capture(&self.context(), &self.source, &self.repository, &writer, &self.catalogue, options).await
    }

    /// The entries of all snapshots, oldest first.
    pub(crate) async fn snapshots(&self) -> Vec<Entry> {
        self.repository.read_ledger().await.unwrap().snapshots().into_iter().cloned().collect()
    }

    /// The newest snapshot, opened with the recovery key.
    pub(crate) async fn opened(&self) -> Opened {
        let entry = self.snapshots().await.pop().unwrap();
        self.open(entry.snapshot().unwrap()).await
    }

    pub(crate) async fn open(&self, event: &SnapshotEvent) -> Opened {
        Opened::of(&self.repository, &self.recovery, event).await
    }
}

/// A snapshot in clear.
pub(crate) struct Opened {
    pub(crate) items: BTreeMap<String, Item>,
    /// By key, version and pack.
    payloads: BTreeMap<(String, String, keyhaven::model::Digest), String>,
    pub(crate) packs: usize,
}

impl Opened {
    /// Opens a snapshot with a recovery key.
    pub(crate) async fn of(repository: &Repository, recovery: &Arc<Identities>, event: &SnapshotEvent) -> Self {
        let items: Vec<Item> = repository.open_snapshot(event, recovery).try_collect().await.unwrap();
        let mut payloads = BTreeMap::new();
        let list = repository.get_list(&event.list).await.unwrap();
        for pack in &list.packs {
            for line in repository.open_pack(&pack.pack, recovery).await.unwrap() {
                let place = (line.key.to_string(), line.version.as_str().to_owned(), pack.pack);
                payloads.insert(place, line.payload.expose().to_owned());
            }
        }
        Self {
            items: items.into_iter().map(|item| (item.key.to_string(), item)).collect(),
            payloads,
            packs: list.packs.len(),
        }
    }

    /// The payloads that an item points to, newest first: version and text.
    pub(crate) fn payloads(&self, key: &str) -> Vec<(String, String)> {
        let item = &self.items[key];
        let at = |version: &str, pack| self.payloads[&(key.to_owned(), version.to_owned(), pack)].clone();
        let text = |pointer: &keyhaven::model::Pointer| {
            (pointer.version.as_str().to_owned(), at(pointer.version.as_str(), pointer.pack))
        };
        item.payloads.iter().map(text).collect()
    }

    /// The text of one document.
    pub(crate) fn doc(&self, key: &str, name: &str) -> Option<String> {
        Some(self.items[key].docs.get(name)?.get().to_owned())
    }
}

/// A client that neither waits for a pace nor retries for long. It has the first of the instance's keys with a role, or
/// the owner's.
fn client(server: &Server, instance: &EmbeddedInstance) -> Client {
    let options = instance.options();
    let key = options.keys.first().map_or(&options.api_key, |key| &key.key);
    Client::new(quick_client(&server.base_url(), &server.iam_url(), key.clone(), 3)).unwrap()
}

/// Calls that a fault has to remember.
pub(crate) type Shared<T> = Arc<Mutex<T>>;
