//! One attack a test, through the program: exit codes, and what a reader relies upon.

use std::path::Path;

use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::event::{SweepEvent, VerificationEvent};
use keyhaven::format::{Entry, EntryEvent, EntryPlace, EntryRef, Policy, PolicyRef, names};
use keyhaven::model::Timestamp;
use serde_json::Value;

use crate::kit::ledger::*;
use crate::kit::policy;
use crate::kit::program::{Machine, Run};
use crate::kit::site::{CUSTODIAN, Site};

/// The program on a repository that was forged, on a host that never saw it.
pub(crate) struct Forged {
    pub(crate) machine: Machine,
    pub(crate) id: String,
}

impl Forged {
    pub(crate) fn new(book: &Book) -> Self {
        let machine = Machine::new();
        book.save(&machine.path("repo"));
        Self { machine, id: book.id.to_string() }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let named = ["--repository", "repo", "--repository-id", &self.id];
        self.machine.run(&[arguments, &named, &["--json"]].concat())
    }

    /// What `verify` says of the ledger, ending with a code.
    pub(crate) fn verified(&self, code: i32) -> Value {
        self.run(&["verify", "--level", "ledger"]).json(code)
    }

    /// The sequences of the snapshots that are listed, newest first.
    pub(crate) fn snapshots(&self) -> Vec<u64> {
        let run = self.run(&["snapshots"]);
        let listed: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
        listed["snapshots"].as_array().unwrap().iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
    }
}

/// 1. The revoked key deletes its revocation, and signs a snapshot on top.
#[test]
fn a_revoked_key_does_not_bring_itself_back() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let first = book.policy;
    let second = book.end(COLLECTOR, &[&two]);
    let envelope = book.envelope(second);
    let honest = book.store(book.entry(OTHER_COLLECTOR, &[&three]).carrying(&envelope), snapshot("honest"));
    book.lose_policy(second);
    book.store(book.entry(COLLECTOR, &[&honest]).under(first), snapshot("the thief's"));
    let forged = Forged::new(&book);
    let checked = forged.verified(13);
    assert!(checked["problems"].to_string().contains(&names::policy(&second)), "{checked:#}");
    assert_eq!(forged.snapshots(), [4, 2, 1], "the thief's is none");
}

/// 9. After a correct revocation a check passes, and rubbish does not hide that.
#[test]
fn a_correct_revocation_is_a_counted_line_and_no_alarm() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let second = book.end(COLLECTOR, &[&two]);
    let envelope = book.envelope(second);
    book.store(book.entry(OTHER_COLLECTOR, &[&three]).carrying(&envelope), snapshot("honest"));
    let checked = Forged::new(&book).verified(0);
    let warnings = checked["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|line| line.as_str().unwrap().contains("1 entries of the key key 1")), "{checked:#}");
}

/// 6. Snapshots by nobody, by a custodian, by keys without the role, by an ended key: none is listed.
#[test]
fn only_a_collector_that_has_not_ended_makes_a_snapshot() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    book.end(COLLECTOR, &[&two]);
    for seed in [STRANGER, CUSTODIANS[0], VERIFIER, RESTORER, REAPER, OPERATOR, COLLECTOR] {
        book.write(seed, &[&three], snapshot("forged"));
    }
    let forged = Forged::new(&book);
    forged.verified(0);
    assert_eq!(forged.snapshots(), [2, 1]);
    forged.run(&["show"]).fails(0, &[]);
    assert_eq!(forged.run(&["show"]).json(0)["sequence"], 2);
}

/// A snapshot that cannot be judged: no latest, and the candidates are named.
#[test]
fn a_snapshot_under_a_version_that_nobody_has_stops_the_choice_and_nothing_else() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let never_was = PolicyRef { version: 9, digest: sha256(b"never was") };
    let pending = book.store(book.entry(COLLECTOR, &[&three]).under(never_was), snapshot("pending"));
    let forged = Forged::new(&book);
    let checked = forged.verified(13);
    assert!(checked["problems"].to_string().contains("cannot be judged"), "{checked:#}");
    let refused = forged.run(&["show"]);
    refused.fails(13, &[&pending.reference().to_string(), &three.reference().to_string()]);
    assert_eq!(forged.run(&["show", "3"]).json(0)["sequence"], 3);
}

