//! What custodians read before they sign, and what they are told when something does not fit.

use data_encoding::BASE64;
use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::policy::{AcceptedLosses, Custodian, PolicyKey, PolicyRecipient, PolicySettings};
use keyhaven::format::{EntryRef, Policy, PolicyRef};
use serde_json::{Value, json};

use super::commands::{carry, id_of};
use crate::kit::program::Machine;
use crate::kit::site::{CUSTODIAN, Site};

fn encoded(envelope: &Envelope) -> String {
    BASE64.encode(&envelope.encode(Holds::Policy).unwrap())
}

/// A proposal file for a policy, with these versions before it.
fn file(site: &Site, policy: &Policy, before: &[Envelope]) -> String {
    let envelope = Envelope::unsigned(policy.payload().unwrap());
    let version = PolicyRef { version: policy.version, digest: envelope.digest() };
    let before: Vec<String> = before.iter().map(encoded).collect();
    json!({
        "schema": "keyhaven/policy-proposal/1", "repository": id_of(site), "version": version,
        "envelope": encoded(&envelope), "predecessors": before,
    })
    .to_string()
}

/// The version in force, a next one without a change, and the envelopes of the chain.
fn next(site: &Site) -> (Policy, Vec<Envelope>) {
    let (repository, ledger) = site.ledger();
    let (version, policy) = ledger.trust().writes_under().unwrap();
    let chain = policy.previous.iter().copied().chain([version]);
    let chain = chain.map(|version| ledger.trust().envelope(&version).unwrap().clone()).collect();
    (policy.next(version, *repository.id(), policy.time, "test"), chain)
}

