//! Retention, forgetting, undoing and holding, by the program as an operator runs it.

use std::time::{Duration, SystemTime};

use keyhaven::format::event::{ForgetEvent, SweepEvent};
use keyhaven::format::{EntryEvent, names};
use keyhaven::model::Timestamp;
use serde_json::Value;

use crate::kit::site::Site;

const REAPER: [&str; 2] = ["--key", "reaper/signing-key.pem"];

/// A site with so many snapshots and a reaper.
fn site(snapshots: usize) -> Site {
    let site = Site::seeded();
    for _ in 1..snapshots {
        site.run(&["backup", "--json"]).json(0);
    }
    site.let_in("reaper", &["reaper"]);
    site
}

fn forget(site: &Site, arguments: &[&str]) -> Value {
    site.run(&[&["forget", "--json"], arguments, &REAPER[..]].concat()).json(0)
}

/// The sequences of the snapshots that the list shows in this state, newest first.
fn in_state(site: &Site, state: &str) -> Vec<u64> {
    let shown = site.listed(&["--all"]);
    let lines = shown.iter().filter(|line| line["state"] == state);
    lines.map(|line| line["sequence"].as_u64().unwrap()).collect()
}

fn sweep_of(site: &Site, sequence: u64) -> EntryEvent {
    let (_, ledger) = site.ledger();
    let snapshot = ledger.snapshots().into_iter().find(|entry| entry.sequence == sequence).unwrap().digest;
    EntryEvent::Sweep(SweepEvent { snapshots: vec![snapshot], objects: 0, bytes: 0, before: Timestamp::from_millis(0) })
}

#[test]
fn a_policy_says_what_it_would_do_and_then_does_it() {
    let site = site(4);
    let entries = site.stored("ledger").len();
    let plan = site.run(&["forget", "--keep-last", "2", "--json"]).json(0);
    assert_eq!((&plan["applied"], &plan["kept"], &plan["forgotten"]), (&false.into(), &2.into(), &2.into()));
    let lines = plan["snapshots"].as_array().unwrap();
    assert_eq!(lines[0]["reasons"], serde_json::json!([]));
    assert_eq!(lines[3]["reasons"], serde_json::json!(["newest good", "last 1 of 2"]));
    assert_eq!(site.stored("ledger").len(), entries, "nothing was written");
    let shown = site.run(&["forget", "--keep-last", "2"]);
    assert!(
        shown.out.contains("2 would be forgotten, 2 kept.") && shown.out.contains("no rule keeps it"),
        "{shown:#?}"
    );

    let done = forget(&site, &["--keep-last", "2", "--apply"]);
    assert_eq!((&done["applied"], done["entries"].as_array().unwrap().len()), (&true.into(), 1));
    assert!(done["undo_until"].is_string(), "{done:#}");
    assert_eq!(in_state(&site, "forgotten").len(), 2);
    assert_eq!(site.stored("ledger").len(), entries + 1);
    // A second time there is nothing to do, and nothing is written.
    assert_eq!(forget(&site, &["--keep-last", "2", "--apply"])["forgotten"], 0);
    assert_eq!(site.stored("ledger").len(), entries + 1);

    // What was forgotten is still whole, is expected to be, and is found by its number.
    site.run(&["verify", "--json"]).json(0);
    let oldest = in_state(&site, "forgotten").pop().unwrap().to_string();
    let listed = site.run(&["ls", "--snapshot", &oldest]);
    assert_eq!(listed.code, 0, "{listed:#?}");
    assert!(listed.err.contains("was forgotten (keep_last 2"), "{listed:#?}");
    // By time, it is not: nothing older than the kept ones is there.
    let first = lines[0]["time"].as_str().unwrap();
    site.run(&["ls", "--at", first]).fails(2, &["no good snapshot that old"]);
}

