//! Leases on a real S3 server: one winner where the server honours create-only writes, and no leases where it does not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keyhaven::model::{Clock, FailureKind, Timestamp};
use keyhaven::repository::lease::{LeaseAnswer, LeaseError, Leases};
use keyhaven::repository::store::Created;
use keyhaven::repository::{S3Settings, Store};
use tokio::task::JoinSet;

use crate::kit::environment::{keep_versions, s3, s3_bucket};

/// A clock that nobody may ask: a bucket has its own.
#[derive(Debug)]
struct Never;

impl Clock for Never {
    fn now(&self) -> Timestamp {
        panic!("a bucket has a clock of its own")
    }
}

fn leases(settings: &S3Settings, owner: &str) -> Leases {
    Leases::new(Store::s3(settings).unwrap(), Arc::new(Never), owner, Duration::from_secs(60))
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_second_create_meets_the_first_and_a_delete_is_final() {
    let settings = s3("create");
    let store = Store::s3(&settings).unwrap();
    assert_eq!(store.put_new("a/b", Bytes::from_static(b"1")).await.unwrap(), Created::New);
    assert_eq!(store.put_new("a/b", Bytes::from_static(b"2")).await.unwrap(), Created::Present);
    assert_eq!(store.get("a/b", 10).await.unwrap(), "1");
    store.delete("a/b").await.unwrap();
    store.delete("a/b").await.unwrap();
    assert!(store.head("a/b").await.unwrap().is_none());
    assert_eq!(store.put_new("a/b", Bytes::from_static(b"3")).await.unwrap(), Created::New);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs an S3 server: tests/run"]
async fn of_sixteen_at_once_one_wins() {
    let settings = s3("race");
    leases(&settings, "first").probe().await.unwrap();
    for round in 0..5 {
        let mut racers = JoinSet::new();
        for number in 0..16 {
            // A client of its own for each, as for processes on different hosts.
            let leases = leases(&settings, &format!("host-{number}"));
            racers.spawn(async move { (leases.take("repository", &format!("job-{round}")).await, number) });
        }
        let mut winners = Vec::new();
        let mut believed = BTreeSet::new();
        for (taken, number) in racers.join_all().await {
            match taken.unwrap() {
                LeaseAnswer::Ours(_) => winners.push(format!("host-{number}")),
                LeaseAnswer::Theirs { owner, .. } => drop(believed.insert(owner)),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(believed.into_iter().collect::<Vec<_>>(), winners, "and everyone else knows who");
    }
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn it_is_renewed_given_back_and_taken_by_the_next() {
    let settings = s3("hand-over");
    let (a, b) = (leases(&settings, "a"), leases(&settings, "b"));
    let LeaseAnswer::Ours(mut lease) = a.take("repository", "backup").await.unwrap() else { panic!("nobody holds it") };
    assert!(a.renew(&mut lease).await.unwrap());
    assert!(matches!(b.take("repository", "backup").await.unwrap(), LeaseAnswer::Theirs { owner, .. } if owner == "a"));
    a.release(&lease, None).await.unwrap();
    let LeaseAnswer::Ours(next) = b.take("repository", "backup").await.unwrap() else { panic!("it was given back") };
    assert!(next.generation() > lease.generation());
    assert!(!a.renew(&mut lease).await.unwrap(), "a lost it");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_bucket_that_keeps_versions_is_refused() {
    let settings = s3_bucket("versioned", &[]);
    keep_versions(&settings);
    let error = leases(&settings, "a").probe().await.unwrap_err();
    assert!(matches!(error, LeaseError::Unfit { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Usage);
    assert!(error.to_string().contains("daemon.lease_url"), "{error}");
}
