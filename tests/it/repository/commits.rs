//! The repository on a local folder: making one, committing, races, crashes, lost history.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, SigningKey};
use keyhaven::format::{EntryEvent, Policy, RepositoryId, SigningRole, names};
use keyhaven::model::{FailureKind, Timestamp};
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::ledger::{NotAuthorised, Problem};
use keyhaven::repository::{Repository, RepositoryError, Store, StoreError};

use crate::kit::files::{contents, files};
use crate::kit::policy;
use crate::kit::repository::{Contents, Kit, key};
use crate::kit::store::{Fault, FaultyStore};
use crate::kit::store::{Operation, Wrapper};

#[tokio::test]
async fn a_snapshot_comes_back_as_it_was_written() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let exact = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;
    let secrets = [("a", "{}"), ("b", exact), ("c", r#"{"payload":"\u0000\ud83d\ude00"}"#)];
    let entry = kit.snapshot(&repository, &writer, &secrets).await.unwrap();

    let ledger = repository.read_ledger().await.unwrap();
    assert!(ledger.problems().is_empty(), "{:?}", ledger.problems());
    let (found, event) = find(&ledger, &SnapshotQuery::Latest).unwrap();
    assert_eq!((found.digest, found.sequence), (entry.digest, 1));
    let items: Vec<_> = repository.open_snapshot(event, &kit.catalogue).try_collect().await.unwrap();
    assert_eq!(items.iter().map(|item| item.key.clone()).collect::<Vec<_>>(), [key("a"), key("b"), key("c")]);
    let lines = repository.open_pack(&items[1].payloads[0].pack, &kit.recovery).await.unwrap();
    let texts: Vec<_> = lines.iter().map(|line| line.payload.expose()).collect();
    assert_eq!(texts, secrets.map(|(_, text)| text));
}

#[tokio::test]
async fn a_new_folder_is_its_owners_alone_and_holds_three_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let kit = Kit::new();
    kit.init().await;
    let mode = std::fs::metadata(kit.place()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the folder itself is made by us");
    let names = files(&kit.place());
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"RECOVER.md".to_owned()) && names.contains(&"keyhaven.json".to_owned()));
}

#[tokio::test]
async fn the_digest_of_the_instructions_and_the_id_follow_from_the_policy() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let ledger = repository.read_ledger().await.unwrap();
    let policy = ledger.policy().unwrap();
    let bytes = std::fs::read(kit.place().join("RECOVER.md")).unwrap();
    assert_eq!(policy.settings.recover_md, sha256(&bytes));
    let version = policy.reference().unwrap();
    assert_eq!((version.digest, version.version), (repository.id().0, 1));
    assert!(kit.place().join(names::policy(&version)).is_file());
    assert!(ledger.entries().is_empty() && ledger.problems().is_empty());
}

#[tokio::test]
async fn init_never_touches_what_is_there() {
    let kit = Kit::new();
    let id = *kit.init().await.id();
    let before = contents(&kit.place());
    let again = Repository::init(kit.store(), "".into(), &kit.policy()).await;
    assert!(matches!(&again, Err(RepositoryError::Exists { ids, .. }) if *ids == [id]), "{again:?}");
    assert_eq!(contents(&kit.place()), before);

    // Also when all that is left of a ledger or a policy is rubbish.
    for rubbish in ["ledger/000000000/notes.txt", "trust/notes.txt"] {
        let kit = Kit::new();
        kit.store().put(rubbish, "x".into()).await.unwrap();
        let rubbish = Repository::init(kit.store(), "".into(), &kit.policy()).await;
        assert!(matches!(rubbish, Err(RepositoryError::Exists { .. })), "{rubbish:?}");
    }
}

