//! What a host and a recovery identity know of a repository: pins, and what is missing of what was seen.

use data_encoding::BASE64;
use keyhaven::format::{Policy, names};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::commands::{carry, id_of, second_repository};
use crate::kit::program::Machine;
use crate::kit::site::Site;

#[test]
fn an_id_that_the_recovery_identity_does_not_pin_is_refused() {
    let site = Site::seeded();
    let (other, other_id) = second_repository(&site);
    let identity = "kit/recovery-identity.txt";
    let pinned = site.run(&["trust", "pin", identity, "--json"]).json(0);
    assert_eq!((&pinned["changed"], &pinned["repository_id"]), (&true.into(), &id_of(&site).into()));
    assert_eq!(site.run(&["trust", "pin", identity, "--json"]).json(0)["changed"], false);
    let place = other.path("repo").display().to_string();
    let verify = ["verify", "--level", "payload", "--identity", identity, "--json"];
    site.run(&verify).json(0);
    let elsewhere = [&verify[..], &["--repository", &place, "--repository-id", &other_id]].concat();
    site.run(&elsewhere).fails(2, &[&other_id, "is not the one that the recovery identity names", &id_of(&site)]);
    assert_eq!(site.run(&[&elsewhere[..], &["--other-repository"]].concat()).json(0)["ok"], true);
    // The file and the bucket are all that a new machine needs.
    let machine = Machine::new();
    carry(&site.machine, identity, &machine, "identity.txt");
    let place = site.repository().display().to_string();
    let verify = ["--repository", &place, "verify", "--level", "payload", "--identity", "identity.txt", "--json"];
    assert_eq!(machine.run(&verify).json(0)["ok"], true);
}

#[test]
fn a_pin_is_not_put_back_to_an_earlier_version() {
    let site = Site::seeded();
    let identity = "kit/recovery-identity.txt";
    site.let_in("host", &["verifier"]);
    site.run(&["trust", "pin", identity, "--json"]).json(0);
    let before = site.machine.read(identity);
    assert!(before.contains("# keyhaven policy: 000002-"), "{before}");
    std::fs::remove_file(site.stored("trust").pop().unwrap()).unwrap();
    let pin = ["trust", "pin", identity, "--state-dir", "another-state"];
    site.run(&pin).fails(2, &["the file pins 000002-", "which is newer than 000001-"]);
    assert_eq!(site.machine.read(identity), before);
}

#[test]
fn the_next_backup_puts_back_a_version_that_was_removed() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let removed = site.stored("trust").pop().unwrap();
    std::fs::remove_file(&removed).unwrap();
    let listed = site.run(&["snapshots", "--json"]);
    assert!(listed.err.starts_with("warning: `trust/` lacks versions"), "{listed:#?}");
    let version = removed.file_stem().unwrap().to_str().unwrap();
    assert_eq!(listed.json(0)["memory"]["policies"], json!([version]));
    site.run(&["backup", "--json"]).json(0);
    assert!(removed.exists());
    assert_eq!(site.run(&["snapshots", "--json"]).json(0)["memory"]["policies"], json!([]));
}

#[test]
fn a_backup_puts_back_the_last_entry_of_its_host_and_says_that_it_was_gone() {
    let site = Site::seeded();
    site.run(&["backup", "--json"]).json(0);
    let newest = site.newest_entry();
    let gone = newest.file_stem().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&newest).unwrap();
    site.run(&["verify", "--level", "ledger", "--json"]).json(13);
    let backup = site.run(&["backup", "--json"]).json(3);
    assert!(backup["doubts"][0].as_str().unwrap().contains(&gone), "{backup:#}");
    assert!(newest.exists());
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).json(0)["ok"], true);
}

