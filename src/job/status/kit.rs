//! A ledger builder for the tests of this directory: one line of entries, each at its own minute.

use std::collections::BTreeMap;

use bytes::Bytes;
use litemap::LiteMap;

use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::envelope::{Envelope, Holds};
use crate::format::event::{ForgetEvent, RestoreEvent, Slice, VerificationEvent};
use crate::format::policy::{AcceptedLosses, Custodian, PolicyKey, PolicyRecipient, PolicySettings};
use crate::format::snapshot::{
    Consistency, Finding, ItemCounts, PartRef, RequestCounts, SnapshotCounts, SnapshotEvent,
};
use crate::format::version::FormatVersion;
use crate::format::{Draft, Entry, EntryEvent, EntryPlace, Policy, PolicyRef, RepositoryId, SigningRole, SourceName};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::{Ledger, LedgerReader, Rubbish};
use crate::repository::trust::{PolicyPool, Trust};

/// Returns a time, in minutes of the ledger's own clock.
pub(super) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minute * 60_000)
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn custodian() -> SigningKey {
    SigningKey::from_seed(&[2; 32])
}

fn source() -> SourceName {
    SourceName { provider: "fake".to_owned(), instance: "fake:source".to_owned(), region: None }
}

/// Returns version 1 of a policy: one custodian, and one key with every role.
fn policy() -> Policy {
    Policy {
        format: FormatVersion::CURRENT,
        version: 1,
        repository: None,
        source: source(),
        previous: Vec::new(),
        custodians: vec![Custodian { name: String::new(), public_key: custodian().public().into() }],
        threshold: 1,
        keys: vec![PolicyKey {
            name: String::new(),
            public_key: key().public().into(),
            roles: SigningRole::ALL.iter().map(|role| role.as_str().to_owned()).collect(),
            until: None,
        }],
        recovery_recipients: vec![PolicyRecipient { name: String::new(), recipient: "age1recovery".to_owned() }],
        catalogue_recipients: Vec::new(),
        settings: PolicySettings::new(sha256(b"RECOVER.md")),
        lost: AcceptedLosses::default(),
        accepted: Vec::new(),
        held: Vec::new(),
        reason: None,
        time: at(0),
        tool: "test".to_owned(),
        critical: None,
        unknown: BTreeMap::new(),
    }
}

pub(super) struct LedgerBuilder {
    files: Vec<(String, Bytes)>,
    policies: Vec<Policy>,
    id: RepositoryId,
    last: Option<Entry>,
}

impl LedgerBuilder {
    pub(super) fn new() -> Self {
        let first = policy();
        let id = RepositoryId(first.reference().unwrap().digest);
        Self { files: Vec::new(), policies: vec![first], id, last: None }
    }

    fn version(&self) -> PolicyRef {
        self.policies.last().unwrap().reference().unwrap()
    }

    pub(super) fn write(&mut self, minute: i64, event: EntryEvent) -> Entry {
        let place = EntryPlace {
            repository: self.id,
            source: source(),
            parents: self.last.iter().map(Entry::reference).collect(),
            lost: Vec::new(),
            policy: self.version(),
            carries: None,
            due: None,
        };
        let draft = Draft { time: at(minute), tool: "test".to_owned(), event };
        let (entry, bytes) = draft.sign(&place, &key()).unwrap();
        self.files.push((entry.name(), bytes));
        self.last = Some(entry.clone());
        entry
    }

    /// Writes a good snapshot that began at this minute and was recorded at once.
    pub(super) fn good(&mut self, minute: i64) -> Entry {
        self.write(minute, snapshot(minute, Vec::new()))
    }

    pub(super) fn suspect(&mut self, minute: i64) -> Entry {
        let text = Some("half is gone".to_owned());
        self.write(
            minute,
            snapshot(minute, vec![Finding { code: "gone".to_owned(), count: 5, of: None, share: None, text }]),
        )
    }

    /// Accepts a suspect snapshot in a new version of the policy.
    pub(super) fn accept(&mut self, snapshot: &Entry) {
        let mut next = self.policies.last().unwrap().clone();
        next.previous.push(self.version());
        next.version += 1;
        next.repository = Some(self.id);
        next.accepted.push(snapshot.digest);
        next.sort();
        self.policies.push(next);
    }

    /// Writes a verification of everything before it; a slice has the form `part/of`.
    pub(super) fn verified(&mut self, minute: i64, level: &str, slice: Option<&str>, passed: bool) -> Entry {
        let heads = vec![self.last.as_ref().unwrap().digest];
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
        let slice = slice.and_then(|text| text.split_once('/')).map(|(part, of)| Slice {
            part: part.parse().unwrap(),
            of: of.parse().unwrap(),
            seed: None,
        });
        let event = VerificationEvent {
            level: level.to_owned(),
            slice,
            passed,
            problems: u64::from(!passed),
            entries,
            counts: None,
        };
        self.write(minute, EntryEvent::Verification(event))
    }

    pub(super) fn restored(&mut self, minute: i64, snapshot: &Entry) {
        let event = RestoreEvent {
            snapshot: snapshot.digest,
            target: "fake:standby".to_owned(),
            restored: 3,
            failed: 0,
            from: at(minute),
            to: at(minute),
        };
        self.write(minute, EntryEvent::Restore(event));
    }

    pub(super) fn forget(&mut self, minute: i64, snapshot: &Entry) {
        let event = ForgetEvent { snapshots: vec![snapshot.digest], rule: "keep-last".to_owned() };
        self.write(minute, EntryEvent::Forget(event));
    }

    pub(super) fn ledger(&self) -> Ledger {
        let mut pool = PolicyPool::default();
        for policy in &self.policies {
            let mut envelope = Envelope::unsigned(policy.payload().unwrap());
            envelope.sign(&custodian());
            pool.add(&envelope.encode(Holds::Policy).unwrap()).unwrap();
        }
        let mut reader = LedgerReader::new(self.id);
        for (name, bytes) in &self.files {
            reader.push(name, bytes);
        }
        let ledger = reader.finish(Trust::judge(self.id, pool, &[]).unwrap(), Rubbish::default());
        let ignored = ledger.entries().len() - ledger.counted().count();
        assert_eq!(ignored, 0, "{:?}", ledger.problems());
        ledger
    }
}

fn snapshot(minute: i64, reasons: Vec<Finding>) -> EntryEvent {
    let name = minute.to_string();
    let counts = ItemCounts { items: Some(3), ..ItemCounts::default() };
    let by = |word: &str| LiteMap::from_iter([(word.to_owned(), counts)]);
    EntryEvent::Snapshot(Box::new(SnapshotEvent {
        consistency: Consistency::PointInTime,
        from: at(minute),
        to: at(minute),
        time: at(minute),
        recovery_point_millis: None,
        rounds: 1,
        full: true,
        base: None,
        reuses: Vec::new(),
        reference: None,
        recipients: policy().recipients_digest(),
        parts: vec![PartRef { digest: sha256(name.as_bytes()), size: 100, items: 3 }],
        list: sha256(format!("list of {name}").as_bytes()),
        packs: 1,
        sealed_bytes: 70_000,
        counts: SnapshotCounts { all: counts, kinds: by("secret"), classes: by("exact") },
        partial: false,
        reasons,
        marks: Vec::new(),
        rules: None,
        floors: None,
        shares: None,
        expected: None,
        excepted: None,
        bucket: None,
        requests: RequestCounts::default(),
        notes: Vec::new(),
        tags: Vec::new(),
        hidden: Vec::new(),
        recovery_key_on_collector: false,
    }))
}
