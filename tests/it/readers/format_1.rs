//! A repository that format 1.0 wrote (`tests/fixtures/format-1`): it must open for ever.

#![expect(clippy::disallowed_methods, reason = "a fixture is files, and its directory comes from the environment")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use keyhaven::crypto::digest::sha256;
use keyhaven::crypto::{Identities, Recipients, SigningKey};
use keyhaven::format::catalogue::{PartBuilder, PartReader};
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::event::{
    AcknowledgeEvent, DrillEvent, DrillPhase, ExpectEvent, ForgetEvent, ProofEvent, RecipientProof, RestoreEvent,
    Slice, SnapshotsEvent, SweepEvent, VerificationEvent,
};
use keyhaven::format::list::{ListedPack, PackList};
use keyhaven::format::pack::{PackBuilder, PackReader};
use keyhaven::format::snapshot::{
    BucketFacts, Consistency, Finding, ItemCounts, PartRef, RequestCounts, SnapshotCounts, SnapshotEvent,
};
use keyhaven::format::{
    Draft, Entry, EntryEvent, EntryPlace, EntryRef, Policy, PolicyRef, RepositoryId, SigningRole, SourceName, names,
};
use keyhaven::model::{Digest, Item, ItemKey, Payload, Pointer, ScheduledRun, Slot, Timestamp};
use keyhaven::repository::ledger::{Ledger, SnapshotState};
use zeroize::Zeroizing;

use crate::kit::ledger::{File, read_ledger};
use crate::kit::policy::{self, Named, policy_key};

const EXACT: &str = r#"{"payload":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}}"#;
const VALUE: &str = r#"{"api_key":"a made-up key"}"#;
const CRN: &str = "crn:v1:bluemix:public:secrets-manager:eu-de:a/made-up:00000000-0000-0000-0000-000000000001::";

/// The kinds of its entries, in order.
const KINDS: [&str; 19] = [
    "snapshot",
    "verification",
    "proof",
    "snapshot",
    "restore",
    "drill",
    "hold",
    "release",
    "hold",
    "snapshot",
    "forget",
    "undo",
    "snapshot",
    "expect",
    "acknowledge",
    "snapshot",
    "sweep",
    "forget",
    "audit_trail",
];
/// How many entries it has; all of them count.
pub(crate) const ENTRIES: u64 = KINDS.len() as u64;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

fn read(name: &str) -> Bytes {
    fs::read(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}")).into()
}

fn id() -> RepositoryId {
    String::from_utf8(read("repository-id").to_vec()).unwrap().trim().parse().unwrap()
}

fn identities(name: &str) -> Identities {
    Identities::parse(std::str::from_utf8(&read(name)).unwrap()).unwrap()
}

fn files(below: &str) -> Vec<File> {
    let found = crate::kit::files::files(&directory().join(below)).into_iter().map(|name| format!("{below}/{name}"));
    found.map(|name| (name.clone(), read(&name))).collect()
}

fn ledger() -> Ledger {
    read_ledger(id(), &files("trust"), &files("ledger"), &[]).unwrap()
}

