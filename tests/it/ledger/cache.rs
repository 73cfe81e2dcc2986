//! The cache of entries on this host: what a run asks of the store, and what it never believes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyhaven::format::{Draft, Entry, EntryEvent, EntryPlace, RepositoryId};
use keyhaven::job::Context;
use keyhaven::job::sweep;
use keyhaven::job::verify::{Level, VerifyKeys, VerifyOptions, verify};
use keyhaven::model::Clock;
use keyhaven::provider::embedded::Verb;
use keyhaven::repository::ledger::Ledger;
use keyhaven::repository::{Repository, StateDirectory};

use crate::kit::capture::Rig;
use crate::kit::clock::context;
use crate::kit::files::contents;
use crate::kit::instance::write;
use crate::kit::repository::{Kit, TOOL};
use crate::kit::store::CountingStore;
use crate::kit::store::Wrapper as _;

/// A kit with a repository of five entries, behind a store that counts.
struct World {
    kit: Kit,
    id: RepositoryId,
    entries: Vec<Entry>,
    bucket: Arc<CountingStore>,
    state: StateDirectory,
}

impl World {
    async fn new() -> Self {
        let kit = Kit::new();
        let repository = kit.init().await;
        let id = *repository.id();
        let writer = kit.writer("collector", &kit.collector, &id);
        for text in ["{}", "{\"a\":0}", "{\"a\":1}", "{\"a\":2}", "{\"a\":3}"] {
            kit.snapshot(&repository, &writer, &[("a", text)]).await.unwrap();
        }
        let entries = repository.read_ledger().await.unwrap().entries().to_vec();
        let bucket = CountingStore::around(kit.store(), false);
        let root = kit.folder.path().join("state-of-this-host");
        fs::create_dir(&root).unwrap();
        let state = StateDirectory::new(&root, &id.to_string());
        Self { kit, id, entries, bucket, state }
    }

    /// Opened as another process would.
    async fn open(&self) -> Repository {
        Repository::open(self.bucket.store(), self.id).await.unwrap().cached_in(&self.state)
    }

    async fn read(&self) -> Ledger {
        self.open().await.read_ledger().await.unwrap()
    }

    /// Where the cache has an entry.
    fn cached(&self, entry: &Entry) -> PathBuf {
        self.state.path().join("cache").join(entry.name())
    }

    fn stored(&self, entry: &Entry) -> PathBuf {
        self.kit.place().join(entry.name())
    }

    fn context(&self) -> Context {
        context(self.kit.clock.clone())
    }
}

