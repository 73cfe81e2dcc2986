use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use super::super::store::{Backend, Cause, Retention};
use super::*;

const TERM: Duration = Duration::from_secs(60);

/// Fault of the next create.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Stored, but answered as if the object existed: a retry met the first attempt.
    MeetsItself,
    /// Stored, but the answer is lost.
    AnswerLost,
    /// Not stored, and the answer is lost.
    RequestLost,
    /// Every create overwrites and succeeds, as in a versioned bucket.
    Overwrites,
    /// Deletes fail.
    KeepsAll,
}

/// A store in memory with its own clock.
#[derive(Debug)]
struct Place {
    objects: Mutex<BTreeMap<String, (Bytes, Timestamp)>>,
    clock: AtomicI64,
    fault: Mutex<Fault>,
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            objects: Mutex::default(),
            clock: AtomicI64::new(1_795_000_000_000),
            fault: Mutex::new(Fault::None),
        })
    }

    fn leases(self: &Arc<Self>, owner: &str) -> Leases {
        #[derive(Debug)]
        struct Never;
        impl Clock for Never {
            fn now(&self) -> Timestamp {
                panic!("the store has a clock of its own")
            }
        }
        Leases::new(Store::with_backend(Arc::clone(self) as Arc<dyn Backend>), Arc::new(Never), owner, TERM)
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    fn fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn plant(&self, path: &str, text: &str) {
        let now = self.clock().unwrap();
        self.objects.lock().unwrap().insert(path.to_owned(), (Bytes::from(text.to_owned()), now));
    }

    fn lost(&self) -> StoreError {
        StoreError::Unreachable { what: "create".to_owned(), place: self.place(), source: Cause::new("planned") }
    }
}

#[async_trait]
impl Backend for Place {
    async fn get(&self, path: &str, _limit: usize) -> Result<Bytes, StoreError> {
        let found = self.objects.lock().unwrap().get(path).map(|(bytes, _)| bytes.clone());
        found.ok_or_else(|| StoreError::NotFound { path: path.to_owned(), place: self.place() })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let now = self.clock().unwrap();
        self.objects.lock().unwrap().insert(path.to_owned(), (bytes, now));
        Ok(())
    }

    async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let fault = *self.fault.lock().unwrap();
        if !matches!(fault, Fault::Overwrites | Fault::KeepsAll) {
            self.fault(Fault::None);
        }
        if fault == Fault::RequestLost {
            return Err(self.lost());
        }
        if fault != Fault::Overwrites && self.objects.lock().unwrap().contains_key(path) {
            return Ok(Created::Present);
        }
        self.put(path, bytes).await?;
        match fault {
            Fault::MeetsItself => Ok(Created::Present),
            Fault::AnswerLost => Err(self.lost()),
            _ => Ok(Created::New),
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        if *self.fault.lock().unwrap() == Fault::KeepsAll {
            return Err(self.lost());
        }
        self.objects.lock().unwrap().remove(path);
        Ok(())
    }

    async fn list(&self, folder: &str, _after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        let objects = self.objects.lock().unwrap();
        let below = objects.iter().filter(|(path, _)| path.starts_with(&format!("{folder}/")));
        let info = |(path, (bytes, modified)): (&String, &(Bytes, Timestamp))| ObjectInfo {
            path: path.clone(),
            size: bytes.len() as u64,
            modified: *modified,
        };
        Ok(below.map(info).collect())
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        let listed = self.list(path.rsplit_once('/').unwrap().0, None).await?;
        Ok(listed.into_iter().find(|object| object.path == path).map(Retention::none))
    }

    fn clock(&self) -> Option<Timestamp> {
        Some(Timestamp::from_millis(self.clock.load(Ordering::SeqCst)))
    }
}

