//! Commands that write, and signals: however slow the other side is, what was done is reported and remembered.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Output};
use std::time::Duration;

use axum::http::Method;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::{EmbeddedInstance, FaultScript, Server, Verb};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::kit::bucket::{Bucket, Held};
use crate::kit::files::files;
use crate::kit::program::{Run, terminate};
use crate::kit::site::Site;

/// How long the other side takes to answer: longer than a command that has changed nothing is given after a signal.
const SLOW: Duration = Duration::from_secs(6);
const NOTE: &str = "stopping at the next safe point";
const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];

/// A site whose repository lies in a bucket.
struct Host {
    site: Site,
    bucket: Bucket,
    environment: Vec<(&'static str, String)>,
}

impl Host {
    fn new() -> Self {
        let (site, bucket) = (Site::seeded(), Bucket::new());
        bucket.fill(&site.repository());
        let environment = bucket.environment(&site.machine, "id", "secret");
        Self { site, bucket, environment }
    }

    /// Starts a command; gives it back when the entry that it signs is on its way to the bucket.
    fn until_it_signs(&self, arguments: &[&str]) -> (Child, Held) {
        let held = self.bucket.hold_below(Method::PUT, "ledger/");
        let mut command = self.site.machine.command(arguments);
        let mut child = command.envs(self.environment.iter().map(|(name, value)| (name, value))).spawn().unwrap();
        held.arrived(&mut child);
        (child, held)
    }

    /// Whether the host remembers an entry as a head.
    fn remembers(&self, entry: &str) -> bool {
        let state = self.site.machine.path("state");
        let heads: Vec<String> = files(&state).into_iter().filter(|path| path.ends_with("heads.json")).collect();
        let [heads] = heads.as_slice() else { panic!("{heads:?}") };
        let heads: Value = serde_json::from_slice(&std::fs::read(state.join(heads)).unwrap()).unwrap();
        heads["heads"].as_array().unwrap().iter().any(|head| head == entry)
    }
}

/// Sends SIGTERM and answers late.
fn terminate_and_answer(child: Child, held: Held) -> Output {
    terminate(&child);
    std::thread::sleep(SLOW);
    drop(held);
    child.wait_with_output().unwrap()
}

#[test]
fn a_backup_that_is_signing_at_a_signal_reports_and_remembers_its_snapshot() {
    let host = Host::new();
    let (child, held) = host.until_it_signs(&["backup", "--json"]);
    let output = terminate_and_answer(child, held);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "it was done: {output:?}");
    assert!(said.contains(NOTE), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entry = host.bucket.paths("ledger").pop().unwrap();
    assert!(entry.contains(report["snapshot"].as_str().unwrap()), "{entry}: {report:#}");
    assert!(host.remembers(&entry), "a rollback to before it would go unseen");
}

#[test]
fn an_entry_of_another_key_is_reported_and_remembered_as_well() {
    let host = Host::new();
    let key = ["--key", "kit/recovery-signing-key.pem", "--reason", "test", "--json"];
    let (child, held) = host.until_it_signs(&[&["snapshots", "hold", "1"], &key[..]].concat());
    let output = terminate_and_answer(child, held);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entry = host.bucket.paths("ledger").pop().unwrap();
    assert!(entry.contains(report["entry"].as_str().unwrap()), "{entry}: {report:#}");
    assert!(host.remembers(&entry));
}

#[test]
fn a_second_signal_ends_what_is_signing_at_once() {
    let host = Host::new();
    let entries = host.bucket.paths("ledger");
    let (mut child, held) = host.until_it_signs(&["backup", "--json"]);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    terminate(&child);
    let mut line = String::new();
    while !line.contains(NOTE) {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended at the first signal");
    }
    assert_eq!(child.try_wait().unwrap(), None, "it waits for its answer");
    terminate(&child);
    // The answer never comes.
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut result = String::new();
    child.stdout.take().unwrap().read_to_string(&mut result).unwrap();
    assert_eq!((result.as_str(), host.bucket.paths("ledger")), ("", entries));
    drop(held);
}

/// A standby beside a site.
pub(crate) struct Warm {
    pub(crate) site: Site,
    pub(crate) standby: EmbeddedInstance,
    environment: Vec<(&'static str, String)>,
    _server: Server,
}

impl Warm {
    pub(crate) fn new(site: Site) -> Self {
        let (standby, server) = site.standby();
        let environment = vec![
            ("KEYHAVEN_STANDBY_URL", server.base_url()),
            ("KEYHAVEN_STANDBY_IAM_URL", server.iam_url()),
            ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY".to_owned()),
            ("STANDBY_API_KEY", standby.options().api_key.expose_secret().to_owned()),
            ("KEYHAVEN_STANDBY_REQUESTS_PER_SECOND", "1000".to_owned()),
        ];
        Self { site, standby, environment, _server: server }
    }

    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.site.machine.run_with(&self.environment(), &[arguments, &IDENTITY, &["--json"]].concat())
    }