/// Changes one byte and keeps the size.
fn spoil(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[40] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Writes quiet snapshots on top of the newest entry until the ledger holds this many.
async fn grow(rig: &Rig, entries: u64) {
    let head = rig.snapshots().await.pop().unwrap();
    let event = EntryEvent::Snapshot(Box::new(head.snapshot().unwrap().clone()));
    let mut parent = head.reference();
    while parent.sequence < entries {
        let place = EntryPlace {
            repository: *rig.repository.id(),
            source: head.source.clone(),
            parents: vec![parent],
            lost: Vec::new(),
            policy: head.policy,
            carries: None,
            due: None,
        };
        rig.clock.advance(60_000);
        let draft = Draft { time: rig.clock.now(), tool: TOOL.to_owned(), event: event.clone() };
        let (entry, bytes) = draft.sign(&place, &rig.collector).unwrap();
        parent = entry.reference();
        let file = rig.folder.path().join("repository").join(entry.name());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

/// A backup as a process of its own: all of its GETs, and those of entries.
async fn back_up(rig: &mut Rig, bucket: &Arc<CountingStore>, state: Option<&StateDirectory>) -> (usize, Vec<String>) {
    bucket.take();
    let opened = Repository::open(bucket.store(), *rig.repository.id()).await.unwrap();
    rig.repository = match state {
        Some(state) => opened.cached_in(state),
        None => opened,
    };
    rig.capture().await.unwrap();
    bucket.take()
}

#[tokio::test]
async fn a_backup_fetches_no_entry_twice_however_long_the_ledger_is() {
    let mut rig = Rig::new().await;
    let secret = r#"{"secret_type":"arbitrary","name":"one","payload":"of a secret"}"#;
    write(&rig.instance, Verb::Post, "/api/v2/secrets", secret).unwrap();
    rig.capture().await.unwrap();
    let bucket = CountingStore::around(rig.repository.store().clone(), false);
    let root = tempfile::tempdir().unwrap();
    let state = StateDirectory::new(root.path(), &rig.repository.id().to_string());
    let mut quiet = Vec::new();
    for size in [100, 1_000] {
        grow(&rig, size).await;
        let (_, entries) = back_up(&mut rig, &bucket, None).await;
        assert_eq!(entries.len() as u64, size + 1, "without a cache: every entry, and its own read back");
        let (_, entries) = back_up(&mut rig, &bucket, Some(&state)).await;
        let new = if size == 100 { 101 } else { 1_001 - 103 };
        assert_eq!(entries.len(), new + 1, "what came since the last run, and its own read back");
        let (all, entries) = back_up(&mut rig, &bucket, Some(&state)).await;
        assert_eq!(entries.len(), 1, "its own read back: {entries:?}");
        quiet.push(all);
        let opened = Repository::open(bucket.store(), *rig.repository.id()).await.unwrap();
        opened.cached_in(&state).read_ledger().await.unwrap();
        assert_eq!(bucket.take().0, 2, "what only reads the ledger: keyhaven.json, and the policy");
    }
    assert_eq!(quiet[0], quiet[1], "a quiet run costs the same at any age of the repository");
    // One of them looks whether RECOVER.md is what the policy names.
    assert!(quiet[0] <= 8, "{quiet:?}");
    // Another host's entry is the one thing that is new to this one.
    let elsewhere = StateDirectory::new(&root.path().join("none"), "id");
    back_up(&mut rig, &bucket, Some(&elsewhere)).await;
    let (_, entries) = back_up(&mut rig, &bucket, Some(&state)).await;
    assert_eq!(entries.len(), 2, "the other host's, and its own read back: {entries:?}");
}

#[tokio::test]
async fn what_is_damaged_on_this_host_is_fetched_again_and_mended() {
    let world = World::new().await;
    world.read().await;
    assert_eq!(world.bucket.entries(), 5);
    spoil(&world.cached(&world.entries[1]));
    fs::write(world.cached(&world.entries[3]), b"{").unwrap();
    let ledger = world.read().await;
    assert!(ledger.problems().is_empty(), "{:?}", ledger.problems());
    assert_eq!(ledger.counted().count(), 5);
    let mut fetched = world.bucket.take().1;
    fetched.sort();
    assert_eq!(fetched, [world.entries[1].name(), world.entries[3].name()]);
    world.read().await;
    assert_eq!(world.bucket.entries(), 0, "they are whole again");
}

#[tokio::test]
async fn the_cache_of_another_repository_is_worth_nothing_here() {
    let (world, other) = (World::new().await, World::new().await);
    other.read().await;
    // Its entries under their own names, and in place of ours.
    for (ours, theirs) in world.entries.iter().zip(&other.entries) {
        for file in [world.cached(theirs), world.cached(ours)] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::copy(other.cached(theirs), file).unwrap();
        }
    }
    let ledger = world.read().await;
    assert_eq!(ledger.entries(), world.entries, "as the listing shows it");
    assert!(ledger.problems().is_empty(), "{:?}", ledger.problems());
    assert_eq!(world.bucket.entries(), 5);
    let stored = fs::read(world.stored(&world.entries[2])).unwrap();
    assert!(fs::read(world.cached(&world.entries[2])).unwrap().ends_with(&stored));
}

#[tokio::test]
async fn what_is_gone_from_the_store_is_gone() {
    let world = World::new().await;
    world.read().await;
    fs::remove_file(world.stored(&world.entries[2])).unwrap();
    let ledger = world.read().await;
    assert!(ledger.get(&world.entries[2].digest).is_none(), "a cached entry does not stand in for a lost one");
    assert_eq!(ledger.holes().len(), 1);
}

#[tokio::test]
async fn what_is_overwritten_in_the_store_is_found_by_those_who_check() {
    let mut world = World::new().await;
    world.read().await;
    spoil(&world.stored(&world.entries[2]));
    world.bucket.take();
    assert_eq!(world.read().await.counted().count(), 5, "of the same size, so the listing does not show it");
    assert_eq!(world.bucket.entries(), 0);

    let options = VerifyOptions::new(Level::Ledger);
    let report = verify(&world.context(), &world.open().await, &VerifyKeys::default(), &options).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.object.contains("ledger")), "{:#?}", report.problems);
    assert_eq!(world.bucket.entries(), 5, "verify reads every entry from the store");

    let inner = world.kit.store();
    world.bucket = CountingStore::around(inner, true);
    let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
    let options = sweep::SweepOptions { state: &world.state, pinned_heads, policy_chosen: false, writer: None, tool };
    let report = sweep::sweep(&world.context(), &world.open().await, &options).await.unwrap();
    assert!(!report.stopped.is_empty(), "{report:#?}");
    let fetched = world.bucket.take().1;
    assert!(world.entries.iter().all(|entry| fetched.contains(&entry.name())), "sweep does, too: {fetched:?}");

    let ledger = world.open().await.read_ledger_anew().await.unwrap();
    assert_eq!(ledger.holes().len(), 1, "and so does whoever asks for it");
}

