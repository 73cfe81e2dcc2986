//! Sweeps of the program that are told to stop, or killed, in the middle; and one where there is nothing to do.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::time::Duration;

use axum::http::Method;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::event::ForgetEvent;
use keyhaven::format::{EntryEvent, names};
use keyhaven::model::Timestamp;
use keyhaven::provider::embedded::{Options, seed};
use serde_json::Value;

use crate::kit::bucket::{Bucket, Held};
use crate::kit::program::{Run, terminate};
use crate::kit::site::Site;

const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Of a run that died: enough that a sweep which does not stop is told from one that does.
const ORPHANS: usize = 200;

/// A site whose repository lies in a bucket: one snapshot is live, one was forgotten long ago, and a dead run left much.
struct Yard {
    site: Site,
    bucket: Bucket,
    environment: Vec<(&'static str, String)>,
}

impl Yard {
    fn new() -> Self {
        let site = Site::seeded();
        site.let_in("reaper", &["reaper"]);
        // It shares nothing with the first one, which can go whole.
        site.run(&["backup", "--full", "--json"]).json(0);
        // Long ago by every clock, also by that of the entry: a sweep before the grace fails a check.
        let oldest = site.ledger().1.snapshots()[0].digest;
        let event = EntryEvent::Forget(ForgetEvent { snapshots: vec![oldest], rule: "test".to_owned() });
        let then = Timestamp::from(chrono::Utc::now()).plus_millis(-4 * 24 * 3_600_000);
        site.forge_at(then, &site.key("reaper/signing-key.pem"), &site.place(), event);
        let bucket = Bucket::new();
        bucket.fill(&site.repository());
        for number in 0..ORPHANS {
            bucket.put(&names::pack(&sha256(&number.to_be_bytes())), "of a run that died");
        }
        bucket.age(THREE_DAYS);
        let mut environment = bucket.environment(&site.machine, "id", "secret");
        environment.push(("KEYHAVEN_KEYS_SIGNING_KEY", "file:reaper/signing-key.pem".to_owned()));
        Self { site, bucket, environment }
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.site.machine.run_with(&self.environment(), arguments)
    }

    /// Starts a sweep that deletes; the child, once a request of this method waits behind so many that passed.
    fn sweep_until(&self, method: Method, pass: usize) -> (Child, Held) {
        self.run_until(&["sweep", "--apply", "--json"], method, pass)
    }

    fn run_until(&self, arguments: &[&str], method: Method, pass: usize) -> (Child, Held) {
        let held = self.bucket.hold(method, pass);
        let mut command = self.site.machine.command(arguments);
        let mut child = command.envs(self.environment()).spawn().unwrap();
        held.arrived(&mut child);
        (child, held)
    }

    fn objects(&self) -> usize {
        ["packs", "lists", "catalogues"].iter().map(|folder| self.bucket.paths(folder).len()).sum()
    }

    /// The next sweep takes all the rest, and what is live is whole, down to the payloads.
    fn is_finished_by_the_next(&self, going: usize) {
        let before = self.objects();
        let next = self.run(&["sweep", "--apply", "--json"]).json(0);
        assert_eq!(usize::try_from(next["deleted"]["objects"].as_u64().unwrap()).unwrap(), going, "{next:#}");
        assert_eq!(self.objects(), before - going);
        let verified = ["verify", "--level", "payload", "--identity", "kit/recovery-identity.txt", "--json"];
        let verified = self.run(&verified).json(0);
        assert_eq!(verified["ok"], true, "{verified:#}");
        let last = self.run(&["sweep", "--apply"]);
        assert!(last.code == 0 && last.out.contains("Nothing to delete."), "{last:#?}");
    }

