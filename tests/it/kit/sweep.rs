//! A repository in a simulated store, a source in memory, and the real jobs as actors: what the tests of sweeps share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::list::PackList;
use keyhaven::format::policy::PolicySettings;
use keyhaven::format::{Policy, PolicyRef, RepositoryId, SigningRole, names};
use keyhaven::job::Context;
use keyhaven::job::capture::{CaptureOptions, capture};
use keyhaven::job::sweep::{SweepError, SweepOptions, SweepReport, sweep};
use keyhaven::model::{Clock as _, Digest, Docs, Item, ItemKey, ItemKind, Payload, Restorability, Slot, Timestamp};
use keyhaven::provider::{
    Address, CompleteListing, InstanceError, InstanceInventory, ItemContent, ItemReader, Listed, Look, Presence,
    Readable, Requests, Sink, StandbyQuery,
};
use keyhaven::repository::ledger::Ledger;
use keyhaven::repository::{EntryWriter, Repository, StateDirectory, Store};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::clock::context;
use super::ledger::read_ledger;
use super::policy::{self, Named};
use super::repository::{CRN, TOOL, source_name};
use super::simulated_store::{Actor, Dice, HOUR, Paging, Sim, Step, Turn};

/// A source in memory: secrets with a version, which some writer moves.
#[derive(Debug)]
pub(crate) struct Fake {
    sim: Sim,
    pub(crate) secrets: Mutex<BTreeMap<String, (u64, Timestamp)>>,
}

impl Fake {
    pub(crate) fn new(sim: &Sim, secrets: usize) -> Arc<Self> {
        let made = sim.now().plus_millis(-HOUR);
        let secrets = (0..secrets).map(|number| (format!("s{number:03}"), (1, made))).collect();
        Arc::new(Self { sim: sim.clone(), secrets: Mutex::new(secrets) })
    }

    /// Changes one secret, long enough ago for every tick to be over.
    pub(crate) fn change(&self, dice: &mut Dice) {
        let at = self.sim.now().plus_millis(-10_000);
        let mut secrets = self.secrets.lock().unwrap();
        let which = usize::try_from(dice.below(u64::try_from(secrets.len()).unwrap())).unwrap();
        let secret = secrets.values_mut().nth(which).unwrap();
        *secret = (secret.0 + 1, at);
    }

    fn seconds(&self) -> Timestamp {
        let now = self.sim.now().millis();
        Timestamp::from_millis(now - now.rem_euclid(1_000))
    }
}

#[async_trait]
impl InstanceInventory for Fake {
    fn address(&self) -> Address {
        Address { url: "https://fake.example".to_owned(), instance: None }
    }

    fn instance_id(&self, full_name: &str) -> Option<String> {
        Some(full_name.to_owned())
    }

    fn instance_of(&self, _item: &Item) -> Option<String> {
        Some(CRN.to_owned())
    }

    async fn find(&self, _wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError> {
        Ok(None)
    }

    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
        let started = self.seconds();
        let secrets = self.secrets.lock().unwrap().clone();
        for (id, (version, updated_at)) in &secrets {
            let row = keyhaven::model::json::raw(&serde_json::json!({"id": id, "version": version}));
            sink.take(Listed {
                item: Item {
                    key: ItemKey::new(ItemKind::Secret, id).unwrap(),
                    name: id.clone(),
                    item_type: "kv".to_owned(),
                    group: None,
                    class: Restorability::Exact.into(),
                    revision: None,
                    read_at: None,
                    payloads: Vec::new(),
                    docs: Docs::from([("row".to_owned(), row)]),
                },
                revision: sha256(format!("{id} {version}").as_bytes()),
                settled: None,
                updated_at: Some(*updated_at),
                readable: Readable::Payloads,
                withheld: None,
            });
        }
        let items = secrets.len() as u64;
        Ok(CompleteListing { instance: Some(CRN.to_owned()), started, ended: self.seconds(), steady: true, items })
    }

    async fn presence(&self, _key: &ItemKey) -> Result<Presence, InstanceError> {
        Ok(Presence::Gone)
    }

    fn provider_now(&self) -> Option<Timestamp> {
        Some(self.seconds())
    }

    async fn wait_until(&self, at: Timestamp) {
        let left = at.millis_since(self.sim.now());
        self.sim.advance(left.max(0) + 1_000);
    }

    fn requests(&self) -> Requests {
        Requests::default()
    }
}

