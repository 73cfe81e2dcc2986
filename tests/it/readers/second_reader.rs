//! A second reader, written from `docs/format.md` in another language (`tests/python/second_reader.py`), finds what this
//! one finds: in the fixture, in a repository that the program just made, and in damaged ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::entry::SignedEntry;
use keyhaven::format::{Draft, EntryEvent, EntryPlace, EntryRef, names};
use serde_json::Value;

use crate::kit::environment::{python, root};
use crate::kit::files::files;
use crate::kit::program::Machine;
use crate::kit::site::Site;

/// Counts that both report, by the name that both give them.
const COUNTS: [&str; 7] = ["entries", "entries_ignored", "parts", "items", "packs", "payloads", "pointers"];

/// What the second reader prints of a repository, and whether it finds nothing wrong.
fn second_reader(repository: &Path, id: &str, identities: &[(&str, PathBuf)]) -> Value {
    let mut command = python("second_reader.py");
    command.arg(repository).arg(id);
    for (option, file) in identities {
        command.arg(option).arg(file);
    }
    let output = command.output().unwrap();
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
    assert_eq!(heads(first), heads(second));
}

/// The digests of the heads; one of the readers has them with their sequence.
fn heads(report: &Value) -> Vec<String> {
    let heads = report["heads"].as_array().unwrap().iter().map(|head| head.as_str().unwrap());
    heads.map(|head| head.rsplit('-').next().unwrap().to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        let target = to.join(&name);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&name), target).unwrap();
    }
}

#[test]
#[ignore = "needs Python, age, zstd and openssl: tests/run"]
fn both_readers_find_the_same_in_the_fixture() {
    let machine = Machine::new();
    let fixture = machine.path("fixture");
    copy(&root().join("tests/fixtures/format-1"), &fixture);
    // The text that its policy names; it is not kept there.
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
    assert_eq!(
        (&none["counts"]["entries"], &none["counts"]["items"]),
        (&crate::readers::format_1::ENTRIES.into(), &0.into())
    );
}

/// A repository that the program made: two snapshots of twelve secrets.
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
#[ignore = "needs Python, age, zstd and openssl: tests/run"]
fn both_readers_find_the_same_in_what_the_program_just_made() {
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
        let directory = self.place.join("ledger");
        directory.join(files(&directory).swap_remove(sequence - 1))
    }

    fn read(&self, sequence: usize) -> SignedEntry {
        SignedEntry::decode(&fs::read(self.entry(sequence)).unwrap()).unwrap()
    }

    fn pack(&self) -> PathBuf {
        let directory = self.place.join("packs");
        directory.join(files(&directory).swap_remove(0))
    }

    /// Stores what a key signs, after these parents; gives its name.
    fn sign(&self, key: &SigningKey, parents: Vec<EntryRef>, event: EntryEvent) -> String {
        let newest = self.read(2).entry;
        let place = EntryPlace {
            repository: newest.repository,
            source: newest.source.clone(),
            parents,
            lost: Vec::new(),
            policy: newest.policy,
            carries: None,
            due: None,
        };
        let draft = Draft { time: newest.time, tool: newest.tool, event };
        let (entry, bytes) = draft.sign(&place, key).unwrap();
        let path = self.place.join(entry.name());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        entry.reference().to_string()
    }

    fn collector(&self) -> SigningKey {
        SigningKey::from_pem(&self.world.site.machine.read("signing-key.pem")).unwrap()
    }

    /// The newest envelope as other text, under its own name.
    fn respell(&self, change: impl FnOnce(&str) -> String) -> String {
        let text = fs::read_to_string(self.entry(2)).unwrap();
        let changed = change(&text);
        assert_ne!(changed, text);
        fs::write(self.entry(2), changed).unwrap();
        self.entry(2).file_name().unwrap().to_str().unwrap().to_owned()
    }
}

/// A row: what is done, what of it both must name, and whether it fails a check of this reader or is a counted line only.
type Row = (&'static str, bool, fn(&Copy<'_>) -> String);

