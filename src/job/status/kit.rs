//! A ledger under construction, for the tests of this folder: one line of entries, each at a minute of its own.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::event::{
    AcceptSuspectEvent, Cut, ForgetChange, InitEvent, KeyGrant, PartRef, RequestCounts, RestoreEvent, SnapshotEvent,
    Verdict, VerificationEvent,
};
use crate::format::{Draft, Entry, Event, Place, RepositoryId, Role, SourceName};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;

/// A moment, in minutes of the ledger's own time.
pub(super) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minute * 60_000)
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn source() -> SourceName {
    SourceName { crn: "crn:v1:source".to_owned(), region: "eu-de".to_owned() }
}

pub(super) struct Book {
    files: Vec<(String, Bytes)>,
    id: RepositoryId,
    last: Entry,
}

impl Book {
    pub(super) fn new() -> Self {
        let roles = [Role::Collector, Role::Verifier, Role::Restorer, Role::Custodian, Role::Reaper];
        let grant = KeyGrant { public_key: key().public(), roles: roles.to_vec(), name: String::new() };
        let init = Event::Init(InitEvent {
            keys: vec![grant],
            longest_run_seconds: InitEvent::LONGEST_RUN_SECONDS,
            grace_seconds: InitEvent::GRACE_SECONDS,
            recover_md: sha256(b"RECOVER.md"),
        });
        let draft = Draft { time: at(0), tool: "test".to_owned(), event: init };
        let (first, bytes) = draft.sign(&Place::first(source()), &key()).unwrap();
        Self { files: vec![(first.name(), bytes)], id: RepositoryId(first.digest), last: first }
    }

    pub(super) fn write(&mut self, minute: i64, event: Event) -> Entry {
        let place = Place {
            repository: Some(self.id),
            source: source(),
            sequence: self.last.sequence + 1,
            parents: vec![self.last.digest],
            previous: None,
            due: None,
        };
        let draft = Draft { time: at(minute), tool: "test".to_owned(), event };
        let (entry, bytes) = draft.sign(&place, &key()).unwrap();
        self.files.push((entry.name(), bytes));
        self.last = entry.clone();
        entry
    }

    /// A good snapshot whose cut began at that minute, recorded at once.
    pub(super) fn good(&mut self, minute: i64) -> Entry {
        self.write(minute, snapshot(minute, Verdict::Good))
    }

    pub(super) fn suspect(&mut self, minute: i64) -> Entry {
        self.write(minute, snapshot(minute, Verdict::Suspect { reasons: vec!["half is gone".to_owned()] }))
    }

    pub(super) fn accept(&mut self, minute: i64, snapshot: &Entry) {
        let event = AcceptSuspectEvent { snapshot: snapshot.digest, reason: "seen".to_owned() };
        self.write(minute, Event::AcceptSuspect(event));
    }

    /// A verification of everything before it.
    pub(super) fn verified(&mut self, minute: i64, level: &str, slice: Option<&str>, passed: bool) -> Entry {
        let heads = vec![self.last.digest];
        self.verified_of(minute, level, slice, passed, heads)
    }

    pub(super) fn verified_of(
        &mut self,
        minute: i64,
        level: &str,
        slice: Option<&str>,
        passed: bool,
        entries: Vec<Digest>,
    ) -> Entry {
        let event = VerificationEvent {
            level: level.to_owned(),
            slice: slice.map(str::to_owned),
            passed,
            problems: u64::from(!passed),
            entries,
            evidence: None,
        };
        self.write(minute, Event::Verification(event))
    }

    pub(super) fn restored(&mut self, minute: i64, snapshot: &Entry) {
        let event = RestoreEvent {
            snapshot: snapshot.digest,
            target: "crn:v1:standby".to_owned(),
            restored: 3,
            failed: 0,
            from: at(minute),
            to: at(minute),
        };
        self.write(minute, Event::Restore(event));
    }

    pub(super) fn forget(&mut self, minute: i64, snapshot: &Entry) {
        let event = ForgetChange::GiveUp { snapshots: vec![snapshot.digest], rule: "keep-last".to_owned() };
        self.write(minute, Event::Forget(event));
    }

    pub(super) fn ledger(&self) -> Ledger {
        let ledger = Ledger::build(self.files.clone(), self.id, &[]);
        let ignored = ledger.entries().len() - ledger.counted().count();
        assert_eq!(ignored, 0, "{:?}", ledger.problems());
        ledger
    }
}

fn snapshot(minute: i64, verdict: Verdict) -> Event {
    let name = minute.to_string();
    Event::Snapshot(Box::new(SnapshotEvent {
        cut: Cut::PointInTime,
        from: at(minute),
        to: at(minute),
        time: at(minute),
        rounds: 1,
        full: true,
        base: None,
        parts: vec![PartRef { digest: sha256(name.as_bytes()), size: 100, items: 3 }],
        list: sha256(format!("list of {name}").as_bytes()),
        counts: BTreeMap::from([("secret".to_owned(), 3)]),
        classes: BTreeMap::from([("exact".to_owned(), 3)]),
        packs: 1,
        sealed_bytes: 70_000,
        verdict,
        requests: RequestCounts::default(),
        notes: Vec::new(),
        tags: Vec::new(),
        hidden: Vec::new(),
        recovery_key_on_collector: false,
    }))
}
