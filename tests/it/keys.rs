//! Keys of other hosts: made, let in, listed, ended.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::program::{Machine, Run};
use crate::site::Site;

const CUSTODIAN: [&str; 4] = ["--key", "kit/custodian-key.pem", "--reason", "test"];

fn host(site: &Site, folder: &str) -> String {
    let made = site.run(&["keys", "host", "--out", folder, "--json"]).json(0);
    made["fingerprint"].as_str().unwrap().to_owned()
}

fn add(site: &Site, folder: &str, roles: &[&str]) -> Run {
    let public = format!("{folder}/signing-key.public.pem");
    let roles: Vec<&str> = roles.iter().flat_map(|role| ["--role", *role]).collect();
    let head = ["keys", "add", "--public", &public, "--name", folder, "--json"];
    site.run(&[&head[..], &roles, &CUSTODIAN].concat())
}

fn change(site: &Site, arguments: &[&str]) -> Run {
    site.run(&[&["keys"], arguments, &CUSTODIAN[..]].concat())
}

fn listed(site: &Site) -> Vec<Value> {
    site.run(&["keys", "list", "--json"]).json(0).as_array().unwrap().clone()
}

fn line(site: &Site, fingerprint: &str) -> Value {
    listed(site).into_iter().find(|line| line["fingerprint"] == fingerprint).unwrap()
}

/// The program with another host's signing key.
fn as_host(site: &Site, folder: &str, arguments: &[&str]) -> Run {
    let key = site.machine.path(&format!("{folder}/signing-key.pem"));
    let state = site.machine.path(&format!("{folder}/state"));
    let variables =
        [("KEYHAVEN_KEYS_SIGNING_KEY_FILE", key.to_str().unwrap()), ("KEYHAVEN_STATE_DIR", state.to_str().unwrap())];
    site.machine.run_with(&variables, arguments)
}

