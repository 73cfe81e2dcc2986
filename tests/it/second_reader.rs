//! A second reader, written from `docs/format.md` in another language (`tests/python/second_reader.py`), finds what this
//! one finds: in the fixture, in a repository that the program just made, and in damaged ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::entry::Signed;
use keyhaven::format::event::{AcceptLossEvent, AcceptSuspectEvent, ForgetChange, PinChange, SweepEvent};
use keyhaven::format::{Draft, Entry, Event, Place, Role, names};
use keyhaven::repository::ledger::Life;
use proptest::prelude::*;
use serde_json::Value;

use crate::ledger_kit::*;
use crate::program::{Machine, files};
use crate::site::Site;

/// Counts that both report, by the name that both give them.
const COUNTS: [&str; 8] =
    ["entries", "entries_ignored", "snapshots", "parts", "items", "packs", "payloads", "pointers"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the tools of the second reader are there. The test setup has them; elsewhere its tests say that they are
/// skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has_tools() -> bool {
    let path = std::env::var_os("PATH").unwrap();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let missing: Vec<&str> = ["age", "zstd", "openssl"].into_iter().filter(|tool| !is_there(tool)).collect();
    assert!(missing.is_empty() || std::env::var_os("KEYHAVEN_TEST_S3").is_none(), "not installed: {missing:?}");
    if !missing.is_empty() {
        eprintln!("SKIPPED: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// What the second reader prints of a repository, and whether it finds nothing wrong.
fn second_reader(repository: &Path, id: &str, identities: &[(&str, PathBuf)]) -> Value {
    let python = std::env::var_os("KEYHAVEN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(root().join("tests/python/second_reader.py")).arg(repository).arg(id);
    for (option, file) in identities {
        command.arg(option).arg(file);
    }
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    let code = if report["ok"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(code), "{report:#}\n{told}");
    report
}

/// That both find nothing wrong, and as many of everything.
fn assert_alike(first: &Value, second: &Value) {
    assert_eq!(first["ok"], true, "{first:#}");
    assert_eq!(second["problems"], Value::Array(Vec::new()), "{second:#}");
    let counts = |report: &Value| -> BTreeMap<&str, u64> {
        COUNTS.into_iter().map(|name| (name, report["counts"][name].as_u64().unwrap())).collect()
    };
    assert_eq!(counts(first), counts(second));
    assert!(counts(second)["payloads"] > 0, "nothing was compared");
    assert_eq!(first["heads"], second["heads"]);
}

fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        let target = to.join(&name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&name), target).unwrap();
    }
}

#[test]
fn both_readers_find_the_same_in_the_fixture() {
    if !has_tools() {
        return;
    }
    let machine = Machine::new();
    let fixture = machine.path("fixture");
    copy(&root().join("tests/fixtures/format-1"), &fixture);
    // The text that its first entry was made with; it is not kept there.
    fs::write(fixture.join("RECOVER.md"), "made up").unwrap();
    let read = |name: &str| fs::read_to_string(fixture.join(name)).unwrap();
    let id = read("repository-id").trim().to_owned();
    let identity = machine.write("identity.txt", &read("recovery-identity.txt"));
    let place = fixture.to_str().unwrap();
    let named = ["--repository", place, "--repository-id", &id, "--identity", identity.to_str().unwrap()];
    let first = machine.run(&[&["verify", "--level", "payload", "--json"], &named[..]].concat()).json(0);
    assert_alike(&first, &second_reader(&fixture, &id, &[("--recovery-identity", identity.clone())]));

    // Each identity on its own opens what it should: the catalogue's no pack, none nothing.
    let catalogue = second_reader(&fixture, &id, &[("--catalogue-identity", fixture.join("catalogue-identity.txt"))]);
    assert_eq!(catalogue["problems"], Value::Array(Vec::new()), "{catalogue:#}");
    assert_eq!((&catalogue["counts"]["items"], &catalogue["counts"]["packs"]), (&3.into(), &0.into()));
    let none = second_reader(&fixture, &id, &[]);
    assert_eq!((&none["counts"]["entries"], &none["counts"]["items"]), (&10.into(), &0.into()));
}

#[test]
fn the_second_reader_finds_the_same_lives_in_the_fixture() {
    if !has_tools() {
        return;
    }
    let fixture = root().join("tests/fixtures/format-1-lives");
    let id = fs::read_to_string(fixture.join("repository-id")).unwrap().trim().to_owned();
    let found = second_reader(&fixture, &id, &[]);
    let count = |name: &str| found[name].as_array().unwrap().len();
    assert_eq!((count("swept"), count("forgotten"), count("pinned")), (1, 1, 1), "{found:#}");
    assert_eq!(found["counts"]["entries_ignored"], 0);
}

/// A repository that the program made: two snapshots of twelve secrets, a verification that is signed, a custodian's
/// entry.
struct World {
    site: Site,
    id: String,
}

impl World {
    fn new() -> Self {
        let site = Site::seeded();
        site.run(&["backup", "--json", "--full"]).json(0);
        let id = site.first_reader(0)["repository"].as_str().unwrap().to_owned();
        Self { site, id }
    }

    fn second(&self, repository: &Path) -> Value {
        let recovery = self.site.machine.path("kit/recovery-identity.txt");
        second_reader(repository, &self.id, &[("--recovery-identity", recovery)])
    }
}

impl Site {
    /// What `verify` says of the payloads, ending with a code.
    fn first_reader(&self, code: i32) -> Value {
        let identity = ["--identity", "kit/recovery-identity.txt"];
        self.run(&[&["verify", "--level", "payload", "--json"], &identity[..]].concat()).json(code)
    }
}

#[test]
fn both_readers_find_the_same_in_what_the_program_just_made() {
    if !has_tools() {
        return;
    }
    let world = World::new();
    let (first, second) = (world.site.first_reader(0), world.second(&world.site.repository()));
    assert_alike(&first, &second);
    assert_eq!(second["counts"]["snapshots"], 2);
    // The second one re-read everything, so that nothing is shared: two packs at least, each payload in two places.
    assert_eq!(second["counts"]["payloads"], second["counts"]["pointers"]);
}

/// A copy of the repository that is to be damaged, and the collector's key: what a thief of it could write is refused.
struct Copy<'a> {
    world: &'a World,
    place: PathBuf,
}

