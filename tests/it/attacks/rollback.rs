//! Somebody with PUT and DELETE in the bucket, and without any key, puts it back to an earlier day or takes the newest away:
//! what a host with a memory does, a new host with a pin, and a new host that has the repository id alone.

use keyhaven::format::event::{ForgetEvent, SnapshotsEvent};
use keyhaven::format::{EntryEvent, names};
use serde_json::json;

use super::by_command::Forged;
use crate::cli::signals::Warm;
use crate::kit::attacked_site::*;
use crate::kit::files::Files;
use crate::kit::ledger::{
    Book, COLLECTOR, OTHER_COLLECTOR, REAPER as REAPERS_KEY, VERIFIER, digests, snapshot, verification,
};

const LEDGER: [&str; 4] = ["verify", "--level", "ledger", "--json"];

/// On the second day a host was let in, the source changed, a snapshot was made and checked, and what was forgotten on the
/// first day was taken back. Then the bucket is put back to the first day.
struct SecondDay {
    warm: Warm,
    second_day: Files,
    /// The pin of the second day, with its bytes.
    pin: String,
    /// The newest entry, which another host wrote.
    newest: String,
    /// This host's own last entry, below it.
    own: String,
}

impl SecondDay {
    fn put_back() -> Self {
        let site = with_something_to_sweep();
        let first_day = bucket(&site.machine);
        site.let_in("later", &["verifier"]);
        rotate(&site, "of the second day");
        site.run(&["backup", "--json"]).json(0);
        let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let own = stem(site.newest_entry());
        let undo = ["forget", "--undo", "1", "--reason", "still needed", "--key", "reaper/signing-key.pem", "--json"];
        site.run(&[&undo[..], &["--state-dir", "state-of-another-host"]].concat()).json(0);
        let newest = stem(site.newest_entry());
        let pin = site.run(&["trust", "show", "--pin"]).out.trim().to_owned();
        // This host looks, and remembers.
        site.run(&["snapshots"]);
        let second_day = bucket(&site.machine);
        put_back(&site.machine, &first_day);
        grow_old(&site.machine);
        Self { warm: Warm::new(site), second_day, pin, newest, own }
    }

    fn plan(&self, host: &Fresh<'_>, more: &[&str]) -> crate::kit::program::Run {
        let plan = [&["restore", "plan", "--out", "plan.json", "--json"], &IDENTITY[..], more].concat();
        host.run_with(&self.warm.environment(), &plan)
    }
}