#[test]
fn a_recovery_host_is_let_in_and_records_checks_and_forgets() {
    let site = Site::seeded();
    let key = host(&site, "recovery");
    let mode = |name: &str| std::fs::metadata(site.machine.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("recovery/signing-key.pem"), 0o600);
    as_host(&site, "recovery", &["verify", "--record"]).fails(12, &["names its key nowhere", "custodian"]);
    add(&site, "recovery", &["verifier", "restorer", "reaper"]).json(0);
    as_host(&site, "recovery", &["verify", "--record", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
    let done = as_host(&site, "recovery", &["forget", "--keep-last", "1", "--apply", "--json"]).json(0);
    assert_eq!(done["forgotten"], 0, "the first one is the last verified: {done:#}");
    as_host(&site, "recovery", &["backup"]).fails(12, &["snapshot"]);

    let shown = line(&site, &key);
    assert_eq!(shown["roles"], serde_json::json!(["verifier", "restorer", "reaper"]));
    assert_eq!(
        (&shown["standing"], &shown["own"], &shown["name"]),
        (&"active".into(), &false.into(), &"recovery".into())
    );
    assert_eq!(listed(&site).iter().filter(|line| line["own"] == true).count(), 1);
    let table = site.run(&["keys", "list"]);
    assert!(table.out.contains("recovery") && table.out.contains("active, this host"), "{table:#?}");
}

#[test]
fn nothing_is_made_over_what_is_there() {
    let machine = Machine::new();
    machine.run(&["keys", "host", "--out", "host"]);
    let before = machine.read("host/signing-key.pem");
    assert_ne!(machine.run(&["keys", "host", "--out", "host"]).code, 0);
    assert_eq!(machine.read("host/signing-key.pem"), before);
}

#[test]
fn a_known_key_gets_further_roles_and_the_same_twice_is_refused() {
    let site = Site::seeded();
    let key = host(&site, "host");
    add(&site, "host", &["verifier"]).json(0);
    add(&site, "host", &["verifier"]).fails(2, &["has these roles already"]);
    add(&site, "host", &["reaper"]).json(0);
    assert_eq!(line(&site, &key)["roles"], serde_json::json!(["verifier", "reaper"]));
}

#[test]
fn a_retired_key_signs_nothing_more_and_does_not_come_back() {
    let site = Site::seeded();
    let key = host(&site, "host");
    add(&site, "host", &["verifier"]).json(0);
    as_host(&site, "host", &["verify", "--record", "--json"]).json(0);
    change(&site, &["retire", &key[..8], "--json"]).json(0);
    assert_eq!(line(&site, &key)["standing"], "retired");
    as_host(&site, "host", &["verify", "--record"]).fails(12, &["was retired"]);
    add(&site, "host", &["verifier"]).fails(2, &["does not come back"]);
    change(&site, &["retire", "host"]).fails(2, &["retired or revoked already"]);
    // What it had signed still counts.
    site.run(&["verify", "--level", "ledger", "--json"]).json(0);
}

#[test]
fn a_stolen_collector_is_revoked_from_its_last_good_entry_on() {
    let site = Site::seeded();
    let good = site.run(&["snapshots", "--json"]).json(0)[0]["sequence"].as_u64().unwrap();
    site.run(&["backup", "--json"]).json(0);
    change(&site, &["revoke", "collector"]).fails(2, &["no good snapshot would be left", "--last-good"]);
    change(&site, &["revoke", "collector", "--last-good", "99"]).fails(2, &["no entry `99` is signed by"]);
    change(&site, &["revoke", "collector", "--last-good", "1"]).fails(2, &["no good snapshot would be left"]);
    host(&site, "host");
    let other = add(&site, "host", &["verifier"]).json(0)["sequence"].as_u64().unwrap();
    change(&site, &["revoke", "collector", "--last-good", &other.to_string()]).fails(2, &["is signed by"]);
    change(&site, &["revoke", "collector", "--last-good", &good.to_string(), "--json"]).json(0);
    let left = site.run(&["snapshots", "--json"]).json(0);
    assert_eq!(left.as_array().unwrap().len(), 1, "what was signed later does not count");
    assert_eq!(left[0]["sequence"], good);
    site.run(&["backup"]).fails(12, &["was revoked"]);
}

#[test]
fn the_last_custodian_goes_only_when_that_is_asked_for_by_name() {
    let site = Site::seeded();
    change(&site, &["retire", "custodian 1"]).fails(2, &["the last custodian's key", "--leave-no-custodian"]);
    site.run(&["keys", "new", "--out", "second", "--no-passphrase", "--json"]).json(0);
    let second =
        ["keys", "add", "--public", "second/public.txt", "--role", "custodian", "--name", "kit of Bob", "--json"];
    site.run(&[&second[..], &CUSTODIAN].concat()).json(0);
    change(&site, &["retire", "custodian 1", "--json"]).json(0);
    // The retired one changes nothing any more; the second one does.
    host(&site, "host");
    add(&site, "host", &["verifier"]).fails(12, &["no custodian's key"]);
    let bob = ["--key", "second/custodian-key.pem", "--reason", "test", "--json"];
    let public = "host/signing-key.public.pem";
    site.run(&[&["keys", "add", "--public", public, "--role", "verifier", "--name", "host"][..], &bob].concat())
        .json(0);
    let last = [&["keys", "retire", "kit of Bob", "--leave-no-custodian"][..], &bob].concat();
    site.run(&last).json(0);
    assert!(listed(&site).iter().all(|line| line["standing"] != "active" || line["name"] != "kit of Bob"));
}

#[test]
fn a_protected_custodian_key_opens_with_its_passphrase() {
    let site = Site::seeded();
    site.machine.write("passphrase", "correct horse\n");
    site.run(&["keys", "new", "--out", "vault", "--passphrase-file", "passphrase", "--json"]).json(0);
    let grant = ["keys", "add", "--public", "vault/public.txt", "--role", "custodian", "--name", "vault", "--json"];
    site.run(&[&grant[..], &CUSTODIAN].concat()).json(0);
    host(&site, "host");
    let public = "host/signing-key.public.pem";
    let head =
        ["keys", "add", "--public", public, "--role", "verifier", "--name", "host", "--reason", "test", "--json"];
    let protected = ["--key", "vault/custodian-key.pem.age", "--passphrase-file"];
    site.machine.write("wrong", "battery staple\n");
    site.run(&[&head[..], &protected, &["wrong"]].concat()).fails(12, &["passphrase does not open"]);
    site.run(&[&head[..], &protected, &["passphrase"]].concat()).json(0);
}

#[test]
fn what_cannot_be_is_refused_and_writes_nothing() {
    let site = Site::seeded();
    let entries = site.stored("ledger").len();
    host(&site, "host");
    add(&site, "host", &["king"]).fails(2, &["it is one of collector, verifier"]);
    add(&site, "host", &[]).fails(2, &["--role"]);
    let public = "host/signing-key.public.pem";
    let named = |name: &str| {
        let head = ["keys", "add", "--public", public, "--role", "verifier", "--name", name];
        site.run(&[&head[..], &CUSTODIAN].concat())
    };
    for name in ["", "  ", "two\nlines", &"x".repeat(65)] {
        named(name).fails(2, &["a name has 1 to 64 characters"]);
    }
    let with = |public: &str| {
        let head = ["keys", "add", "--public", public, "--role", "verifier", "--name", "x"];
        site.run(&[&head[..], &CUSTODIAN].concat())
    };
    let secret = with("host/signing-key.pem");
    secret.fails(2, &["holds a secret key"]);
    assert!(!secret.err.contains("BEGIN PRIVATE"), "{secret:#?}");
    with("keyhaven.toml").fails(12, &["keyhaven.toml"]);
    with("nowhere.pem").fails(2, &["cannot read"]);
    for (text, said) in [("nobody", "no key is called"), ("abc", "no key is called"), ("", "no key is called")] {
        change(&site, &["retire", text]).fails(2, &[said]);
    }
    // Another host's key is no custodian's.
    let head = ["keys", "retire", "collector", "--key", "host/signing-key.pem", "--reason", "x"];
    site.run(&head).fails(12, &["no custodian's key of this repository", "keys list"]);
    assert_eq!(site.stored("ledger").len(), entries);
}