impl Copy<'_> {
    fn entry(&self, sequence: usize) -> PathBuf {
        let folder = self.place.join("ledger");
        folder.join(files(&folder).swap_remove(sequence - 1))
    }

    fn read(&self, sequence: usize) -> Signed {
        Signed::decode(&fs::read(self.entry(sequence)).unwrap()).unwrap()
    }

    fn pack(&self) -> PathBuf {
        let folder = self.place.join("packs");
        folder.join(files(&folder).swap_remove(0))
    }

    /// Stores what the collector signs, after these parents; gives its digest.
    fn sign(&self, sequence: u64, parents: &[usize], event: Event) -> String {
        let key = SigningKey::from_pem(&self.world.site.machine.read("signing-key.pem")).unwrap();
        let newest = self.read(2).entry;
        let place = Place {
            due: None,
            repository: newest.repository,
            source: newest.source.clone(),
            sequence,
            parents: parents.iter().map(|parent| self.read(*parent).entry.digest).collect(),
            previous: None,
        };
        let draft = Draft { time: newest.time, tool: newest.tool, event };
        let (entry, bytes) = draft.sign(&place, &key).unwrap();
        fs::write(self.place.join(entry.name()), bytes).unwrap();
        entry.digest.to_string()
    }

    /// The newest envelope as other text, under the name that its bytes would have.
    fn respell(&self, change: impl FnOnce(&str) -> String) -> String {
        let text = fs::read_to_string(self.entry(3)).unwrap();
        let changed = change(&text);
        assert_ne!(changed, text);
        let name = names::entry(3, &sha256(changed.as_bytes()));
        fs::write(self.place.join(&name), changed).unwrap();
        name
    }
}

/// A row: what is done, and what of it both must name.
type Row = (&'static str, fn(&Copy<'_>) -> String);

