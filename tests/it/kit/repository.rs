//! What the tests of the repository share: keys, a small snapshot, and a store that fails on request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use keyhaven::crypto::{Identities, Recipients, SigningKey};
use keyhaven::format::catalogue::PartBuilder;
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::pack::PackBuilder;
use keyhaven::format::snapshot::{Consistency, ItemCounts, PartRef, RequestCounts, SnapshotCounts};
use keyhaven::format::{
    Draft, Entry, EntryEvent, Policy, PolicyRef, RepositoryId, SigningRole, SnapshotEvent, SourceName,
};
use keyhaven::model::{Clock, Digest, Item, ItemKey, ItemKind, Payload, Pointer, Restorability, Slot, Timestamp};
use keyhaven::repository::{EntryWriter, Repository, RepositoryError, StateDirectory, Store};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::clock::TickingClock;
use super::files::{contents, save};
use super::policy::{self, Named};

pub(crate) const TOOL: &str = "keyhaven/test";
pub(crate) const CRN: &str = "crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2::";

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
    pub(crate) clock: Arc<TickingClock>,
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
            clock: TickingClock::at(at),
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
        save(&kit.place(), &contents(&other.place()));
        kit
    }

    /// The folder that [`Kit::store`] keeps its objects in.
    pub(crate) fn place(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(crate) fn store(&self) -> Store {
        Store::local(&self.place())
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
        policy::policy(source_name(), &named, self.clock.now(), TOOL)
    }

    /// A new repository in `store`, opened.
    pub(crate) async fn init_in(&self, store: Store) -> Repository {
        self.init_with(store, &self.policy()).await
    }

    pub(crate) async fn init_with(&self, store: Store, policy: &Policy) -> Repository {
        let id = policy::init(store.clone(), policy).await;
        Repository::open(store, id).await.unwrap()
    }

    /// Publishes a version upon the one in force, signed by both custodians.
    pub(crate) async fn change(&self, repository: &Repository, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        policy::change(repository, &[&self.custodian, &self.other_custodian], change).await
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
            recipients: policy::recipients_digest(&kit.recovery),
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