#[test]
fn a_host_with_a_memory_says_so_first_deletes_nothing_and_mends_what_it_can() {
    let day = SecondDay::put_back();
    let (warm, site) = (&day.warm, &day.warm.site);
    let before = bucket(&site.machine);
    let found = problems(&site.run(&LEDGER).json(13));
    let policy = day.pin.split(' ').next().unwrap();
    for gone in [&day.newest, &day.own, policy] {
        assert!(found.contains(gone), "{gone}: {found}");
    }
    let said = "the ledger lacks entries that this host saw there";
    for command in [&["status"][..], &["snapshots"], &["show"]] {
        let run = site.run(command);
        assert!(first_said(&run).contains(said) && first_said(&run).contains(&day.own), "{command:?}: {run:#?}");
    }
    // Its own last snapshot it has itself. What that needs went with the second day, and nothing else is taken silently.
    let refused = warm.run(&["restore", "plan", "--out", "plan.json"]);
    assert!(first_said(&refused).contains(said), "{refused:#?}");
    refused.fails(13, &["is missing", "use a snapshot that does not need it"]);
    let plan = warm.run(&["restore", "plan", "--snapshot", "2", "--out", "plan.json"]);
    assert!(first_said(&plan).contains(said), "{plan:#?}");
    assert_eq!(plan.json(15)["snapshot"]["sequence"], 2);
    let confirm = warm.standby.options().instance_id.clone();
    let done = warm.run(&["restore", "apply", "plan.json", "--confirm", &confirm]);
    assert!(first_said(&done).contains(said), "{done:#?}");
    done.json(0);

    let swept = site.machine.run_with(&REAPER, &["sweep", "--apply", "--json"]).json(13);
    assert_eq!((&swept["stopped"][0]["reason"], &swept["entry"]), (&json!("head_missing"), &json!(null)), "{swept:#}");
    assert_eq!(bucket(&site.machine), before, "nothing was deleted, and nothing written");

    // Backups go on and say so. What this host has comes back: the policy and its own last entry.
    let backup = site.run(&["backup", "--json"]).json(3);
    let doubts = backup["doubts"].to_string();
    assert!(doubts.contains(&format!("entry {}, seen by this host, is missing", day.newest)), "{doubts}");
    assert!(doubts.contains(&format!("entry {} was gone", day.own)), "{doubts}");
    let after = bucket(&site.machine);
    assert!(after.contains_key(&format!("trust/{policy}.json")), "the policy of the second day is back");
    assert!(after.keys().any(|path| path.contains(&day.own)), "its own entry is back");
    assert_eq!(gone_since(&site.machine, &before), Vec::<String>::new());
    // Whoever brings the second day back from a copy has everything.
    for (path, bytes) in &day.second_day {
        let path = site.repository().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(site.run(&["verify", "--level", "objects", "--json"]).json(0)["ok"], true);
}

#[test]
fn a_new_host_with_a_pin_keeps_its_policy_and_one_with_the_id_alone_cannot_know() {
    let day = SecondDay::put_back();
    let machine = &day.warm.site.machine;
    let before = bucket(machine);
    let (policy, _) = day.pin.split_once(' ').unwrap();
    let pinned = Fresh::pinned(machine, &day.pin);
    assert!(problems(&pinned.run(&LEDGER).json(13)).contains(policy));
    let said = "`trust/` lacks versions of the trust policy";
    for command in [&["status"][..], &["snapshots"], &["show"]] {
        let run = pinned.run(command);
        assert!(first_said(&run).contains(said) && first_said(&run).contains(policy), "{command:?}: {run:#?}");
    }
    let plan = day.plan(&pinned, &[]);
    assert!(first_said(&plan).contains(said), "{plan:#?}");
    assert_eq!(plan.json(15)["snapshot"]["sequence"], 2);
    let swept = pinned.run_with(&REAPER, &["sweep", "--apply", "--json"]).json(13);
    assert_eq!(swept["stopped"][0]["reason"], "head_missing", "{swept:#}");

    // The same pin without its bytes: the version is nowhere, and nothing is done with another one.
    let bare = Fresh::pinned(machine, policy);
    let nowhere = format!("version {policy} of the trust policy is pinned and is nowhere");
    let snapshots = ["snapshots"];
    for command in [&LEDGER[..], &snapshots, &["show"], &["backup"], &["sweep", "--apply"]] {
        bare.run_with(&REAPER, command).fails(13, &[&nowhere]);
    }
    day.plan(&bare, &[]).fails(13, &[&nowhere]);
    let status = bare.run(&["status"]);
    assert!(status.code != 0 && format!("{}{}", status.out, status.err).contains("nowhere"), "{status:#?}");

    // Nothing that the third host has speaks of a second day. A head that somebody kept does.
    let cold = Fresh::new(machine);
    cold.run(&LEDGER).json(0);
    assert_eq!(listed(&cold.run(&["snapshots", "--json"])), [2]);
    assert_eq!(day.plan(&cold, &[]).json(15)["snapshot"]["sequence"], 2);
    let (_, head) = day.newest.split_once('-').unwrap();
    let pin_head = ["--pin-head", head];
    assert!(problems(&cold.run(&[&LEDGER[..], &pin_head].concat()).json(13)).contains(head));
    let sweep = [&["sweep", "--apply", "--json"][..], &pin_head].concat();
    assert_eq!(cold.run_with(&REAPER, &sweep).json(13)["stopped"][0]["reason"], "head_missing");
    assert_eq!(bucket(machine), before, "nothing was deleted, and nothing written");

    // A backup of the host with the pin puts the policy back, and then everybody knows.
    pinned.run(&["backup", "--json"]).json(0);
    assert!(bucket(machine).contains_key(&format!("trust/{policy}.json")));
    assert_eq!(gone_since(machine, &before), Vec::<String>::new());
    assert_eq!(cold.run(&["trust", "show", "--json"]).json(0)["policy"], policy);
}

/// A revoked collector takes away the version that ends its key, and all that was written under it.
#[test]
fn whoever_takes_the_end_of_a_key_away_gets_it_past_no_memory_and_no_pin() {
    let (mut book, [_, two, three]) = Book::with_three_snapshots();
    let first = book.policy;
    let second = book.end(COLLECTOR, &[&two]);
    let envelope = book.envelope(second);
    let honest = book.store(book.entry(OTHER_COLLECTOR, &[&two]).carrying(&envelope), snapshot("honest"));
    let forged = Forged::new(&book);
    assert_eq!(forged.snapshots(), [3, 2, 1]);
    let named = ["--repository", "repo", "--repository-id", &forged.id];
    let pin = forged.machine.run(&[&["trust", "show", "--pin"], &named[..]].concat()).out;

    let root = forged.machine.path("repo");
    std::fs::remove_file(root.join(names::policy(&second))).unwrap();
    std::fs::remove_file(root.join(honest.name())).unwrap();
    let thiefs = book.entry(COLLECTOR, &[&three]).under(first).sign(snapshot("the thief's"));
    std::fs::write(root.join(thiefs.0.name()), thiefs.1).unwrap();
    let latest = |more: &[&str], code: i32| {
        let run = forged.run(&[&["show"], more].concat());
        assert_eq!(run.code, code, "{run:#?}");
        serde_json::from_str::<serde_json::Value>(&run.out).unwrap()["sequence"].clone()
    };
    let listing = |more: &[&str]| listed(&forged.run(&[&["snapshots"], more].concat()));
    // The memory of this host, and then its absence.
    assert!(problems(&forged.verified(13)).contains(&honest.reference().to_string()));
    assert_eq!((latest(&[], 0), listing(&[])), (json!(2), vec![2, 1]));
    forged.machine.write("pin.txt", &pin);
    let pinned = ["--policy", "pin.txt"];
    assert_eq!((latest(&pinned, 0), listing(&pinned)), (json!(2), vec![2, 1]));
    let checked = forged.run(&[&["verify", "--level", "ledger", "--state-dir", "none"], &pinned[..]].concat());
    assert!(problems(&checked.json(13)).contains(&second.to_string()));
    // Without either nothing is left that would tell the two apart: why there are pins.
    let cold = ["--state-dir", "cold"];
    assert_eq!((latest(&cold, 0), listing(&cold)), (json!(4), vec![4, 3, 2, 1]));
}

/// The newest entries taken away one by one: whoever saw them misses each, and its writer brings its own back.
#[test]
fn every_entry_that_is_taken_away_is_missed_by_who_saw_it() {
    let (mut book, [one, _, three]) = Book::with_three_snapshots();
    let forgotten = EntryEvent::Forget(ForgetEvent { snapshots: digests(&[&one]), rule: "test".to_owned() });
    let forget = book.write(REAPERS_KEY, &[&three], forgotten);
    let again = EntryEvent::Undo(SnapshotsEvent { snapshots: digests(&[&one]), reason: "still needed".to_owned() });
    let undo = book.write(REAPERS_KEY, &[&forget], again);
    let checked = book.write(VERIFIER, &[&undo], verification());
    let forged = Forged::new(&book);
    assert_eq!(forged.snapshots(), [3, 2, 1]);
    for (gone, code) in [(&checked, 13), (&undo, 13), (&forget, 13), (&three, 13)] {
        std::fs::remove_file(forged.machine.path("repo").join(gone.name())).unwrap();
        let found = problems(&forged.verified(code));
        assert!(found.contains(&checked.reference().to_string()), "{}: {found}", gone.name());
        let said = first_said(&forged.run(&["snapshots"]));
        assert!(said.contains("this host saw"), "{said}");
    }
    // An entry in the middle is missed by everybody: what is above it names it.
    let forged = Forged::new(&book);
    std::fs::remove_file(forged.machine.path("repo").join(undo.name())).unwrap();
    assert!(problems(&forged.verified(13)).contains(&undo.reference().to_string()));
}