#[test]
fn configured_rules_hold_and_flags_take_their_place() {
    let site = site(3);
    site.run(&["forget", "--json"]).fails(2, &["no retention rule is set", "--keep-last"]);
    let config = site.machine.read("keyhaven.toml");
    site.machine
        .write("keyhaven.toml", &config.replace("[retention]", "[retention]\nkeep_last = 2\nkeep_within = \"1d\""));
    assert_eq!(site.run(&["forget", "--json"]).json(0)["forgotten"], 0, "all are of today");
    // Measured from the newest: all of them within a second of it is too much to ask of a slow machine, so by counts.
    let plan = site.run(&["forget", "--keep-within", "1s", "--keep-last", "1", "--keep-daily", "1", "--json"]).json(0);
    assert_eq!(plan["rule"], "keep_last 1, keep_daily 1, keep_within 1s, keep_suspect 30d (UTC)");
}

#[test]
fn days_by_the_store_protect_what_claims_no_day_of_its_own() {
    let site = site(4);
    // The store dates the first three to earlier days, although all claim to be of today.
    let sequences: Vec<u64> = in_state(&site, "live").into_iter().rev().collect();
    for (days, sequence) in [(3, sequences[0]), (2, sequences[1]), (1, sequences[2])] {
        let path = site
            .stored("ledger")
            .into_iter()
            .find(|path| path.to_str().unwrap().contains(&format!("/{sequence:012}-")));
        let file = std::fs::File::options().write(true).open(path.unwrap()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
    }
    let plan = site.run(&["forget", "--keep-daily", "3", "--json"]).json(0);
    let kept: Vec<bool> =
        plan["snapshots"].as_array().unwrap().iter().map(|line| line["keep"].as_bool().unwrap()).collect();
    assert_eq!(kept, [false, true, true, true], "{plan:#}");
    assert!(plan["snapshots"][1]["reasons"][0].as_str().unwrap().ends_with("by the store"), "{plan:#}");
}

#[test]
fn only_a_reaper_forgets() {
    let site = site(2);
    let own = site.run(&["forget", "--keep-last", "1", "--apply"]);
    own.fails(12, &["the role `reaper`", "keyhaven keys add"]);
    let custodian = ["forget", "--keep-last", "1", "--apply", "--key", "kit/custodian-key.pem"];
    site.run(&custodian).fails(12, &["does not list this key"]);
    assert_eq!(in_state(&site, "live").len(), 2);
}

#[test]
fn what_was_forgotten_is_taken_back_until_it_is_swept() {
    let site = site(3);
    forget(&site, &["--keep-last", "1", "--apply"]);
    let gone = in_state(&site, "forgotten");
    let [newer, older] = gone[..] else { panic!("{gone:?}") };
    let undo = |sequence: u64| {
        let text = sequence.to_string();
        site.run(&[&["forget", "--undo", &text, "--reason", "needed", "--json"], &REAPER[..]].concat())
    };
    undo(newer).json(0);
    assert_eq!(in_state(&site, "forgotten"), [older]);
    undo(newer).fails(2, &["is not forgotten"]);

    site.sign("reaper/signing-key.pem", sweep_of(&site, older));
    undo(older).fails(16, &["too late", &format!("snapshot {older} was swept")]);
    assert_eq!(in_state(&site, "swept"), [older]);
    assert_eq!(site.listed(&[]).len(), 2, "swept ones only with --all");
    site.run(&["forget", "--snapshot", &older.to_string(), "--reason", "x"]).fails(2, &["swept already"]);
    site.run(&["verify", "--snapshot", &older.to_string()]).fails(2, &["was swept"]);
}

#[test]
fn after_a_sweep_everything_that_is_kept_is_whole() {
    let site = Site::seeded();
    site.let_in("reaper", &["reaper"]);
    let first = in_state(&site, "live")[0];
    let (old, _) = site.newest_snapshot();
    // Trusts no earlier pack, so that the first snapshot shares nothing with it.
    site.run(&["backup", "--full", "--json"]).json(0);
    let (new, _) = site.newest_snapshot();
    // Forgotten long ago by the entry's own time: a sweep before the grace fails a check.
    let old_snapshot = site.ledger().1.snapshots()[0].digest;
    let event = EntryEvent::Forget(ForgetEvent { snapshots: vec![old_snapshot], rule: "test".to_owned() });
    let then = Timestamp::from(chrono::Utc::now()).plus_millis(-4 * 24 * 3_600_000);
    site.forge_at(then, &site.key("reaper/signing-key.pem"), &site.place(), event);
    site.sign("reaper/signing-key.pem", sweep_of(&site, first));
    assert_ne!(old.list, new.list);
    let keep: Vec<String> = packs(&site, &new.list.to_string());
    for pack in packs(&site, &old.list.to_string()).iter().filter(|pack| !keep.contains(pack)) {
        std::fs::remove_file(site.repository().join(format!("packs/{pack}.jsonl.zst.age"))).unwrap();
    }
    std::fs::remove_file(site.repository().join(names::list(&old.list))).unwrap();
    for part in old.parts.iter().filter(|part| new.parts.iter().all(|other| other.digest != part.digest)) {
        std::fs::remove_file(site.repository().join(names::catalogue(&part.digest))).unwrap();
    }
    site.run(&["verify", "--level", "payload", "--identity", "kit/recovery-identity.txt", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
    let listed = site.run(&["ls", "--json"]).json(0);
    let is_secret = |item: &&Value| item["key"].as_str().is_some_and(|key| key.starts_with("secret/"));
    let secret = listed.as_array().unwrap().iter().find(is_secret);
    let key = secret.unwrap()["key"].as_str().unwrap().to_owned();
    site.run(&["history", &key, "--json"]).json(0);
    site.run(&["ls", "--snapshot", &first.to_string()]).fails(13, &["was swept"]);
}

fn packs(site: &Site, list: &str) -> Vec<String> {
    let text = std::fs::read_to_string(site.repository().join(format!("lists/{list}.jsonl"))).unwrap();
    let lines = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["pack"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_builds_on_what_is_kept() {
    let site = site(2);
    let (_, before) = site.ledger();
    let snapshots = before.snapshots();
    let (one, two) = (snapshots[0].digest, snapshots[1].digest);
    // The program never gives the newest good one up; another reader's might.
    site.sign(
        "reaper/signing-key.pem",
        EntryEvent::Forget(ForgetEvent { snapshots: vec![two], rule: "another tool".to_owned() }),
    );
    assert_eq!(site.run(&["show", "--json"]).json(0)["digest"], one.to_string(), "the latest is the newest kept one");
    site.run(&["backup", "--json"]).json(0);
    let shown = site.run(&["show", "--json"]).json(0);
    assert_eq!(shown["snapshot"]["base"], one.to_string());
    site.run(&["verify", "--json"]).json(0);
}

#[test]
fn holds_and_tags_keep_and_the_last_verified_one_stays() {
    let site = Site::seeded();
    site.let_in("reaper", &["reaper"]);
    site.let_in("verifier", &["verifier"]);
    let record = || {
        let key = [("KEYHAVEN_KEYS_SIGNING_KEY", "file:verifier/signing-key.pem")];
        site.machine.run_with(&key, &["verify", "--record", "--json"]).json(0);
    };
    record();
    site.run(&["backup", "--tag", "release-7", "--tag", "blue", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
    site.run(&["backup", "--json"]).json(0);
    let all: Vec<u64> = in_state(&site, "live").into_iter().rev().collect();
    let hold = |verb: &str, key: &str| {
        let sequence = all[2].to_string();
        site.run(&["snapshots", verb, &sequence, "--reason", "the audit", "--key", key, "--json"])
    };
    site.run(&["snapshots", "hold", &all[2].to_string(), "--reason", "x"]).fails(12, &["the role `reaper`"]);
    hold("hold", "reaper/signing-key.pem").json(0);
    let plan = forget(&site, &["--keep-last", "1", "--keep-tag", "release-7"]);
    let reasons: Vec<&str> =
        plan["snapshots"].as_array().unwrap().iter().map(|line| line["reasons"][0].as_str().unwrap()).collect();
    assert_eq!(reasons, ["last verified", "tag release-7", "held: the audit", "newest good"]);
    let listed = site.run(&["snapshots"]);
    assert!(listed.out.contains("held: the audit") && listed.out.contains("#blue, #release-7"), "{listed:#?}");

    let by_hand = |sequence: u64| {
        let text = sequence.to_string();
        site.run(&[&["forget", "--snapshot", &text, "--reason", "wrong", "--apply", "--json"], &REAPER[..]].concat())
    };
    by_hand(all[0]).fails(2, &["never forgotten: last verified"]);
    by_hand(all[2]).fails(2, &["never forgotten: held: the audit"]);
    by_hand(all[3]).fails(2, &["never forgotten: newest good"]);
    assert_eq!(by_hand(all[1]).json(0)["rule"], "by hand: wrong");
    // A verification of everything names the heads, and covers what is below them.
    record();
    let plan = forget(&site, &["--keep-last", "1"]);
    assert_eq!(plan["snapshots"][0]["keep"], false, "what was verified later takes its place: {plan:#}");
    hold("release", "reaper/signing-key.pem").json(0);
    hold("release", "reaper/signing-key.pem").fails(2, &["is not held"]);
    by_hand(all[2]).json(0);
    hold("hold", "reaper/signing-key.pem").fails(2, &["is forgotten", "--undo"]);
    assert_eq!(in_state(&site, "live"), [all[3], all[0]], "only what was asked for");
}

#[test]
fn what_is_typed_wrongly_is_refused_and_writes_nothing() {
    let site = site(2);
    let entries = site.stored("ledger").len();
    let cases: &[(&[&str], &str)] = &[
        (&["--keep-last=-1"], "whole number"),
        (&["--keep-last", "many"], "whole number"),
        (&["--keep-daily", "1.5"], "whole number"),
        (&["--keep-within", "7"], "a time with a unit"),
        (&["--keep-within", "1s", "--keep-suspect", "soon"], "a time with a unit"),
        (&["--keep-last", "1", "--zone", "Europe/Berlim"], "Europe/Berlin"),
        (&["--keep-tag", "two words"], "no white space"),
        (&["--keep-tag", "a,b"], "no white space, comma"),
        (&["--keep-last", "0"], "no retention rule"),
        (&["--keep-last", "1", "--reason", "because"], "--reason belongs to"),
        (&["--undo", "1"], "--reason"),
        (&["--snapshot", "2"], "--reason"),
        (&["--undo", "2", "--reason", "x", "--apply"], "cannot be used with"),
        (&["--undo", "2", "--reason", "x", "--keep-last", "1"], "cannot be used with"),
        (&["--snapshot", "2", "--reason", "x", "--keep-last", "1"], "cannot be used with"),
        (&["--undo", "latest", "--reason", "x"], "another one tomorrow"),
        (&["--passphrase-file", "x"], "--key"),
    ];
    for (arguments, said) in cases {
        site.run(&[&["forget"], *arguments].concat()).fails(2, &[said]);
    }
    for arguments in [["--undo", "99999", "--reason", "x"], ["--snapshot", "99999", "--reason", "x"]] {
        site.run(&[&["forget"], &arguments[..]].concat()).fails(2, &["there is none with that sequence number"]);
    }
    for tag in ["", "two words", "a,b", &"x".repeat(65)] {
        site.run(&["backup", "--tag", tag]).fails(2, &["a tag has 1 to 64 bytes"]);
    }
    assert_eq!(site.stored("ledger").len(), entries);
}
