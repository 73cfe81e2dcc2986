//! Verify: each level finds each kind of damage and names it, with only the keys that it needs.

use std::path::PathBuf;
use std::sync::Arc;

use keyhaven::crypto::seal::seal;
use keyhaven::crypto::{Identities, Recipients};
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::event::Slice as RecordedSlice;
use keyhaven::format::snapshot::ItemCounts;
use keyhaven::format::{EntryEvent, EntryPlace, EntryRef, SnapshotEvent, names};
use keyhaven::job::Context;
use keyhaven::job::verify::{
    Level, Problem, ProblemKind, Slice, SliceChoice, Snapshots, VerifyError, VerifyKeys, VerifyOptions, VerifyReport,
    record, verify,
};
use keyhaven::model::{Digest, FailureKind};
use keyhaven::repository::{EntryWriter, Repository};

use crate::kit::clock::context;
use crate::kit::repository::{CRN, Contents, Kit, TOOL, item, key, part, source_name};

/// A repository with two snapshots, the second with two secrets, and everything needed to damage it.
struct World {
    kit: Kit,
    repository: Repository,
    writer: EntryWriter,
    contents: Contents,
    older: Contents,
}

impl World {
    async fn new() -> Self {
        let kit = Kit::new();
        let repository = kit.init().await;
        let writer = kit.writer("a", &kit.collector, repository.id());
        let older = Contents::of(&kit, repository.id(), &[("a", "{}")]);
        let contents = Contents::of(&kit, repository.id(), &[("a", r#"{"x":1}"#), ("b", r#"{"y":2}"#)]);
        let world = Self { kit, repository, writer, contents, older };
        for contents in [&world.older, &world.contents] {
            contents.put(&world.repository).await.unwrap();
            world.commit(contents.event.clone()).await;
        }
        world
    }

    async fn commit(&self, event: SnapshotEvent) {
        let draft = self.kit.draft(EntryEvent::Snapshot(Box::new(event)));
        self.repository.commit(&self.writer, draft).await.unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.kit.place().join(name)
    }

    fn pack(&self) -> String {
        names::pack(&self.contents.pack.digest)
    }

    fn older_pack(&self) -> String {
        names::pack(&self.older.pack.digest)
    }

    fn part(&self) -> String {
        names::catalogue(&self.contents.parts[0].digest)
    }

    fn list(&self) -> String {
        names::list(&self.contents.event.list)
    }

    /// Every key: what a level does not need must not change what it finds.
    fn keys(&self) -> VerifyKeys {
        VerifyKeys { catalogue: Some(Arc::clone(&self.kit.catalogue)), recovery: Some(Arc::clone(&self.kit.recovery)) }
    }

    fn context(&self) -> Context {
        context(self.kit.clock.clone())
    }

    async fn verify(&self, options: &VerifyOptions, keys: &VerifyKeys) -> Result<VerifyReport, VerifyError> {
        // As another process would: nothing remembered from writing it.
        let repository = Repository::open(self.kit.store(), *self.repository.id()).await.unwrap();
        verify(&self.context(), &repository, keys, options).await
    }

    async fn at(&self, level: Level) -> VerifyReport {
        self.verify(&VerifyOptions::new(level), &self.keys()).await.unwrap()
    }
}

fn only(report: &VerifyReport) -> &Problem {
    match report.problems.as_slice() {
        [problem] => problem,
        problems => panic!("{problems:#?}"),
    }
}

#[tokio::test]
async fn a_whole_repository_passes_with_only_the_keys_of_each_level() {
    let world = World::new().await;
    let catalogue = VerifyKeys { catalogue: Some(Arc::clone(&world.kit.catalogue)), recovery: None };
    let recovery = VerifyKeys { catalogue: None, recovery: Some(Arc::clone(&world.kit.recovery)) };
    for (level, keys) in [
        (Level::Ledger, VerifyKeys::default()),
        (Level::Objects, VerifyKeys::default()),
        (Level::Catalogue, catalogue.clone()),
        (Level::Catalogue, recovery.clone()),
        (Level::Payload, recovery),
    ] {
        let report = world.verify(&VerifyOptions::new(level), &keys).await.unwrap();
        assert!(report.ok, "{level}: {:#?}", report.problems);
        assert_eq!(report.failure(), None);
        assert!(report.newest_may_be_missing, "nothing was pinned");
        assert_eq!((report.counts.entries, report.counts.snapshots), (2, 2));
        let objects = if level == Level::Ledger { 0 } else { 1 + 2 + 3 + 2 };
        assert_eq!(report.counts.objects, objects, "{level}: RECOVER.md, lists, parts and packs, each once");
        if level == Level::Payload {
            assert_eq!((report.counts.packs, report.counts.payloads, report.counts.pointers), (2, 3, 3));
        }
    }
    for (level, keys) in [(Level::Catalogue, VerifyKeys::default()), (Level::Payload, catalogue)] {
        let error = world.verify(&VerifyOptions::new(level), &keys).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Key, "{level}: {error}");
    }
}

/// How a file is damaged.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Remove,
    Truncate,
    Empty,
    FlipFirst,
    FlipLast,
    Append,
    /// Another object of the repository in its place.
    ReplaceBy(fn(&World) -> String),
}

impl Damage {
    fn apply(self, world: &World, name: &str) {
        let path = world.path(name);
        let mut bytes = std::fs::read(&path).unwrap();
        match self {
            Self::Remove => return std::fs::remove_file(&path).unwrap(),
            Self::Truncate => bytes.truncate(bytes.len() - 1),
            Self::Empty => bytes.clear(),
            Self::FlipFirst => bytes[0] ^= 1,
            Self::FlipLast => *bytes.last_mut().unwrap() ^= 1,
            Self::Append => bytes.push(b'\n'),
            Self::ReplaceBy(other) => bytes = std::fs::read(world.path(&other(world))).unwrap(),
        }
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn every_damaged_object_is_found_from_objects_on_and_named() {
    type Victim = fn(&World) -> String;
    let victims: [(&str, Victim); 4] = [
        ("pack", World::pack),
        ("part", World::part),
        ("list", World::list),
        ("instructions", |_| names::RECOVER_MD.to_owned()),
    ];
    let damages = [
        Damage::Remove,
        Damage::Truncate,
        Damage::Empty,
        Damage::FlipFirst,
        Damage::FlipLast,
        Damage::Append,
        Damage::ReplaceBy(World::older_pack),
        Damage::ReplaceBy(|world| names::catalogue(&world.contents.parts[1].digest)),
    ];
    for (what, victim) in victims {
        for damage in damages {
            let world = World::new().await;
            let name = victim(&world);
            damage.apply(&world, &name);
            assert!(world.at(Level::Ledger).await.ok, "{what} {damage:?}: the ledger is whole");
            for level in [Level::Objects, Level::Catalogue, Level::Payload] {
                let report = world.at(level).await;
                let problem = only(&report);
                assert_eq!(problem.object, name, "{what} {damage:?} at {level}");
                let missing = matches!(damage, Damage::Remove);
                let kind = if missing { ProblemKind::Missing } else { ProblemKind::Damaged };
                assert_eq!(problem.kind, kind, "{what} {damage:?} at {level}: {problem}");
                assert_eq!(report.failure(), Some(FailureKind::Integrity));
            }
        }
    }
}

#[tokio::test]
async fn one_damaged_object_hides_no_other() {
    let world = World::new().await;
    Damage::FlipLast.apply(&world, &world.pack());
    Damage::Remove.apply(&world, &world.part());
    Damage::Truncate.apply(&world, &world.older_pack());
    let found: Vec<_> = world.at(Level::Payload).await.problems.into_iter().map(|problem| problem.object).collect();
    for name in [world.pack(), world.part(), world.older_pack()] {
        assert!(found.contains(&name), "{name} is not among {found:?}");
    }
}

#[tokio::test]
async fn the_ledger_level_finds_what_was_done_to_entries() {
    let world = World::new().await;
    let entries = world.repository.read_ledger().await.unwrap().entries().to_vec();
    let (lower, reference) = (entries[0].name(), entries[0].reference().to_string());
    let bytes = std::fs::read(world.path(&lower)).unwrap();

    // A check reads: that this process has seen the entry before is no proof that its bytes are still there.
    std::fs::write(world.path(&lower), b"other bytes").unwrap();
    let options = VerifyOptions::new(Level::Ledger);
    let report = verify(&world.context(), &world.repository, &VerifyKeys::default(), &options).await.unwrap();
    assert!(only(&report).why.contains(&reference), "the entry above it names it: {:#?}", report.problems);
    assert!(report.warnings.iter().any(|warning| warning.contains(&lower)), "{:#?}", report.warnings);
    std::fs::remove_file(world.path(&lower)).unwrap();
    let report = world.at(Level::Ledger).await;
    assert!(only(&report).why.contains(&reference), "{:#?}", report.problems);

    let mut spaced = bytes.clone();
    spaced.push(b'\n');
    std::fs::write(world.path(&lower), spaced).unwrap();
    let report = world.at(Level::Ledger).await;
    assert!(report.warnings.iter().any(|warning| warning.contains(&lower)), "{:#?}", report.warnings);
    assert_eq!(report.failure(), Some(FailureKind::Integrity));
    std::fs::write(world.path(&lower), bytes).unwrap();
    assert!(world.at(Level::Ledger).await.ok);
}

/// Anybody with PUT can put files there: they are one line, and hide nothing behind the same exit code.
#[tokio::test]
async fn rubbish_is_one_counted_line_and_no_failure() {
    let world = World::new().await;
    for number in 0..100 {
        std::fs::write(world.path(&format!("ledger/000000000/junk-{number}")), b"x").unwrap();
    }
    let report = world.at(Level::Payload).await;
    assert!(report.ok && report.failure().is_none(), "{report:#?}");
    assert_eq!(report.warnings.iter().filter(|warning| warning.contains("100 files")).count(), 1, "{report:#?}");
}

#[tokio::test]
async fn no_snapshot_where_there_was_one_is_no_pass() {
    let world = World::new().await;
    let snapshots: Vec<Digest> =
        world.repository.read_ledger().await.unwrap().snapshots().iter().map(|entry| entry.digest).collect();
    let reaper = world.kit.writer("r", &world.kit.reaper, world.repository.id());
    keyhaven::job::forget::forget_snapshots(&world.repository, &reaper, TOOL, &snapshots, "all").await.unwrap();
    let report = world.at(Level::Ledger).await;
    assert!(only(&report).why.contains("nothing can be restored"), "{report:#?}");
    // Before the first snapshot there is nothing to miss.
    let kit = Kit::new();
    let repository = kit.init().await;
    let options = VerifyOptions::new(Level::Objects);
    let report = verify(&world.context(), &repository, &VerifyKeys::default(), &options).await.unwrap();
    assert!(report.ok, "{report:#?}");
}

/// Heads and policy that this host saw: what the bucket lacks of them is found without any pinned head.
#[tokio::test]
async fn what_this_host_saw_and_the_bucket_lacks_is_found() {
    let world = World::new().await;
    let id = *world.repository.id();
    let state = world.kit.writer("reader", &world.kit.verifier, &id).state;
    let remembering = || async { Repository::open(world.kit.store(), id).await.unwrap().remembered_in(state.clone()) };
    let version = world.kit.change(&world.repository, |policy| policy.reason = Some("second".to_owned())).await;
    let repository = remembering().await;
    let ledger = repository.read_ledger().await.unwrap();
    repository.remember(&ledger).await;
    let head = ledger.heads()[0].name();
    let options = VerifyOptions::new(Level::Ledger);
    let check =
        async || verify(&world.context(), &remembering().await, &VerifyKeys::default(), &options).await.unwrap();
    assert!(check().await.ok);
    let (entry, policy) = (world.path(&head), world.path(&names::policy(&version)));
    let bytes = std::fs::read(&policy).unwrap();
    std::fs::remove_file(&policy).unwrap();
    let report = check().await;
    assert_eq!((only(&report).kind, &only(&report).object), (ProblemKind::HeadMissing, &names::policy(&version)));
    // The same payload without its signatures is not the same policy.
    let (_, stripped) = crate::kit::policy::signed(&keyhaven::format::Policy::decode(&bytes).unwrap().1, &[]);
    std::fs::write(&policy, stripped).unwrap();
    let report = check().await;
    assert!(report.problems.iter().any(|problem| problem.object == names::policy(&version)), "{report:#?}");
    std::fs::write(&policy, bytes).unwrap();
    std::fs::remove_file(entry).unwrap();
    let report = check().await;
    assert_eq!((only(&report).kind, &only(&report).object), (ProblemKind::HeadMissing, &head));
    // A bucket put back to an earlier day is whole by itself: another host sees nothing.
    assert!(world.at(Level::Ledger).await.ok);
}

#[tokio::test]
async fn only_a_pinned_head_shows_that_the_newest_entry_is_gone() {
    let world = World::new().await;
    let head = world.repository.read_ledger().await.unwrap().heads()[0].clone();
    let mut pinned = VerifyOptions::new(Level::Ledger);
    pinned.pinned_heads = vec![head.digest];
    let report = world.verify(&pinned, &VerifyKeys::default()).await.unwrap();
    assert!(report.ok && !report.newest_may_be_missing);

    std::fs::remove_file(world.path(&head.name())).unwrap();
    let unpinned = world.at(Level::Ledger).await;
    assert!(unpinned.ok && unpinned.newest_may_be_missing, "it says what it cannot know");
    let report = world.verify(&pinned, &VerifyKeys::default()).await.unwrap();
    assert_eq!(
        (only(&report).kind, only(&report).object.as_str()),
        (ProblemKind::HeadMissing, &*head.digest.to_string())
    );
}

#[tokio::test]
async fn a_snapshot_of_a_later_version_does_not_pass_unread() {
    let world = World::new().await;
    let ledger = world.repository.read_ledger().await.unwrap();
    let head = ledger.heads()[0].clone();
    let bytes = std::fs::read(world.path(&head.name())).unwrap();
    let payload = String::from_utf8(Envelope::decode(&bytes, Holds::Entry).unwrap().payload).unwrap();
    let later = payload.replacen("\"format\":\"1.0\"", "\"format\":\"1.1\"", 1).replace("point_in_time", "mostly");
    assert_ne!(later, payload);
    let mut envelope = Envelope::unsigned(later.into_bytes());
    envelope.sign(&world.kit.collector);
    let reference = EntryRef { sequence: head.sequence, digest: envelope.digest() };
    std::fs::remove_file(world.path(&head.name())).unwrap();
    std::fs::write(world.path(&names::entry(&reference)), envelope.encode(Holds::Entry).unwrap()).unwrap();
    let report = world.at(Level::Ledger).await;
    assert!(report.ok && report.warnings.len() == 1, "its links and its signature are good: {report:#?}");
    let report = world.at(Level::Objects).await;
    assert_eq!((only(&report).kind, report.failure()), (ProblemKind::Unsupported, Some(FailureKind::Failed)));
}

#[tokio::test]
async fn a_wrong_size_is_not_hidden_by_a_right_one_that_follows() {
    let world = World::new().await;
    let ledger = world.repository.read_ledger().await.unwrap();
    let (older, right) = (&ledger.entries()[0], &ledger.entries()[1]);
    let mut event = world.contents.event.clone();
    event.parts.truncate(1);
    event.parts[0].size += 1;
    let place = EntryPlace {
        repository: *world.repository.id(),
        source: source_name(),
        parents: vec![older.reference()],
        lost: Vec::new(),
        policy: older.policy,
        carries: None,
        due: None,
    };
    // A commit checks sizes; whoever has the key need not. Beside the right one, and before it in order.
    let (lie, bytes) = (0..)
        .map(|number| {
            event.notes = vec![number.to_string()];
            let draft = world.kit.draft(EntryEvent::Snapshot(Box::new(event.clone())));
            draft.sign(&place, &world.kit.collector).unwrap()
        })
        .find(|(lie, _)| lie.digest < right.digest)
        .unwrap();
    std::fs::write(world.path(&lie.name()), bytes).unwrap();
    let report = world.at(Level::Objects).await;
    assert_eq!((only(&report).object.as_str(), only(&report).kind), (&*world.part(), ProblemKind::Damaged));
}

#[tokio::test]
async fn entries_that_disagree_with_their_catalogue_are_found_at_catalogue() {
    type Lie = fn(&World, &mut SnapshotEvent);
    let lies: [(&str, Lie); 5] = [
        ("a count by kind", |_, event| event.counts.kinds.get_mut("secret").unwrap().items = Some(3)),
        ("a count by class", |_, event| event.counts.classes.clear()),
        ("a kind too many", |_, event| {
            event.counts.kinds.insert("group".to_owned(), ItemCounts { items: Some(1), ..ItemCounts::default() });
        }),
        ("the items of a part", |_, event| event.parts[0].items = 7),
        ("the order of parts", |_, event| event.parts.reverse()),
    ];
    for (what, lie) in lies {
        let world = World::new().await;
        let mut event = Contents::of(&world.kit, world.repository.id(), &[("c", "{}")]).event;
        event.parts = world.contents.event.parts.clone();
        (event.list, event.sealed_bytes) = (world.contents.event.list, world.contents.event.sealed_bytes);
        event.counts = world.contents.event.counts.clone();
        lie(&world, &mut event);
        world.commit(event).await;
        assert!(world.at(Level::Objects).await.ok, "{what}: every object is what was signed");
        let report = world.at(Level::Catalogue).await;
        assert!(!report.problems.is_empty(), "{what}");
        assert!(report.problems.iter().all(|problem| problem.kind == ProblemKind::Disagrees), "{what}: {report:#?}");
    }
}

#[tokio::test]
async fn a_pointer_to_a_pack_that_the_list_lacks_is_found() {
    let world = World::new().await;
    let mut contents = Contents::of(&world.kit, world.repository.id(), &[("a", "{}")]);
    // The list of the older snapshot: whole, and of another pack.
    contents.list = world.older.list.clone();
    contents.event.list = world.older.event.list;
    contents.event.sealed_bytes = world.older.event.sealed_bytes;
    contents.put(&world.repository).await.unwrap();
    world.commit(contents.event.clone()).await;
    assert!(world.at(Level::Objects).await.ok);
    let report = world.at(Level::Catalogue).await;
    assert_eq!(only(&report).object, names::list(&world.older.event.list));
    assert!(only(&report).why.contains(&contents.pack.digest.to_string()), "{report:#?}");
}

#[tokio::test]
async fn packs_that_are_none_of_ours_are_found_at_payload() {
    let world = World::new().await;
    let kit = &world.kit;
    let recovery = Recipients::new(kit.recovery.recipients()).unwrap();
    let stranger = Kit::new();
    let strange = stranger.init().await;
    let foreign = Contents::of(kit, strange.id(), &[("a", "{}")]).pack;
    let catalogue = part(world.repository.id(), &[item("a", &foreign.digest)], &recovery);
    let header = format!(
        r#"{{"format":"1.0","kind":"pack","repository":"{}","source":{{"instance":"{CRN}","provider":"ibm"}},"mac_key":"{}"}}"#,
        world.repository.id(),
        "0".repeat(64)
    );
    let line = format!(r#"{{"key":"{}","version":"version-1","mac":"{}","payload":"{{}}"}}"#, key("a"), "0".repeat(64));
    let bad_mac = seal(format!("{header}\n{line}\n").as_bytes(), &recovery, 1).unwrap();
    let other_version = seal(format!("{}\n", header.replace("1.0", "2.0")).as_bytes(), &recovery, 1).unwrap();
    let lacking = Contents::of(kit, world.repository.id(), &[("b", "{}")]).pack;
    for (what, pack, words, kind) in [
        ("another repository's pack", foreign, "belongs to repository", ProblemKind::Damaged),
        ("a catalogue in a pack's place", catalogue, "expected a pack", ProblemKind::Damaged),
        ("a payload with another's MAC", bad_mac, "MAC", ProblemKind::Damaged),
        ("a pack of format 2", other_version, "format 2", ProblemKind::Unsupported),
        ("a pack without the line", lacking, "lacks 1 payload", ProblemKind::Disagrees),
    ] {
        let world = World::with_pack(&world, &pack).await;
        assert!(world.at(Level::Catalogue).await.ok, "{what}: only a recovery key shows it");
        let report = world.at(Level::Payload).await;
        let problem = only(&report);
        assert_eq!((problem.object.clone(), problem.kind), (names::pack(&pack.digest), kind), "{what}");
        assert!(problem.why.contains(words), "{what}: {problem}");
    }
}

impl World {
    /// A copy of a repository with one snapshot more: of one secret, whose payload is said to lie in `pack`.
    async fn with_pack(before: &World, pack: &keyhaven::crypto::Sealed) -> Self {
        let both = before.kit.recovery.recipients().into_iter().chain(before.kit.catalogue.recipients()).collect();
        let both = Recipients::new(both).unwrap();
        let kit = Kit::new_sharing(&before.kit);
        let repository = Repository::open(kit.store(), *before.repository.id()).await.unwrap();
        let writer = kit.writer("a", &kit.collector, repository.id());
        let mut contents = Contents::of(&kit, repository.id(), &[("a", "{}")]);
        contents.parts = vec![part(repository.id(), &[item("a", &pack.digest)], &both)];
        contents.list.packs[0].pack = pack.digest;
        contents.list.packs[0].size = pack.bytes.len() as u64;
        contents.pack = pack.clone();
        contents.event.list = contents.list.digest().unwrap();
        contents.event.sealed_bytes = pack.bytes.len() as u64;
        contents.event.parts[0].digest = contents.parts[0].digest;
        contents.event.parts[0].size = contents.parts[0].bytes.len() as u64;
        contents.put(&repository).await.unwrap();
        let older = Contents::of(&kit, repository.id(), &[("a", "{}")]);
        let world = Self { kit, repository, writer, contents, older };
        world.commit(world.contents.event.clone()).await;
        world
    }
}

#[tokio::test]
async fn slices_together_open_every_pack_once() {
    let world = World::new().await;
    for number in 0..6 {
        let secret = format!("s{number}");
        world.kit.snapshot(&world.repository, &world.writer, &[(&secret, "{}")]).await.unwrap();
    }
    // Seen only by opening it: the bytes are what was signed.
    let mut opened = 0;
    for index in 1..=3 {
        let mut options = VerifyOptions::new(Level::Payload);
        options.slice = Some(Slice::new(index, 3).unwrap().into());
        let report = world.verify(&options, &world.keys()).await.unwrap();
        assert!(report.ok, "{:#?}", report.problems);
        assert_eq!(report.slice.as_deref(), Some(format!("{index}/3").as_str()));
        opened += report.counts.packs;
    }
    assert_eq!(opened, 8);
    // An entry that says `payload` and not of how much would pass for a check of everything.
    let mut options = VerifyOptions::new(Level::Payload);
    options.slice = Some(Slice::new(2, 3).unwrap().into());
    let mut report = world.verify(&options, &world.keys()).await.unwrap();
    let verifier = world.kit.writer("v", &world.kit.verifier, world.repository.id());
    record(&world.repository, &verifier, TOOL, &mut report).await.unwrap();
    let ledger = world.repository.read_ledger().await.unwrap();
    let Some(EntryEvent::Verification(event)) = ledger.get(&report.recorded.unwrap()).map(|entry| entry.event.clone())
    else {
        panic!("no verification entry")
    };
    let slice = RecordedSlice { part: 2, of: 3, seed: event.slice.as_ref().and_then(|slice| slice.seed.clone()) };
    assert_eq!((event.level.as_str(), event.slice), ("payload", Some(slice)));
    let mut wrong = VerifyOptions::new(Level::Objects);
    wrong.slice = Some(Slice::new(1, 3).unwrap().into());
    assert_eq!(world.verify(&wrong, &world.keys()).await.unwrap_err().kind(), FailureKind::Usage);
}

#[tokio::test]
async fn the_next_slice_follows_the_last_one_that_passed() {
    let world = World::new().await;
    let verifier = world.kit.writer("v", &world.kit.verifier, world.repository.id());
    // Verifies the next of `of` slices and records it, as a failure where `passed` says so; gives the slice.
    let next = async |of: u32, passed: bool| {
        let mut options = VerifyOptions::new(Level::Payload);
        options.slice = Some(SliceChoice::Next { of });
        let mut report = world.verify(&options, &world.keys()).await.unwrap();
        report.ok = passed;
        record(&world.repository, &verifier, TOOL, &mut report).await.unwrap();
        report.slice.unwrap()
    };
    assert_eq!(next(3, true).await, "1/3");
    assert_eq!(next(3, true).await, "2/3");
    assert_eq!(next(3, false).await, "3/3");
    assert_eq!(next(2, true).await, "1/2", "another division starts at its own beginning");
    assert_eq!(next(3, true).await, "3/3", "what failed is next until it passes");
    assert_eq!(next(3, true).await, "1/3", "and around again");
    // A look at an old snapshot alone is no progress, nor is one that nobody recorded.
    let mut options = VerifyOptions::new(Level::Payload);
    options.slice = Some(Slice::new(2, 3).unwrap().into());
    world.verify(&options, &world.keys()).await.unwrap();
    options.snapshots = Snapshots::One("1".parse().unwrap());
    let mut old = world.verify(&options, &world.keys()).await.unwrap();
    record(&world.repository, &verifier, TOOL, &mut old).await.unwrap();
    assert_eq!(next(3, true).await, "2/3");
}

#[tokio::test]
async fn one_snapshot_alone_is_not_failed_by_another() {
    let world = World::new().await;
    Damage::Remove.apply(&world, &world.older_pack());
    let mut options = VerifyOptions::new(Level::Payload);
    options.snapshots = Snapshots::One("latest".parse().unwrap());
    let report = world.verify(&options, &world.keys()).await.unwrap();
    assert!(report.ok, "{:#?}", report.problems);
    options.snapshots = Snapshots::One("1".parse().unwrap());
    assert!(!world.verify(&options, &world.keys()).await.unwrap().ok);
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_no_damage() {
    let world = World::new().await;
    let stranger = Arc::new(Identities::generate().0);
    let keys = VerifyKeys { catalogue: None, recovery: Some(stranger) };
    let report = world.verify(&VerifyOptions::new(Level::Payload), &keys).await.unwrap();
    assert!(report.problems.iter().all(|problem| problem.kind == ProblemKind::Locked), "{report:#?}");
    assert_eq!(report.failure(), Some(FailureKind::Key));
}

#[tokio::test]
async fn a_stop_is_neither_success_nor_failure() {
    let world = World::new().await;
    let context = world.context();
    context.cancel.cancel();
    let options = VerifyOptions::new(Level::Payload);
    let error = verify(&context, &world.repository, &world.keys(), &options).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Interrupted);
}

#[tokio::test]
async fn a_result_is_recorded_by_a_verifier_only() {
    let world = World::new().await;
    let mut report = world.at(Level::Objects).await;
    let heads = report.heads.clone();
    record(&world.repository, &world.writer, TOOL, &mut report).await.expect_err("a collector is no verifier");
    let verifier = world.kit.writer("v", &world.kit.verifier, world.repository.id());
    record(&world.repository, &verifier, TOOL, &mut report).await.unwrap();
    let ledger = world.repository.read_ledger().await.unwrap();
    let entry: Digest = report.recorded.unwrap();
    let Some(EntryEvent::Verification(event)) = ledger.get(&entry).map(|entry| entry.event.clone()) else { panic!() };
    assert!(event.passed && event.level == "objects" && event.entries == heads, "{event:?}");
}