#[test]
fn a_change_of_any_member_is_shown_in_words_before_anybody_signs() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    site.run(&[&["keys", "retire", "host", "--json"], &CUSTODIAN[..]].concat()).json(0);
    let (policy, chain) = next(&site);
    let (digest, key) = (sha256(b"made up"), SigningKey::from_seed(&[9; 32]).public());
    let entry = EntryRef { sequence: 7, digest };
    let recipient = |name: &str| PolicyRecipient { name: name.to_owned(), recipient: "age1madeup".to_owned() };
    // Every member and every member of these: who adds one sees here that it needs words.
    let Policy {
        format: _,
        version: _,
        repository: _,
        source: _,
        previous: _,
        custodians,
        threshold: _,
        keys,
        recovery_recipients: _,
        catalogue_recipients: _,
        settings: PolicySettings { grace_seconds: _, longest_run_seconds: _, recover_md: _ },
        lost: AcceptedLosses { entries: _, packs: _, snapshots: _ },
        accepted: _,
        held: _,
        reason: _,
        time: _,
        tool: _,
        critical: _,
        unknown: _,
    } = &policy;
    let (Custodian { name: _, public_key: _ }, PolicyKey { name: _, public_key: _, roles: _, until: _ }) =
        (&custodians[0], &keys[0]);
    let ended = keys.iter().position(|key| key.name == "host").unwrap();
    let living = keys.iter().position(|key| key.name == "collector").unwrap();
    type Change<'a> = Box<dyn Fn(&mut Policy) + 'a>;
    let custodian = || Custodian { name: "Dora".to_owned(), public_key: key.into() };
    let added = || PolicyKey {
        name: "new".to_owned(),
        public_key: key.into(),
        roles: vec!["reaper".to_owned()],
        until: Some(vec![entry]),
    };
    let changes: Vec<(Change<'_>, &str)> = vec![
        (Box::new(|_| ()), "changes nothing but its number"),
        (Box::new(|p| p.source.instance = "another".to_owned()), "CHANGES THE SOURCE from"),
        (
            Box::new(|p| p.previous.insert(0, PolicyRef { version: 1, digest })),
            "as an earlier version, which is not here",
        ),
        (Box::new(|p| p.custodians.push(custodian())), "adds the custodian Dora ("),
        (Box::new(|p| p.custodians = vec![custodian()]), "removes the custodian custodian 1 ("),
        (Box::new(|p| p.custodians[0].name = "Eve".to_owned()), "renames the custodian custodian 1 ("),
        (
            Box::new(|p| {
                p.custodians.push(custodian());
                p.threshold = 2;
            }),
            "changes how many custodians must sign from 1 to 2, of 2",
        ),
        (
            Box::new(|p| p.keys.push(added())),
            "which may sign as reaper, ended: what it signed counts up to 000000000007-",
        ),
        (Box::new(move |p| p.keys[living].name = "Eve".to_owned()), "renames the key collector ("),
        (Box::new(move |p| p.keys[living].until = Some(Vec::new())), "): nothing that it signed counts"),
        (Box::new(move |p| p.keys[ended].until = Some(vec![entry])), "changes the end of the key host ("),
        (Box::new(|p| p.recovery_recipients.push(recipient("Dora"))), "adds the recovery recipient Dora (age1madeup)"),
        (
            Box::new(|p| p.recovery_recipients = vec![recipient("Dora")]),
            "removes the recovery recipient recovery kit (age1",
        ),
        (
            Box::new(|p| p.recovery_recipients[0].name = "Eve".to_owned()),
            "renames the recovery recipient recovery kit (",
        ),
        (
            Box::new(|p| p.catalogue_recipients.push(recipient("Dora"))),
            "adds the catalogue recipient Dora (age1madeup)",
        ),
        (Box::new(|p| p.catalogue_recipients.clear()), "removes the catalogue recipient collector (age1"),
        (Box::new(|p| p.settings.grace_seconds = 432_000), "changes the grace, for which something stays"),
        (Box::new(|p| p.settings.longest_run_seconds = 60), "changes the longest run from 6 h to 1 min"),
        (Box::new(|p| p.settings.recover_md = digest), "replaces RECOVER.md: its digest is now"),
        (Box::new(|p| p.lost.entries.push(entry)), "accepts the loss of the entries 000000000007-"),
        (Box::new(|p| p.lost.packs.push(digest)), "accepts the loss of the packs"),
        (Box::new(|p| p.lost.snapshots.push(digest)), "accepts the loss of the snapshots"),
        (Box::new(|p| p.accepted.push(digest)), "accepts the suspect snapshots"),
        (Box::new(|p| p.held.push(digest)), "holds the snapshots"),
        (Box::new(|p| p.reason = Some("the reason".to_owned())), "reason: the reason"),
        (Box::new(|p| drop(p.unknown.insert("zeal".to_owned(), json!(1)))), "does not know: zeal"),
        (Box::new(|p| p.critical = Some(vec!["threshold".to_owned()])), "that a reader must know: threshold"),
    ];
    for (change, words) in &changes {
        let mut changed = policy.clone();
        change(&mut changed);
        changed.sort();
        site.machine.write("changed.json", &file(&site, &changed, &chain));
        // Without a terminal nobody has signed, and everything has been shown.
        let sign = site.run(&["trust", "sign", "changed.json", "--quiet", "--key", "kit/custodian-key.pem"]);
        sign.fails(2, &[words, "no terminal to ask on"]);
    }
    // What was given may be taken back, and that has words, too.
    let mut before = policy.clone();
    before.lost = AcceptedLosses { entries: vec![entry], packs: vec![digest], snapshots: vec![digest] };
    (before.accepted, before.held) = (vec![digest], vec![digest]);
    before.sort();
    let mut signed = Envelope::unsigned(before.payload().unwrap());
    signed.sign(&site.key("kit/custodian-key.pem"));
    let own = PolicyRef { version: before.version, digest: signed.digest() };
    let mut after = before.next(own, id_of(&site).parse().unwrap(), before.time, "test");
    (after.lost, after.accepted, after.held) = (AcceptedLosses::default(), Vec::new(), Vec::new());
    let chain: Vec<Envelope> = chain.into_iter().chain([signed]).collect();
    site.machine.write("changed.json", &file(&site, &after, &chain));
    let words = ["entries", "packs", "snapshots"].map(|what| format!("no longer accepts the loss of the {what}"));
    let words =
        [&words[0], &words[1], &words[2], "no longer accepts the suspect snapshots", "no longer holds the snapshots"];
    site.run(&["trust", "sign", "changed.json", "--key", "kit/custodian-key.pem"]).fails(2, &words);
}

