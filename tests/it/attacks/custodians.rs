//! Custodians who agree with a thief: fewer than the threshold change nothing for any command, and where a threshold signs
//! two versions 2, each host does what its pin says.

use keyhaven::crypto::SigningKey;
use keyhaven::format::{Policy, PolicyRef, names};
use serde_json::{Value, json};

use crate::cli::signals::Warm;
use crate::kit::attacked_site::*;
use crate::kit::policy;
use crate::kit::site::{CUSTODIAN, Site};

const LEDGER: [&str; 4] = ["verify", "--level", "ledger", "--json"];

/// A version upon the one in force, not stored, with a change.
fn next(site: &Site, change: impl FnOnce(&mut Policy)) -> Policy {
    let (repository, ledger) = site.ledger();
    let (version, in_force) = ledger.trust().writes_under().unwrap();
    let time = chrono::Utc::now().into();
    let mut next = in_force.next(version, *repository.id(), time, "keyhaven/test");
    change(&mut next);
    next.sort();
    next
}

/// Puts a version there with the signatures of these keys, past `trust publish`.
fn put(site: &Site, policy: &Policy, signers: &[&SigningKey]) -> PolicyRef {
    let (version, bytes) = policy::signed(policy, signers);
    std::fs::write(site.repository().join(names::policy(&version)), bytes).unwrap();
    version
}

/// Gives a site three custodians, two of whom must sign. The keys of the others are `two` and `three`.
fn share(site: &Site) {
    for name in ["two", "three"] {
        site.run(&["keys", "new", "--out", name, "--no-passphrase", "--json"]).json(0);
        let public = format!("{name}/public.txt");
        let add = ["keys", "add", "--public", &public, "--role", "custodian", "--name", name, "--json"];
        site.run(&[&add[..], &CUSTODIAN].concat()).json(0);
    }
    let both = ["trust", "propose", "--threshold", "2", "--key", "two/custodian-key.pem", "--json"];
    assert_eq!(site.run(&[&both[..], &CUSTODIAN].concat()).json(0)["published"], true);
}

#[test]
fn one_custodian_of_three_alone_changes_nothing_for_any_command() {
    let site = with_something_to_sweep();
    share(&site);
    let thief = site.key("kit/custodian-key.pem");
    let collector = site.key("signing-key.pem");
    let before = site.run(&["trust", "show", "--json"]).json(0)["policy"].clone();
    // It ends the collector, lets in a key of its own, makes itself the only one: each version by one signature.
    let own = SigningKey::from_seed(&[9; 32]);
    let worse: [&dyn Fn(&mut Policy); 4] = [
        &|policy| policy::end(policy, &collector, &[]),
        &|policy| {
            policy.keys.push(policy::policy_key("own", &own, &[keyhaven::format::SigningRole::Collector]));
        },
        &|policy| policy.threshold = 1,
        &|policy| {
            policy.custodians.retain(|custodian| custodian.public_key.fingerprint() == thief.public().fingerprint());
            policy.threshold = 1;
        },
    ];
    for change in worse {
        // The same key twice is one custodian, and its own key is none.
        put(&site, &next(&site, change), &[&thief, &thief, &own]);
    }
    site.forge(&own, &site.place(), crate::kit::ledger::snapshot("the thief's"));
    // The commands of the program publish nothing of his either.
    let stored = site.stored("trust");
    let revoke = ["keys", "revoke", "collector", "--leave-no-snapshot", "--out", "revoke.json", "--json"];
    assert_eq!(site.run(&[&revoke[..], &CUSTODIAN].concat()).json(0)["published"], false);
    site.run(&["trust", "publish", "revoke.json"]).fails(2, &["too few have signed", "trust sign"]);
    assert_eq!(site.stored("trust"), stored);

    let warm = Warm::new(site);
    let site = &warm.site;
    let fresh = Fresh::new(&site.machine);
    for host in ["state", "none"] {
        let checked = site.run(&[&LEDGER[..], &["--state-dir", host]].concat()).json(0);
        let warnings = checked["warnings"].to_string();
        assert!(warnings.contains("4 versions of the trust policy do not fit"), "{warnings}");
    }
    assert_eq!(fresh.run(&["trust", "show", "--json"]).json(0)["policy"], before);
    assert_eq!(listed(&fresh.run(&["snapshots", "--json"])), [2]);
    assert_eq!(fresh.run(&["status", "--json"]).json(0)["memory"]["fork"], json!([]));
    assert_eq!(warm.run(&["restore", "plan"]).json(15)["snapshot"]["sequence"], 2);
    let backup = site.run(&["backup", "--json"]).json(0);
    assert_eq!(backup["doubts"], json!([]), "{backup:#}");
    let swept = fresh.run_with(&REAPER, &["sweep", "--apply", "--json"]).json(0);
    assert_eq!(swept["snapshots"][0]["sequence"], 1, "{swept:#}");
    site.run(&["verify", "--level", "payload", "--json", IDENTITY[0], IDENTITY[1]]).json(0);
}