#[tokio::test]
async fn an_interrupted_init_leaves_no_repository_and_works_again() {
    for crash in [(0, Fault::CrashBefore), (0, Fault::CrashAfter), (1, Fault::CrashAfter), (2, Fault::CrashBefore)] {
        let kit = Kit::new();
        let faulty = FaultyStore::around(kit.store());
        faulty.fail(crash.0, crash.1);
        Repository::init(faulty.store(), "x".into(), &kit.policy()).await.unwrap_err();
        let any = RepositoryId(kit.collector.public().fingerprint());
        let opened = Repository::open(kit.store(), any).await.unwrap_err();
        assert_eq!(opened.kind(), FailureKind::NoRepository, "{crash:?}: {opened}");
        kit.init().await;
    }
}

#[tokio::test]
async fn an_empty_place_is_no_repository_and_reading_makes_nothing() {
    let kit = Kit::new();
    let pin = RepositoryId(kit.collector.public().fingerprint());
    let error = Repository::open(kit.store(), pin).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::NoRepository, "{error}");
    assert!(!kit.place().exists());
}

#[tokio::test]
async fn a_wrong_pin_is_another_repository() {
    let kit = Kit::new();
    kit.init().await;
    let error = Repository::open(kit.store(), RepositoryId(kit.collector.public().fingerprint())).await.unwrap_err();
    assert!(matches!(error, RepositoryError::OtherRepository { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Integrity);
}

#[tokio::test]
async fn the_marker_file_decides_nothing() {
    let kit = Kit::new();
    let id = *kit.init().await.id();
    for (content, word) in [(Some("{\"repository\":\"other\"}"), "another"), (Some("{"), "damaged"), (None, "missing")]
    {
        let path = kit.place().join("keyhaven.json");
        match content {
            Some(content) => std::fs::write(&path, content).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let repository = Repository::open(kit.store(), id).await.unwrap();
        assert_eq!(repository.warnings().len(), 1);
        assert!(repository.warnings()[0].contains(word), "{:?}", repository.warnings());
    }
    // Something that can be listed and not read.
    let path = kit.place().join("keyhaven.json");
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let repository = Repository::open(kit.store(), id).await.unwrap();
    assert!(repository.warnings()[0].contains("cannot be read"), "{:?}", repository.warnings());
}

#[tokio::test]
async fn two_writers_at_once_lose_nothing() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let (a, b) = (kit.writer("a", &kit.collector, repository.id()), kit.writer("b", &kit.collector, repository.id()));
    let first = kit.put_snapshot(&repository, &[("a", "{}")]).await;
    let second = kit.put_snapshot(&repository, &[("b", "{}")]).await;
    // Both have listed before either writes: put between a's listing and its entry through the store.
    let race = Racing { inner: kit.store(), other: tokio::sync::Mutex::new(None) };
    let racing = Arc::new(race);
    let through = Repository::open(racing.store(), *repository.id()).await.unwrap();
    *racing.other.lock().await =
        Some((repository.clone(), b.clone(), kit.draft(EntryEvent::Snapshot(Box::new(second)))));
    let one = through.commit(&a, kit.draft(EntryEvent::Snapshot(Box::new(first)))).await.unwrap().entry;

    let ledger = repository.read_ledger().await.unwrap();
    let heads: BTreeSet<_> = ledger.heads().iter().map(|head| head.digest).collect();
    assert_eq!(heads.len(), 2, "both entries are heads");
    assert!(heads.contains(&one.digest));
    assert_eq!(ledger.snapshots().len(), 2);

    let third = kit.snapshot(&repository, &b, &[("c", "{}")]).await.unwrap();
    assert_eq!(
        third.parents.iter().map(|parent| parent.digest).collect::<BTreeSet<_>>(),
        heads,
        "the next entry names both"
    );
    assert_eq!(third.sequence, 2);
    let ledger = repository.read_ledger().await.unwrap();
    assert_eq!(ledger.heads().len(), 1);
    assert!(matches!(ledger.problems(), [Problem::TwoHeads { .. }]), "one key on two hosts: {:?}", ledger.problems());
}

/// Lets another writer commit right before the first write of an entry goes through.
#[derive(Debug)]
struct Racing {
    inner: Store,
    other: tokio::sync::Mutex<Option<(Repository, keyhaven::repository::EntryWriter, keyhaven::format::Draft)>>,
}

#[async_trait::async_trait]
impl Wrapper for Racing {
    fn inner(&self) -> &Store {
        &self.inner
    }

    async fn put(&self, path: &str, bytes: bytes::Bytes) -> Result<(), StoreError> {
        if path.starts_with("ledger/")
            && let Some((repository, writer, draft)) = self.other.lock().await.take()
        {
            repository.commit(&writer, draft).await.unwrap();
        }
        self.inner.put(path, bytes).await
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn shares_clock(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_crash_at_any_write_leaves_the_old_state_or_the_new_one() {
    // Pack, list, two parts, entry: five writes, each crashing before and after it is stored.
    for write in 0..5 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let kit = Kit::new();
            let faulty = FaultyStore::around(kit.store());
            let repository = kit.init_in(faulty.store()).await;
            let writer = kit.writer("a", &kit.collector, repository.id());
            let old = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
            faulty.fail(write, fault);
            let result = kit.snapshot(&repository, &writer, &[("a", "{}"), ("b", "{}")]).await;
            assert!(result.is_err(), "{write} {fault:?}");
            assert_eq!(faulty.writes(), write + 1, "five writes, and none after the crash");

            // On the next run, from another process.
            let repository = Repository::open(kit.store(), *repository.id()).await.unwrap();
            let ledger = repository.read_ledger().await.unwrap();
            assert!(ledger.problems().is_empty(), "{write} {fault:?}: {:?}", ledger.problems());
            let (latest, event) = find(&ledger, &SnapshotQuery::Latest).unwrap();
            let expected = if (write, fault) == (4, Fault::CrashAfter) { 2 } else { 1 };
            let items: Vec<_> = repository.open_snapshot(event, &kit.catalogue).try_collect().await.unwrap();
            assert_eq!(items.len(), expected, "{write} {fault:?}");
            assert_eq!(latest.digest == old.digest, expected == 1);
            kit.snapshot(&repository, &writer, &[("c", "{}")]).await.unwrap();
            assert_eq!(repository.read_ledger().await.unwrap().heads().len(), 1);
        }
    }
}

#[tokio::test]
async fn an_entry_that_this_host_cannot_remember_is_recorded_and_says_so() {
    let kit = Kit::new();
    let faulty = FaultyStore::around(kit.store());
    let repository = kit.init_in(faulty.store()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let event = kit.put_snapshot(&repository, &[("a", "{\"x\":1}")]).await;
    faulty.block(writer.state.path().join("heads.json"));
    let done = repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(event)))).await.unwrap();
    assert_eq!(repository.read_ledger().await.unwrap().heads()[0].digest, done.entry.digest);
    let why = done.not_remembered.unwrap();
    assert!(why.contains("is recorded") && why.contains("does not remember it: "), "{why}");
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
}

#[tokio::test]
async fn a_lost_answer_is_decided_by_reading_back() {
    let kit = Kit::new();
    let faulty = FaultyStore::around(kit.store());
    let repository = kit.init_in(faulty.store()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());

    let event = kit.put_snapshot(&repository, &[("a", "{}")]).await;
    faulty.fail(0, Fault::LostAnswer);
    repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(event)))).await.expect("it was stored");
    assert_eq!(repository.read_ledger().await.unwrap().snapshots().len(), 1);

    for (fault, kind) in [(Fault::LostRequest, "no usable answer"), (Fault::Full, "no room left")] {
        let event = kit.put_snapshot(&repository, &[("b", "{}")]).await;
        faulty.fail(0, fault);
        let error = repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(event)))).await.unwrap_err();
        assert!(error.to_string().contains(kind), "{error}");
        assert_eq!(repository.read_ledger().await.unwrap().snapshots().len(), 1, "nothing is half-visible");
    }
    // An entry that is only in the state folder harms nobody.
    kit.snapshot(&repository, &writer, &[("c", "{}")]).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_whose_objects_are_not_there_whole_is_not_signed() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let commit = async |contents: &Contents| {
        repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(contents.event.clone())))).await
    };
    let missing = |result: Result<_, RepositoryError>| match result {
        Err(RepositoryError::ObjectsMissing { packs, others }) => (packs, others),
        other => panic!("{other:?}"),
    };

    let contents = Contents::of(&kit, repository.id(), &[("a", "{}"), ("b", "{}")]);
    repository.put_list(&contents.list).await.unwrap();
    repository.put_part(&contents.parts[0]).await.unwrap();
    let (packs, others) = missing(commit(&contents).await);
    assert_eq!(packs, [contents.pack.digest]);
    assert_eq!(others.len(), 1, "{others:?}");
    assert!(others[0].contains(&contents.parts[1].digest.to_string()));

    contents.put(&repository).await.unwrap();
    let pack = kit.place().join(format!("packs/{}.jsonl.zst.age", contents.pack.digest));
    let whole = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(missing(commit(&contents).await).0, [contents.pack.digest], "truncated");

    std::fs::write(&pack, &whole).unwrap();
    std::fs::remove_file(kit.place().join(format!("lists/{}.jsonl", contents.event.list))).unwrap();
    assert_eq!(missing(commit(&contents).await).1.len(), 1, "no list");
    repository.put_list(&contents.list).await.unwrap();
    commit(&contents).await.unwrap();
}