/// 3. A fork by one custodian is none; a fork by two is said, and nothing is built on it.
#[test]
fn custodians_below_the_threshold_change_nothing_and_a_fork_is_said() {
    let (mut book, [one, .., three]) = Book::with_three_snapshots();
    let first = book.policy;
    let theft = book.following(&[first], |policy| end(policy, COLLECTOR, &[]));
    book.put_policy(&theft, &[CUSTODIANS[0]]);
    let forged = Forged::new(&book);
    forged.verified(0);
    assert_eq!(forged.snapshots(), [3, 2, 1]);
    book.put_policy(&theft, &[CUSTODIANS[1]]);
    let other = book.following(&[first], |policy| end(policy, COLLECTOR, &[&one, &three]));
    let other = book.put_policy(&other, TWO);
    let forged = Forged::new(&Book { trust: deduplicated(&book), ..book });
    let checked = forged.verified(13);
    assert!(checked["problems"].to_string().contains("forked"), "{checked:#}");
    // The operator says which branch.
    forged.run(&["verify", "--level", "ledger", "--policy", &other.to_string()]).json(0);
}

/// Files of the policy as a bucket holds them: each name once, with the signatures of all copies.
pub(crate) fn deduplicated(book: &Book) -> Vec<File> {
    let mut pool = keyhaven::repository::trust::PolicyPool::default();
    book.trust.iter().for_each(|(_, bytes)| drop(pool.add(bytes)));
    let versions: Vec<PolicyRef> = pool.iter().map(|(version, _)| version).collect();
    let encode = |version: &PolicyRef| {
        let envelope = pool.envelope(version).unwrap();
        envelope.encode(keyhaven::format::envelope::Holds::Policy).unwrap().into()
    };
    versions.iter().map(|version| (names::policy(version), encode(version))).collect()
}

/// 12. The version that added a collector is lost: an entry of that collector carries it.
#[test]
fn the_loss_of_one_version_of_the_policy_takes_no_snapshot_away() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let second = book.change(|policy| policy.keys.push(policy_key(20, &[keyhaven::format::SigningRole::Collector])));
    let envelope = book.envelope(second);
    book.store(book.entry(20, &[&three]).carrying(&envelope), snapshot("four"));
    book.lose_policy(second);
    let forged = Forged::new(&book);
    forged.verified(13);
    assert_eq!(forged.snapshots(), [4, 3, 2, 1]);
}

/// 16. Nothing to restore is no pass, and a sweep that came too early is named.
#[test]
fn a_stolen_reaper_that_sweeps_everything_is_named_and_can_be_answered() {
    let (mut book, [one, two, three]) = Book::with_three_snapshots();
    let all = digests(&[&one, &two, &three]);
    let sweep = EntryEvent::Sweep(SweepEvent { snapshots: all, objects: 0, bytes: 0, before: at(0) });
    let swept = book.write(REAPER, &[&three], sweep);
    let forged = Forged::new(&book);
    let problems = forged.verified(13)["problems"].to_string();
    assert!(problems.contains("nothing can be restored"), "{problems}");
    assert!(problems.contains(&swept.name()) && problems.contains("before the grace"), "{problems}");
    book.end(REAPER, &[]);
    let forged = Forged::new(&book);
    forged.verified(0);
    assert_eq!(forged.snapshots(), [3, 2, 1]);
}

/// 19. An entry from the future is said; what is after it is not mistimed for ever.
#[test]
fn an_entry_from_the_future_is_said() {
    let (mut book, [.., three]) = Book::with_three_snapshots();
    let future = book.store(book.entry(COLLECTOR, &[&three]).at(40_000_000), snapshot("future"));
    let honest = book.write(OTHER_COLLECTOR, &[&future], snapshot("honest"));
    let checked = Forged::new(&book).verified(0);
    let warnings = checked["warnings"].to_string();
    assert!(warnings.contains(&honest.name()) && warnings.contains("mistimed"), "{checked:#}");
}

/// A collector's key and PUT, on a site that backs up.
fn thief(site: &Site) -> SigningKey {
    site.key("signing-key.pem")
}

fn body(site: &Site) -> EntryEvent {
    let (_, ledger) = site.ledger();
    EntryEvent::Snapshot(Box::new(ledger.snapshots()[0].snapshot().unwrap().clone()))
}

