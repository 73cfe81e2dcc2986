//! A ledger under construction, with good and bad writers.

use std::collections::BTreeMap;

use bytes::Bytes;
use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::Envelope;
use keyhaven::format::event::{
    Cut, InitEvent, KeyChange, KeyGrant, PartRef, RequestCounts, SnapshotEvent, Verdict, VerificationEvent,
};
use keyhaven::format::{Draft, Entry, Event, Place, RepositoryId, Role, SourceName, names};
use keyhaven::model::{Digest, Timestamp};
use keyhaven::repository::ledger::{Ledger, Standing, Why};

pub(crate) type File = (String, Bytes);

pub(crate) const COLLECTOR: u8 = 1;
pub(crate) const VERIFIER: u8 = 2;
pub(crate) const CUSTODIAN: u8 = 3;
pub(crate) const OTHER_CUSTODIAN: u8 = 4;
pub(crate) const STRANGER: u8 = 9;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn fingerprint(seed: u8) -> Digest {
    key(seed).public().fingerprint()
}

pub(crate) fn grant(seed: u8, roles: &[Role]) -> KeyGrant {
    KeyGrant { public_key: key(seed).public(), roles: roles.to_vec(), name: String::new() }
}

pub(crate) fn source() -> SourceName {
    SourceName { crn: "crn:v1:source".to_owned(), region: "eu-de".to_owned() }
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minute * 60_000)
}

pub(crate) fn init() -> Event {
    Event::Init(InitEvent {
        keys: vec![
            grant(COLLECTOR, &[Role::Collector]),
            grant(VERIFIER, &[Role::Verifier]),
            grant(CUSTODIAN, &[Role::Custodian]),
            grant(OTHER_CUSTODIAN, &[Role::Custodian]),
        ],
        longest_run_seconds: InitEvent::LONGEST_RUN_SECONDS,
        grace_seconds: InitEvent::GRACE_SECONDS,
        recover_md: sha256(b"RECOVER.md"),
    })
}

/// A snapshot whose catalogue is named by a word.
pub(crate) fn snapshot(catalogue: &str) -> Event {
    Event::Snapshot(Box::new(SnapshotEvent {
        cut: Cut::PointInTime,
        from: at(0),
        to: at(1),
        time: at(0),
        rounds: 1,
        full: true,
        base: None,
        parts: vec![PartRef { digest: sha256(catalogue.as_bytes()), size: 100, items: 3 }],
        list: sha256(format!("list of {catalogue}").as_bytes()),
        counts: BTreeMap::from([("secret".to_owned(), 3)]),
        classes: BTreeMap::from([("exact".to_owned(), 3)]),
        packs: 1,
        sealed_bytes: 70_000,
        verdict: Verdict::Good,
        requests: RequestCounts::default(),
        notes: Vec::new(),
        tags: Vec::new(),
        hidden: Vec::new(),
        recovery_key_on_collector: false,
    }))
}

pub(crate) fn suspect(catalogue: &str) -> Event {
    let Event::Snapshot(mut event) = snapshot(catalogue) else { unreachable!() };
    event.verdict = Verdict::Suspect { reasons: vec!["half of it is gone".to_owned()] };
    Event::Snapshot(event)
}

pub(crate) fn verification() -> Event {
    Event::Verification(VerificationEvent {
        level: "ledger".to_owned(),
        slice: None,
        passed: true,
        problems: 0,
        entries: vec![sha256(b"head")],
        evidence: None,
    })
}

pub(crate) fn add(seed: u8, roles: &[Role]) -> Event {
    Event::Keys(KeyChange::Add { grant: grant(seed, roles), reason: "test".to_owned() })
}

pub(crate) fn retire(seed: u8) -> Event {
    Event::Keys(KeyChange::Retire { key: fingerprint(seed), reason: "test".to_owned() })
}

pub(crate) fn revoke(seed: u8, last_good: Option<&Entry>) -> Event {
    let last_good = last_good.map(|entry| entry.digest);
    Event::Keys(KeyChange::Revoke { key: fingerprint(seed), last_good, reason: "test".to_owned() })
}

/// A ledger under construction: every entry is stored, and comes back for others to name as parent.
pub(crate) struct Book {
    pub(crate) id: RepositoryId,
    pub(crate) first: Entry,
    pub(crate) files: Vec<File>,
}