#[tokio::test]
async fn removed_history_is_put_back_where_it_is_the_writers_own_and_said_where_it_is_not() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let newest = kit.snapshot(&repository, &writer, &[("b", "{}")]).await.unwrap();
    let path = kit.place().join(newest.name());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let open = async || Repository::open(kit.store(), *repository.id()).await.unwrap();
    let remembering = open().await.remembered_in(writer.state.clone());
    assert_eq!(remembering.read_ledger().await.unwrap().memory().heads, [newest.reference()]);
    let next = kit.snapshot(&open().await, &writer, &[("c", "{}")]).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "its own last entry is back, byte for byte");
    assert!(next.lost.is_empty() || next.lost == [newest.reference()], "{:?}", next.lost);
    assert!(remembering.read_ledger().await.unwrap().memory().heads.is_empty());

    // Another host saw it and has no bytes of it: what it writes says so, and only the custodians accept that.
    let verifier = kit.writer("v", &kit.verifier, repository.id());
    let seen = open().await.remembered_in(verifier.state.clone());
    seen.remember(&seen.read_ledger().await.unwrap()).await;
    let head = open().await.read_ledger().await.unwrap().heads()[0].reference();
    std::fs::remove_file(kit.place().join(names::entry(&head))).unwrap();
    let check = keyhaven::format::event::VerificationEvent {
        level: "ledger".to_owned(),
        slice: None,
        passed: false,
        problems: 1,
        entries: Vec::new(),
        counts: None,
    };
    let entry = open().await.commit(&verifier, kit.draft(EntryEvent::Verification(check))).await.unwrap().entry;
    assert_eq!(entry.lost, [head]);
    assert_eq!(seen.read_ledger().await.unwrap().memory().heads, [head], "that silences nobody's memory");
    kit.change(&open().await, |policy| policy.lost.entries.push(head)).await;
    assert!(seen.read_ledger().await.unwrap().memory().heads.is_empty());
    // A host that never saw it has no way to know.
    let stranger = kit.writer("stranger", &kit.collector, repository.id());
    assert!(stranger.state.heads().await.unwrap().is_empty());
}