#[test]
fn a_rolled_back_ledger_is_told_first_until_custodians_accept_the_loss() {
    let site = Site::seeded();
    // An entry of another host: this one cannot put it back.
    let record = ["verify", "--record", "kit/recovery-signing-key.pem", "--state-dir", "host-state", "--json"];
    site.run(&record).json(0);
    assert_eq!(site.listed(&[]).len(), 1);
    let newest = site.newest_entry();
    let gone = newest.file_stem().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(&newest).unwrap();
    let said = format!("the ledger lacks entries that this host saw there: {gone}");
    let status = site.run(&["status"]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&status.out).starts_with(&said), "{status:#?}");
    let snapshots = site.run(&["snapshots"]);
    assert!(snapshots.err.starts_with(&format!("warning: {said}")), "{snapshots:#?}");
    let (standby, server) = site.standby();
    let (url, iam_url) = (server.base_url(), server.iam_url());
    let key = standby.options().api_key.expose_secret().to_owned();
    let environment = [
        ("KEYHAVEN_STANDBY_URL", url.as_str()),
        ("KEYHAVEN_STANDBY_IAM_URL", iam_url.as_str()),
        ("KEYHAVEN_STANDBY_API_KEY", "env:STANDBY_API_KEY"),
        ("STANDBY_API_KEY", key.as_str()),
    ];
    let plan = ["restore", "plan", "--identity", "kit/recovery-identity.txt", "--json"];
    let plan = site.machine.run_with(&environment, &plan);
    assert!(plan.err.starts_with(&format!("warning: {said}")), "{plan:#?}");
    assert_eq!(plan.json(15)["memory"]["heads"], json!([gone]));
    assert_eq!(site.run(&["status", "--json"]).json(0)["memory"]["heads"], json!([gone]));
    let verified = site.run(&["verify", "--level", "ledger", "--json"]).json(13);
    assert!(verified["problems"].to_string().contains(&gone), "{verified:#}");

    // Backups go on, and say so each time.
    for _ in 0..2 {
        let backup = site.run(&["backup"]);
        assert!(
            backup.code == 3 && backup.out.contains(&format!("entry {gone}, seen by this host, is missing")),
            "{backup:#?}"
        );
    }
    let entries = site.stored("ledger").len();
    let accept = ["ledger", "accept-loss", "--reason", "a test took it away", "--json"];
    let proposed = site.run(&accept).json(0);
    assert_eq!((&proposed["published"], &proposed["accepted"]), (&false.into(), &json!([gone])));
    assert_eq!(site.run(&["backup"]).code, 3, "a proposal accepts nothing");
    let accepted = site.run(&[&accept[..], &["--key", "kit/custodian-key.pem"]].concat()).json(0);
    let words = format!("accepts the loss of the entries {gone}");
    assert_eq!((&accepted["published"], &accepted["differences"]), (&true.into(), &json!([words])));
    assert_eq!(site.stored("ledger").len(), entries + 1, "the policy says it, and no entry");
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).json(0)["ok"], true);
    site.run(&accept).fails(2, &["no entry that this host remembers", "is missing"]);
}

#[test]
fn a_pin_with_its_bytes_holds_where_the_version_was_removed() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let pin = site.run(&["trust", "show", "--pin"]).out.trim().to_owned();
    let (reference, _) = pin.split_once(' ').unwrap();
    std::fs::remove_file(site.stored("trust").pop().unwrap()).unwrap();
    let shown =
        |more: &[&str]| site.run(&[&["trust", "show", "--json", "--state-dir", "another-state"], more].concat());
    let elsewhere = shown(&[]).json(0);
    assert!(elsewhere["policy"].as_str().unwrap().starts_with("000001-"), "nothing here knows of the second one");
    std::fs::remove_dir_all(site.machine.path("another-state")).unwrap();
    shown(&["--policy", reference]).fails(13, &[reference, "is pinned and is nowhere"]);
    site.machine.write("pin.txt", &pin);
    for chosen in [pin.as_str(), "pin.txt"] {
        assert_eq!(shown(&["--policy", chosen]).json(0)["policy"], reference);
    }
    let config = site.machine.read("keyhaven.toml");
    let pinned = config.replacen("[repository]", &format!("[repository]\npolicy = [\"{pin}\"]"), 1);
    site.machine.write("keyhaven.toml", &pinned);
    let configured = shown(&[]).json(0);
    assert_eq!((&configured["policy"], &configured["memory"]["policies"]), (&reference.into(), &json!([reference])));
}

#[test]
fn a_branch_that_is_chosen_for_one_command_takes_writes_and_leaves_the_memory_alone() {
    let site = Site::seeded();
    let propose = |days: &str, file: &str| {
        site.run(&["trust", "propose", "--grace", days, "--reason", "x", "--out", file, "--json"]).json(0);
        site.run(&["trust", "sign", file, "--yes", "--key", "kit/custodian-key.pem", "--json"]).json(0);
    };
    propose("4d", "one.json");
    propose("5d", "two.json");
    let one = site.run(&["trust", "publish", "one.json", "--json"]).json(0)["policy"].clone();
    // Somebody puts the other branch there, too.
    let proposal: serde_json::Value = serde_json::from_str(&site.machine.read("two.json")).unwrap();
    let bytes = BASE64.decode(proposal["envelope"].as_str().unwrap().as_bytes()).unwrap();
    let (two, ..) = Policy::decode(&bytes).unwrap();
    std::fs::write(site.repository().join(names::policy(&two)), bytes).unwrap();
    let in_force = || site.run(&["trust", "show", "--json"]).json(0)["policy"].clone();
    let written_under = || site.ledger().1.entries().last().unwrap().policy;
    assert_eq!(in_force(), one);

    let chosen = ["--policy", &two.to_string()];
    let backup = site.run(&["backup", "--json", chosen[0], chosen[1]]);
    assert!(backup.err.contains("--policy replaces every other pin"), "{backup:#?}");
    assert_eq!(backup.json(0)["doubts"], json!([]));
    assert_eq!(written_under(), two);
    let hold = ["snapshots", "hold", "1", "--reason", "x", "--key", "kit/recovery-signing-key.pem"];
    assert_eq!(site.run(&[&hold[..], &chosen].concat()).code, 0);
    assert_eq!(written_under(), two);

    assert_eq!(in_force(), one, "the next command goes on as before");
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(json!(written_under()), one);
}
