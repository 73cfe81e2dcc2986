//! The store on a real S3 server (Ceph's gateway), started by `tests/setup/ceph.sh`.
//!
//! The test command starts it and sets `KEYHAVEN_TEST_S3`, `KEYHAVEN_TEST_S3_TLS` and `KEYHAVEN_TEST_S3_CA`. Each test has
//! a prefix of its own.

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use keyhaven::job::verify::{Level, VerifyKeys, VerifyOptions, verify};
use keyhaven::model::FailureKind;
use keyhaven::repository::find::{SnapshotQuery, find};
use keyhaven::repository::ledger::Problem;
use keyhaven::repository::{Repository, RepositoryError, S3Settings, Store, StoreError};
use secrecy::SecretString;

use crate::kit::clock::context;
use crate::kit::environment::s3;
use crate::kit::repository::Kit;

fn store(settings: &S3Settings) -> Store {
    Store::s3(settings).unwrap()
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn objects_come_back_whole_and_listed_in_order() {
    let settings = s3("order");
    let store = store(&settings);
    for name in ["packs/b", "packs/a", "packs/sub/c", "packsx", "ledger/000000/x"] {
        store.put(name, Bytes::from(name.to_owned())).await.unwrap();
    }
    assert_eq!(store.get("packs/sub/c", 100).await.unwrap(), "packs/sub/c");
    let listed = store.list("packs").await.unwrap();
    let paths: Vec<_> = listed.iter().map(|object| object.path.as_str()).collect();
    assert_eq!(paths, ["packs/a", "packs/b", "packs/sub/c"], "neither more nor less than the folder");
    assert_eq!(listed[0].size, 7);
    assert_eq!(store.head("packs/a").await.unwrap().unwrap().size, 7);
    assert_eq!(store.head("packs/none").await.unwrap(), None);
    assert!(store.get("packs/none", 100).await.unwrap_err().is_not_found());
    assert!(matches!(store.get("packs/a", 6).await, Err(StoreError::TooLarge { size: 7, limit: 6, .. })));
    let clock = store.clock().expect("every answer has a date");
    let skew = clock.millis_since(chrono::Utc::now().into()).abs();
    assert!(skew < 120_000, "the gateway runs on this host, its clock differs by {skew} ms");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn more_than_one_page_is_listed() {
    let settings = s3("pages");
    let store = store(&settings);
    for chunk in (0..1_005).collect::<Vec<_>>().chunks(50) {
        let puts = chunk.iter().map(|number| {
            let store = store.clone();
            async move { store.put(&format!("packs/{number:05}"), Bytes::from_static(b"x")).await }
        });
        futures_util::future::try_join_all(puts).await.unwrap();
    }
    assert_eq!(store.list("packs").await.unwrap().len(), 1_005);
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_wrong_secret_and_an_unknown_key_are_told_from_a_missing_right() {
    let settings = s3("denied");
    let mut wrong = settings.clone();
    wrong.secret_access_key = SecretString::from("kh-wrong-canary-secret".to_owned());
    let mut unknown = settings.clone();
    unknown.access_key_id = "nobody".to_owned();
    for settings in [wrong, unknown] {
        let error = store(&settings).put("packs/a", Bytes::from_static(b"x")).await.unwrap_err();
        assert!(matches!(error, StoreError::Unauthenticated { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        assert!(matches!(store(&settings).list("packs").await, Err(StoreError::Unauthenticated { .. })));
    }
    let mut other = settings;
    other.access_key_id = "kh-small-access".to_owned();
    other.secret_access_key = SecretString::from("kh-small-secret".to_owned());
    let error = store(&other).put("packs/a", Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_missing_bucket_is_no_repository() {
    let mut settings = s3("bucket");
    settings.bucket = "nothing-here".to_owned();
    let store = store(&settings);
    for error in [
        store.get("ledger/a", 10).await.unwrap_err(),
        store.list("ledger").await.unwrap_err(),
        store.put("ledger/a", Bytes::new()).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NoBucket { .. }), "{error:?}");
        assert_eq!(error.kind(), FailureKind::NoRepository);
    }
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_full_store_says_so() {
    let mut settings = s3("full");
    settings.bucket = "small".to_owned();
    settings.access_key_id = "kh-small-access".to_owned();
    settings.secret_access_key = SecretString::from("kh-small-secret".to_owned());
    let store = store(&settings);
    let mut refused = None;
    for number in 0..20 {
        if let Err(error) = store.put(&format!("packs/{number}"), Bytes::from(vec![0; 400 * 1024])).await {
            refused = Some(error);
            break;
        }
    }
    let error = refused.expect("the user may store 1 MiB");
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn tls_takes_the_given_ca_and_no_other() {
    let mut settings = s3("tls");
    settings.endpoint = std::env::var("KEYHAVEN_TEST_S3_TLS").expect("set together with KEYHAVEN_TEST_S3");
    let error = store(&settings).put("packs/a", Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    settings.ca_pem = Some(std::fs::read(std::env::var("KEYHAVEN_TEST_S3_CA").unwrap()).unwrap());
    store(&settings).put("packs/a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store(&settings).get("packs/a", 10).await.unwrap(), "x");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn nobody_listening_is_unreachable() {
    let mut settings = s3("nobody");
    // Bound and closed again: nobody else has this port just now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    settings.endpoint = format!("http://127.0.0.1:{port}");
    let error = store(&settings).list("ledger").await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_hostile_key_hides_no_other() {
    let settings = s3("hostile");
    let store = store(&settings);
    store.put("ledger/000000000/a", Bytes::from_static(b"x")).await.unwrap();
    let url = format!("{}/keyhaven/{}/ledger//b", settings.endpoint, settings.prefix);
    let empty = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let status = Command::new("curl")
        .args([
            "-fsS",
            "--retry",
            "3",
            "--retry-all-errors",
            "--path-as-is",
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
            "--user",
            "kh-access:kh-secret-of-the-test",
        ])
        .args(["-H", empty, "-H", "Content-Length: 0", "-X", "PUT", &url])
        .status()
        .unwrap();
    assert!(status.success());
    let listed = store.list("ledger").await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.iter().any(|object| object.path == "ledger/000000000/a"));
    assert!(listed.iter().any(|object| object.path.contains('%')), "the foreign one stays visible: {listed:?}");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_repository_lives_in_a_bucket() {
    let settings = s3("repository");
    let kit = Kit::new();
    let repository = kit.init_in(store(&settings)).await;
    let (a, b) = (kit.writer("a", &kit.collector, repository.id()), kit.writer("b", &kit.collector, repository.id()));
    let again = Repository::init(store(&settings), Bytes::new(), &kit.policy()).await;
    assert!(matches!(again, Err(RepositoryError::Exists { .. })), "{again:?}");

    // Two processes at once, and one more on top of whatever came out.
    let other = Repository::open(store(&settings), *repository.id()).await.unwrap();
    let (one, two) = tokio::join!(
        kit.snapshot(&repository, &a, &[("a", "{}")]),
        kit.snapshot(&other, &b, &[("b", r#"{"x":1e400}"#)])
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let third = kit.snapshot(&repository, &a, &[("a", "{}"), ("c", "{}")]).await.unwrap();
    let ledger = other.read_ledger().await.unwrap();
    // Both hosts have one key, and that is told.
    let [Problem::TwoHeads { .. }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    assert_eq!(ledger.snapshots().len(), 3);
    assert!(ledger.is_below(&one.digest, &third.digest) && ledger.is_below(&two.digest, &third.digest));
    let (latest, event) = find(&ledger, &SnapshotQuery::Latest).unwrap();
    assert_eq!(latest.digest, third.digest);
    let items: Vec<_> = other.open_snapshot(event, &kit.catalogue).try_collect().await.unwrap();
    assert_eq!(items.len(), 2);

    let context = context(kit.clock.clone());
    let keys = VerifyKeys { catalogue: None, recovery: Some(Arc::clone(&kit.recovery)) };
    let report = verify(&context, &other, &keys, &VerifyOptions::new(Level::Payload)).await.unwrap();
    assert!(report.ok && report.counts.payloads == 4, "{report:#?}");
    // Overwritten, the writer's own last entry comes back with its next one.
    store(&settings).put(&third.name(), Bytes::from_static(b"{}")).await.unwrap();
    let reopened = Repository::open(store(&settings), *repository.id()).await.unwrap();
    assert!(reopened.read_ledger().await.unwrap().get(&third.digest).is_none());
    let fourth = kit.snapshot(&reopened, &a, &[("d", "{}")]).await.unwrap();
    assert!(fourth.sequence > third.sequence);
    let reopened = Repository::open(store(&settings), *repository.id()).await.unwrap();
    assert_eq!(reopened.read_ledger().await.unwrap().snapshots().len(), 4);
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_bucket_that_fills_up_keeps_the_old_state() {
    let mut settings = s3("fills");
    settings.bucket = "filling".to_owned();
    settings.access_key_id = "kh-filling-access".to_owned();
    settings.secret_access_key = SecretString::from("kh-filling-secret".to_owned());
    let kit = Kit::new();
    let store = store(&settings);
    let repository = kit.init_in(store).await;
    let writer = kit.writer("a", &kit.collector, repository.id());
    let mut recorded = 0;
    let error = loop {
        let secret = format!("s{recorded}");
        match kit.snapshot(&repository, &writer, &[(&secret, "{}")]).await {
            Ok(_) if recorded < 40 => recorded += 1,
            Ok(_) => panic!("40 packs of 64 KiB are over 1 MiB"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, RepositoryError::Store(StoreError::Full { .. })), "{error:?}");
    let ledger = repository.read_ledger().await.unwrap();
    assert_eq!((ledger.snapshots().len(), ledger.problems().len()), (recorded, 0));
}