#[test]
fn in_a_fork_a_host_with_a_pin_keeps_to_it_and_others_write_under_the_version_before() {
    let site = with_something_to_sweep();
    let custodian = site.key("kit/custodian-key.pem");
    let before = site.run(&["trust", "show", "--json"]).json(0)["policy"].clone();
    // Both branches are signed by the threshold. The other one ends the collector.
    let collector = site.key("signing-key.pem");
    let theirs = next(&site, |policy| policy::end(policy, &collector, &[]));
    site.let_in("later", &["verifier"]);
    let own = site.run(&["trust", "show", "--json"]).json(0)["policy"].clone();
    let pin = site.run(&["trust", "show", "--pin"]).out.trim().to_owned();
    let theirs = put(&site, &theirs, &[&custodian]);
    grow_old(&site.machine);
    let warm = Warm::new(site);
    let site = &warm.site;
    let (pinned, fresh) = (Fresh::pinned(&site.machine, &pin), Fresh::new(&site.machine));

    // With a memory, or a pin: its own branch, and a warning.
    let warned = "another branch of the trust policy is there";
    for run in [site.run(&["snapshots"]), pinned.run(&["snapshots"]), site.run(&["status"])] {
        assert!(first_said(&run).contains(warned) && first_said(&run).contains(&theirs.to_string()), "{run:#?}");
    }
    site.run(&LEDGER).json(0);
    pinned.run(&LEDGER).json(0);
    let plan = warm.run(&["restore", "plan"]);
    assert!(first_said(&plan).contains(warned), "{plan:#?}");
    assert_eq!(plan.json(15)["snapshot"]["sequence"], 2);

    // Without either: what both count, and that is no snapshot of the collector that one of them has ended.
    let branches = |value: &Value| {
        let mut branches = [own.clone(), json!(theirs)];
        branches.sort_by_key(ToString::to_string);
        assert_eq!(value["memory"]["fork"], json!(branches), "{value:#}");
    };
    let forked = "the trust policy is forked";
    let snapshots = fresh.run(&["snapshots", "--json"]);
    assert!(first_said(&snapshots).contains(forked), "{snapshots:#?}");
    assert_eq!(listed(&snapshots), Vec::<u64>::new());
    branches(&snapshots.json(0));
    let checked = fresh.run(&LEDGER).json(13);
    assert!(
        problems(&checked).contains(forked) && problems(&checked).contains("`--policy` chooses one"),
        "{checked:#}"
    );
    let plan = ["restore", "plan", "--json", IDENTITY[0], IDENTITY[1]];
    let refused = fresh.run_with(&warm.environment(), &plan);
    assert!(first_said(&refused).contains(forked), "{refused:#?}");
    assert_ne!(refused.code, 15, "{refused:#?}");
    let held = bucket(&site.machine);
    let swept = fresh.run_with(&REAPER, &["sweep", "--apply", "--json"]).json(13);
    assert_eq!(swept["stopped"][0]["reason"], "ledger", "{swept:#}");
    fresh.run(&["backup"]).fails(12, &["the trust policy has ended this key"]);
    assert_eq!(gone_since(&site.machine, &held), Vec::<String>::new());
    // The operator says which one for this command.
    let chosen = fresh.run(&["snapshots", "--json", "--policy", own.as_str().unwrap()]);
    assert_eq!(listed(&chosen), [2]);
    // A host that knows its branch goes on.
    assert_eq!(site.run(&["backup", "--json"]).json(0)["doubts"], json!([]));

    // A version that names both, by both thresholds, ends it for everybody. What one of them ended stays ended.
    let joined = site.run(&[&["trust", "propose", "--join", "--json"], &CUSTODIAN[..]].concat()).json(0);
    assert_eq!(joined["published"], true, "{joined:#}");
    let ended = fresh.run(&["trust", "show", "--json"]).json(0);
    assert_eq!((&ended["policy"], &ended["fork"]), (&joined["policy"], &Value::Null), "{ended:#}");
    assert_ne!(before, own);
}

/// Two branches that both count the collector: a host that knows neither backs up under the version before.
#[test]
fn in_a_fork_backups_go_on_under_the_version_before() {
    let site = Site::seeded();
    let custodian = site.key("kit/custodian-key.pem");
    let (_, ledger) = site.ledger();
    let (before, _) = ledger.trust().writes_under().unwrap();
    for number in 0..2 {
        let reason = Some(format!("branch {number}"));
        let (repository, _) = site.ledger();
        let mut policy =
            ledger.policy().unwrap().next(before, *repository.id(), chrono::Utc::now().into(), "keyhaven/test");
        policy.reason = reason;
        put(&site, &policy, &[&custodian]);
    }
    let fresh = Fresh::new(&site.machine);
    let backup = fresh.run(&["backup", "--json"]).json(3);
    assert!(backup["doubts"][0].as_str().unwrap().contains("forked"), "{backup:#}");
    let (_, ledger) = site.ledger();
    let newest = ledger.snapshots().pop().unwrap().clone();
    assert_eq!((newest.policy, newest.digest.to_string()), (before, backup["snapshot"].as_str().unwrap().to_owned()));
    let snapshots = fresh.run(&["snapshots", "--json"]);
    assert_eq!(listed(&snapshots), [2, 1], "both branches count them");
    fresh.run(&LEDGER).json(13);
    // It is one whose memory is not on any branch that ends it with a version that names both.
    let joined = fresh.run(&[&["trust", "propose", "--json"], &CUSTODIAN[..]].concat()).json(0);
    assert_eq!((&joined["published"], joined["signers"].as_array().unwrap().len()), (&json!(true), 3), "{joined:#}");
    fresh.run(&LEDGER).json(0);
    assert_eq!(fresh.run(&["backup", "--json"]).json(0)["doubts"], json!([]));
}
