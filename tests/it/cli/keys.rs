//! Keys of other hosts: made, let in, listed, ended.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::kit::files::files;
use crate::kit::program::{Machine, Run};
use crate::kit::site::{CUSTODIAN, Site};

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
    let key = format!("file:{}", site.machine.path(&format!("{folder}/signing-key.pem")).display());
    let state = site.machine.path(&format!("{folder}/state"));
    let variables = [("KEYHAVEN_KEYS_SIGNING_KEY", key.as_str()), ("KEYHAVEN_STATE_DIR", state.to_str().unwrap())];
    site.machine.run_with(&variables, arguments)
}

#[test]
fn a_recovery_host_is_let_in_and_records_checks_and_forgets() {
    let site = Site::seeded();
    let key = host(&site, "recovery");
    let mode = |name: &str| std::fs::metadata(site.machine.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("recovery/signing-key.pem"), 0o600);
    as_host(&site, "recovery", &["verify", "--record"])
        .fails(12, &["does not list this key", "a custodian must add it"]);
    add(&site, "recovery", &["verifier", "restorer", "reaper"]).json(0);
    as_host(&site, "recovery", &["verify", "--record", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
    let done = as_host(&site, "recovery", &["forget", "--keep-last", "1", "--apply", "--json"]).json(0);
    assert_eq!(done["forgotten"], 0, "the first one is the last verified: {done:#}");
    as_host(&site, "recovery", &["backup"]).fails(12, &["does not give this key the role `collector`"]);

    let shown = line(&site, &key);
    assert_eq!(shown["roles"], serde_json::json!(["reaper", "restorer", "verifier"]));
    assert_eq!((&shown["state"], &shown["own"], &shown["name"]), (&"active".into(), &false.into(), &"recovery".into()));
    assert_eq!(listed(&site).iter().filter(|line| line["own"] == true).count(), 1);
    let table = site.run(&["keys", "list"]);
    assert!(table.out.contains("recovery") && table.out.contains("this host"), "{table:#?}");
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
fn the_recovery_host_of_the_kit_signs_from_the_beginning() {
    let site = Site::seeded();
    let done = site.run(&["verify", "--record", "kit/recovery-signing-key.pem", "--json"]).json(0);
    assert!(done["recorded"].is_string(), "{done:#}");
    site.run(&["verify", "--record", "kit/custodian-key.pem"]).fails(12, &["does not list this key"]);
    // Its public file names it too.
    site.run(&["keys", "new", "--out", "second", "--no-passphrase", "--json"]).json(0);
    let public = ["keys", "add", "--public", "second/public.txt", "--role", "reaper", "--name", "kit 2", "--json"];
    let added = site.run(&[&public[..], &CUSTODIAN].concat()).json(0);
    let key = site.key("second/recovery-signing-key.pem").public().fingerprint().to_string();
    assert_eq!(added["fingerprint"], key.as_str(), "the host's key, not the custodian's");
    let held = ["snapshots", "hold", "latest", "--reason", "x", "--key", "second/recovery-signing-key.pem", "--json"];
    site.run(&held).json(0);
}

#[test]
fn a_known_key_keeps_its_roles_and_is_not_added_twice() {
    let site = Site::seeded();
    let key = host(&site, "host");
    let added = add(&site, "host", &["verifier"]).json(0);
    assert_eq!(
        (&added["change"], &added["published"], &added["name"]),
        (&"added".into(), &true.into(), &"host".into())
    );
    let words = format!("adds the key host ({key}), which may sign as verifier");
    assert_eq!(added["differences"], serde_json::json!([words]));
    assert!(added["pin"].as_str().unwrap().starts_with("000002-"), "{added:#}");
    for role in ["verifier", "reaper"] {
        add(&site, "host", &[role]).fails(2, &["in the trust policy already, with the roles verifier", "another key"]);
    }
    add(&site, "host", &["custodian"]).fails(2, &["in the trust policy already"]);
    assert_eq!(line(&site, &key)["roles"], serde_json::json!(["verifier"]));
}

#[test]
fn a_retired_key_signs_nothing_more_and_does_not_come_back() {
    let site = Site::seeded();
    let key = host(&site, "host");
    add(&site, "host", &["verifier"]).json(0);
    let checked = as_host(&site, "host", &["verify", "--record", "--json"]).json(0);
    let retired = change(&site, &["retire", &key[..8], "--json"]).json(0);
    assert_eq!(retired["no_longer_counts"], Value::Null, "what it signed counts: {retired:#}");
    let shown = line(&site, &key);
    assert_eq!(shown["state"], "ended");
    let until = shown["until"].as_array().unwrap();
    assert!(until.len() == 1 && until[0].as_str().unwrap().ends_with(checked["recorded"].as_str().unwrap()));
    as_host(&site, "host", &["verify", "--record"]).fails(12, &["has ended this key"]);
    add(&site, "host", &["verifier"]).fails(2, &["does not come back"]);
    change(&site, &["retire", "host"]).fails(2, &["retired or revoked already"]);
    // What it had signed still counts.
    let verified = site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    assert_eq!((&verified["counts"]["entries"], &verified["counts"]["entries_ignored"]), (&2.into(), &0.into()));
}

#[test]
fn a_stolen_collector_is_revoked_from_its_last_good_entry_on() {
    let site = Site::seeded();
    let good = site.listed(&[])[0]["sequence"].as_u64().unwrap();
    site.run(&["backup", "--json"]).json(0);
    change(&site, &["revoke", "collector"]).fails(2, &["no good snapshot would be left", "--last-good"]);
    change(&site, &["revoke", "collector", "--last-good", "99"]).fails(2, &["no entry `99` is signed by"]);
    host(&site, "host");
    add(&site, "host", &["verifier"]).json(0);
    let other = as_host(&site, "host", &["verify", "--record", "--json"]).json(0);
    let other = other["recorded"].as_str().unwrap();
    change(&site, &["revoke", "collector", "--last-good", other]).fails(2, &["is signed by"]);
    let revoked = change(&site, &["revoke", "collector", "--last-good", &good.to_string(), "--json"]).json(0);
    let lost = &revoked["no_longer_counts"][0];
    assert_eq!((&lost["name"], &lost["snapshots"]), (&"collector".into(), &1.into()), "{revoked:#}");
    let left = site.listed(&[]);
    assert_eq!(left.len(), 1, "what was signed later does not count");
    assert_eq!(left[0]["sequence"], good);
    site.run(&["backup"]).fails(12, &["has ended this key"]);
    // The end can be moved, here to the very beginning.
    change(&site, &["revoke", "collector"]).fails(2, &["no good snapshot would be left"]);
    change(&site, &["revoke", "collector", "--leave-no-snapshot", "--json"]).json(0);
    assert!(site.listed(&[]).is_empty());
}

#[test]
fn as_many_custodians_stay_as_must_sign() {
    let site = Site::seeded();
    change(&site, &["retire", "custodian 1"]).fails(2, &["its threshold 1", "add another custodian first"]);
    site.run(&["keys", "new", "--out", "second", "--no-passphrase", "--json"]).json(0);
    let second =
        ["keys", "add", "--public", "second/public.txt", "--role", "custodian", "--name", "kit of Bob", "--json"];
    site.run(&[&second[..], &CUSTODIAN].concat()).json(0);
    // Those who stay must agree.
    let proposed = change(&site, &["retire", "custodian 1", "--json"]).json(0);
    assert_eq!((&proposed["published"], &proposed["proposal"]), (&false.into(), &"policy-3.json".into()));
    site.run(&["trust", "publish", "policy-3.json"]).fails(2, &["1 of 1 custodian of version 3 must sign; none has"]);
    let bob = ["--key", "second/custodian-key.pem", "--reason", "test", "--json"];
    let both = [&["keys", "retire", "custodian 1", "--key", "kit/custodian-key.pem"][..], &bob].concat();
    assert_eq!(site.run(&both).json(0)["published"], true);
    // The removed one changes nothing any more; the second one does.
    host(&site, "host");
    add(&site, "host", &["verifier"]).fails(12, &["no custodian's key"]);
    let public = "host/signing-key.public.pem";
    site.run(&[&["keys", "add", "--public", public, "--role", "verifier", "--name", "host"][..], &bob].concat())
        .json(0);
    site.run(&[&["keys", "retire", "kit of Bob"][..], &bob].concat()).fails(2, &["its threshold 1"]);
    let custodians = listed(&site).into_iter().filter(|line| line["roles"] == serde_json::json!(["custodian"]));
    assert_eq!(custodians.map(|line| line["name"].clone()).collect::<Vec<_>>(), ["kit of Bob"]);
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
    let stored = || (site.stored("ledger").len(), site.stored("trust").len());
    let before = stored();
    host(&site, "host");
    add(&site, "host", &["king"]).fails(2, &["it is one of collector, operator"]);
    add(&site, "host", &[]).fails(2, &["--role"]);
    add(&site, "host", &["custodian", "reaper"]).fails(2, &["signs versions of the trust policy only"]);
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
    assert_eq!(stored(), before);
    let proposals = || files(&site.machine.path("")).into_iter().filter(|name| name.starts_with("policy-"));
    assert_eq!(proposals().count(), 0, "nothing to sign either");
}