async fn ours(leases: &Leases) -> Lease {
    match leases.take("repo", "backup").await.unwrap() {
        LeaseAnswer::Ours(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn is_theirs(leases: &Leases, of: &str) {
    let taken = leases.take("repo", "backup").await.unwrap();
    assert!(matches!(&taken, LeaseAnswer::Theirs { owner, .. } if owner == of), "{taken:?}");
}

#[tokio::test]
async fn one_holds_it_until_it_is_given_back() {
    let place = Place::new();
    let (a, b) = (place.leases("a"), place.leases("b"));
    let lease = ours(&a).await;
    assert_eq!(place.names(), ["repo/backup/00000000000000000001.json"]);
    is_theirs(&b, "a").await;
    is_theirs(&a, "a").await;
    a.release(&lease, None).await.unwrap();
    let lease = ours(&b).await;
    assert_eq!(lease.generation(), 3);
    is_theirs(&a, "b").await;
    assert!(matches!(a.take("repo", "sync").await.unwrap(), LeaseAnswer::Ours(_)), "another job, another lease");
    assert!(
        matches!(a.take("other", "backup").await.unwrap(), LeaseAnswer::Ours(_)),
        "another repository, another lease"
    );
}

#[tokio::test]
async fn the_next_one_learns_what_was_done() {
    let place = Place::new();
    let (a, b) = (place.leases("a"), place.leases("b"));
    let slot: Timestamp = "2026-11-18T02:00:00Z".parse().unwrap();
    let mut lease = ours(&a).await;
    assert_eq!(lease.done(), None);
    assert!(a.renew(&mut lease).await.unwrap());
    a.release(&lease, Some(slot)).await.unwrap();
    let lease = ours(&b).await;
    assert_eq!(lease.done(), Some(slot));
    // A failed or older run does not reset it.
    b.release(&lease, Some(slot.plus_millis(-1))).await.unwrap();
    let lease = ours(&a).await;
    a.release(&lease, None).await.unwrap();
    assert_eq!(ours(&b).await.done(), Some(slot));
}

#[tokio::test]
async fn who_vanishes_is_followed_after_the_term_and_not_before() {
    let place = Place::new();
    let (a, b) = (place.leases("a"), place.leases("b"));
    let mut lost = ours(&a).await;
    place.pass(60);
    is_theirs(&b, "a").await;
    place.pass(4);
    is_theirs(&b, "a").await;
    place.pass(1);
    ours(&b).await;
    assert!(!a.renew(&mut lost).await.unwrap(), "it is b's now");
    a.release(&lost, None).await.unwrap();
    is_theirs(&a, "b").await;
}

#[tokio::test]
async fn renewing_holds_it_for_as_long_as_it_goes_on() {
    let place = Place::new();
    let (a, b) = (place.leases("a"), place.leases("b"));
    let mut lease = ours(&a).await;
    for _ in 0..100 {
        place.pass(20);
        assert!(a.renew(&mut lease).await.unwrap());
        is_theirs(&b, "a").await;
    }
    assert_eq!(lease.generation(), 101);
    assert!(place.names().len() <= 17, "old generations go: {}", place.names().len());
    // Also after it slept past the end, as long as no other client took it.
    place.pass(1_000);
    assert!(a.renew(&mut lease).await.unwrap());
    is_theirs(&b, "a").await;
}

#[tokio::test]
async fn a_write_that_met_itself_or_lost_its_answer_is_ours() {
    for fault in [Fault::MeetsItself, Fault::AnswerLost] {
        let place = Place::new();
        place.fault(fault);
        let lease = ours(&place.leases("a")).await;
        assert_eq!((lease.generation(), place.names().len()), (1, 1), "{fault:?}");
        is_theirs(&place.leases("b"), "a").await;
    }
}

#[tokio::test]
async fn a_write_that_never_arrived_is_an_error_and_leaves_it_free() {
    let place = Place::new();
    place.fault(Fault::RequestLost);
    assert!(place.leases("a").take("repo", "backup").await.is_err());
    ours(&place.leases("b")).await;
}

#[tokio::test]
async fn a_number_that_is_free_again_is_not_taken_for_the_lease() {
    let place = Place::new();
    let (a, b) = (place.leases("a"), place.leases("b"));
    let late = ours(&a).await;
    a.release(&late, None).await.unwrap();
    let mut lease = ours(&b).await;
    for _ in 0..30 {
        assert!(b.renew(&mut lease).await.unwrap());
    }
    assert!(!place.names().contains(&path("repo/backup", 2)), "cleaned up");
    // `a` continues from its outdated generation.
    let mut late = late;
    assert!(!a.renew(&mut late).await.unwrap());
    is_theirs(&a, "b").await;
}

#[tokio::test]
async fn what_others_put_there_stops_nobody_for_long() {
    let place = Place::new();
    let a = place.leases("a");
    place.plant("repo/backup/hello", "x");
    place.plant("repo/backup/1.json", "x");
    place.plant("repo/backup/99999999999999999999.json", "no number that fits");
    assert_eq!(ours(&a).await.generation(), 1);

    place.plant(&path("repo/backup", 7), "rubbish");
    is_theirs(&a, "an unreadable lease").await;
    place.pass(65);
    let lease = ours(&a).await;
    assert_eq!(lease.generation(), 8);

    let forever = r#"{"owner":"x","nonce":"n","taken":"2026-01-01T00:00:00.000Z","expires":"2999-01-01T00:00:00.000Z","released":false}"#;
    place.plant(&path("repo/backup", 9), forever);
    is_theirs(&a, "x").await;
    place.pass(3_605);
    assert_eq!(ours(&a).await.generation(), 10);

    place.plant(&path("repo/backup", u64::MAX), "rubbish");
    place.pass(65);
    assert!(matches!(a.take("repo", "backup").await, Err(LeaseError::Spoiled { .. })));
}

#[tokio::test]
async fn a_place_that_overwrites_or_keeps_everything_is_found_out() {
    let place = Place::new();
    place.leases("a").probe().await.unwrap();
    assert!(place.names().is_empty(), "the probe leaves nothing");
    for fault in [Fault::Overwrites, Fault::KeepsAll] {
        place.fault(fault);
        let error = place.leases("a").probe().await.unwrap_err();
        assert!(matches!(error, LeaseError::Unfit { .. }), "{fault:?}: {error}");
        assert_eq!(error.kind(), FailureKind::Usage);
    }
}

#[tokio::test]
async fn a_folder_is_as_good() {
    #[derive(Debug)]
    struct At(AtomicI64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(At(AtomicI64::new(1_795_000_000_000)));
    let leases = |owner| Leases::new(Store::local(folder.path()), Arc::clone(&clock) as Arc<dyn Clock>, owner, TERM);
    let (a, b) = (leases("a"), leases("b"));
    a.probe().await.unwrap();
    let first = ours(&a).await;
    is_theirs(&b, "a").await;
    clock.0.fetch_add(65_000, Ordering::SeqCst);
    let lease = ours(&b).await;
    assert_eq!((first.generation(), lease.generation()), (1, 2));
    b.release(&lease, None).await.unwrap();
    ours(&a).await;
}

#[tokio::test]
async fn of_many_at_once_one_wins() {
    let place = Place::new();
    for round in 0..20 {
        let everyone: Vec<Leases> = (0..16).map(|number| place.leases(&format!("{round}-{number}"))).collect();
        let taken = join_all(everyone.iter().map(|leases| leases.take("repo", "backup"))).await;
        let won: Vec<_> = taken.iter().filter(|taken| matches!(taken, Ok(LeaseAnswer::Ours(_)))).collect();
        assert_eq!(won.len(), 1, "{taken:?}");
        place.pass(66);
    }
}

#[test]
fn a_job_of_any_name_is_one_segment() {
    assert_eq!(spelled("nightly-backup_1"), "nightly-backup_1");
    assert_eq!(spelled("../a b/é"), "=2e=2e=2fa=20b=2f=c3=a9");
}