    /// Runs a command and sends SIGTERM when the first write that is as slow as this is at the standby.
    fn stopped_at_slow_writes(&self, when: &str, arguments: &[&str]) -> Output {
        let when = format!("class = \"writing\", {when}");
        let script = format!("[[rule]]\nwhen = {{ {when} }}\nact = \"latency\"\nseconds = {}\n", SLOW.as_secs());
        self.standby.play(&FaultScript::parse(&script, "script").unwrap());
        let mut command = self.site.machine.command(&[arguments, &IDENTITY, &["--json"]].concat());
        let mut child = command.envs(self.environment()).spawn().unwrap();
        while self.standby.played() == [0] {
            assert_eq!(child.try_wait().unwrap(), None, "it ended and wrote nothing of the sort");
            std::thread::yield_now();
        }
        terminate(&child);
        let output = child.wait_with_output().unwrap();
        self.standby.clear_faults();
        output
    }

    pub(crate) fn secrets(&self) -> Vec<JsonObject> {
        let reply = self.standby.call(Verb::Get, "/api/v2/secrets?limit=1000", "");
        let rows = JsonObject::parse(&reply.body).unwrap().array("secrets").unwrap();
        rows.iter().map(|row| JsonObject::parse(row.get()).unwrap()).collect()
    }
}

#[test]
fn an_apply_that_is_writing_at_a_signal_says_what_it_did_and_which_ids_there_are() {
    let warm = Warm::new(Site::seeded());
    let confirm = warm.standby.options().instance_id.clone();
    let made = warm.run(&["restore", "plan", "--out", "plan.json"]).json(15);
    let apply = ["restore", "apply", "plan.json", "--confirm", &confirm];
    let output = warm.stopped_at_slow_writes("from = 4", &apply);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(report["stopped"]["kind"], "interrupted", "{report:#}");
    assert!(count("done") > 3 && count("left") > 0, "{report:#}");
    assert_eq!(count("done") + count("already") + count("left"), made["totals"]["steps"].as_u64().unwrap());
    assert_eq!(report["id_map_files"].as_array().unwrap().len(), 3, "{report:#}");
    let map = warm.site.machine.read("plan.id-map.json");
    let there = warm.secrets();
    assert!(!there.is_empty() && there.iter().all(|row| map.contains(&row.str("id").unwrap())), "{map}");
    let done = warm.run(&apply).json(0);
    assert_eq!((&done["left"], &done["stopped"]), (&0.into(), &Value::Null), "the same plan goes on: {done:#}");
}

#[test]
fn a_sync_that_is_deleting_at_a_signal_says_what_it_deleted() {
    let site = Site::new(|source| {
        for number in 0..10 {
            let body = format!(r#"{{"secret_type":"arbitrary","name":"secret-{number}","payload":"first"}}"#);
            assert_eq!(source.call(Verb::Post, "/api/v2/secrets", &body).status, 201);
        }
    });
    let warm = Warm::new(site);
    let confirm = warm.standby.options().instance_id.clone();
    let sync = ["sync", "--snapshot", "latest", "--apply", "--delete", "--max-change", "1", "--confirm", &confirm];
    warm.run(&sync).json(0);
    let reply = warm.site.source.call(Verb::Get, "/api/v2/secrets?limit=1000", "");
    for row in JsonObject::parse(&reply.body).unwrap().array("secrets").unwrap().iter().take(2) {
        let path = format!("/api/v2/secrets/{}", JsonObject::parse(row.get()).unwrap().str("id").unwrap());
        assert_eq!(warm.site.source.call(Verb::Delete, &path, "").status, 204);
    }
    warm.site.run(&["backup", "--json"]).json(0);
    let output = warm.stopped_at_slow_writes("nth = 1", &sync);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["deleted"], &report["aborted"]["kind"]), (&1.into(), &"interrupted".into()), "{report:#}");
    assert_eq!(warm.secrets().len(), 9);
    assert_eq!(warm.run(&sync).json(0)["deleted"], 1, "the next one goes on");
}
