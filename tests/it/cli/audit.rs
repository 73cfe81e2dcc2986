//! The audit trail.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::kit::site::Site;

const IDENTITY: [&str; 2] = ["--identity", "kit/recovery-identity.txt"];

struct Audited {
    site: Site,
    to: String,
}

impl Audited {
    fn new() -> Self {
        let site = Site::seeded();
        let to = site.machine.path("audit.jsonl").display().to_string();
        Self { site, to }
    }

    fn run(&self, more: &[(&str, &str)], arguments: &[&str]) -> crate::kit::program::Run {
        let environment = [&[("KEYHAVEN_AUDIT_TO", self.to.as_str())], more].concat();
        self.site.machine.run_with(&environment, arguments)
    }

    /// The events so far; every line must be one.
    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.to).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// The name of a secret whose value is text.
    fn a_secret(&self) -> Value {
        let listed = self.site.run(&["ls", "--json"]).json(0);
        let items = listed.as_array().or_else(|| listed["items"].as_array()).unwrap();
        items.iter().find(|item| item["type"] == "arbitrary").unwrap().clone()
    }
}

#[test]
fn every_command_that_touches_secrets_leaves_who_what_and_the_outcome() {
    let audited = Audited::new();
    let crn = "crn:v1:bluemix:public:secrets-manager:eu-de:a/1:2::";
    audited.run(&[("KEYHAVEN_SOURCE_CRN", crn)], &["backup", "--json"]).json(0);
    audited.site.machine.write("api-key", "no key of this instance");
    assert_eq!(audited.run(&[], &["backup"]).code, 17);
    assert_eq!(audited.run(&[], &["ls"]).code, 0);
    let mode = std::fs::metadata(&audited.to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let events = audited.events();
    let [done, failed] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(done["typeURI"], "http://schemas.dmtf.org/cloud/audit/1.0/event");
    assert_eq!((&done["action"], &done["outcome"]), (&"keyhaven.snapshot.create".into(), &"success".into()));
    assert_eq!((&done["reason"]["reasonCode"], &done["severity"]), (&"0".into(), &"normal".into()));
    assert_eq!(done["initiator"]["id"], format!("uid:{}", rustix::process::getuid().as_raw()));
    assert_eq!(done["initiator"]["credential"]["type"], "signing-key");
    assert_eq!((&done["target"]["id"], &done["target"]["host"]["address"]), (&crn.into(), &"127.0.0.1".into()));
    assert_eq!(done["target"]["repositoryId"].as_str().unwrap().len(), 64);
    assert_eq!(failed["target"]["id"], format!("repository:{}", done["target"]["repositoryId"].as_str().unwrap()));
    assert_eq!(done["responseData"]["sequence"], 2, "{done:#}");
    assert!(done["responseData"]["requests"].as_u64().unwrap() > 4, "{done:#}");
    assert_eq!((&failed["outcome"], &failed["severity"]), (&"failure".into(), &"warning".into()));
    assert_eq!(failed["reason"]["reasonCode"], "17");
    assert_eq!(failed["reason"]["reasonForFailure"], Value::Null, "an error's words may hold names");
    assert_ne!(done["id"], failed["id"]);
}

#[test]
fn a_revealed_value_is_announced_before_it_is_shown_and_named_by_its_id() {
    let audited = Audited::new();
    let secret = audited.a_secret();
    let (key, name) = (secret["key"].as_str().unwrap(), secret["name"].as_str().unwrap());
    let id = key.rsplit('/').next().unwrap();
    assert_eq!(audited.run(&[], &["get", id, IDENTITY[0], IDENTITY[1]]).code, 0);
    assert!(audited.events().is_empty(), "without --reveal nothing is shown");
    let shown = audited.run(&[], &["get", id, "--reveal", "--json", IDENTITY[0], IDENTITY[1]]).json(0);
    let events = audited.events();
    let [attempt, end] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((&attempt["outcome"], &end["outcome"]), (&"pending".into(), &"success".into()));
    assert_eq!(attempt["correlationId"], end["correlationId"]);
    for event in [attempt, end] {
        assert_eq!((&event["action"], &event["severity"]), (&"keyhaven.secret.read".into(), &"critical".into()));
        assert_eq!((&event["target"]["id"], &event["target"]["version"]), (&key.into(), &shown["version"]));
        assert_eq!(event["target"]["name"], Value::Null);
        let value = shown["payload"]["payload"].as_str().unwrap();
        assert!(!event.to_string().contains(value) && !event.to_string().contains(name), "{event:#}");
    }
    let named = [("KEYHAVEN_AUDIT_NAMES", "true")];
    assert_eq!(audited.run(&named, &["get", id, "--reveal", IDENTITY[0], IDENTITY[1]]).code, 0);
    assert_eq!(audited.events().pop().unwrap()["target"]["name"], name);
}

#[test]
fn without_a_trail_that_can_be_written_nothing_is_revealed_and_nothing_changes() {
    let mut audited = Audited::new();
    let id = audited.a_secret()["key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let entries = audited.site.stored("ledger").len();
    let pipe = audited.site.machine.path("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let open = audited.site.machine.write("open", "");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).unwrap();
    for to in ["/no/such/folder/audit.jsonl".to_owned(), "/dev/full".to_owned(), pipe, open.display().to_string()] {
        audited.to = to;
        let run = audited.run(&[], &["get", &id, "--reveal", IDENTITY[0], IDENTITY[1]]);
        run.fails(1, &["the audit trail", "cannot be written"]);
        assert!(run.out.is_empty(), "{run:#?}");
        audited.run(&[], &["backup"]).fails(1, &["so nothing was done"]);
        assert_eq!(audited.run(&[], &["ls"]).code, 0, "what shows no value goes on");
    }
    assert_eq!(audited.site.stored("ledger").len(), entries);
}

#[test]
fn standard_output_is_the_results_and_standard_error_can_carry_the_trail() {
    let mut audited = Audited::new();
    audited.to = "stdout".to_owned();
    audited.run(&[], &["backup"]).fails(2, &["cannot go to standard output"]);
    audited.to = "stderr".to_owned();
    let run = audited.run(&[], &["verify", "--json", "--log-format", "json"]);
    run.json(0);
    let lines: Vec<Value> = run.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["action"] == "keyhaven.repository.verify"), "{run:#?}");
}

#[test]
fn doctor_takes_standard_error_for_what_it_is() {
    let mut audited = Audited::new();
    audited.to = "stderr".to_owned();
    let doctor = audited.run(&[], &["doctor", "--json"]);
    assert!(doctor.out.contains("to standard error"), "{doctor:#?}");
}

#[test]
fn what_changes_an_instance_is_announced_so_that_a_kill_hides_nothing() {
    let audited = Audited::new();
    assert_ne!(audited.run(&[], &["sync"]).code, 0, "there is no standby");
    let events = audited.events();
    let [begun, end] = &events[..] else { panic!("{events:#?}") };
    assert_eq!((&begun["outcome"], &end["outcome"]), (&"pending".into(), &"failure".into()));
    assert_eq!(begun["correlationId"], end["correlationId"]);
    assert_eq!(begun["action"], "keyhaven.standby.update");
}

#[test]
fn lines_of_many_processes_never_mix() {
    let audited = Audited::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(audited.run(&[], &["verify", "--level", "ledger"]).code, 0));
        }
    });
    assert_eq!(audited.events().len(), 6);
}
