//! A collector's credentials in other hands: everything in a versioned bucket is overwritten or deleted, and everything from
//! before is still listed, verified and restored.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use keyhaven::format::names;
use keyhaven::job::verify::{Level, ProblemKind, VerifyKeys, VerifyOptions, VerifyReport, verify};
use keyhaven::repository::ledger::Ledger;
use keyhaven::repository::{Repository, S3Settings, Store};

use crate::kit::clock::context;
use crate::kit::environment::{is_long, keep_versions, python, s3, s3_bucket};
use crate::kit::repository::Kit;

/// What the attacker does to an object. His junk is of its size, so that only a look inside shows it.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Overwrite,
    OverwriteWithNothing,
    Delete,
    OverwriteThenDelete,
    /// Overwritten so often that the right version is far down.
    Bury,
}

const BLOWS: [Blow; 5] =
    [Blow::Overwrite, Blow::OverwriteWithNothing, Blow::Delete, Blow::OverwriteThenDelete, Blow::Bury];

async fn strike(store: &Store, path: &str, size: u64, blow: Blow) {
    let junk = || Bytes::from(vec![b'x'; usize::try_from(size).unwrap()]);
    match blow {
        Blow::Overwrite => store.put(path, junk()).await.unwrap(),
        Blow::OverwriteWithNothing => store.put(path, Bytes::new()).await.unwrap(),
        Blow::Delete => store.delete(path).await.unwrap(),
        Blow::OverwriteThenDelete => {
            store.put(path, junk()).await.unwrap();
            store.delete(path).await.unwrap();
        }
        Blow::Bury => {
            for _ in 0..12 {
                store.put(path, junk()).await.unwrap();
            }
        }
    }
}

/// Every object of the repository, by path and size.
async fn objects(store: &Store) -> Vec<(String, u64)> {
    let mut all = vec![(names::KEYHAVEN_JSON.to_owned(), 64), (names::RECOVER_MD.to_owned(), 64)];
    for folder in [names::TRUST, names::LEDGER, names::LISTS, names::CATALOGUES, names::PACKS] {
        all.extend(store.list(folder).await.unwrap().into_iter().map(|object| (object.path, object.size)));
    }
    all
}

async fn verified(kit: &Kit, repository: &Repository) -> VerifyReport {
    let keys = VerifyKeys { catalogue: None, recovery: Some(Arc::clone(&kit.recovery)) };
    verify(&context(kit.clock.clone()), repository, &keys, &VerifyOptions::new(Level::Payload)).await.unwrap()
}

