//! A trust policy and a ledger under construction, with good and bad signers.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use keyhaven::crypto::SigningKey;
use keyhaven::crypto::digest::sha256;
use keyhaven::format::envelope::{Envelope, Holds};
use keyhaven::format::event::VerificationEvent;
use keyhaven::format::policy::{AcceptedLosses, Custodian, PolicyKey, PolicyRecipient, PolicySettings};
use keyhaven::format::snapshot::{
    Consistency, Finding, ItemCounts, PartRef, RequestCounts, SnapshotCounts, SnapshotEvent,
};
use keyhaven::format::version::FormatVersion;
use keyhaven::format::{
    Draft, Entry, EntryEvent, EntryPlace, EntryRef, Policy, PolicyRef, RepositoryId, SigningRole, SourceName, names,
};
use keyhaven::model::{Digest, Timestamp};
use keyhaven::repository::ledger::{EntryStatus, Ledger, LedgerReader, Rubbish};
use keyhaven::repository::trust::{Pin, PinError, PolicyPool, Trust};

use super::files::save;

pub(crate) type File = (String, Bytes);

/// Seeds of keys, by what the policy of [`Book::new`] makes of them.
pub(crate) const COLLECTOR: u8 = 1;
pub(crate) const VERIFIER: u8 = 2;
pub(crate) const CUSTODIANS: [u8; 3] = [3, 4, 11];
pub(crate) const REAPER: u8 = 5;
pub(crate) const OTHER_REAPER: u8 = 6;
pub(crate) const RESTORER: u8 = 7;
pub(crate) const OPERATOR: u8 = 8;
pub(crate) const STRANGER: u8 = 9;
pub(crate) const OTHER_COLLECTOR: u8 = 10;

/// Two of the three custodians: the threshold.
pub(crate) const TWO: &[u8] = &[3, 4];

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn fingerprint(seed: u8) -> Digest {
    key(seed).public().fingerprint()
}

pub(crate) fn source() -> SourceName {
    SourceName { provider: "ibm".to_owned(), instance: "crn:v1:source".to_owned(), region: Some("eu-de".to_owned()) }
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minute * 60_000)
}

pub(crate) fn policy_key(seed: u8, roles: &[SigningRole]) -> PolicyKey {
    let roles = roles.iter().map(|role| role.as_str().to_owned()).collect();
    PolicyKey { name: format!("key {seed}"), public_key: key(seed).public().into(), roles, until: None }
}

pub(crate) fn custodian(seed: u8) -> Custodian {
    Custodian { name: format!("custodian {seed}"), public_key: key(seed).public().into() }
}

pub(crate) fn recipient(text: &str) -> PolicyRecipient {
    PolicyRecipient { name: text.to_owned(), recipient: text.to_owned() }
}