/// A rollback of the whole bucket: the policy that this host saw comes back with its next entry.
#[tokio::test]
async fn a_policy_that_the_bucket_lost_is_in_force_for_who_saw_it_and_is_put_back() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let id = *repository.id();
    let writer = kit.writer("a", &kit.collector, &id);
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let before = contents(&kit.place());
    let version = kit
        .change(&repository, |policy| {
            policy.keys.push(policy::policy_key("new", &SigningKey::from_seed(&[5; 32]), &[SigningRole::Collector]));
        })
        .await;
    kit.snapshot(&repository, &writer, &[("b", "{}")]).await.unwrap();
    // Everything is put back to how it was.
    std::fs::remove_dir_all(kit.place()).unwrap();
    for (path, bytes) in &before {
        let path = kit.place().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let open = async || Repository::open(kit.store(), id).await.unwrap();
    let in_force =
        async |repository: Repository| repository.read_ledger().await.unwrap().trust().writes_under().unwrap().0;
    assert_eq!(in_force(open().await).await.version, 1, "to anybody else it is the state of that day");
    let remembering = open().await.remembered_in(writer.state.clone());
    assert_eq!(in_force(remembering.clone()).await, version);
    assert_eq!(remembering.read_ledger().await.unwrap().memory().policies, [version]);
    let entry = kit.snapshot(&open().await, &writer, &[("c", "{}")]).await.unwrap();
    assert_eq!(entry.policy, version);
    assert_eq!(in_force(open().await).await, version, "the writer put it back");
    let ledger = open().await.read_ledger().await.unwrap();
    assert_eq!((ledger.snapshots().len(), ledger.problems().len()), (3, 0), "{:?}", ledger.problems());
}

