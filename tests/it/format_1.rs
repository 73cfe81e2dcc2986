//! A repository that format 1.0 wrote (`tests/fixtures/format-1`): it must open for ever.

#![expect(clippy::disallowed_methods, reason = "a fixture is files, and its folder comes from the environment")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, Recipients, SigningKey};
use keyhaven::format::catalogue::{PartBuilder, PartReader};
use keyhaven::format::event::{
    AcceptLossEvent, AcceptSuspectEvent, Cut, InitEvent, KeyChange, KeyGrant, PartRef, RequestCounts, RestoreEvent,
    SnapshotEvent, Verdict, VerificationEvent,
};
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::pack::{PackBuilder, PackReader};
use keyhaven::format::{Draft, Entry, Event, Place, RepositoryId, Role, SourceName, names};
use keyhaven::model::{Digest, Item, ItemKey, Payload, Pointer, Slot, Timestamp};
use keyhaven::repository::ledger::{Ledger, Problem};
use zeroize::Zeroizing;

const EXACT: &str = r#"{"payload":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}}"#;
const VALUE: &str = r#"{"api_key":"a made-up key"}"#;
const CRN: &str = "crn:v1:bluemix:public:secrets-manager:eu-de:a/made-up:00000000-0000-0000-0000-000000000001::";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

fn read(name: &str) -> Bytes {
    fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}")).into()
}

fn id() -> RepositoryId {
    String::from_utf8(read("repository-id").to_vec()).unwrap().trim().parse().unwrap()
}

fn identities(name: &str) -> Identities {
    Identities::parse(std::str::from_utf8(&read(name)).unwrap()).unwrap()
}

fn files() -> Vec<(String, Bytes)> {
    let ledger = fs::read_dir(folder().join("ledger/000000")).unwrap();
    let names = ledger.map(|file| format!("ledger/000000/{}", file.unwrap().file_name().to_str().unwrap()));
    names.map(|name| (name.clone(), read(&name))).collect()
}

fn items(snapshot: &SnapshotEvent, keys: &Identities) -> Vec<Item> {
    let parts = snapshot.parts.iter().map(|part| {
        let sealed = read(&names::catalogue(&part.digest));
        assert_eq!((sha256(&sealed), sealed.len() as u64), (part.digest, part.size));
        let items: Vec<Item> = PartReader::open(&sealed, keys, &id()).unwrap().map(Result::unwrap).collect();
        assert_eq!(items.len() as u64, part.items);
        items
    });
    parts.flatten().collect()
}

#[test]
fn its_ledger_is_whole_and_every_kind_is_understood() {
    let ledger = Ledger::build(files(), id(), &[]);
    assert_eq!(ledger.problems(), []);
    let kinds: Vec<&str> = ledger.entries().iter().map(Entry::kind).collect();
    assert_eq!(
        kinds,
        [
            "init",
            "keys",
            "snapshot",
            "snapshot",
            "accept_suspect",
            "verification",
            "restore",
            "accept_loss",
            "keys",
            "keys"
        ]
    );
    assert_eq!(ledger.counted().count(), kinds.len());
    let latest = ledger.latest_good().unwrap();
    assert_eq!((latest.sequence, ledger.accepted(&latest.digest)), (4, true));
    assert_eq!(ledger.source().map(|source| source.crn.as_str()), Some(CRN));
}

#[test]
fn its_catalogue_opens_with_the_catalogue_key_and_with_the_recovery_key() {
    let ledger = Ledger::build(files(), id(), &[]);
    let snapshot = ledger.latest_good().unwrap().snapshot().unwrap();
    for key in ["catalogue-identity.txt", "recovery-identity.txt"] {
        let items = items(snapshot, &identities(key));
        let keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["configuration/iam_credentials_configuration/engine", "group/default", "secret/s1"]);
        assert_eq!(items[2].doc("row").unwrap().to_raw().get(), r#"{"id":"s1","versions_total":2,"big":1e400}"#);
    }
}

#[test]
fn its_pack_opens_with_the_recovery_key_alone_and_every_pointer_leads_to_a_payload() {
    let ledger = Ledger::build(files(), id(), &[]);
    let snapshot = ledger.latest_good().unwrap().snapshot().unwrap();
    let recovery = identities("recovery-identity.txt");
    assert_eq!(recovery.repository_hint(), Some(id().0));
    let list = PackList::decode(&read(&names::list(&snapshot.list))).unwrap();
    assert_eq!(list.digest().unwrap(), snapshot.list);
    let mut payloads: BTreeMap<(ItemKey, String), String> = BTreeMap::new();
    for listed in &list.packs {
        let sealed = read(&names::pack(&listed.pack));
        assert_eq!((sha256(&sealed), sealed.len() as u64), (listed.pack, listed.size));
        assert!(PackReader::open(&sealed, &identities("catalogue-identity.txt"), &id()).is_err());
        for line in PackReader::open(&sealed, &recovery, &id()).unwrap() {
            let line = line.unwrap();
            payloads.insert((line.key, line.version.as_str().to_owned()), line.payload.expose().to_owned());
        }
    }
    for item in items(snapshot, &recovery) {
        for pointer in &item.payloads {
            let payload = &payloads[&(item.key.clone(), pointer.version.as_str().to_owned())];
            assert_eq!(payload, if pointer.version.as_str() == "value" { VALUE } else { EXACT });
        }
    }
    assert_eq!(payloads.len(), 3);
}