#[tokio::test]
async fn what_is_overwritten_with_another_size_is_seen_by_all() {
    let world = World::new().await;
    world.read().await;
    fs::write(world.stored(&world.entries[2]), b"{}").unwrap();
    assert!(world.read().await.get(&world.entries[2].digest).is_none());
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_changes_nothing() {
    let mut world = World::new().await;
    let taken = world.state.path().to_owned();
    fs::write(&taken, b"a file where the folder of the repository should be").unwrap();
    let absent = world.kit.folder.path().join("absent");
    // Nobody makes a folder in /proc, not even root.
    for root in [taken.parent().unwrap(), &absent, Path::new("/proc")] {
        world.state = StateDirectory::new(root, &world.id.to_string());
        let repository = world.open().await;
        assert_eq!(repository.read_ledger().await.unwrap().counted().count(), 5, "{}", root.display());
        assert_eq!(world.bucket.entries(), 5, "{}", root.display());
        repository.read_ledger().await.unwrap();
        assert_eq!(world.bucket.entries(), 0, "{}: what is on no disk is kept in memory", root.display());
    }
    assert!(!absent.exists());
}

#[tokio::test]
async fn what_is_on_disk_is_not_kept_in_memory_as_well() {
    let world = World::new().await;
    let repository = world.open().await;
    repository.read_ledger().await.unwrap();
    assert_eq!(world.bucket.entries(), 5);
    spoil(&world.cached(&world.entries[4]));
    repository.read_ledger().await.unwrap();
    assert_eq!(world.bucket.take().1, [world.entries[4].name()], "from disk, but for what is damaged there");
    // Whoever wants the store's own answer gets it once, and not from the disk.
    repository.read_ledger_anew().await.unwrap();
    assert_eq!(world.bucket.entries(), 5);
    spoil(&world.cached(&world.entries[4]));
    repository.read_ledger().await.unwrap();
    assert_eq!(world.bucket.entries(), 0);
}

#[tokio::test]
async fn reading_writes_nothing_to_the_store() {
    let world = World::new().await;
    let before = contents(&world.kit.place());
    world.read().await;
    world.read().await;
    assert_eq!(contents(&world.kit.place()), before);
}