/// 2. One entry far above everything stops no writer, and ends with its key.
#[test]
fn an_entry_that_would_use_up_all_sequences_stops_nobody() {
    let site = Site::seeded();
    let made_up = EntryRef { sequence: 999_999_999_990, digest: sha256(b"made up") };
    let mut place = site.place();
    place.parents.push(made_up);
    let jump = site.forge(&thief(&site), &place, body(&site));
    let upon = EntryPlace { parents: vec![jump.reference()], ..site.place() };
    site.forge(&thief(&site), &upon, body(&site));
    let run = site.run(&["backup", "--json"]);
    let report = run.json(3);
    assert_eq!(report["sequence"], 2, "the next entry is the second: {report:#}");
    site.run(&["verify", "--level", "ledger", "--json"]).json(13);
    // The custodian ends the key at its last good entry, and another collector goes on.
    site.run(&[&["keys", "revoke", "collector", "--last-good", "2", "--json"][..], &CUSTODIAN].concat()).json(0);
    site.run(&["verify", "--level", "ledger", "--json"]).json(0);
}

/// 2, the other way: more heads than an entry can name.
#[test]
fn a_thousand_and_one_heads_stop_nobody() {
    let site = Site::seeded();
    let (place, event) = (site.place(), body(&site));
    let EntryEvent::Snapshot(event) = event else { unreachable!() };
    for number in 0..1_001 {
        let mut event = event.clone();
        event.notes = vec![number.to_string()];
        site.forge(&thief(&site), &place, EntryEvent::Snapshot(event));
    }
    let report = site.run(&["backup", "--json"]).json(0);
    assert_eq!(report["sequence"], 3, "{report:#}");
    let (_, ledger) = site.ledger();
    let newest = ledger.snapshots().last().unwrap().parents.len();
    assert_eq!(newest, 1_000);
    site.run(&[&["keys", "revoke", "collector", "--last-good", "1", "--json"][..], &CUSTODIAN].concat()).json(0);
}

/// 2b, without versions. One byte over the first version of the policy ends no restore: entries carry it.
#[test]
fn one_put_over_the_policy_or_an_entry_ends_no_restore() {
    let site = Site::seeded();
    site.run(&["backup", "--json"]).json(0);
    let (policy, oldest) = (site.stored("trust").remove(0), site.stored("ledger").remove(0));
    for file in [policy, oldest] {
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, b"x").unwrap();
        // On a host that never saw it.
        let blind = site.listed(&["--state-dir", "another"]);
        assert!(!blind.is_empty(), "{}", file.display());
        assert_eq!(site.run(&["verify", "--level", "ledger", "--json", "--state-dir", "another"]).code, 13);
        std::fs::write(&file, whole).unwrap();
    }
    // Over the newest: this host saw it.
    std::fs::write(site.newest_entry(), b"x").unwrap();
    assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).code, 13);
}

/// 7. Readers ask the memory of their own host, and say what it saw and the bucket lacks on the first line.
#[test]
fn what_this_host_saw_and_is_gone_is_the_first_thing_that_is_said() {
    let site = Site::seeded();
    site.run(&["backup", "--json"]).json(0);
    let newest = site.newest_entry();
    let reference = newest.file_stem().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_file(newest).unwrap();
    assert_eq!(site.run(&["verify", "--level", "ledger", "--json"]).code, 13);
    for command in [&["status"][..], &["snapshots"]] {
        let run = site.run(command);
        let said = format!("{}{}", run.err, run.out);
        // Its sentence may be wrapped.
        let first = said.lines().take(3).collect::<Vec<_>>().join(" ");
        assert!(first.contains("the ledger lacks") && first.contains(&reference), "{command:?}: {run:#?}");
    }
    // Another host cannot know.
    site.run(&["verify", "--level", "ledger", "--json", "--state-dir", "another"]).json(0);
}

/// 8. The collector of `init` has one role, and signs no verification that counts.
#[test]
fn a_collector_verifies_nothing() {
    let site = Site::seeded();
    let listed = site.run(&["keys", "list", "--json"]).json(0);
    let own = listed.as_array().unwrap().iter().find(|line| line["own"] == true).unwrap();
    assert_eq!(own["roles"], serde_json::json!(["collector"]), "{listed:#}");
    let heads = site.ledger().1.heads().iter().map(|head| head.digest).collect();
    let forged = EntryEvent::Verification(VerificationEvent {
        level: "payload".to_owned(),
        slice: None,
        passed: true,
        problems: 0,
        entries: heads,
        counts: None,
    });
    site.sign("signing-key.pem", forged);
    let status = site.run(&["status", "--json"]).json(0);
    assert_eq!(status["status"]["verified"], Value::Null, "{status:#}");
    site.run(&["verify", "--record"]).fails(12, &["role"]);
}

