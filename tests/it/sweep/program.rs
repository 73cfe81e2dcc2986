//! Sweeps as people run them: the program on a folder, and on real buckets without versions, with versions, and under
//! Object Lock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyhaven::crypto::digest::sha256;
use keyhaven::format::{Entry, names};
use keyhaven::job::forget::forget_snapshots;
use keyhaven::job::sweep::{SweepOptions, SweepReport, sweep};
use keyhaven::model::{Digest, Timestamp};
use keyhaven::repository::{Repository, S3Settings, StateDirectory, Store};

use crate::kit::clock::{SystemClock, context};
use crate::kit::environment::{keep_versions, s3, s3_bucket, s3_request};
use crate::kit::files::age;
use crate::kit::program::Machine;
use crate::kit::repository::{Kit, TOOL};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A repository of a kit with such times.
async fn repository(kit: &Kit, store: Store, longest_run_seconds: u64, grace_seconds: u64) -> Repository {
    let mut policy = kit.policy();
    policy.settings.longest_run_seconds = longest_run_seconds;
    policy.settings.grace_seconds = grace_seconds;
    kit.init_with(store, &policy).await
}

/// Two snapshots, the first of which is forgotten.
async fn two_snapshots(kit: &Kit, repository: &Repository) -> (Entry, Entry) {
    let collector = kit.writer("collector", &kit.collector, repository.id());
    let old = kit.snapshot(repository, &collector, &[("a", "{}"), ("b", "{}")]).await.unwrap();
    let new = kit.snapshot(repository, &collector, &[("a", "{}")]).await.unwrap();
    let writer = kit.writer("reaper", &kit.reaper, repository.id());
    forget_snapshots(repository, &writer, TOOL, &[old.digest], "by hand").await.unwrap();
    (old, new)
}

/// Everything that lies in a folder is as old as this.
struct Host {
    machine: Machine,
    kit: Kit,
    repository: Repository,
    old: Entry,
    new: Entry,
}

/// A host with the reaper's key and a repository in a folder.
async fn host() -> Host {
    // Everything was signed long ago; when the store got it, [`age`] says.
    let long_ago = Timestamp::from(chrono::Utc::now()).plus_millis(-4 * 24 * 3_600_000);
    let (machine, kit) = (Machine::new(), Kit::beginning(long_ago));
    let folder = machine.path("repo");
    let repository = repository(&kit, Store::local(&folder), 21_600, 172_800).await;
    let (old, new) = two_snapshots(&kit, &repository).await;
    machine.write("reaper.pem", &kit.reaper.to_pem().unwrap());
    let config = format!(
        "state_dir = \"state\"\n[repository]\nurl = \"repo\"\nid = \"{}\"\n[keys]\nsigning_key = \"file:reaper.pem\"\n",
        repository.id()
    );
    machine.write("keyhaven.toml", &config);
    Host { machine, kit, repository, old, new }
}