#[test]
fn a_command_with_a_key_at_hand_shows_the_change_before_it_opens_the_key() {
    let site = Site::seeded();
    let stored = site.stored("trust");
    for key in ["nowhere", "kit/recovery-signing-key.pem"] {
        let propose = ["trust", "propose", "--grace", "5d", "--reason", "because", "--quiet", "--key", key];
        site.run(&propose).fails(12, &["Version 2 of the trust policy:", "from 2 d to 5 d", "reason: because"]);
    }
    assert_eq!(site.stored("trust"), stored);
    let done = site.run(&[&["trust", "propose", "--grace", "5d"], &CUSTODIAN[..]].concat());
    assert!(done.code == 0 && done.err.contains("from 2 d to 5 d"), "{done:#?}");
    assert!(done.out.starts_with("Version 2 of the trust policy is in force.\n"), "{done:#?}");
}

#[test]
fn an_end_that_moves_says_which_entries_count_again() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let record = ["verify", "--record", "host/signing-key.pem", "--state-dir", "host-state", "--json"];
    let recorded = site.run(&record).json(0)["recorded"].clone();
    let digest = recorded.as_str().unwrap();
    let revoke = |more: &[&str]| site.run(&[&["keys", "revoke", "host", "--json"], more, &CUSTODIAN].concat()).json(0);
    let lost = revoke(&[]);
    assert_eq!((&lost["no_longer_counts"][0]["entries"], &lost["counts_again"]), (&1.into(), &Value::Null));
    let gained = revoke(&["--last-good", digest]);
    assert_eq!((&gained["counts_again"][0]["entries"], &gained["no_longer_counts"]), (&1.into(), &Value::Null));
    assert_eq!(gained["counts_again"][0]["name"], "host");
}

#[test]
fn sign_says_what_does_not_fit_and_leaves_the_file_as_it_is() {
    let (site, offline, stranger) = (Site::seeded(), Machine::new(), Machine::new());
    site.run(&["trust", "propose", "--grace", "5d", "--reason", "x", "--out", "p.json", "--json"]).json(0);
    for name in ["kit/custodian-key.pem", "kit/recovery-signing-key.pem", "kit/recovery-identity.txt", "p.json"] {
        carry(&site.machine, name, &offline, name.trim_start_matches("kit/"));
    }
    stranger.run(&["keys", "new", "--out", "kit", "--no-passphrase", "--json"]).json(0);
    carry(&stranger, "kit/custodian-key.pem", &offline, "stranger.pem");
    let unsigned = offline.read("p.json");
    let sign =
        |key: &str, more: &[&str]| offline.run(&[&["trust", "sign", "p.json", "--key", key, "--json"], more].concat());
    sign("custodian-key.pem", &[]).fails(2, &["no terminal to ask on", "--yes"]);
    let custodians = "custodians are custodian 1 (";
    sign("stranger.pem", &["--yes"]).fails(12, &["is no custodian's key of this repository", custodians]);
    sign("recovery-signing-key.pem", &["--yes"]).fails(12, &["is no custodian's key of this repository", custodians]);
    sign("recovery-identity.txt", &["--yes"]).fails(12, &["not a usable Ed25519 signing key", "recovery-identity.txt"]);
    sign("nowhere.pem", &["--yes"]).fails(12, &["nowhere.pem", "--key takes the file with a custodian's key"]);
    assert_eq!(offline.read("p.json"), unsigned);
    let publish = |file: &str| site.run(&["trust", "publish", file]);
    let stored = site.stored("trust");
    publish("p.json").fails(2, &["too few have signed: 1 of 1 custodian of version 1 must sign; none has"]);
    publish("nowhere.json").fails(2, &["cannot read the proposal nowhere.json"]);
    publish("api-key").fails(2, &["api-key is no proposal of a trust policy"]);
    assert_eq!(site.stored("trust"), stored);

    assert_eq!(sign("custodian-key.pem", &["--yes"]).json(0)["complete"], true);
    let signed = offline.read("p.json");
    let twice = sign("custodian-key.pem", &["--yes"]);
    assert!(twice.err.contains("custodian 1 has signed this copy before"), "{twice:#?}");
    let twice = twice.json(0);
    assert_eq!((&twice["signers"][0]["signed"], offline.read("p.json")), (&json!(["custodian 1"]), signed));
    // The same stands where the file is the output: nobody's signatures are overwritten.
    offline.write("taken.json", "signatures of others");
    sign("custodian-key.pem", &["--yes", "--out", "taken.json"]).fails(2, &["taken.json exists already", "--out"]);
    assert_eq!(offline.read("taken.json"), "signatures of others");
}

