//! What the attacks on a whole site share: the bucket at an earlier moment, and hosts that know less or more of it.

use std::cell::Cell;
use std::time::Duration;

use keyhaven::format::EntryEvent;
use keyhaven::format::event::ForgetEvent;
use keyhaven::model::Timestamp;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::embedded::Verb;
use serde_json::Value;

use super::files::{Files, age, contents, save};
use super::program::{Machine, Run};
use super::site::Site;

pub(crate) const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];
pub(crate) const REAPER: [(&str, &str); 1] = [("KEYHAVEN_KEYS_SIGNING_KEY", "file:reaper/signing-key.pem")];
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Every object of a repository in a directory.
pub(crate) fn bucket(machine: &Machine) -> Files {
    contents(&machine.path("repo"))
}

/// Somebody with PUT and DELETE puts all of it back to an earlier moment.
pub(crate) fn put_back(machine: &Machine, earlier: &Files) {
    let root = machine.path("repo");
    std::fs::remove_dir_all(&root).unwrap();
    save(&root, earlier);
}

/// Everything in the bucket is older than the grace.
pub(crate) fn grow_old(machine: &Machine) {
    age(&machine.path("repo"), 3 * DAY);
}

/// What went since then.
pub(crate) fn gone_since(machine: &Machine, before: &Files) -> Vec<String> {
    let now = bucket(machine);
    before.keys().filter(|path| !now.contains_key(*path)).cloned().collect()
}

/// A site with two snapshots and a reaper. The first snapshot was forgotten four days ago, and a sweep would take it.
pub(crate) fn with_something_to_sweep() -> Site {
    let site = Site::seeded();
    rotate(&site, "between");
    site.run(&["backup", "--json"]).json(0);
    site.let_in("reaper", &["reaper"]);
    let first = site.ledger().1.snapshots()[0].digest;
    let event = EntryEvent::Forget(ForgetEvent { snapshots: vec![first], rule: "test".to_owned() });
    let then = Timestamp::from(chrono::Utc::now()).plus_millis(-4 * 24 * 3_600_000);
    site.forge_at(then, &site.key("reaper/signing-key.pem"), &site.place(), event);
    grow_old(&site.machine);
    site
}

/// Gives an arbitrary secret of the source a new value; gives its key.
pub(crate) fn rotate(site: &Site, payload: &str) -> String {
    let reply = site.source.call(Verb::Get, "/api/v2/secrets?limit=1000", "");
    let rows = JsonObject::parse(&reply.body).unwrap().array("secrets").unwrap();
    let rows = rows.iter().map(|row| JsonObject::parse(row.get()).unwrap());
    let arbitrary = |row: &JsonObject| row.str("secret_type").as_deref() == Some("arbitrary");
    let id = rows.filter(arbitrary).map(|row| row.str("id").unwrap()).min().unwrap();
    let body = format!(r#"{{"payload":"{payload}"}}"#);
    assert_eq!(site.source.call(Verb::Post, &format!("/api/v2/secrets/{id}/versions"), &body).status, 201);
    format!("secret/{id}")
}

/// A host that reads and writes the repository of a site, with a memory of its own for each run: none.
pub(crate) struct Fresh<'a> {
    machine: &'a Machine,
    leading: Vec<String>,
    runs: Cell<u32>,
}

impl<'a> Fresh<'a> {
    /// It has the repository id and nothing else.
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self { machine, leading: Vec::new(), runs: Cell::new(0) }
    }

    /// It has this pin in its configuration, too.
    pub(crate) fn pinned(machine: &'a Machine, pin: &str) -> Self {
        let config = machine.read("keyhaven.toml");
        let file = format!("pinned-{}-{}.toml", &pin[..12], pin.len());
        machine.write(&file, &config.replacen("[repository]", &format!("[repository]\npolicy = [\"{pin}\"]"), 1));
        Self { leading: vec!["--config".to_owned(), file], ..Self::new(machine) }
    }

    pub(crate) fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Run {
        let number = self.runs.get() + 1;
        self.runs.set(number);
        let state = format!("no-memory-{number}");
        drop(std::fs::remove_dir_all(self.machine.path(&state)));
        let leading: Vec<&str> = self.leading.iter().map(String::as_str).collect();
        self.machine.run_with(environment, &[&leading[..], arguments, &["--state-dir", &state]].concat())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(&[], arguments)
    }
}

/// What is said before everything else. A sentence may be wrapped.
pub(crate) fn first_said(run: &Run) -> String {
    let said = if run.err.trim().is_empty() { &run.out } else { &run.err };
    said.split_whitespace().take(60).collect::<Vec<_>>().join(" ")
}

/// The sequences of the live snapshots that a run of `snapshots --json` lists.
pub(crate) fn listed(run: &Run) -> Vec<u64> {
    let listed = run.json(0);
    let live = listed["snapshots"].as_array().unwrap().iter().filter(|line| line["state"] == "live");
    live.map(|line| line["sequence"].as_u64().unwrap()).collect()
}

/// The texts of the problems that a check found.
pub(crate) fn problems(checked: &Value) -> String {
    checked["problems"].to_string()
}