async fn is_there(repository: &Repository, entry: &Entry) -> Vec<bool> {
    let mut found = Vec::new();
    let event = entry.snapshot().unwrap();
    for path in event.parts.iter().map(|part| names::catalogue(&part.digest)).chain([names::list(&event.list)]) {
        found.push(repository.store().head(&path).await.unwrap().is_some());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_says_what_goes_and_deletes_only_when_told() {
    let host = host().await;
    let (machine, repository) = (&host.machine, &host.repository);
    // Forgotten a moment ago: everything stays, and it says until when.
    let young = machine.run(&["sweep", "--apply", "--json"]).json(0);
    assert_eq!((&young["going"]["objects"], &young["entry"]), (&0.into(), &serde_json::Value::Null), "{young:#}");
    assert_eq!((young["waiting"].as_array().unwrap().len(), young["live"].as_u64()), (1, Some(1)));
    assert!(young["next"].is_string(), "{young:#}");
    let said = machine.run(&["sweep"]);
    assert!(said.code == 0 && said.out.contains("Nothing to delete.") && said.out.contains("goes after"), "{said:#?}");

    age(&machine.path("repo"), 3 * DAY);
    let dry = machine.run(&["sweep"]);
    assert!(dry.code == 0 && dry.out.contains("Would delete") && dry.out.contains("--apply"), "{dry:#?}");
    assert_eq!(is_there(repository, &host.old).await, [true; 3], "a dry run deletes nothing");
    let done = machine.run(&["sweep", "--apply", "--json"]).json(0);
    assert_eq!(done["deleted"]["objects"], 4, "two parts, a list, a pack: {done:#}");
    assert_eq!(done["snapshots"][0]["sequence"], host.old.sequence);
    assert_eq!(is_there(repository, &host.old).await, [false; 3]);
    assert_eq!(is_there(repository, &host.new).await, [true; 2]);
    let verified = machine.run(&["verify", "--level", "objects", "--json"]).json(0);
    assert_eq!(verified["ok"], true, "{verified:#}");
    let again = machine.run(&["sweep", "--apply"]);
    assert!(again.code == 0 && again.out.contains("Nothing to delete."), "{again:#?}");
    drop(host.kit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_stops_with_the_code_of_the_reason() {
    let host = host().await;
    let machine = &host.machine;
    age(&machine.path("repo"), 3 * DAY);
    let unknown = sha256(b"a head").to_string();
    let run = machine.run(&["sweep", "--apply", "--pin-head", &unknown]);
    assert!(run.code == 13 && run.out.contains("Nothing was deleted.") && run.out.contains(&unknown), "{run:#?}");
    let run = machine.run(&["sweep", "--apply", "--json", "--pin-head", &unknown]).json(13);
    assert_eq!(run["stopped"][0]["reason"], "head_missing", "{run:#}");

    let list = machine.path("repo").join(names::list(&host.new.snapshot().unwrap().list));
    let whole = std::fs::read(&list).unwrap();
    std::fs::write(&list, b"rubbish").unwrap();
    let run = machine.run(&["sweep", "--apply", "--json"]).json(13);
    assert_eq!(run["stopped"][0]["reason"], "list_unreadable", "{run:#}");
    std::fs::write(&list, whole).unwrap();

    let pack = machine.path("repo/packs");
    let pack = std::fs::read_dir(pack).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::File::options().append(true).open(&pack).unwrap();
    file.set_modified(SystemTime::now() + DAY).unwrap();
    let run = machine.run(&["sweep", "--apply", "--json"]).json(1);
    assert_eq!(run["stopped"][0]["reason"], "from_the_future", "{run:#}");
    file.set_modified(SystemTime::now() - 3 * DAY).unwrap();
    assert_eq!(is_there(&host.repository, &host.old).await, [true; 3]);

    // A key without the right to sweep: nothing is deleted before the entry stands.
    machine.write("reaper.pem", &host.kit.collector.to_pem().unwrap());
    machine.run(&["sweep", "--apply"]).fails(12, &["the role `reaper`"]);
    assert_eq!(is_there(&host.repository, &host.old).await, [true; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_already_stops_nothing() {
    let host = host().await;
    let machine = &host.machine;
    age(&machine.path("repo"), 3 * DAY);
    let list = machine.path("repo").join(names::list(&host.old.snapshot().unwrap().list));
    std::fs::remove_file(&list).unwrap();
    let run = machine.run(&["sweep", "--apply", "--json"]).json(0);
    assert_eq!(run["deleted"]["objects"], 3, "{run:#}");
}

// ---- real buckets ----------------------------------------------------------------------------------------------------

/// A kit with a repository in a bucket, with a grace of three seconds, and a memory of its own.
struct Bucket {
    kit: Kit,
    repository: Repository,
    old: Entry,
    new: Entry,
}

impl Bucket {
    async fn new(settings: &S3Settings) -> Self {
        let kit = Kit::new();
        let repository = repository(&kit, Store::s3(settings).unwrap(), 1, 3).await;
        let (old, new) = two_snapshots(&kit, &repository).await;
        Self { kit, repository, old, new }
    }

    async fn sweep(&self, apply: bool) -> SweepReport {
        let context = context(Arc::new(SystemClock));
        let writer = self.kit.writer("reaper", &self.kit.reaper, self.repository.id());
        let state: &StateDirectory = &writer.state;
        let (pinned_heads, tool) = (Vec::new(), TOOL.to_owned());
        let writer = apply.then_some(&writer);
        let options = SweepOptions { state, pinned_heads, policy_chosen: false, writer, tool };
        sweep(&context, &self.repository, &options).await.unwrap()
    }

    /// Sweeps until something was deleted: the gateway's clock goes by itself. (And not quite steadily: its `Date` has
    /// whole seconds, so what is due for one look may be due for the next only a second later.)
    async fn sweep_until_due(&self) -> SweepReport {
        let mut last = None;
        for _ in 0..600 {
            let report = self.sweep(true).await;
            assert!(report.stopped.is_empty(), "{report:#?}");
            if report.deleted.objects > 0 {
                return report;
            }
            last = Some(report);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never due: {last:#?}")
    }

    fn list(&self) -> Digest {
        self.old.snapshot().unwrap().list
    }
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_bucket_without_versions_is_swept() {
    let settings = s3("sweep-plain");
    let bucket = Bucket::new(&settings).await;
    assert_eq!(bucket.sweep(false).await.entry, None);
    let report = bucket.sweep_until_due().await;
    assert_eq!((report.deleted.objects, report.failure(), report.versioned), (4, None, false), "{report:#?}");
    assert_eq!(is_there(&bucket.repository, &bucket.old).await, [false; 3]);
    assert_eq!(is_there(&bucket.repository, &bucket.new).await, [true; 2]);
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_versioned_bucket_is_swept_and_the_report_says_what_that_means() {
    let settings = s3_bucket("sweep-versioned", &[]);
    keep_versions(&settings);
    let bucket = Bucket::new(&settings).await;
    let report = bucket.sweep_until_due().await;
    assert_eq!((report.deleted.objects, report.failure(), report.versioned), (4, None, true), "{report:#?}");
    assert_eq!(is_there(&bucket.repository, &bucket.old).await, [false; 3], "behind delete markers");
    assert_eq!(is_there(&bucket.repository, &bucket.new).await, [true; 2]);
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn what_object_lock_keeps_is_said_with_its_date_and_swept_when_it_is_over() {
    let settings = s3_bucket("sweep-locked", &["x-amz-bucket-object-lock-enabled: true"]);
    let bucket = Bucket::new(&settings).await;
    let until = Timestamp::from_millis((chrono::Utc::now().timestamp() + 12) * 1_000);
    let retention = format!(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>COMPLIANCE</Mode>\
         <RetainUntilDate>{until}</RetainUntilDate></Retention>"
    );
    let path = names::list(&bucket.list());
    s3_request(&settings, "PUT", &format!("{}/{path}?retention=", settings.prefix), &retention, &[]);
    let held = bucket.repository.store().retention(&path).await.unwrap().unwrap();
    assert_eq!((held.until, held.held, held.versioned), (Some(until), false, true));

    let report = bucket.sweep_until_due().await;
    assert_eq!((report.failure(), report.deleted.objects), (None, 3), "{report:#?}");
    assert_eq!((report.locked.amount.objects, report.locked.first), (1, Some(until)), "{report:#?}");
    assert!(bucket.repository.store().head(&path).await.unwrap().is_some(), "not even hidden");
    let report = bucket.sweep_until_due().await;
    assert_eq!((report.failure(), report.deleted.objects, report.locked.amount.objects), (None, 1, 0), "{report:#?}");
    assert!(bucket.repository.store().head(&path).await.unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/run"]
async fn a_listing_from_a_name_and_a_delete_on_a_real_bucket() {
    let settings = s3("sweep-store");
    let store = Store::s3(&settings).unwrap();
    for name in ["packs/a", "packs/b", "packs/c", "lists/d"] {
        store.put(name, bytes::Bytes::from_static(b"x")).await.unwrap();
    }
    let listed = store.list_from("packs", "packs/a").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.path.as_str()).collect::<Vec<_>>(), ["packs/b", "packs/c"]);
    store.delete("packs/b").await.unwrap();
    store.delete("packs/b").await.unwrap();
    assert_eq!(store.retention("packs/b").await.unwrap(), None);
    let kept = store.retention("packs/a").await.unwrap().unwrap();
    assert_eq!((kept.until, kept.held, kept.object.size), (None, false, 1));
    assert!(!store.shares_clock());
}