fn items(snapshot: &SnapshotEvent, keys: &Identities) -> Vec<Item> {
    let parts = snapshot.parts.iter().map(|part| {
        let sealed = read(&names::catalogue(&part.digest));
        assert_eq!((sha256(&sealed), sealed.len() as u64), (part.digest, part.size));
        let items: Vec<Item> = PartReader::open(&sealed, keys, &id(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(items.len() as u64, part.items);
        items
    });
    parts.flatten().collect()
}

#[test]
fn its_policy_has_two_versions_and_the_second_is_in_force() {
    let ledger = ledger();
    let in_force: Vec<PolicyRef> = ledger.trust().branches().map(|(version, _)| version).collect();
    assert_eq!((in_force.len(), in_force[0].version, ledger.trust().fit().len()), (1, 2, 2));
    let policy = ledger.policy().unwrap();
    assert_eq!((policy.threshold, policy.custodians.len(), policy.keys.len()), (2, 2, 5));
    assert_eq!(policy.keys.iter().filter(|key| key.until.is_some()).count(), 1);
    assert_eq!(policy.source.instance, CRN);
    // Entries of both versions carry them: without `trust/` it reads the same, but for version 1, which nobody signed.
    let first = policy.previous[0];
    let only_first = vec![(names::policy(&first), read(&names::policy(&first)))];
    let carried = read_ledger(id(), &only_first, &files("ledger"), &[]).unwrap();
    assert_eq!(carried.counted().count(), KINDS.len());
}

#[test]
fn its_ledger_is_whole_and_every_kind_is_understood() {
    let ledger = ledger();
    assert_eq!(ledger.problems(), []);
    let kinds: Vec<&str> = ledger.entries().iter().map(Entry::kind).collect();
    assert_eq!(kinds, KINDS);
    assert_eq!(ledger.counted().count(), KINDS.len());
    let known: Vec<bool> = ledger.entries().iter().map(|entry| entry.event.is_known()).collect();
    assert_eq!(known.iter().filter(|known| !**known).count(), 1, "one is of a later minor");
    let carrying = ledger.entries().iter().filter(|entry| entry.carries).count();
    assert_eq!(carrying, 7, "the first entry of each key under each version");
    assert!(ledger.entries()[11].due.is_some() && ledger.entries()[12].lost.len() == 1);
}

#[test]
fn its_snapshots_are_live_forgotten_swept_held_and_accepted() {
    let ledger = ledger();
    let snapshots = ledger.snapshots();
    let [one, two, three, four, five] = snapshots[..] else { panic!("{}", snapshots.len()) };
    let states: Vec<SnapshotState> = snapshots.iter().map(|entry| ledger.state(&entry.digest).unwrap()).collect();
    assert!(
        matches!(&states[..], [
            SnapshotState::Live,
            SnapshotState::Swept { .. },
            SnapshotState::Live,
            SnapshotState::Live,
            SnapshotState::Forgotten { rule, .. }
        ] if rule == "keep_last 1"),
        "{states:?}"
    );
    assert!(ledger.accepted(&two.digest) && ledger.is_good(two));
    assert_eq!(ledger.holds().keys().copied().collect::<Vec<_>>(), [one.digest]);
    assert!(three.snapshot().unwrap().base == Some(two.digest) && !five.snapshot().unwrap().full);
    assert_eq!(ledger.latest_good(), Some(four));
}

#[test]
fn its_catalogue_opens_with_the_catalogue_key_and_with_the_recovery_key() {
    let ledger = ledger();
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
    let ledger = ledger();
    let entry = ledger.latest_good().unwrap();
    let snapshot = entry.snapshot().unwrap();
    let recovery = identities("recovery-identity.txt");
    assert_eq!(recovery.repository_hint(), Some(id().0));
    let list = PackList::decode(&read(&names::list(&snapshot.list))).unwrap();
    assert_eq!(list.digest().unwrap(), snapshot.list);
    let mut payloads: BTreeMap<(ItemKey, String), String> = BTreeMap::new();
    for listed in &list.packs {
        let sealed = read(&names::pack(&listed.pack));
        assert_eq!((sha256(&sealed), sealed.len() as u64), (listed.pack, listed.size));
        assert!(PackReader::open(&sealed, &identities("catalogue-identity.txt"), &id(), None).is_err());
        for line in PackReader::open(&sealed, &recovery, &id(), ledger.source()).unwrap() {
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

/// Writes the fixture into the directory named by the environment. Once format 1 is released, never over the one that is
/// there: that one is what the first version wrote.
#[test]
#[ignore = "makes the fixture; run by hand, once a format version"]
fn make_the_fixture() {
    let target = PathBuf::from(std::env::var("FIXTURE_FOLDER").unwrap());
    let fixture = Fixture::new(&target);
    fixture.write_all();
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_795_350_000_000 + minute * 60_000)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Seeds of its keys, published with it.
const COLLECTOR: u8 = 1;
const CUSTODIAN: u8 = 2;
const WORKER: u8 = 3;
const OTHER_CUSTODIAN: u8 = 4;
const REAPER: u8 = 5;
const OPERATOR: u8 = 6;
const NEW_COLLECTOR: u8 = 7;

/// What makes the fixture.
struct Fixture {
    target: PathBuf,
    recovery: Identities,
    catalogue: Identities,
    first: Policy,
    id: RepositoryId,
}

impl Fixture {
    fn new(target: &Path) -> Self {
        let (recovery, recovery_text) = Identities::generate();
        let (catalogue, catalogue_text) = Identities::generate();
        let source =
            SourceName { provider: "ibm".to_owned(), instance: CRN.to_owned(), region: Some("eu-de".to_owned()) };
        let keys = [CUSTODIAN, OTHER_CUSTODIAN, COLLECTOR, WORKER, REAPER, OPERATOR].map(key);
        let [one, other, collector, worker, reaper, operator] = &keys;
        let named = Named {
            custodians: &[one, other],
            keys: &[
                (collector, &[SigningRole::Collector]),
                (worker, &[SigningRole::Verifier, SigningRole::Restorer]),
                (reaper, &[SigningRole::Reaper]),
                (operator, &[SigningRole::Operator]),
            ],
            recovery: &recovery,
            catalogue: &catalogue,
        };
        let mut first = policy::policy(source, &named, at(0), "keyhaven/0.1.0");
        first.settings.recover_md = sha256(b"made up");
        let id = RepositoryId(first.reference().unwrap().digest);
        let fixture = Self { target: target.to_owned(), recovery, catalogue, first, id };
        fixture.store("repository-id", format!("{id}\n").as_bytes());
        let hint = format!("# keyhaven repository: {id}\n{}", *recovery_text);
        fixture.store("recovery-identity.txt", hint.as_bytes());
        fixture.store("catalogue-identity.txt", catalogue_text.as_bytes());
        fixture
    }

    fn store(&self, name: &str, bytes: &[u8]) {
        let path = self.target.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A pack, a list and a part; the body of a snapshot of them.
    fn objects(&self) -> SnapshotEvent {
        let (id, source) = (self.id, &self.first.source);
        let recovery = Recipients::new(self.recovery.recipients()).unwrap();
        let both = Recipients::new([self.recovery.recipients(), self.catalogue.recipients()].concat()).unwrap();
        let (secret, engine) = ("secret/s1", "configuration/iam_credentials_configuration/engine");
        let payload = |text: &str| Payload::new(Zeroizing::new(text.to_owned()));
        let (v1, v2, value) = (Slot::new("v1").unwrap(), Slot::new("v2").unwrap(), Slot::new(Slot::VALUE).unwrap());
        let mut pack = PackBuilder::new(id, source).unwrap();
        pack.push(&secret.parse().unwrap(), &v2, &payload(EXACT)).unwrap();
        pack.push(&secret.parse().unwrap(), &v1, &payload(EXACT)).unwrap();
        pack.push(&engine.parse().unwrap(), &value, &payload(VALUE)).unwrap();
        let pack = pack.seal(&recovery, 3).unwrap();
        self.store(&names::pack(&pack.digest), &pack.bytes);
        let size = pack.bytes.len() as u64;
        let listed = ListedPack { pack: pack.digest, size, recipients: recovery.names(), since: None };
        let list = PackList::new(vec![listed]).unwrap();
        self.store(&names::list(&list.digest().unwrap()), &list.encode().unwrap());
        let item = |key: &str, kind: &str, versions: &[&Slot], row: &str| -> Item {
            let pointer = |slot: &&Slot| Pointer { version: (*slot).clone(), pack: pack.digest };
            Item {
                key: key.parse().unwrap(),
                name: key.rsplit('/').next().unwrap().to_owned(),
                item_type: kind.to_owned(),
                group: (kind == "kv").then(|| "default".to_owned()),
                class: keyhaven::model::Restorability::Exact.into(),
                revision: Some(sha256(row.as_bytes())),
                read_at: Some(at(1)),
                payloads: versions.iter().map(pointer).collect(),
                docs: [("row".to_owned(), serde_json::from_str(row).unwrap())].into(),
            }
        };
        let mut part = PartBuilder::new(id, source).unwrap();
        part.push(&item(engine, "iam_credentials_configuration", &[&value], r#"{"name":"engine"}"#)).unwrap();
        part.push(&item("group/default", "group", &[], r#"{"id":"default"}"#)).unwrap();
        part.push(&item(secret, "kv", &[&v2, &v1], r#"{"id":"s1","versions_total":2,"big":1e400}"#)).unwrap();
        let part = part.seal(&both, 3).unwrap();
        self.store(&names::catalogue(&part.digest), &part.bytes);
        let one = ItemCounts { items: Some(1), ..ItemCounts::default() };
        let all = ItemCounts { items: Some(3), payloads: Some(3), new: Some(3), ..ItemCounts::default() };
        SnapshotEvent {
            consistency: Consistency::PointInTime,
            from: at(1),
            to: at(2),
            time: at(1),
            recovery_point_millis: Some(60_000),
            rounds: 2,
            full: true,
            base: None,
            reuses: Vec::new(),
            reference: None,
            recipients: self.first.recipients_digest(),
            parts: vec![PartRef { digest: part.digest, size: part.bytes.len() as u64, items: 3 }],
            list: list.digest().unwrap(),
            packs: 1,
            sealed_bytes: size,
            counts: SnapshotCounts {
                all,
                kinds: ["configuration", "group", "secret"].map(|kind| (kind.to_owned(), one)).into_iter().collect(),
                classes: [("exact".to_owned(), all)].into_iter().collect(),
            },
            partial: false,
            reasons: Vec::new(),
            marks: Vec::new(),
            rules: Some(1),
            floors: Some([("gone".to_owned(), 3)].into()),
            shares: Some([("gone".to_owned(), 20)].into()),
            expected: None,
            excepted: None,
            bucket: Some(BucketFacts { region: Some("eu-gb".to_owned()), lock: Some("governance".to_owned()) }),
            requests: RequestCounts { listing: 8, reading: 3, retried: 0 },
            notes: vec!["made up".to_owned()],
            tags: vec!["release-1".to_owned()],
            hidden: Vec::new(),
            recovery_key_on_collector: false,
        }
    }

    fn policy(&self, policy: &Policy, signers: &[u8]) -> PolicyRef {
        let keys: Vec<SigningKey> = signers.iter().map(|seed| key(*seed)).collect();
        let (version, bytes) = policy::signed(policy, &keys.iter().collect::<Vec<_>>());
        self.store(&names::policy(&version), &bytes);
        version
    }

    fn write_all(&self) {
        let base = self.objects();
        let version = self.policy(&self.first, &[]);
        let mut row = Row { fixture: self, policy: version, parents: Vec::new(), minute: 0, carried: Vec::new() };
        let snapshot = |event: SnapshotEvent| EntryEvent::Snapshot(Box::new(event));
        let one = row.write(COLLECTOR, snapshot(base.clone()));
        row.write(WORKER, verification(&one));
        row.write(WORKER, self.proof());
        let gone = Finding { code: "gone".to_owned(), count: 9, of: Some(10), share: Some(90), text: None };
        let upon = |entry: &Entry| SnapshotEvent {
            full: false,
            base: Some(entry.digest),
            reuses: vec![entry.key],
            reference: Some(entry.digest),
            ..base.clone()
        };
        let two = row.write(COLLECTOR, snapshot(SnapshotEvent { reasons: vec![gone.clone()], ..upon(&one) }));
        row.write(WORKER, restore(&two));
        row.write(WORKER, drill(&two));
        row.write(REAPER, EntryEvent::Hold(because(&[&two])));
        row.write(REAPER, EntryEvent::Release(because(&[&two])));
        row.write(REAPER, EntryEvent::Hold(because(&[&one])));
        let moving = Consistency::PerItem { moved: Some(1), why: Some("rounds".to_owned()) };
        let three =
            row.write(COLLECTOR, snapshot(SnapshotEvent { consistency: moving, marks: vec![gone], ..upon(&two) }));
        row.write(REAPER, forget(&[&two, &three]));
        row.write_due(REAPER, EntryEvent::Undo(because(&[&three])));
        let lost = EntryRef { sequence: 10, digest: sha256(b"made up") };
        let second = self.second(version, &two, &three, lost);
        row.policy = self.policy(&second, &[CUSTODIAN, OTHER_CUSTODIAN]);
        row.write_losing(NEW_COLLECTOR, snapshot(base.clone()), lost);
        row.write(OPERATOR, expect());
        row.write(OPERATOR, acknowledge(&two));
        let five = row.write(NEW_COLLECTOR, snapshot(upon(&row.last(NEW_COLLECTOR))));
        row.minute = 4_000;
        row.write(REAPER, sweep(&[&two]));
        row.write(REAPER, forget(&[&five]));
        row.write_of_tomorrow();
    }

    fn proof(&self) -> EntryEvent {
        let answer = |recipient: keyhaven::crypto::Recipient| RecipientProof {
            recipient: recipient.as_str().to_owned(),
            challenge: sha256(b"challenge"),
            answer: sha256(b"answer"),
        };
        EntryEvent::Proof(ProofEvent { recipients: self.recovery.recipients().into_iter().map(answer).collect() })
    }

    /// Version 2: the collector is replaced, a suspect snapshot accepted, a loss accepted.
    fn second(&self, first: PolicyRef, accepted: &Entry, last: &Entry, lost: EntryRef) -> Policy {
        let mut second = self.first.clone();
        second.version = 2;
        second.previous = vec![first];
        second.repository = Some(self.id);
        second.keys.push(policy_key("new collector", &key(NEW_COLLECTOR), &[SigningRole::Collector]));
        policy::end(&mut second, &key(COLLECTOR), &[last.reference()]);
        second.accepted = vec![accepted.digest];
        second.lost.entries = vec![lost];
        second.reason = Some("the collector was replaced".to_owned());
        second.time = at(13);
        second.sort();
        second
    }
}

/// Entries in a row.
struct Row<'a> {
    fixture: &'a Fixture,
    policy: PolicyRef,
    parents: Vec<EntryRef>,
    minute: i64,
    /// The first entry of each key under each version carries it.
    carried: Vec<(u8, PolicyRef, Entry)>,
}

impl Row<'_> {
    fn place(&self, seed: u8) -> EntryPlace {
        let stored = fs::read(self.fixture.target.join(names::policy(&self.policy))).unwrap();
        let first = !self.carried.iter().any(|(of, version, _)| (*of, *version) == (seed, self.policy));
        EntryPlace {
            repository: self.fixture.id,
            source: self.fixture.first.source.clone(),
            parents: self.parents.clone(),
            lost: Vec::new(),
            policy: self.policy,
            carries: first.then(|| Policy::decode(&stored).unwrap().2),
            due: None,
        }
    }

    fn last(&self, seed: u8) -> Entry {
        self.carried.iter().rfind(|(of, ..)| *of == seed).unwrap().2.clone()
    }

    fn write(&mut self, seed: u8, event: EntryEvent) -> Entry {
        let place = self.place(seed);
        self.write_at(seed, &place, event)
    }

    fn write_due(&mut self, seed: u8, event: EntryEvent) -> Entry {
        let place = EntryPlace { due: Some(ScheduledRun { job: "forget".to_owned(), at: at(12) }), ..self.place(seed) };
        self.write_at(seed, &place, event)
    }

    fn write_losing(&mut self, seed: u8, event: EntryEvent, lost: EntryRef) -> Entry {
        let place = EntryPlace { lost: vec![lost], ..self.place(seed) };
        self.write_at(seed, &place, event)
    }

    fn write_at(&mut self, seed: u8, place: &EntryPlace, event: EntryEvent) -> Entry {
        self.minute += 1;
        let draft = Draft { time: at(self.minute), tool: "keyhaven/0.1.0".to_owned(), event };
        let (entry, bytes) = draft.sign(place, &key(seed)).unwrap();
        self.fixture.store(&entry.name(), &bytes);
        self.parents = vec![entry.reference()];
        self.carried.push((seed, self.policy, entry.clone()));
        entry
    }

    /// An entry of a kind that 1.0 does not know.
    fn write_of_tomorrow(&mut self) {
        self.minute += 1;
        let place = self.place(WORKER);
        let about = self.last(NEW_COLLECTOR);
        let draft = Draft { time: at(self.minute), tool: "keyhaven/9.0.0".to_owned(), event: verification(&about) };
        let (_, bytes) = draft.sign(&place, &key(WORKER)).unwrap();
        let payload = Envelope::decode(&bytes, Holds::Entry).unwrap().payload;
        let mut changed =
            String::from_utf8(payload).unwrap().replace("\"kind\":\"verification\"", "\"kind\":\"audit_trail\"");
        let at = changed.rfind("\"format\":\"1.0\"").unwrap();
        changed.replace_range(at.., &changed[at..].replacen("1.0", "1.3", 1));
        let mut envelope = Envelope::unsigned(changed.into_bytes());
        envelope.sign(&key(WORKER));
        let reference = EntryRef { sequence: place.sequence(), digest: envelope.digest() };
        self.fixture.store(&names::entry(&reference), &envelope.encode(Holds::Entry).unwrap());
    }
}

fn digests(snapshots: &[&Entry]) -> Vec<Digest> {
    snapshots.iter().map(|entry| entry.digest).collect()
}

fn because(snapshots: &[&Entry]) -> SnapshotsEvent {
    SnapshotsEvent { snapshots: digests(snapshots), reason: "made up".to_owned() }
}

fn forget(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Forget(ForgetEvent { snapshots: digests(snapshots), rule: "keep_last 1".to_owned() })
}

fn sweep(snapshots: &[&Entry]) -> EntryEvent {
    EntryEvent::Sweep(SweepEvent { snapshots: digests(snapshots), objects: 0, bytes: 0, before: at(1_000) })
}

fn verification(about: &Entry) -> EntryEvent {
    EntryEvent::Verification(VerificationEvent {
        level: "payload".to_owned(),
        slice: Some(Slice { part: 3, of: 30, seed: Some("made up".to_owned()) }),
        passed: true,
        problems: 0,
        entries: vec![about.digest],
        counts: Some([("packs".to_owned(), 1)].into()),
    })
}

fn restore(snapshot: &Entry) -> EntryEvent {
    EntryEvent::Restore(RestoreEvent {
        snapshot: snapshot.digest,
        target: CRN.replace("eu-de", "eu-gb"),
        restored: 3,
        failed: 0,
        from: at(4),
        to: at(5),
    })
}

fn drill(snapshot: &Entry) -> EntryEvent {
    EntryEvent::Drill(DrillEvent {
        snapshot: snapshot.digest,
        target: "embedded".to_owned(),
        passed: true,
        from: at(5),
        to: at(6),
        phases: vec![DrillPhase { name: "apply".to_owned(), millis: 1_200 }],
        counts: [("items".to_owned(), 3)].into(),
        compared_by: Some("second_reader.py".to_owned()),
    })
}

fn expect() -> EntryEvent {
    EntryEvent::Expect(ExpectEvent {
        change: "rotate".to_owned(),
        from: at(10),
        to: at(20),
        share: 50,
        sealed: "bWFkZSB1cA==".to_owned(),
    })
}

fn acknowledge(snapshot: &Entry) -> EntryEvent {
    EntryEvent::Acknowledge(AcknowledgeEvent {
        snapshot: snapshot.digest,
        until: at(20),
        sealed: "bWFkZSB1cA==".to_owned(),
    })
}