const ROWS: &[Row] = &[
    ("a re-indented envelope", false, |copy| {
        copy.respell(|text| text.replacen(r#"{"payload":"#, r#"{ "payload":"#, 1))
    }),
    ("a line feed behind an envelope", false, |copy| copy.respell(|text| format!("{text}\n"))),
    ("a flipped bit of a pack", true, |copy| {
        let mut bytes = fs::read(copy.pack()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(copy.pack(), bytes).unwrap();
        copy.pack().file_name().unwrap().to_str().unwrap().to_owned()
    }),
    ("a catalogue part where a pack should be", true, |copy| {
        let newest = copy.read(2).entry;
        let EntryEvent::Snapshot(mut event) = newest.event.clone() else { panic!("no snapshot") };
        let part = event.parts[0].clone();
        fs::copy(copy.place.join(names::catalogue(&part.digest)), copy.place.join(names::pack(&part.digest))).unwrap();
        let list = format!(
            "{{\"format\":\"1.0\",\"kind\":\"list\",\"recipients\":[]}}\n{{\"pack\":\"{}\",\"size\":{},\"recipients\":[]}}\n",
            part.digest, part.size
        );
        (event.list, event.packs, event.sealed_bytes) = (sha256(list.as_bytes()), 1, part.size);
        fs::write(copy.place.join(names::list(&event.list)), list).unwrap();
        copy.sign(&copy.collector(), vec![newest.reference()], EntryEvent::Snapshot(event));
        names::pack(&part.digest)
    }),
    ("an entry again, under the next number", false, |copy| {
        let name = copy.entry(2).to_str().unwrap().replace("000000000002-", "000000000003-");
        fs::copy(copy.entry(2), &name).unwrap();
        "000000000003-".to_owned()
    }),
    ("a parent with another sequence than it has", false, |copy| {
        let newest = copy.read(2).entry;
        let wrong = EntryRef { sequence: 8, digest: newest.digest };
        copy.sign(&copy.collector(), vec![wrong], newest.event)
    }),
    ("an entry of a stranger", false, |copy| {
        let newest = copy.read(2).entry;
        copy.sign(&SigningKey::from_seed(&[9; 32]), vec![newest.reference()], newest.event)
    }),
    ("instructions that say something else", true, |copy| {
        fs::write(copy.place.join("RECOVER.md"), "send everything to me").unwrap();
        "RECOVER.md".to_owned()
    }),
    ("a missing parent", true, |copy| {
        let reference = copy.read(1).entry.reference().to_string();
        fs::remove_file(copy.entry(1)).unwrap();
        reference
    }),
];

#[test]
#[ignore = "needs Python, age, zstd and openssl: tests/run"]
fn both_readers_find_the_same_damage() {
    let world = World::new();
    for (nth, (name, fails, damage)) in ROWS.iter().enumerate() {
        let place = world.site.machine.path(&format!("damaged-{nth}"));
        copy(&world.site.repository(), &place);
        let named = damage(&Copy { world: &world, place: place.clone() });
        let arguments = ["verify", "--level", "payload", "--json", "--identity", "kit/recovery-identity.txt"];
        let url = place.to_str().unwrap();
        // Without what this host remembers: the second reader has no memory either.
        let state = format!("state-{nth}");
        let blind = [("KEYHAVEN_STATE_DIR", state.as_str())];
        let first = world.site.machine.run_with(&blind, &[&arguments[..], &["--repository", url]].concat());
        let first: Value =
            serde_json::from_str(&first.out).unwrap_or_else(|error| panic!("{name}: {error}: {first:?}"));
        let second = world.second(&place);
        assert_eq!(first["ok"], !fails, "{name}: {first:#}");
        let told = if *fails { first["problems"].to_string() } else { first["warnings"].to_string() };
        assert!(told.contains(&named), "{name}: the first reader does not name {named}: {first:#}");
        let told = second["problems"].to_string();
        assert!(told.contains(&named), "{name}: the second reader does not name {named}: {told}");
        for count in ["entries", "entries_ignored"] {
            assert_eq!(first["counts"][count], second["counts"][count], "{name}: {count}\n{first:#}\n{second:#}");
        }
        assert_eq!(heads(&first), heads(&second), "{name}");
    }
}