    fn would_go(&self) -> usize {
        let would = self.run(&["sweep", "--json"]).json(0);
        usize::try_from(would["going"]["objects"].as_u64().unwrap()).unwrap()
    }
}

#[test]
fn sigterm_while_it_deletes_ends_it_behind_what_is_under_way() {
    let yard = Yard::new();
    let (entries, objects, going) = (yard.bucket.paths("ledger").len(), yard.objects(), yard.would_go());
    assert!(going > ORPHANS, "{going}: the snapshot that was forgotten, too");
    let (child, held) = yard.sweep_until(Method::DELETE, 3);
    terminate(&child);
    drop(held);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let deleted = objects - yard.objects();
    assert!((3..going).contains(&deleted), "{deleted} of {going} were deleted");
    let count = |name: &str| usize::try_from(report[name].as_u64().unwrap()).unwrap();
    assert_eq!(
        usize::try_from(report["deleted"]["objects"].as_u64().unwrap()).unwrap(),
        deleted,
        "all are counted: {report:#}"
    );
    assert_eq!((count("left") + deleted, &report["interrupted"]), (going, &true.into()), "{report:#}");
    assert_eq!(yard.bucket.paths("ledger").len(), entries + 1, "its entry stands");
    yard.is_finished_by_the_next(going - deleted);
}

#[test]
fn sigterm_while_it_deletes_is_said_with_what_is_left() {
    let yard = Yard::new();
    let (objects, going) = (yard.objects(), yard.would_go());
    let (child, held) = yard.run_until(&["sweep", "--apply"], Method::DELETE, 3);
    terminate(&child);
    drop(held);
    let output = child.wait_with_output().unwrap();
    let (said, left) = (String::from_utf8(output.stdout).unwrap(), going + yard.objects() - objects);
    assert!(output.status.code() == Some(130) && said.starts_with("Interrupted after "), "{said}");
    assert!(said.contains(&format!("{left} objects were not tried; run it again")), "{left}: {said}");
}

#[test]
fn sigterm_while_it_looks_ends_it_at_once_and_nothing_was_changed() {
    let yard = Yard::new();
    let (entries, objects, going) = (yard.bucket.paths("ledger"), yard.objects(), yard.would_go());
    // The answer never comes: it does not wait for that.
    let (child, held) = yard.sweep_until(Method::HEAD, 5);
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    drop(held);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && said.contains("nothing was deleted"), "{output:?}");
    assert_eq!((yard.bucket.paths("ledger"), yard.objects()), (entries, objects));
    yard.is_finished_by_the_next(going);
}

#[test]
fn what_is_killed_before_or_among_its_deletes_is_finished_by_the_next() {
    for pass in [0, 20] {
        let yard = Yard::new();
        let (entries, objects, going) = (yard.bucket.paths("ledger").len(), yard.objects(), yard.would_go());
        let (mut child, held) = yard.sweep_until(Method::DELETE, pass);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(held);
        assert_eq!(yard.bucket.paths("ledger").len(), entries + 1, "it had signed");
        // Of those that were under way some may still come to pass.
        let left = yard.would_go();
        assert!((going - pass - 8..=going - pass).contains(&left), "{left} of {going} are left behind {pass}");
        let listed = yard.run(&["snapshots", "--all", "--json"]).json(0);
        let states: Vec<&str> =
            listed["snapshots"].as_array().unwrap().iter().map(|line| line["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["live", "swept"], "the ledger is readable and says what is gone");
        assert_eq!(objects - yard.objects(), going - left);
        yard.is_finished_by_the_next(left);
    }
}

#[test]
fn right_after_init_there_is_nothing_to_sweep_or_forget() {
    let site = Site::initialised(Options::default(), |source| seed(source, 11, 1).unwrap());
    for arguments in [&["sweep"][..], &["sweep", "--apply"]] {
        let said = site.run(arguments);
        assert!(said.code == 0 && said.out.contains("Nothing to delete."), "{said:#?}");
        assert!(said.out.contains("0 snapshots"), "{said:#?}");
    }
    let report = site.run(&["sweep", "--apply", "--json"]).json(0);
    assert_eq!((&report["entry"], &report["stopped"]), (&Value::Null, &serde_json::json!([])), "{report:#}");
    let forget = site.run(&["forget", "--keep-last", "3", "--apply"]);
    assert!(forget.code == 0 && forget.out.contains("no snapshot yet"), "{forget:#?}");
    assert_eq!(site.stored("ledger").len(), 0, "neither wrote an entry");
}