#[tokio::test]
async fn a_version_is_published_only_where_it_comes_into_force() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let signed = |policy: &Policy, keys: &[&SigningKey]| Policy::decode(&policy::signed(policy, keys).1).unwrap().2;
    let both: [&SigningKey; 2] = [&kit.custodian, &kit.other_custodian];
    let ledger = repository.read_ledger().await.unwrap();
    let next = |reason: &str| {
        let (version, policy) = ledger.trust().writes_under().unwrap();
        let mut next = policy.clone();
        (next.version, next.previous, next.repository) = (2, vec![version], Some(*repository.id()));
        next.reason = Some(reason.to_owned());
        next
    };
    let (one, other) = (next("one"), next("other"));
    let refused = repository.publish(&ledger, &signed(&one, &both[..1])).await.unwrap_err();
    assert!(refused.to_string().contains("1 custodians of version 1 signed, 2 are needed"), "{refused}");
    let version = repository.publish(&ledger, &signed(&one, &both)).await.unwrap();
    let ledger = repository.read_ledger().await.unwrap();
    let refused = repository.publish(&ledger, &signed(&other, &both)).await.unwrap_err();
    assert!(matches!(refused, RepositoryError::NotPublished { .. }), "a fork: {refused}");
    assert_eq!(refused.kind(), FailureKind::Usage);
    // The same again, also with a signature less: those that are there already are kept.
    assert_eq!(repository.publish(&ledger, &signed(&one, &both[..1])).await.unwrap(), version);
    assert!(repository.read_ledger().await.unwrap().problems().is_empty());
}

/// A run that seals to the recipients of a policy that is replaced before it is done records nothing.
#[tokio::test]
async fn what_was_sealed_to_the_recipients_of_before_is_not_recorded() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let event = kit.put_snapshot(&repository, &[("a", "{}")]).await;
    let listed = policy::recipients(&Identities::generate().0);
    kit.change(&repository, |policy| policy.recovery_recipients = listed).await;
    let error = repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(event)))).await.unwrap_err();
    assert!(matches!(error, RepositoryError::RecipientsChanged), "{error}");
    assert!(repository.read_ledger().await.unwrap().snapshots().is_empty());
}