/// 4. Who may edit the collector's configuration chooses no recipients, and a snapshot sealed to others is found.
#[test]
fn a_snapshot_sealed_to_others_than_the_policy_says_is_suspect() {
    let site = Site::seeded();
    let EntryEvent::Snapshot(mut event) = body(&site) else { unreachable!() };
    event.recipients = sha256(b"age1thief\n");
    let forged = site.sign("signing-key.pem", EntryEvent::Snapshot(event));
    let checked = site.run(&["verify", "--level", "ledger", "--json"]).json(13);
    assert!(checked["problems"].to_string().contains(&forged.name()), "{checked:#}");
    assert_eq!(site.run(&["show", "--json"]).json(0)["sequence"], 1, "the latest good one");
}

/// 11. An id that the identity does not name is refused, wherever it comes from.
#[test]
fn the_identitys_pin_is_not_silently_overruled() {
    let site = Site::seeded();
    let other = Site::seeded();
    let foreign = other.ledger().0.id().to_string();
    let place = other.repository();
    let identity = ["--identity", "kit/recovery-identity.txt"];
    site.run(&["keys", "pin", "kit/recovery-identity.txt", "--json"]).json(0);
    let named = ["--repository", place.to_str().unwrap(), "--repository-id", &foreign];
    let verify = ["verify", "--level", "payload"];
    site.run(&[&verify[..], &named, &identity].concat()).fails(2, &[&foreign]);
    let variables = [("KEYHAVEN_REPOSITORY_ID", foreign.as_str())];
    site.machine.run_with(&variables, &[&verify[..], &named[..2], &identity].concat()).fails(2, &[&foreign]);
}

/// 17 and others: what is no plain file is neither opened nor waited for.
#[test]
fn a_pipe_in_the_repository_stops_nobody() {
    let site = Site::seeded();
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    let name = names::entry(&EntryRef { sequence: 7, digest: sha256(b"pipe") });
    pipe(&site.repository().join(name));
    pipe(&site.repository().join("packs/pipe"));
    std::fs::remove_file(site.repository().join("keyhaven.json")).unwrap();
    pipe(&site.repository().join("keyhaven.json"));
    std::os::unix::fs::symlink("/nowhere", site.repository().join("trust/link")).unwrap();
    std::fs::create_dir(site.repository().join("trust/directory")).unwrap();
    let checked = site.run(&["verify", "--level", "objects", "--json"]).json(0);
    assert!(checked["warnings"].to_string().contains("keyhaven.json"), "{checked:#}");
    assert!(
        checked["warnings"].to_string().contains("3 files in `ledger/` and `trust/` that are no entry"),
        "{checked:#}"
    );
    site.run(&["backup", "--json"]).json(0);
}

#[test]
fn a_pipe_or_a_device_that_the_user_names_is_an_error_and_not_waited_for() {
    let site = Site::seeded();
    let pipe = site.machine.path("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for file in [pipe.as_str(), "/dev/zero"] {
        site.run(&["verify", "--policy", file]).fails(2, &["no plain file", file]);
        site.run(&["--config", file, "verify"]).fails(2, &["no plain file", file]);
        site.run(&["verify", "--level", "payload", "--identity", file]).fails(12, &["no file", file]);
    }
}

/// A custodian who left signs a version alone, late and early: nothing, whatever it says.
#[test]
fn a_single_kit_of_a_repository_with_one_custodian_is_what_it_is_called() {
    let site = Site::seeded();
    let (repository, ledger) = site.ledger();
    let (version, in_force) = ledger.trust().writes_under().unwrap();
    let mut next: Policy = in_force.clone();
    (next.version, next.previous, next.repository) = (2, vec![version], Some(*repository.id()));
    next.time = Timestamp::from(chrono::Utc::now());
    let stranger = SigningKey::from_seed(&[9; 32]);
    let (forged, bytes) = policy::signed(&next, &[&stranger, &thief(&site)]);
    std::fs::write(site.repository().join(names::policy(&forged)), bytes).unwrap();
    let checked = site.run(&["verify", "--level", "ledger", "--json"]).json(0);
    assert!(checked["warnings"].to_string().contains("do not fit"), "{checked:#}");
    let entries: Vec<Entry> = site.ledger().1.entries().to_vec();
    site.run(&["backup", "--json"]).json(0);
    assert_eq!(site.ledger().1.entries().len(), entries.len() + 1);
    assert_eq!(site.ledger().1.trust().writes_under().unwrap().0, version);
}