#[async_trait]
impl ItemReader for Fake {
    async fn read(&self, listed: &Listed, _before: Option<&Item>) -> Result<ItemContent, InstanceError> {
        let row = listed.item.doc("row").unwrap();
        let version = row.u64("version").unwrap();
        let text = format!(r#"{{"payload":"{} {version}"}}"#, listed.item.key);
        Ok(ItemContent {
            docs: listed.item.docs.clone(),
            payloads: vec![(Slot::new(&format!("v{version}")).unwrap(), Payload::new(Zeroizing::new(text)))],
            class: Restorability::Exact,
            refused: None,
            read_at: self.seconds(),
        })
    }

    async fn look(&self, key: &ItemKey, _look: Look) -> Result<Docs, InstanceError> {
        Err(InstanceError::Gone { what: format!("look at {key}") })
    }
}

/// A repository in a simulated store, and the hosts that work on it.
pub(crate) struct Yard {
    pub(crate) sim: Sim,
    pub(crate) source: Arc<Fake>,
    pub(crate) id: RepositoryId,
    folder: TempDir,
    pub(crate) collectors: Vec<Arc<SigningKey>>,
    pub(crate) reaper: Arc<SigningKey>,
    pub(crate) custodian: Arc<SigningKey>,
    catalogue: Arc<Identities>,
}

impl Yard {
    pub(crate) async fn new(seed: u64) -> Self {
        Self::with(seed, PolicySettings::LONGEST_RUN_SECONDS, PolicySettings::GRACE_SECONDS).await
    }

    pub(crate) async fn with(seed: u64, longest_run_seconds: u64, grace_seconds: u64) -> Self {
        let sim = Sim::new(seed);
        let key = || Arc::new(SigningKey::generate().unwrap());
        let (collectors, reaper, custodian) = (vec![key(), key()], key(), key());
        let (recovery, catalogue) = (Identities::generate().0, Identities::generate().0);
        let named = Named {
            custodians: &[&custodian],
            keys: &[
                (&collectors[0], &[SigningRole::Collector]),
                (&collectors[1], &[SigningRole::Collector]),
                (&reaper, &[SigningRole::Reaper]),
            ],
            recovery: &recovery,
            catalogue: &catalogue,
        };
        let mut policy = policy::policy(source_name(), &named, sim.now(), TOOL);
        policy.settings.longest_run_seconds = longest_run_seconds;
        policy.settings.grace_seconds = grace_seconds;
        let id = policy::init(sim.store(), &policy).await;
        Self {
            source: Fake::new(&sim, 6),
            sim,
            id,
            folder: tempfile::tempdir().unwrap(),
            collectors,
            reaper,
            custodian,
            catalogue: Arc::new(catalogue),
        }
    }

    pub(crate) fn context(&self) -> Context {
        context(Arc::new(self.sim.clone()))
    }

    /// The state folder of a host.
    pub(crate) fn state(&self, host: &str) -> StateDirectory {
        StateDirectory::new(&self.folder.path().join(host), &self.id.to_string())
    }

    pub(crate) fn writer(&self, host: &str, key: &Arc<SigningKey>) -> EntryWriter {
        EntryWriter { key: Arc::clone(key), state: self.state(host), clock: Arc::new(self.sim.clone()), due: None }
    }

    pub(crate) async fn open(&self) -> Repository {
        Repository::open(self.sim.store(), self.id).await.unwrap()
    }

    /// The work of a backup by one of the collectors.
    pub(crate) fn backup(&self, collector: usize, turn: &Turn, paging: Paging) -> impl Future<Output = String> + use<> {
        let (store, id, context) = (self.sim.client(turn, paging), self.id, self.context());
        let writer = self.writer(&format!("collector-{collector}"), &self.collectors[collector]);
        let (source, catalogue) = (Arc::clone(&self.source), Arc::clone(&self.catalogue));
        let options = CaptureOptions { level: 1, ..CaptureOptions::default() };
        async move {
            let repository = match Repository::open(store, id).await {
                Ok(repository) => repository,
                Err(error) => return format!("not opened: {error}"),
            };
            match capture(&context, &*source, &repository, &writer, &catalogue, &options).await {
                Ok(report) => format!("backed up as {}", report.sequence),
                Err(error) => format!("not backed up: {error}"),
            }
        }
    }

    /// Backs up without anything happening meanwhile; gives the snapshot.
    pub(crate) async fn backed_up(&self) -> Digest {
        self.source.change(&mut Dice(self.sim.now().millis().unsigned_abs()));
        let said = self.backup(0, &Turn::free(), Paging::Prompt).await;
        assert!(said.starts_with("backed up"), "{said}");
        self.ledger().snapshots().last().unwrap().digest
    }

    /// Publishes a version of the policy upon the one in force.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        policy::change(&self.open().await, &[&self.custodian], change).await
    }

    /// Puts a version of the policy upon this one, signed by the custodian, whatever else is there.
    pub(crate) fn beside(&self, before: PolicyRef, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        let bytes = self.sim.bytes(&names::policy(&before)).unwrap();
        let (_, mut next, _) = Policy::decode(&bytes).unwrap();
        next.previous.push(before);
        next.version += 1;
        next.repository = Some(self.id);
        change(&mut next);
        let (version, bytes) = policy::signed(&next, &[&self.custodian]);
        self.sim.put(&names::policy(&version), &bytes);
        version
    }