#[test]
fn a_proposal_without_what_it_is_measured_from_says_what_to_do() {
    let site = Site::seeded();
    site.let_in("host", &["verifier"]);
    let (policy, chain) = next(&site);
    let sign = |file: &str, more: &[&str]| {
        let key = "kit/custodian-key.pem";
        site.run(&[&["trust", "sign", file, "--yes", "--key", key, "--out", "signed.json", "--json"], more].concat())
    };
    site.machine.write("p.json", &file(&site, &policy, &chain[1..]));
    sign("p.json", &[]).fails(2, &["lacks version 1 of the trust policy", "--policy FILE"]);
    // Whoever relies on version 2 needs no version 1.
    let second = site.stored("trust").pop().unwrap().display().to_string();
    sign("p.json", &["--policy", &second]).json(0);
    std::fs::remove_file(site.machine.path("signed.json")).unwrap();
    // A pin that the file does not know: an old proposal, or another branch.
    let (first, rest) = chain.split_first().unwrap();
    let old = Policy::read(&first.payload).unwrap();
    let (version, ..) = Policy::decode(&first.encode(Holds::Policy).unwrap()).unwrap();
    let old = old.next(version, id_of(&site).parse().unwrap(), old.time, "test");
    site.machine.write("old.json", &file(&site, &old, std::slice::from_ref(first)));
    let pin = PolicyRef { version: 2, digest: rest[0].digest() }.to_string();
    let why = format!("this machine relies on version {pin} of the trust policy, and the proposal file lacks it");
    sign("old.json", &["--policy", &pin]).fails(13, &[&why, "ask who proposed it"]);
    assert!(!site.machine.path("signed.json").exists());
}

#[test]
fn an_output_file_that_is_there_or_not_needed_is_never_passed_over_in_silence() {
    let site = Site::seeded();
    let propose = ["trust", "propose", "--grace", "5d", "--reason", "x"];
    assert_eq!(site.run(&propose).code, 0);
    let before = site.machine.read("policy-2.json");
    site.run(&propose).fails(2, &["policy-2.json exists already", "publish it first", "--out"]);
    assert_eq!(site.machine.read("policy-2.json"), before);
    let hold = ["snapshots", "hold", "1", "--reason", "x", "--out", "hold.json"];
    let reaper = [&hold[..], &["--key", "kit/recovery-signing-key.pem"]].concat();
    site.run(&reaper).fails(2, &["hold.json would not be written", "--propose"]);
    assert_eq!((site.stored("ledger").len(), site.listed(&[])[0]["held"].clone()), (1, Value::Null));
    assert_eq!(site.run(&[&hold[..], &["--propose"]].concat()).code, 0);
    assert!(site.machine.path("hold.json").exists());
}

#[test]
fn eighty_columns_cut_no_name_and_no_key() {
    let site = Site::seeded();
    let name = "the host in the cellar of the old building by the river";
    site.let_in("host", &["verifier"]);
    let (recipient, digest) =
        ("age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa", "ends the key host\n    (");
    let add = ["recipients", "add", recipient, "--name", name, "--out", "p.json", "--reason", "x"];
    let columns = [("COLUMNS", "80")];
    let proposed = site.machine.run_with(&columns, &add);
    assert!(proposed.out.lines().all(|line| line.chars().count() <= 80), "{proposed:#?}");
    assert!(
        proposed.out.contains(recipient)
            && proposed.out.split_whitespace().collect::<Vec<_>>().join(" ").contains(name)
    );
    let retire = site.machine.run_with(&columns, &[&["keys", "retire", "host"], &CUSTODIAN[..]].concat());
    assert!(retire.err.contains(digest) && retire.out.lines().all(|line| line.chars().count() <= 80), "{retire:#?}");
    let added = site.run(&[&["recipients", "add", recipient, "--name", name], &CUSTODIAN[..]].concat());
    assert_eq!(added.code, 0, "{added:#?}");
    for command in [&["trust", "show"][..], &["recipients", "list"]] {
        let shown = site.machine.run_with(&columns, command);
        assert!(shown.out.contains(recipient) && shown.out.contains(name), "{shown:#?}");
    }
    let listed = site.machine.run_with(&columns, &["keys", "list"]);
    assert!(listed.out.contains("none counts") && !listed.out.contains('…'), "{listed:#?}");
    assert!(listed.out.lines().all(|line| line.chars().count() <= 80), "{listed:#?}");
}