#[tokio::test]
async fn a_listing_that_lags_behind_loses_no_head() {
    let kit = Kit::new();
    let faulty = FaultyStore::around(kit.store());
    let repository = kit.init_in(faulty.store()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let head = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    faulty.hide(&head.name());
    let repository = Repository::open(faulty.store(), *repository.id()).await.unwrap();
    let next = kit.snapshot(&repository, &writer, &[("b", "{}")]).await.unwrap();
    assert_eq!((next.parents, next.sequence), (vec![head.reference()], head.sequence + 1));
}

#[tokio::test]
async fn a_key_without_the_role_writes_nothing() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let before = contents(&kit.place().join("ledger"));
    let unknown = Arc::new(SigningKey::generate().unwrap());
    for key in [&kit.verifier, &unknown] {
        let writer = kit.writer("v", key, repository.id());
        let error = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap_err();
        assert!(matches!(error, RepositoryError::NotAuthorised(_)), "{error}");
        assert_eq!(error.kind(), FailureKind::Key);
    }
    assert_eq!(contents(&kit.place().join("ledger")), before);
    kit.change(&repository, |policy| policy::end(policy, &kit.collector, &[])).await;
    let writer = kit.writer("c", &kit.collector, repository.id());
    let error = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap_err();
    assert!(matches!(error, RepositoryError::NotAuthorised(NotAuthorised::Ended)), "{error}");
}

#[tokio::test]
async fn a_clock_far_from_the_stores_signs_nothing() {
    let kit = Kit::new();
    let faulty = FaultyStore::around(kit.store());
    let repository = kit.init_in(faulty.store()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let year = 365 * 24 * 3_600_000;
    let now = Timestamp::from(chrono::Utc::now());
    for store_clock in [now.plus_millis(-10 * year), now.plus_millis(10 * year), now.plus_millis(-6 * 60_000)] {
        faulty.set_clock(store_clock);
        let error = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap_err();
        assert!(matches!(error, RepositoryError::ClockSkew { .. }), "{error}");
    }
    faulty.set_clock(now.plus_millis(-3 * 60_000));
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
}

#[tokio::test]
async fn foreign_files_are_counted_and_stop_nobody() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let other = Kit::new();
    let strange = other.init().await;
    let their_writer = other.writer("x", &other.collector, strange.id());
    other.snapshot(&strange, &their_writer, &[("z", "{}")]).await.unwrap();
    for (name, bytes) in contents(&other.place()) {
        if ["ledger", "packs", "trust"].iter().any(|part| name.starts_with(part)) {
            kit.store().put(&name, bytes.into()).await.unwrap();
        }
    }
    kit.store().put("ledger/readme.txt", "hello".into()).await.unwrap();
    kit.store()
        .put(&format!("ledger/000000000/000000000009-{}.json", "0".repeat(64)), vec![b'x'; 2_000_000].into())
        .await
        .unwrap();

    let ledger = repository.read_ledger().await.unwrap();
    let [Problem::Rubbish(rubbish)] = ledger.problems() else { panic!("{:#?}", ledger.problems()) };
    assert_eq!(rubbish.count, 4, "a policy, an entry, a text and what is too large: {rubbish:?}");
    assert_eq!(ledger.snapshots().len(), 1);
    let entry = kit.snapshot(&repository, &writer, &[("b", "{}")]).await.unwrap();
    assert_eq!((entry.parents.len(), entry.sequence), (1, 2));
}

/// Refuses to read what has this in its path.
#[derive(Debug)]
struct Denying {
    inner: Store,
    part: &'static str,
}

impl Wrapper for Denying {
    fn inner(&self) -> &Store {
        &self.inner
    }