impl Book {
    pub(crate) fn new() -> Self {
        let (first, bytes) = sign(&Place::first(source()), CUSTODIAN, 0, init());
        Self { id: RepositoryId(first.digest), files: vec![(first.name(), bytes)], first }
    }

    /// A book with three snapshots in a row.
    pub(crate) fn with_three_snapshots() -> (Self, [Entry; 3]) {
        let mut book = Self::new();
        let one = book.write(COLLECTOR, &[&book.first.clone()], snapshot("one"));
        let two = book.write(COLLECTOR, &[&one], snapshot("two"));
        let three = book.write(COLLECTOR, &[&two], snapshot("three"));
        (book, [one, two, three])
    }

    pub(crate) fn place(&self, parents: &[&Entry]) -> Place {
        Place {
            due: None,
            repository: Some(self.id),
            source: source(),
            sequence: 1 + parents.iter().map(|parent| parent.sequence).max().unwrap_or(0),
            parents: parents.iter().map(|parent| parent.digest).collect(),
            previous: None,
        }
    }

    pub(crate) fn write(&mut self, seed: u8, parents: &[&Entry], event: Event) -> Entry {
        let place = self.place(parents);
        let (entry, bytes) = sign(&place, seed, i64::try_from(place.sequence).unwrap(), event);
        self.files.push((entry.name(), bytes));
        entry
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let ledger = Ledger::build(self.files.clone(), self.id, &[]);
        // One reading for each file: the long ledgers of some tests would take minutes.
        if self.files.len() <= 50 {
            self.each_as_the_last(&ledger);
        }
        ledger
    }

    /// Whichever file comes last: what a writer foresees of it is what a reader makes of it.
    fn each_as_the_last(&self, whole: &Ledger) {
        for (name, bytes) in &self.files {
            let others = self.files.iter().filter(|(other, _)| other != name).cloned().collect();
            if let Some(ledger) = Ledger::build(others, self.id, &[]).with(name, bytes, &[]) {
                assert_eq!(told(&ledger), told(whole), "{name} as the last");
            }
        }
    }

    pub(crate) fn add_file(&mut self, file: File) {
        self.files.push(file);
    }

    pub(crate) fn lose(&mut self, entry: &Entry) {
        self.files.retain(|(name, _)| *name != entry.name());
    }

    pub(crate) fn bytes(&self, entry: &Entry) -> Bytes {
        self.files.iter().find(|(name, _)| *name == entry.name()).unwrap().1.clone()
    }

    pub(crate) fn text(&self, entry: &Entry) -> String {
        String::from_utf8(self.bytes(entry).to_vec()).unwrap()
    }
}

/// All that a ledger says, as text.
fn told(ledger: &Ledger) -> String {
    let digests = || ledger.entries().iter().map(|entry| &entry.digest);
    let standings: Vec<_> = digests().map(|digest| ledger.standing(digest)).collect();
    let lives: Vec<_> = digests().map(|digest| ledger.life(digest)).collect();
    let good = ledger.latest_good().map(|entry| entry.digest);
    let heads: Vec<_> = ledger.heads().iter().map(|head| head.digest).collect();
    let (problems, missing, pins) = (ledger.problems(), ledger.missing(), ledger.pins());
    format!("{:#?}", (ledger.entries(), standings, lives, good, heads, problems, missing, pins))
}

pub(crate) fn sign(place: &Place, seed: u8, minute: i64, event: Event) -> (Entry, Bytes) {
    Draft { time: at(minute), tool: "test".to_owned(), event }.sign(place, &key(seed)).unwrap()
}

/// A file that is named after its own bytes.
pub(crate) fn named(sequence: u64, bytes: impl Into<Bytes>) -> File {
    let bytes = bytes.into();
    (names::entry(sequence, &sha256(&bytes)), bytes)
}

/// An entry's payload, changed, and signed again.
pub(crate) fn re_signed(book: &Book, entry: &Entry, seed: u8, change: impl Fn(&str) -> String) -> File {
    let payload = String::from_utf8(Envelope::decode(&book.bytes(entry)).unwrap().payload).unwrap();
    let changed = change(&payload);
    named(entry.sequence, Envelope::sign(changed.into_bytes(), &key(seed)).encode())
}

pub(crate) fn why(ledger: &Ledger, entry: &Entry) -> Option<Why> {
    match ledger.standing(&entry.digest) {
        Some(Standing::Ignored { why }) => Some(why.clone()),
        Some(_) => None,
        None => panic!("{} is not in the ledger", entry.name()),
    }
}
