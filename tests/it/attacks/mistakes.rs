//! Mistakes of operators: each ends with a clear error, its exit code and the way on, and changes no byte of the bucket.

use data_encoding::BASE64;
use keyhaven::crypto::KeyInfo;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::policy::PolicyKey;
use keyhaven::format::{EntryPlace, Policy, PolicyRef};
use serde_json::json;

use crate::cli::signals::Warm;
use crate::kit::attacked_site::*;
use crate::kit::program::Run;
use crate::kit::site::{CUSTODIAN, Site};
use crate::trust::commands::{propose, publish};

/// Commands that open the repository, each in its shortest form.
const OPENING: [&[&str]; 8] = [
    &["verify", "--level", "ledger"],
    &["snapshots"],
    &["show"],
    &["backup"],
    &["sweep", "--apply"],
    &["trust", "show"],
    &["keys", "list"],
    &["forget", "--keep-last", "1", "--apply"],
];

fn said(run: &Run) -> String {
    format!("{}{}", run.out, run.err).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_wrong_repository_id_is_another_repository_for_every_command() {
    let site = Site::seeded();
    let right = site.ledger().0.id().to_string();
    let before = bucket(&site.machine);
    let wrong = "ab".repeat(32);
    for command in OPENING {
        let run = site.run(&[command, &["--repository-id", &wrong]].concat());
        run.fails(13, &["does not hold repository", &wrong, "check the place and the repository id"]);
    }
    // A part of it, or one with a digit wrong, is none at all.
    for (id, code) in [(&right[..40], 2), ("not an id", 2)] {
        assert_eq!(site.run(&["snapshots", "--repository-id", id]).code, code);
    }
    let warm = Warm::new(site);
    warm.run(&["restore", "plan", "--repository-id", &wrong]).fails(13, &["does not hold repository"]);
    let status = warm.site.run(&["status", "--repository-id", &wrong]);
    assert!(status.code != 0 && said(&status).contains("does not hold repository"), "{status:#?}");
    assert_eq!(bucket(&warm.site.machine), before);
    assert_eq!(warm.site.listed(&[]).len(), 1, "nothing wrong is remembered");
}

#[test]
fn a_pin_that_fits_nothing_is_named_by_every_command() {
    let site = Site::seeded();
    let before = bucket(&site.machine);
    let nowhere = PolicyRef { version: 7, digest: sha256(b"nowhere") }.to_string();
    for command in OPENING {
        let run = site.run(&[command, &["--policy", &nowhere]].concat());
        run.fails(13, &[&format!("version {nowhere} of the trust policy is pinned and is nowhere")]);
    }
    // Bytes that are another version, or none.
    let (_, ledger) = site.ledger();
    let (version, policy) = ledger.trust().writes_under().unwrap();
    let pin = site.run(&["trust", "show", "--pin"]).out.trim().to_owned();
    let bytes = pin.split(' ').nth(1).unwrap();
    for pin in [&format!("{nowhere} {bytes}"), &format!("{version} {}", &bytes[..20]), "000001", "7"] {
        let run = site.run(&["snapshots", "--policy", pin]);
        let way_on = run.err.contains("--policy") || run.err.contains("trust show");
        assert!(run.code == 2 && way_on, "{pin}: {run:#?}");
    }
    // The version of another repository, whole.
    let mut foreign = policy.clone();
    foreign.tool = "another".to_owned();
    let envelope = Envelope::unsigned(foreign.payload().unwrap());
    let reference = PolicyRef { version: 1, digest: envelope.digest() };
    let foreign = format!("{reference} {}", BASE64.encode(&envelope.encode(Holds::Policy).unwrap()));
    let run = site.run(&["snapshots", "--policy", &foreign]);
    assert!(run.code == 13 && said(&run).contains("pin"), "{run:#?}");
    assert_eq!(bucket(&site.machine), before);
    assert_eq!(site.listed(&[]).len(), 1, "what was chosen for one command is not remembered");
}

#[test]
fn proposals_that_come_twice_late_or_for_a_key_nobody_can_check_harm_nothing() {
    let site = Site::seeded();
    let sign = |file: &str| site.run(&["trust", "sign", file, "--yes", "--key", "kit/custodian-key.pem"]);
    for (grace, file) in [("5d", "first.json"), ("6d", "second.json")] {
        propose(&site, &["trust", "propose", "--grace", grace], file);
        assert_eq!(sign(file).code, 0);
    }
    publish(&site, &["first.json"]).json(0);
    let before = bucket(&site.machine);
    // Again is nothing new; the other one is too late, and so is putting both together.
    publish(&site, &["first.json"]).json(0);
    publish(&site, &["second.json"]).fails(2, &["another version is in force", "propose it again"]);
    publish(&site, &["first.json", "second.json"]).fails(2, &["are two proposals", "give copies of one proposal"]);
    assert_eq!(bucket(&site.machine), before);
    // A file cut short, an empty one, and what is no proposal at all.
    let whole = site.machine.read("second.json");
    for text in ["", "{}", "[]", &whole[..whole.len() / 2], &site.machine.read("keyhaven.toml")] {
        site.machine.write("cut.json", text);
        publish(&site, &["cut.json"]).fails(2, &["cut.json is no proposal of a trust policy"]);
        sign("cut.json").fails(2, &["cut.json is no proposal of a trust policy"]);
    }
    publish(&site, &["nowhere.json"]).fails(2, &["nowhere.json"]);
    assert_eq!(bucket(&site.machine), before);

    // A key of an algorithm of tomorrow: it may be listed, and signs nothing that this version counts.
    let unknown: KeyInfo = serde_json::from_value(json!(BASE64.encode(&[9; 60]))).unwrap();
    let (repository, ledger) = site.ledger();
    let (version, in_force) = ledger.trust().writes_under().unwrap();
    let time = chrono::Utc::now().into();
    let file = |change: &dyn Fn(&mut Policy)| {
        let mut next = in_force.next(version, *repository.id(), time, "keyhaven/test");
        change(&mut next);
        next.sort();
        let mut envelope = Envelope::unsigned(next.payload().unwrap());
        envelope.sign(&site.key("kit/custodian-key.pem"));
        let encoded = |envelope: &Envelope| BASE64.encode(&envelope.encode(Holds::Policy).unwrap());
        let reference = PolicyRef { version: next.version, digest: envelope.digest() };
        let before = ledger.trust().found().filter_map(|(version, _)| ledger.trust().envelope(&version).map(encoded));
        let text = json!({
            "schema": "keyhaven/policy-proposal/1", "repository": repository.id(), "version": reference,
            "envelope": encoded(&envelope), "predecessors": before.collect::<Vec<_>>(),
        });
        site.machine.write("unknown.json", &text.to_string());
    };
    // As a custodian it cannot sign, so a threshold that needs it is never met.
    file(&|next| {
        next.custodians
            .push(keyhaven::format::policy::Custodian { name: "tomorrow".into(), public_key: unknown.clone() });
        next.threshold = 2;
    });
    publish(&site, &["unknown.json"]).fails(2, &["too few have signed", "2 of 2 custodians"]);
    assert_eq!(bucket(&site.machine), before);
    file(&|next| {
        let roles = vec!["collector".to_owned()];
        next.keys.push(PolicyKey { name: "tomorrow".into(), public_key: unknown.clone(), roles, until: None });
    });
    publish(&site, &["unknown.json"]).json(0);
    site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
}

/// A collector whose clock of the policy is wrong: its entries name a version that never was.
#[test]
fn entries_that_name_a_policy_that_never_was_stop_no_backup_and_say_the_way_on() {
    let site = with_something_to_sweep();
    let event = site.ledger().1.latest_good().unwrap().event.clone();
    let never_was = PolicyRef { version: 9, digest: sha256(b"never was") };
    let place = EntryPlace { policy: never_was, ..site.place() };
    let pending = site.forge(&site.key("signing-key.pem"), &place, event);
    grow_old(&site.machine);
    let before = bucket(&site.machine);
    let checked = site.run(&["verify", "--level", "ledger", "--json"]).json(13);
    let found = problems(&checked);
    assert!(found.contains("cannot be judged yet") && found.contains(&pending.name()), "{found}");
    for command in [&["show"][..], &["ls"]] {
        site.run(command).fails(13, &["there is no latest snapshot", &pending.reference().to_string(), "--policy"]);
    }
    let swept = site.machine.run_with(&REAPER, &["sweep", "--apply", "--json"]).json(13);
    assert_eq!(swept["stopped"][0]["reason"], "ledger", "{swept:#}");
    assert!(swept["stopped"][0]["text"].as_str().unwrap().contains("--policy"), "{swept:#}");
    assert_eq!(bucket(&site.machine), before, "nothing was lost");
    let backup = site.run(&["backup", "--json"]).json(3);
    assert!(backup["doubts"].to_string().contains("cannot be judged yet"), "{backup:#}");
    assert_eq!(gone_since(&site.machine, &before), Vec::<String>::new());
    // A host without a memory does not seal to the recipients of a policy that may be an old one.
    let fresh = Fresh::new(&site.machine);
    let refused = fresh.run(&["backup"]);
    assert!(refused.code == 12 && refused.err.contains("--policy"), "{refused:#?}");
    // The way on: by name, or the end of the key at its last good entry.
    assert_eq!(site.run(&["show", "2", "--json"]).json(0)["sequence"], 2);
    let revoke = ["keys", "revoke", "collector", "--last-good", "2", "--json"];
    site.run(&[&revoke[..], &CUSTODIAN].concat()).json(0);
    assert_eq!(site.run(&["show", "--json"]).json(0)["sequence"], 2);
    site.run(&["verify", "--level", "ledger", "--json"]).json(0);
}