    fn before(&self, operation: Operation, path: &str) -> Result<(), StoreError> {
        if operation != Operation::Get || !path.contains(self.part) {
            return Ok(());
        }
        let source = keyhaven::repository::store::Cause::new("403");
        Err(StoreError::Denied { what: format!("read {path}"), place: self.inner.place(), source })
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn shares_clock(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn one_entry_that_may_not_be_read_stops_no_reader_and_a_ledger_that_may_not_does() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let first = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    kit.snapshot(&repository, &writer, &[("b", "{}")]).await.unwrap();
    let through = |part| Arc::new(Denying { inner: kit.store(), part }).store();

    let denied = Repository::open(through("000000000002-"), *repository.id()).await.unwrap();
    let ledger = denied.read_ledger().await.unwrap();
    assert_eq!(ledger.snapshots().iter().map(|entry| entry.digest).collect::<Vec<_>>(), [first.digest]);
    assert_eq!(ledger.problems().len(), 1, "{:#?}", ledger.problems());

    let nothing = Repository::open(through("ledger/"), *repository.id()).await.unwrap();
    let refused = nothing.read_ledger().await.unwrap_err();
    assert!(matches!(refused, RepositoryError::Store(StoreError::Denied { .. })), "{refused}");
    // Each key's first entry carries the policy: one file of it that nobody may read stops nobody.
    let carried = Repository::open(through("trust/"), *repository.id()).await.unwrap();
    assert_eq!(carried.read_ledger().await.unwrap().snapshots().len(), 2);
}

#[tokio::test]
async fn snapshots_are_found_by_name_number_and_time() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let one = kit.snapshot(&repository, &writer, &[("a", "{}")]).await.unwrap();
    let mut suspect = kit.put_snapshot(&repository, &[("b", "{}")]).await;
    suspect.reasons = vec![crate::kit::ledger::gone()];
    let two = repository.commit(&writer, kit.draft(EntryEvent::Snapshot(Box::new(suspect)))).await.unwrap().entry;
    let ledger = repository.read_ledger().await.unwrap();
    let digest = |wanted: &str| find(&ledger, &wanted.parse().unwrap()).map(|(entry, _)| entry.digest);

    assert_eq!(digest("latest").unwrap(), one.digest, "a suspect one is passed over");
    assert_eq!(digest("1").unwrap(), one.digest);
    assert_eq!(digest("2").unwrap(), two.digest);
    assert_eq!(digest(&two.digest.to_string()[..12]).unwrap(), two.digest);
    assert!(matches!(digest("99"), Err(RepositoryError::NoSnapshot { .. })));
    let at = |time: Timestamp| find(&ledger, &SnapshotQuery::At(time)).map(|(entry, _)| entry.digest);
    let time = one.snapshot().unwrap().time;
    assert_eq!(at(time).unwrap(), one.digest);
    assert_eq!(at(time.plus_millis(3_600_000)).unwrap(), one.digest);
    assert!(matches!(at(time.plus_millis(-1)), Err(RepositoryError::NoSnapshot { .. })));
}

#[tokio::test]
async fn the_wrong_key_is_told_from_damage() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let event = kit.put_snapshot(&repository, &[("a", "{}"), ("b", "{}")]).await;
    let stranger = Arc::new(Identities::generate().0);
    let error = repository.open_part(&event.parts[0], &stranger).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Key, "{error}");
    let pack = repository.get_list(&event.list).await.unwrap().packs[0].pack;
    let error = repository.open_pack(&pack, &kit.catalogue).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Key, "a catalogue key opens no pack: {error}");

    let path = kit.place().join(format!("packs/{pack}.jsonl.zst.age"));
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = repository.open_pack(&pack, &kit.recovery).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn parts_in_the_wrong_order_end_the_stream() {
    let kit = Kit::new();
    let repository = kit.init().await;
    let mut event = kit.put_snapshot(&repository, &[("a", "{}"), ("b", "{}"), ("c", "{}")]).await;
    event.parts.swap(1, 2);
    let mut items = repository.open_snapshot(&event, &kit.catalogue);
    assert_eq!(items.try_next().await.unwrap().unwrap().key, key("a"));
    assert_eq!(items.try_next().await.unwrap().unwrap().key, key("c"));
    let error = items.try_next().await.unwrap_err();
    assert!(matches!(error, RepositoryError::Damaged { .. }), "{error}");
    assert!(items.try_next().await.unwrap().is_none(), "nothing comes behind an error");
}