/// Version 1: three custodians, two of whom must sign, and a key for each role; two collectors and two reapers.
pub(crate) fn first_policy() -> Policy {
    Policy {
        format: FormatVersion::CURRENT,
        version: 1,
        repository: None,
        source: source(),
        previous: Vec::new(),
        custodians: CUSTODIANS.map(custodian).into(),
        threshold: 2,
        keys: vec![
            policy_key(COLLECTOR, &[SigningRole::Collector]),
            policy_key(OTHER_COLLECTOR, &[SigningRole::Collector]),
            policy_key(VERIFIER, &[SigningRole::Verifier]),
            policy_key(REAPER, &[SigningRole::Reaper]),
            policy_key(OTHER_REAPER, &[SigningRole::Reaper]),
            policy_key(RESTORER, &[SigningRole::Restorer]),
            policy_key(OPERATOR, &[SigningRole::Operator]),
        ],
        recovery_recipients: vec![recipient("age1recovery")],
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

/// What a snapshot of these recipients says of them.
pub(crate) fn recipients(policy: &Policy) -> Digest {
    policy.recipients_digest()
}

pub(crate) fn snapshot_event(catalogue: &str) -> SnapshotEvent {
    let counts = ItemCounts { items: Some(3), ..ItemCounts::default() };
    let by = |word: &str| [(word.to_owned(), counts)].into_iter().collect();
    SnapshotEvent {
        consistency: Consistency::PointInTime,
        from: at(0),
        to: at(1),
        time: at(0),
        recovery_point_millis: None,
        rounds: 1,
        full: true,
        base: None,
        reuses: Vec::new(),
        reference: None,
        recipients: recipients(&first_policy()),
        parts: vec![PartRef { digest: sha256(catalogue.as_bytes()), size: 100, items: 3 }],
        list: sha256(format!("list of {catalogue}").as_bytes()),
        packs: 1,
        sealed_bytes: 70_000,
        counts: SnapshotCounts { all: counts, kinds: by("secret"), classes: by("exact") },
        partial: false,
        reasons: Vec::new(),
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
    }
}

/// A full snapshot whose catalogue is named by a word.
pub(crate) fn snapshot(catalogue: &str) -> EntryEvent {
    EntryEvent::Snapshot(Box::new(snapshot_event(catalogue)))
}

/// A snapshot that reuses packs of another.
pub(crate) fn based(catalogue: &str, base: &Entry) -> EntryEvent {
    let mut reuses = base.snapshot().map(|event| event.reuses.clone()).unwrap_or_default();
    reuses.push(base.key);
    reuses.sort_unstable();
    reuses.dedup();
    let event = SnapshotEvent { full: false, base: Some(base.digest), reuses, ..snapshot_event(catalogue) };
    EntryEvent::Snapshot(Box::new(event))
}

pub(crate) fn gone() -> Finding {
    Finding { code: "gone".to_owned(), count: 9, of: Some(10), share: Some(90), text: None }
}

pub(crate) fn suspect(catalogue: &str) -> EntryEvent {
    EntryEvent::Snapshot(Box::new(SnapshotEvent { reasons: vec![gone()], ..snapshot_event(catalogue) }))
}

pub(crate) fn verification() -> EntryEvent {
    EntryEvent::Verification(VerificationEvent {
        level: "ledger".to_owned(),
        slice: None,
        passed: true,
        problems: 0,
        entries: vec![sha256(b"head")],
        counts: None,
    })
}

/// How an entry is written; see [`Book::entry`].
#[derive(Clone)]
pub(crate) struct Writing {
    pub(crate) seed: u8,
    pub(crate) place: EntryPlace,
    pub(crate) minute: i64,
}

impl Writing {
    /// Under another version of the policy.
    pub(crate) fn under(mut self, policy: PolicyRef) -> Self {
        self.place.policy = policy;
        self
    }

    /// With the envelope of the policy inside.
    pub(crate) fn carrying(mut self, envelope: &Envelope) -> Self {
        self.place.carries = Some(envelope.clone());
        self
    }

    /// With a parent more, that may be nowhere.
    pub(crate) fn above(mut self, parent: EntryRef) -> Self {
        self.place.parents.push(parent);
        self
    }

    pub(crate) fn losing(mut self, lost: &[EntryRef]) -> Self {
        self.place.lost = lost.to_vec();
        self
    }

    pub(crate) fn at(mut self, minute: i64) -> Self {
        self.minute = minute;
        self
    }

    /// The entry and its file, not in any book.
    pub(crate) fn sign(self, event: EntryEvent) -> (Entry, Bytes) {
        Draft { time: at(self.minute), tool: "test".to_owned(), event }.sign(&self.place, &key(self.seed)).unwrap()
    }
}

/// A repository's signed part under construction: what is written is stored, and comes back for others to name.
#[derive(Clone)]
pub(crate) struct Book {
    pub(crate) id: RepositoryId,
    /// The version that entries are written under.
    pub(crate) policy: PolicyRef,
    /// Files of the ledger.
    pub(crate) files: Vec<File>,
    /// Files of the trust policy.
    pub(crate) trust: Vec<File>,
}

impl Book {
    /// With [`first_policy`] and no entry.
    pub(crate) fn new() -> Self {
        Self::of(&first_policy())
    }

    /// With this version 1 and no entry.
    pub(crate) fn of(policy: &Policy) -> Self {
        let version = policy.reference().unwrap();
        let mut book = Self { id: RepositoryId(version.digest), policy: version, files: Vec::new(), trust: Vec::new() };
        book.put_policy(policy, &[]);
        book
    }

    /// A book with three snapshots in a row.
    pub(crate) fn with_three_snapshots() -> (Self, [Entry; 3]) {
        let mut book = Self::new();
        let one = book.write(COLLECTOR, &[], snapshot("one"));
        let two = book.write(COLLECTOR, &[&one], snapshot("two"));
        let three = book.write(COLLECTOR, &[&two], snapshot("three"));
        (book, [one, two, three])
    }

    /// The policy of a version that was stored here.
    pub(crate) fn get_policy(&self, version: PolicyRef) -> Policy {
        Policy::decode(&self.policy_bytes(version)).unwrap().1
    }

    pub(crate) fn envelope(&self, version: PolicyRef) -> Envelope {
        Policy::decode(&self.policy_bytes(version)).unwrap().2
    }

    pub(crate) fn policy_bytes(&self, version: PolicyRef) -> Bytes {
        self.trust.iter().find(|(name, _)| *name == names::policy(&version)).unwrap().1.clone()
    }

    /// A version that follows others, not stored yet: as the highest of them, with a change.
    pub(crate) fn following(&self, before: &[PolicyRef], change: impl FnOnce(&mut Policy)) -> Policy {
        let mut policy = self.get_policy(*before.iter().max().unwrap());
        let mut previous: Vec<PolicyRef> = before.to_vec();
        previous.extend(before.iter().flat_map(|version| self.get_policy(*version).previous));
        previous.sort_unstable();
        previous.dedup();
        policy.version = previous.last().unwrap().version + 1;
        policy.previous = previous;
        policy.repository = Some(self.id);
        change(&mut policy);
        policy.sort();
        policy
    }

    /// Stores a version of the policy with the signatures of these keys. Entries are written under the same as before.
    pub(crate) fn put_policy(&mut self, policy: &Policy, signers: &[u8]) -> PolicyRef {
        let (version, bytes) = sign_policy(policy, signers);
        self.trust.push((names::policy(&version), bytes));
        version
    }

    /// A version upon the one that entries are written under, signed by two custodians; from now on they are written
    /// under this one.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Policy)) -> PolicyRef {
        let next = self.following(&[self.policy], change);
        self.policy = self.put_policy(&next, TWO);
        self.policy
    }

    /// Ends a key: what it signed counts up to these entries.
    pub(crate) fn end(&mut self, seed: u8, until: &[&Entry]) -> PolicyRef {
        self.change(|policy| end(policy, seed, until))
    }

    /// Accepts losses.
    pub(crate) fn accept_loss(&mut self, lost: &[EntryRef]) -> PolicyRef {
        self.change(|policy| policy.lost.entries.extend(lost))
    }

    pub(crate) fn place(&self, parents: &[&Entry]) -> EntryPlace {
        EntryPlace {
            repository: self.id,
            source: source(),
            parents: parents.iter().map(|parent| parent.reference()).collect(),
            lost: Vec::new(),
            policy: self.policy,
            carries: None,
            due: None,
        }
    }

    /// An entry to be written by a key on these parents.
    pub(crate) fn entry(&self, seed: u8, parents: &[&Entry]) -> Writing {
        let place = self.place(parents);
        // Times go no further than a few years, whatever the sequence.
        let minute = i64::try_from(place.sequence().min(1_000_000)).unwrap();
        Writing { seed, place, minute }
    }

    pub(crate) fn write(&mut self, seed: u8, parents: &[&Entry], event: EntryEvent) -> Entry {
        let writing = self.entry(seed, parents);
        self.store(writing, event)
    }

    pub(crate) fn store(&mut self, writing: Writing, event: EntryEvent) -> Entry {
        let (entry, bytes) = writing.sign(event);
        self.files.push((entry.name(), bytes));
        entry
    }

    /// The policy as a reader of the bucket finds it.
    pub(crate) fn judged(&self, pins: &[Pin]) -> Result<Trust, PinError> {
        Ok(self.read(pins)?.trust().clone())
    }

    /// As any reader without a pin.
    pub(crate) fn ledger(&self) -> Ledger {
        let ledger = self.read(&[]).unwrap();
        // The order of the files changes nothing.
        let mut backwards = self.clone();
        backwards.files.reverse();
        backwards.trust.reverse();
        assert_eq!(stated(&backwards.read(&[]).unwrap()), stated(&ledger));
        ledger
    }

    /// As a reader who holds on to a version.
    pub(crate) fn pinned(&self, version: PolicyRef) -> Ledger {
        self.read(&[Pin { policy: version, bytes: None }]).unwrap()
    }

    pub(crate) fn read(&self, pins: &[Pin]) -> Result<Ledger, PinError> {
        read_ledger(self.id, &self.trust, &self.files, pins)
    }

    pub(crate) fn add_file(&mut self, file: File) {
        self.files.push(file);
    }

    pub(crate) fn lose(&mut self, entry: &Entry) {
        self.files.retain(|(name, _)| *name != entry.name());
    }

    pub(crate) fn lose_policy(&mut self, version: PolicyRef) {
        self.trust.retain(|(name, _)| *name != names::policy(&version));
    }

    pub(crate) fn bytes(&self, entry: &Entry) -> Bytes {
        self.files.iter().find(|(name, _)| *name == entry.name()).unwrap().1.clone()
    }

    pub(crate) fn text(&self, entry: &Entry) -> String {
        String::from_utf8(self.bytes(entry).to_vec()).unwrap()
    }

    /// Writes everything into a directory, as a bucket holds it.
    pub(crate) fn save(&self, directory: &Path) {
        save(directory, self.trust.iter().chain(&self.files).map(|(name, bytes)| (name, bytes)));
    }
}

/// What a reader makes of these files of `trust/` and `ledger/`.
pub(crate) fn read_ledger(id: RepositoryId, trust: &[File], files: &[File], pins: &[Pin]) -> Result<Ledger, PinError> {
    let mut pool = PolicyPool::default();
    let mut rubbish = Rubbish::default();
    for (name, bytes) in trust {
        match Policy::decode(bytes) {
            Ok((version, policy, envelope)) if names::policy(&version) == *name => {
                pool.add_read(version, policy, envelope);
            }
            Ok(_) => rubbish.add(name.clone(), "its name".to_owned()),
            Err(error) => rubbish.add(name.clone(), error.to_string()),
        }
    }
    let mut reader = LedgerReader::new(id);
    for (name, bytes) in files {
        reader.push(name, bytes);
    }
    pool.extend(reader.carried().clone());
    let trust = Trust::judge(id, pool, pins)?;
    for file in reader.to_confirm(&trust) {
        for (name, bytes) in files.iter().filter(|(name, _)| *name == file) {
            reader.confirm(&trust, name, bytes);
        }
    }
    Ok(reader.finish(trust, rubbish))
}

/// Ends a key in a policy under construction.
pub(crate) fn end(policy: &mut Policy, seed: u8, until: &[&Entry]) {
    let key = policy.keys.iter_mut().find(|key| key.public_key.fingerprint() == fingerprint(seed)).unwrap();
    key.until = Some(until.iter().map(|entry| entry.reference()).collect());
}

/// A policy with the signatures of these keys, to store.
pub(crate) fn sign_policy(policy: &Policy, signers: &[u8]) -> (PolicyRef, Bytes) {
    let mut envelope = Envelope::unsigned(policy.payload().unwrap());
    signers.iter().for_each(|signer| envelope.sign(&key(*signer)));
    let version = PolicyRef { version: policy.version, digest: envelope.digest() };
    (version, envelope.encode(Holds::Policy).unwrap().into())
}

/// All that a ledger says, as text.
pub(crate) fn stated(ledger: &Ledger) -> String {
    let statuses: Vec<_> = ledger.judged().collect();
    let states: Vec<_> = ledger.snapshots().iter().map(|entry| ledger.state(&entry.digest)).collect();
    let suspicions: Vec<_> = ledger.entries().iter().map(|entry| ledger.suspicion(entry)).collect();
    let good = ledger.latest_good().map(|entry| entry.digest);
    let heads: Vec<_> = ledger.heads().iter().map(|head| head.digest).collect();
    let unproven: Vec<_> = ledger.unproven().map(|entry| entry.digest).collect();
    let branches: Vec<_> = ledger.trust().branches().map(|(version, _)| version).collect();
    let policy = (branches, ledger.trust().missing(), ledger.trust().misfits());
    let rest = (suspicions, good, heads, unproven, ledger.problems(), ledger.holes(), ledger.holds());
    format!("{:#?}", (statuses, states, policy, rest))
}

/// An entry's payload, changed, and signed; the entry's reference is given anew.
pub(crate) fn re_signed(book: &Book, entry: &Entry, seed: u8, change: impl Fn(&str) -> String) -> File {
    let payload = Envelope::decode(&book.bytes(entry), Holds::Entry).unwrap().payload;
    signed_payload(entry.sequence, change(&String::from_utf8(payload).unwrap()), seed)
}

/// A payload of whatever bytes, signed, under the name that fits.
pub(crate) fn signed_payload(sequence: u64, payload: impl Into<Vec<u8>>, seed: u8) -> File {
    let mut envelope = Envelope::unsigned(payload.into());
    envelope.sign(&key(seed));
    let name = names::entry(&EntryRef { sequence, digest: envelope.digest() });
    (name, envelope.encode(Holds::Entry).unwrap().into())
}

pub(crate) fn digests(snapshots: &[&Entry]) -> Vec<Digest> {
    snapshots.iter().map(|entry| entry.digest).collect()
}

pub(crate) fn status(ledger: &Ledger, entry: &Entry) -> EntryStatus {
    ledger.status(&entry.digest).unwrap_or_else(|| panic!("{} is not in the ledger", entry.name())).clone()
}