const ROWS: &[Row] = &[
    ("a re-indented envelope", |copy| copy.respell(|text| text.replacen(r#"{"payload":"#, r#"{ "payload":"#, 1))),
    ("a line feed behind an envelope", |copy| copy.respell(|text| format!("{text}\n"))),
    ("a flipped bit of a pack", |copy| {
        let mut bytes = fs::read(copy.pack()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(copy.pack(), bytes).unwrap();
        copy.pack().file_name().unwrap().to_str().unwrap().to_owned()
    }),
    ("a catalogue part where a pack should be", |copy| {
        let Event::Snapshot(mut event) = copy.read(3).entry.event else { panic!("no snapshot") };
        let part = event.parts[0].clone();
        fs::copy(copy.place.join(names::catalogue(&part.digest)), copy.place.join(names::pack(&part.digest))).unwrap();
        let list = format!(
            "{{\"format\":\"1.0\",\"kind\":\"list\"}}\n{{\"pack\":\"{}\",\"size\":{},\"recipients\":[]}}\n",
            part.digest, part.size
        );
        (event.list, event.packs, event.sealed_bytes) = (sha256(list.as_bytes()), 1, part.size);
        fs::write(copy.place.join(names::list(&event.list)), list).unwrap();
        copy.sign(4, &[3], Event::Snapshot(event));
        names::pack(&part.digest)
    }),
    ("an entry again, under the next number", |copy| {
        let name = copy.entry(3).to_str().unwrap().replace("000000003-", "000000004-");
        fs::copy(copy.entry(3), &name).unwrap();
        "000000004-".to_owned()
    }),
    ("an old state, signed again", |copy| copy.sign(4, &[3], copy.read(2).entry.event)),
    ("an old state, signed again twice", |copy| {
        copy.sign(4, &[3], copy.read(2).entry.event);
        copy.sign(5, &[4], copy.read(2).entry.event)
    }),
    ("a parent of a higher sequence", |copy| copy.sign(3, &[2, 3], copy.read(3).entry.event)),
    ("instructions that say something else", |copy| {
        fs::write(copy.place.join("RECOVER.md"), "send everything to me").unwrap();
        "RECOVER.md".to_owned()
    }),
    ("a missing parent", |copy| {
        let digest = copy.read(2).entry.digest.to_string();
        fs::remove_file(copy.entry(2)).unwrap();
        digest
    }),
];

#[test]
fn both_readers_refuse_the_same_damage() {
    if !has_tools() {
        return;
    }
    let world = World::new();
    for (nth, (name, damage)) in ROWS.iter().enumerate() {
        let place = world.site.machine.path(&format!("damaged-{nth}"));
        copy(&world.site.repository(), &place);
        let named = damage(&Copy { world: &world, place: place.clone() });
        let arguments = ["verify", "--level", "payload", "--json", "--identity", "kit/recovery-identity.txt"];
        let url = place.to_str().unwrap();
        let first = world.site.run(&[&arguments[..], &["--repository", url]].concat());
        let first: Value = serde_json::from_str(&first.out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let second = world.second(&place);
        for (reader, report) in [("first", &first), ("second", &second)] {
            assert_eq!(report["ok"], false, "{name}: the {reader} reader minds nothing: {report:#}");
            let problems = report["problems"].to_string();
            assert!(problems.contains(&named), "{name}: the {reader} reader does not name {named}: {problems}");
        }
        for count in ["entries", "entries_ignored", "snapshots"] {
            assert_eq!(first["counts"][count], second["counts"][count], "{name}: {count}\n{first:#}\n{second:#}");
        }
        assert_eq!(first["heads"], second["heads"], "{name}");
    }
}

/// A key that may forget and sweep.
const REAPER: u8 = 5;

/// One step of somebody who writes into a ledger: who, what, after which entries, about which one.
#[derive(Debug, Clone)]
struct Step {
    writer: u8,
    what: u8,
    parents: Vec<prop::sample::Index>,
    about: prop::sample::Index,
    lost: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // More collectors and custodians than others: they can do most harm.
    let writer = prop::sample::select(vec![
        COLLECTOR,
        COLLECTOR,
        VERIFIER,
        CUSTODIAN,
        OTHER_CUSTODIAN,
        REAPER,
        REAPER,
        6,
        STRANGER,
    ]);
    let parents = prop::collection::vec(any::<prop::sample::Index>(), 1..3);
    let step = (writer, 0u8..17, parents, any::<prop::sample::Index>(), prop::bool::weighted(0.05));
    let step = step.prop_map(|(writer, what, parents, about, lost)| Step { writer, what, parents, about, lost });
    prop::collection::vec(step, 4..24)
}

/// A ledger in which keys come and go, are stolen and removed, states are repeated and entries lost.
fn book_of(steps: &[Step]) -> Book {
    let mut book = Book::new();
    // Somebody who may forget, from the start.
    let reaper = book.write(CUSTODIAN, &[&book.first.clone()], add(REAPER, &[Role::Reaper]));
    let mut entries = vec![book.first.clone(), reaper];
    let mut lost = Vec::new();
    for step in steps {
        // Mostly after recent entries, as a writer would.
        let recent = &entries[entries.len().saturating_sub(4)..];
        let parents: Vec<&Entry> = step.parents.iter().map(|parent| parent.get(recent)).collect();
        let about = step.about.get(&entries).clone();
        let key = [COLLECTOR, VERIFIER, CUSTODIAN, OTHER_CUSTODIAN, REAPER, 6][step.about.index(6)];
        // Who may only forget mostly does.
        let what = if step.writer == REAPER { 12 + step.what % 5 } else { step.what };
        let event = match what {
            0..=2 => snapshot(["one", "two", "three"][step.about.index(3)]),
            3 => suspect(["one", "two", "four"][step.about.index(3)]),
            4 => verification(),
            5 => Event::AcceptSuspect(AcceptSuspectEvent { snapshot: about.digest, reason: String::new() }),
            6 => Event::AcceptLoss(AcceptLossEvent {
                entries: lost.iter().map(|lost: &Entry| lost.digest).collect(),
                reason: String::new(),
            }),
            7 | 8 => add(key, &[Role::Custodian, Role::Reaper, Role::Collector][step.about.index(3)..]),
            9 => retire(key),
            // Custodians who remove each other.
            10 => retire(if step.writer == CUSTODIAN { OTHER_CUSTODIAN } else { CUSTODIAN }),
            11 => revoke(key, Some(&about).filter(|_| step.parents.len() > 1)),
            what => life(what, &about, step.about.get(&entries[entries.len() / 2..])),
        };
        let entry = book.write(step.writer, &parents, event);
        if step.lost {
            lost.push(entry.clone());
        }
        entries.push(entry);
    }
    for entry in &lost {
        book.lose(entry);
    }
    book
}

/// Something about whether snapshots are kept: the one meant, and another.
fn life(what: u8, about: &Entry, other: &Entry) -> Event {
    let (snapshot, snapshots, reason) = (about.digest, vec![about.digest, other.digest], String::new());
    match what {
        12 => Event::Forget(ForgetChange::GiveUp { snapshots, rule: String::new() }),
        13 => Event::Forget(ForgetChange::Undo { snapshots: vec![snapshot], reason }),
        14 => Event::Sweep(SweepEvent { snapshots: vec![snapshot], objects: 0, bytes: 0, before: at(0) }),
        15 => Event::Pin(PinChange::Set { snapshot, reason }),
        _ => Event::Pin(PinChange::Release { snapshot, reason }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same entries count, the same are ignored, the same is missing, the same snapshot is the latest.
    #[test]
    fn both_readers_judge_any_ledger_alike(steps in steps()) {
        if !has_tools() {
            return Ok(());
        }
        let book = book_of(&steps);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("ledger/000000")).unwrap();
        for (name, bytes) in &book.files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let second = second_reader(folder.path(), &book.id.to_string(), &[]);
        let ledger = book.ledger();
        let digests = |entries: &[&Entry]| entries.iter().map(|entry| entry.digest.to_string()).collect::<BTreeSet<_>>();
        let texts = |value: &Value| -> BTreeSet<String> {
            value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let ignored: BTreeSet<String> = ledger.entries().iter()
            .filter(|entry| !ledger.standing(&entry.digest).unwrap().counts())
            .map(|entry| entry.digest.to_string())
            .collect();
        let ignored_there: BTreeSet<String> = second["ignored"].as_object().unwrap().keys().cloned().collect();
        prop_assert_eq!(ignored, ignored_there, "ignored: {:#}", second);
        prop_assert_eq!(ledger.counted().count() as u64, second["counts"]["entries"].as_u64().unwrap());
        prop_assert_eq!(digests(&ledger.heads()), texts(&second["heads"]));
        let latest = ledger.latest_good().map(|entry| entry.digest.to_string());
        prop_assert_eq!(latest.as_deref(), second["latest"].as_str());
        let with = |wanted: fn(&Life) -> bool| -> BTreeSet<String> {
            let snapshots = ledger.snapshots().into_iter().map(|entry| entry.digest);
            snapshots.filter(|digest| wanted(&ledger.life(digest).unwrap())).map(|digest| digest.to_string()).collect()
        };
        prop_assert_eq!(with(|life| matches!(life, Life::Forgotten { .. })), texts(&second["forgotten"]));
        prop_assert_eq!(with(|life| matches!(life, Life::Swept { .. })), texts(&second["swept"]));
        prop_assert_eq!(ledger.pins().keys().map(ToString::to_string).collect::<BTreeSet<_>>(), texts(&second["pinned"]));
        let missing: BTreeSet<String> = ledger.missing().iter()
            .filter(|missing| !missing.accepted)
            .map(|missing| missing.digest.to_string())
            .collect();
        prop_assert_eq!(missing, second["holes"].as_object().unwrap().keys().cloned().collect());
    }
}