#[test]
fn a_second_signature_over_the_same_words_is_the_same_entry() {
    // Made with the collector's key and another nonce, as only its holder can; see the README beside it.
    let copy = read("../copy-of-an-entry.json");
    let name = names::entry(3, &sha256(&copy));
    let mut files = files();
    files.push((name.clone(), copy.clone()));
    let ledger = Ledger::build(files, id(), &[]);
    let [Problem::Copy { file, of }] = ledger.problems() else { panic!("{:?}", ledger.problems()) };
    let entry = ledger.entries().iter().find(|entry| entry.sequence == 3).unwrap();
    let other = names::parse_entry(file).unwrap().1;
    assert!(entry.digest < other && *of == entry.digest, "the smaller digest is the name");
    assert_eq!((ledger.get(&other), ledger.get(&sha256(&copy))), (Some(entry), Some(entry)));
    // The entry above names the original; whichever of the two is the name, it is still its parent.
    assert!(ledger.is_ancestor(&other, &ledger.latest_good().unwrap().digest));
    assert!(ledger.missing().is_empty());
    assert_eq!(ledger.entries().len(), 10);
}

/// Writes the fixture again, into the folder named by the environment. Never over the one that is there: that one is what
/// the first version wrote.
#[test]
#[ignore = "makes the fixture; run by hand, once a format version"]
fn make_the_fixture() {
    let target = PathBuf::from(std::env::var("FIXTURE_FOLDER").unwrap());
    let store = |name: &str, bytes: &[u8]| {
        let path = target.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let (recovery, recovery_text) = Identities::generate();
    let (catalogue, catalogue_text) = Identities::generate();
    let recovery_set = Recipients::new(recovery.recipients()).unwrap();
    let both = Recipients::new([recovery.recipients(), catalogue.recipients()].concat()).unwrap();
    let (collector, custodian) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let worker = SigningKey::from_seed(&[3; 32]);
    let at = |minute: i64| Timestamp::from_millis(1_795_350_000_000 + minute * 60_000);
    let source = SourceName { crn: CRN.to_owned(), region: "eu-de".to_owned() };
    let draft = |minute, event| Draft { time: at(minute), tool: "keyhaven/0.1.0".to_owned(), event };
    let grant = |key: &SigningKey, roles: &[Role], name: &str| KeyGrant {
        public_key: key.public(),
        roles: roles.to_vec(),
        name: name.to_owned(),
    };

    let init = Event::Init(InitEvent {
        keys: vec![
            grant(&collector, &[Role::Collector], "collector-1"),
            grant(&custodian, &[Role::Custodian], "recovery kit"),
        ],
        longest_run_seconds: InitEvent::LONGEST_RUN_SECONDS,
        grace_seconds: InitEvent::GRACE_SECONDS,
        recover_md: sha256(b"made up"),
    });
    let (first, bytes) = draft(0, init).sign(&Place::first(source.clone()), &custodian).unwrap();
    store(&first.name(), &bytes);
    let id = RepositoryId(first.digest);
    store("repository-id", format!("{id}\n").as_bytes());
    store("recovery-identity.txt", format!("# keyhaven repository: {id}\n{}", *recovery_text).as_bytes());
    store("catalogue-identity.txt", catalogue_text.as_bytes());

    let (secret, engine) = ("secret/s1", "configuration/iam_credentials_configuration/engine");
    let payload = |text: &str| Payload::new(Zeroizing::new(text.to_owned()));
    let (v1, v2, value) = (Slot::new("v1").unwrap(), Slot::new("v2").unwrap(), Slot::new(Slot::VALUE).unwrap());
    let mut pack = PackBuilder::new(id, CRN).unwrap();
    pack.push(&secret.parse().unwrap(), &v2, &payload(EXACT)).unwrap();
    pack.push(&secret.parse().unwrap(), &v1, &payload(EXACT)).unwrap();
    pack.push(&engine.parse().unwrap(), &value, &payload(VALUE)).unwrap();
    let pack = pack.seal(&recovery_set, 3).unwrap();
    store(&names::pack(&pack.digest), &pack.bytes);
    let size = pack.bytes.len() as u64;
    let list = PackList::new(vec![ListedPack { pack: pack.digest, size, recipients: recovery_set.names() }]).unwrap();
    store(&names::list(&list.digest().unwrap()), &list.encode().unwrap());

    let item = |key: &str, kind: &str, versions: &[&Slot], row: &str| -> Item {
        let payloads = versions.iter().map(|slot| Pointer { version: (*slot).clone(), pack: pack.digest }).collect();
        Item {
            key: key.parse().unwrap(),
            name: key.rsplit('/').next().unwrap().to_owned(),
            item_type: kind.to_owned(),
            group: (kind == "kv").then(|| "default".to_owned()),
            class: keyhaven::model::Restorability::Exact,
            revision: Some(sha256(row.as_bytes())),
            read_at: Some(at(1)),
            payloads,
            docs: [("row".to_owned(), serde_json::from_str(row).unwrap())].into(),
        }
    };
    let mut part = PartBuilder::new(id, CRN).unwrap();
    part.push(&item(engine, "iam_credentials_configuration", &[&value], r#"{"name":"engine"}"#)).unwrap();
    part.push(&item("group/default", "group", &[], r#"{"id":"default"}"#)).unwrap();
    part.push(&item(secret, "kv", &[&v2, &v1], r#"{"id":"s1","versions_total":2,"big":1e400}"#)).unwrap();
    let part = part.seal(&both, 3).unwrap();
    store(&names::catalogue(&part.digest), &part.bytes);

    let snapshot = |cut, verdict, base: Option<Digest>| {
        Event::Snapshot(Box::new(SnapshotEvent {
            cut,
            from: at(1),
            to: at(2),
            time: at(1),
            rounds: 2,
            full: base.is_none(),
            base,
            parts: vec![PartRef { digest: part.digest, size: part.bytes.len() as u64, items: 3 }],
            list: list.digest().unwrap(),
            counts: ["configuration", "group", "secret"].map(|kind| (kind.to_owned(), 1)).into(),
            classes: [("exact".to_owned(), 3)].into(),
            packs: 1,
            sealed_bytes: size,
            verdict,
            requests: RequestCounts { listing: 8, reading: 3, retried: 0 },
            notes: vec!["made up".to_owned()],
            tags: Vec::new(),
            hidden: Vec::new(),
            recovery_key_on_collector: false,
        }))
    };
    let reason = || "made up".to_owned();
    let mut top = first.clone();
    let mut write = |key: &SigningKey, previous: Option<&Entry>, event: Event| -> Entry {
        let sequence = top.sequence + 1;
        let place = Place {
            due: None,
            repository: Some(id),
            source: source.clone(),
            sequence,
            parents: vec![top.digest],
            previous: previous.map(|entry| entry.digest),
        };
        let (entry, bytes) = draft(i64::try_from(sequence).unwrap(), event).sign(&place, key).unwrap();
        store(&entry.name(), &bytes);
        top = entry.clone();
        entry
    };
    let roles = [Role::Verifier, Role::Restorer];
    let added = KeyChange::Add { grant: grant(&worker, &roles, "audit host"), reason: reason() };
    let added = write(&custodian, Some(&first), Event::Keys(added));
    let one = write(&collector, None, snapshot(Cut::PointInTime, Verdict::Good, None));
    let suspect = Verdict::Suspect { reasons: vec!["made up".to_owned()] };
    let two = write(&collector, Some(&one), snapshot(Cut::PerItem { moved: 1 }, suspect, Some(one.digest)));
    let accepted = AcceptSuspectEvent { snapshot: two.digest, reason: reason() };
    let accepted = write(&custodian, Some(&added), Event::AcceptSuspect(accepted));
    let verified = VerificationEvent {
        level: "payload".to_owned(),
        slice: None,
        passed: true,
        problems: 0,
        entries: vec![two.digest],
        evidence: Some(sha256(b"made up")),
    };
    let verified = write(&worker, None, Event::Verification(verified));
    let restored = RestoreEvent {
        snapshot: two.digest,
        target: CRN.replace("eu-de", "eu-gb"),
        restored: 3,
        failed: 0,
        from: at(6),
        to: at(7),
    };
    write(&worker, Some(&verified), Event::Restore(restored));
    let lost = AcceptLossEvent { entries: vec![sha256(b"made up")], reason: reason() };
    write(&collector, Some(&two), Event::AcceptLoss(lost));
    let retired = KeyChange::Retire { key: worker.public().fingerprint(), reason: reason() };
    let retired = write(&custodian, Some(&accepted), Event::Keys(retired));
    let (key, last_good) = (collector.public().fingerprint(), Some(retired.digest));
    let revoked = KeyChange::Revoke { key, last_good, reason: reason() };
    write(&custodian, Some(&retired), Event::Keys(revoked));
}