/// Plays the attack in a bucket and looks at the repository as a host does that has nothing but its id.
async fn survives(settings: S3Settings, blow: Blow) {
    let store = Store::s3(&settings).unwrap();
    let kit = Kit::new();
    let repository = kit.init_in(store.clone()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let mut before = Vec::new();
    for value in ["1", "2", "3"] {
        before.push(kit.snapshot(&repository, &writer, &[("a", value), ("b", r#"{"x":1e400}"#)]).await.unwrap());
    }
    for (path, size) in objects(&store).await {
        strike(&store, &path, size, blow).await;
    }

    let repository = Repository::open(Store::s3(&settings).unwrap(), *repository.id()).await.unwrap();
    let ledger = repository.read_ledger().await.unwrap();
    let listed: Vec<_> = ledger.snapshots().iter().map(|entry| entry.digest).collect();
    assert_eq!(listed, before.iter().map(|entry| entry.digest).collect::<Vec<_>>(), "{blow:?}");
    assert_eq!(ledger.latest_good().map(|entry| entry.digest), listed.last().copied(), "{blow:?}");
    assert_eq!(ledger.memory().superseded.len(), ledger.entries().len(), "{blow:?}: the tampering is known");
    for snapshot in ledger.snapshots() {
        let event = snapshot.snapshot().unwrap();
        let items: Vec<_> = repository.open_snapshot(event, &kit.recovery).try_collect().await.unwrap();
        assert_eq!(items.len(), 2, "{blow:?}");
        for pack in repository.get_list(&event.list).await.unwrap().packs {
            assert!(!repository.open_pack(&pack.pack, &kit.recovery).await.unwrap().is_empty(), "{blow:?}");
        }
    }

    // Nothing is lost, and the check does not pass: somebody must find out who did that.
    let report = verified(&kit, &repository).await;
    let kinds: Vec<ProblemKind> = report.problems.iter().map(|problem| problem.kind).collect();
    assert!(!report.ok, "{blow:?}");
    let told = |folder: &str| {
        let of = |problem: &&keyhaven::job::verify::Problem| problem.object.starts_with(folder);
        report.problems.iter().any(|problem| of(&problem) && problem.kind == ProblemKind::Superseded)
    };
    for folder in [names::LEDGER, names::LISTS, names::CATALOGUES, names::PACKS] {
        assert!(told(folder), "{blow:?}: {folder} in {:#?}", report.problems);
    }
    assert!(!kinds.contains(&ProblemKind::Missing) && !kinds.contains(&ProblemKind::Damaged), "{:#?}", report.problems);

    // The next backup puts ledger and trust policy back on top.
    let writer = kit.writer("b", &kit.collector, repository.id());
    kit.snapshot(&repository, &writer, &[("a", "4")]).await.unwrap();
    let repository = Repository::open(Store::s3(&settings).unwrap(), *repository.id()).await.unwrap();
    let ledger = repository.read_ledger().await.unwrap();
    assert_eq!(ledger.snapshots().len(), 4, "{blow:?}");
    assert!(ledger.memory().superseded.is_empty() && ledger.memory().policies.is_empty(), "{blow:?}");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn what_was_overwritten_or_deleted_is_read_from_older_versions() {
    for blow in BLOWS {
        let settings = s3_bucket("versioned", &[]);
        keep_versions(&settings);
        survives(settings, blow).await;
    }
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_locked_bucket_keeps_everything_too() {
    let settings = s3_bucket("locked", &["x-amz-bucket-object-lock-enabled: true"]);
    survives(settings, Blow::OverwriteThenDelete).await;
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_bucket_without_versions_has_none_to_read() {
    let settings = s3("plain");
    let store = Store::s3(&settings).unwrap();
    store.put("packs/a", Bytes::from_static(b"1")).await.unwrap();
    store.put("packs/a", Bytes::from_static(b"2")).await.unwrap();
    assert!(store.older_versions("packs/a").await.unwrap().is_empty());
    store.delete("packs/a").await.unwrap();
    assert!(store.older_versions("packs/a").await.unwrap().is_empty());
    let listing = store.list_with_older("packs").await.unwrap();
    assert!(listing.current.is_empty() && listing.older.is_empty());
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn more_versions_than_a_page_are_listed() {
    let settings = s3_bucket("many", &[]);
    keep_versions(&settings);
    let store = Store::s3(&settings).unwrap();
    for _ in 0..25 {
        let puts = (0..50).map(|number| {
            let store = store.clone();
            async move { store.put(&format!("ledger/{number:03}"), Bytes::from_static(b"x")).await }
        });
        futures_util::future::try_join_all(puts).await.unwrap();
    }
    store.put("ledgers/x", Bytes::from_static(b"x")).await.unwrap();
    let listing = store.list_with_older("ledger").await.unwrap();
    assert_eq!((listing.current.len(), listing.older.len()), (50, 24 * 50), "neither more nor less than the folder");
    assert_eq!(store.older_versions("ledger/007").await.unwrap().len(), 24);
}

/// The script is a program of its own, so that other tools can be measured by it.
async fn attacked(settings: S3Settings, days: u32, junk: u32) {
    let store = Store::s3(&settings).unwrap();
    let kit = Kit::new();
    let repository = kit.init_in(store.clone()).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    for value in 0..5 {
        kit.snapshot(&repository, &writer, &[("a", &value.to_string()), ("b", r#"{"x":1e400}"#)]).await.unwrap();
    }
    let before = repository.read_ledger().await.unwrap();
    let mut attack = python("attack_bucket.py");
    attack.args(["--endpoint", &settings.endpoint, "--bucket", &settings.bucket]);
    attack.args(["--prefix", &format!("{}/", settings.prefix), "--junk-key", "ledger/000000000/{n:012}-{hex}.json"]);
    attack.args(["--days", &days.to_string(), "--junk", &junk.to_string()]);
    attack.env("ACCESS_KEY_ID", &settings.access_key_id).env("SECRET_ACCESS_KEY", "kh-secret-of-the-test");
    let output = attack.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let repository = Repository::open(Store::s3(&settings).unwrap(), *repository.id()).await.unwrap();
    let ledger = repository.read_ledger().await.unwrap();
    let digests = |ledger: &Ledger| ledger.snapshots().iter().map(|entry| entry.digest).collect::<Vec<_>>();
    assert_eq!(digests(&ledger), digests(&before));
    for snapshot in ledger.snapshots() {
        let event = snapshot.snapshot().unwrap();
        let items: Vec<_> = repository.open_snapshot(event, &kit.recovery).try_collect().await.unwrap();
        assert_eq!(items.len(), 2);
        for pack in repository.get_list(&event.list).await.unwrap().packs {
            assert!(!repository.open_pack(&pack.pack, &kit.recovery).await.unwrap().is_empty());
        }
    }
    let report = verified(&kit, &repository).await;
    let lost = |kind| report.problems.iter().any(|problem| problem.kind == kind);
    assert!(!report.ok && !lost(ProblemKind::Missing) && !lost(ProblemKind::Damaged), "{:#?}", report.problems);
    assert_eq!(report.counts.snapshots, 5);
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_month_of_attacks_takes_nothing() {
    let (days, junk) = if is_long() { (30, 10_000) } else { (5, 300) };
    let versioned = s3_bucket("attacked", &[]);
    keep_versions(&versioned);
    attacked(versioned, days, junk).await;
    attacked(s3_bucket("attacked", &["x-amz-bucket-object-lock-enabled: true"]), days, junk).await;
}