    pub(crate) async fn forget(&self, snapshots: &[Digest]) {
        let writer = self.writer("forgetter", &self.reaper);
        keyhaven::job::forget::forget_snapshots(&self.open().await, &writer, TOOL, snapshots, "test").await.unwrap();
    }

    /// A sweep of a host, through a store with such listings.
    pub(crate) async fn sweep_by(
        &self,
        host: &str,
        store: Store,
        apply: bool,
        pinned_heads: Vec<Digest>,
    ) -> Result<SweepReport, SweepError> {
        let repository = Repository::open(store, self.id).await?;
        let writer = self.writer(host, &self.reaper);
        let state = self.state(host);
        let writer = apply.then_some(&writer);
        let tool = TOOL.to_owned();
        let options = SweepOptions { state: &state, pinned_heads, policy_chosen: false, writer, tool };
        sweep(&self.context(), &repository, &options).await
    }

    pub(crate) async fn sweep(&self) -> SweepReport {
        self.sweep_by("sweeper", self.sim.store(), true, Vec::new()).await.unwrap()
    }

    /// The work of a sweep, in turns.
    pub(crate) fn sweeping(&self, host: &str, turn: &Turn) -> impl Future<Output = String> + use<> {
        let (store, id, context) = (self.sim.client(turn, Paging::Whole), self.id, self.context());
        let (writer, state) = (self.writer(host, &self.reaper), self.state(host));
        async move {
            let repository = match Repository::open(store, id).await {
                Ok(repository) => repository,
                Err(error) => return format!("not opened: {error}"),
            };
            let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
            let options =
                SweepOptions { state: &state, pinned_heads, policy_chosen: false, writer: Some(&writer), tool };
            match sweep(&context, &repository, &options).await {
                Ok(report) if report.stopped.is_empty() => format!("swept {} objects", report.deleted.objects),
                Ok(report) => format!("stopped: {}", report.stopped[0].text),
                Err(error) => format!("not swept: {error}"),
            }
        }
    }

    /// Lets an actor work up to where its first entry is in the ledger, then something else, then the rest of it.
    pub(crate) async fn meanwhile<F: Future<Output = ()>>(&self, mut actor: Actor, work: impl FnOnce() -> F) -> String {
        let entries = self.sim.paths("ledger").len();
        let mut work = Some(work);
        loop {
            match actor.step().await {
                Step::Ended(said) => return said,
                Step::Died => unreachable!("nothing is deadly here"),
                Step::Goes if self.sim.paths("ledger").len() > entries => {
                    if let Some(work) = work.take() {
                        work().await;
                    }
                }
                Step::Goes => {}
            }
        }
    }

    /// Does something as one who has not seen the newest entry: in a ledger without it.
    pub(crate) async fn unseen(&self, work: impl Future<Output = ()>) {
        let newest = self.ledger().heads()[0].name();
        let taken = self.sim.with(|world| world.objects.remove(&newest).unwrap());
        work.await;
        self.sim.with(|world| drop(world.objects.insert(newest, taken)));
    }

    /// The ledger as it really is.
    pub(crate) fn ledger(&self) -> Ledger {
        read_ledger(self.id, &self.sim.files_in(names::TRUST), &self.sim.files_in(names::LEDGER), &[]).unwrap()
    }

    /// What every snapshot needs that was not swept, as it really is.
    pub(crate) fn needed(&self) -> Needed {
        let ledger = self.ledger();
        let mut needed = Needed::default();
        for entry in ledger.unswept() {
            let event = entry.snapshot().unwrap();
            let list = names::list(&event.list);
            let mut paths: BTreeSet<String> =
                event.parts.iter().map(|part| names::catalogue(&part.digest)).chain([list.clone()]).collect();
            let bytes =
                self.sim.bytes(&list).unwrap_or_else(|| panic!("{list} of snapshot {} is gone", entry.sequence));
            paths.extend(PackList::decode(&bytes).unwrap().packs.iter().map(|listed| names::pack(&listed.pack)));
            needed.0.push((entry.sequence, paths));
        }
        needed
    }
}

/// What each snapshot needs, by its sequence.
#[derive(Debug, Default)]
pub(crate) struct Needed(pub(crate) Vec<(u64, BTreeSet<String>)>);

impl Needed {
    /// Nothing that a snapshot needs is missing.
    pub(crate) fn check(&self, sim: &Sim, when: &str) {
        sim.with(|world| {
            for (sequence, paths) in &self.0 {
                for path in paths {
                    assert!(world.there(path).is_some(), "{when}: snapshot {sequence} lost {path}");
                }
            }
        });
    }
}
