//! Ledger entries: statements about events, each linked to all entries that its writer had seen.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::envelope::{Envelope, Holds};
use super::event::EntryEvent;
use super::policy::Policy;
use super::role::{self, EntryEffect};
use super::statement::{ENTRY_TYPE, Statement, check_critical};
use super::version::FormatVersion;
use super::{EntryRef, FormatError, PolicyRef, RepositoryId, SourceName, canonical, names};
use crate::crypto::{KeyInfo, SigningKey};
use crate::model::{Digest, ScheduledRun, Timestamp, limits};

pub(super) const WHAT: &str = "entry";

/// The members of a predicate that this version knows.
pub(super) const MEMBERS: [&str; 17] = [
    "body",
    "carries",
    "critical",
    "due",
    "effect",
    "evidence",
    "format",
    "kind",
    "lost",
    "parents",
    "policy",
    "public_key",
    "repository",
    "sequence",
    "source",
    "time",
    "tool",
];

/// An entry that was read. This does not mean that it counts in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The digest of its payload, which names the entry everywhere.
    pub digest: Digest,
    /// The fingerprint of the signing key.
    pub key: Digest,
    /// The format version that it was written in.
    pub format: FormatVersion,
    /// The repository.
    pub repository: RepositoryId,
    /// The instance that the repository belongs to.
    pub source: SourceName,
    /// One more than the highest sequence of its parents.
    pub sequence: u64,
    /// All heads that its writer saw; sorted.
    pub parents: Vec<EntryRef>,
    /// Heads that its writer had seen and that were missing; sorted.
    pub lost: Vec<EntryRef>,
    /// The policy version in force for its writer.
    pub policy: PolicyRef,
    /// True if it carries the envelope of that policy version.
    pub carries: bool,
    /// True if its signature was checked and is good. False if its key is of an algorithm that this version does not
    /// know.
    pub checked: bool,
    /// Its effect on what is kept.
    pub effect: EntryEffect,
    /// Objects in `evidence/` that belong to it; sorted.
    pub evidence: Vec<Digest>,
    /// The writer's clock.
    pub time: Timestamp,
    /// The tool that wrote it, with its version.
    pub tool: String,
    /// The scheduled run that it is the result of.
    pub due: Option<ScheduledRun>,
    /// The event.
    pub event: EntryEvent,
}

/// Contents of a new entry; its place in the ledger is an [`EntryPlace`].
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The writer's clock.
    pub time: Timestamp,
    /// The tool that writes it: `keyhaven/0.1.0`.
    pub tool: String,
    /// The event.
    pub event: EntryEvent,
}

/// Place of a new entry.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryPlace {
    /// The repository.
    pub repository: RepositoryId,
    /// The instance that the repository belongs to.
    pub source: SourceName,
    /// All heads, in any order; they are sorted when signing.
    pub parents: Vec<EntryRef>,
    /// Heads that the writer had seen and that are missing.
    pub lost: Vec<EntryRef>,
    /// The policy version in force.
    pub policy: PolicyRef,
    /// The envelope of that version, for a key's first entry under it.
    pub carries: Option<Envelope>,
    /// The scheduled run that it is the result of.
    pub due: Option<ScheduledRun>,
}

/// An entry with its envelope and the policy that it carries. Its own key's signature has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedEntry {
    /// The entry.
    pub entry: Entry,
    /// The envelope that contains it.
    pub envelope: Envelope,
    /// The policy that it carries.
    pub carried: Option<(PolicyRef, Policy, Envelope)>,
}

/// The members of a predicate.
#[derive(Serialize, Deserialize)]
struct Predicate<B> {
    body: B,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carries: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    critical: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<ScheduledRun>,
    effect: EntryEffect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Digest>,
    format: FormatVersion,
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lost: Vec<EntryRef>,
    parents: Vec<EntryRef>,
    policy: PolicyRef,
    public_key: KeyInfo,
    repository: RepositoryId,
    sequence: u64,
    source: SourceName,
    time: Timestamp,
    tool: String,
}

impl EntryPlace {
    /// Returns the sequence of an entry with these parents.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        next_sequence(&self.parents)
    }
}

impl Draft {
    /// Writes and signs an entry. Returns it and the bytes to store under [`Entry::name`].
    ///
    /// # Errors
    /// When the kind is unknown, the sequence or a list exceeds its bound, or the result exceeds 1 MiB.
    pub fn sign(&self, place: &EntryPlace, key: &SigningKey) -> Result<(Entry, Bytes), FormatError> {
        let sorted = |references: &[EntryRef]| {
            let mut references = references.to_vec();
            references.sort_unstable();
            references.dedup();
            references
        };
        let unknown = || FormatError::malformed(WHAT, "an entry of an unknown kind cannot be written");
        let (_, effect) = role::rule(self.event.kind()).ok_or_else(unknown)?;
        let carried = place.carries.as_ref().map(|envelope| envelope.encode(Holds::Policy)).transpose()?;
        let predicate = Predicate {
            body: self.event.body()?.ok_or_else(unknown)?,
            carries: carried.map(|bytes| BASE64.encode(&bytes)),
            critical: None,
            due: place.due.clone(),
            effect,
            evidence: Vec::new(),
            format: FormatVersion::CURRENT,
            kind: self.event.kind().to_owned(),
            lost: sorted(&place.lost),
            parents: sorted(&place.parents),
            policy: place.policy,
            public_key: key.public().into(),
            repository: place.repository,
            sequence: place.sequence(),
            source: place.source.clone(),
            time: self.time,
            tool: self.tool.clone(),
        };
        let subject = self.event.subjects(place.repository);
        let payload = canonical::encode(WHAT, &Statement::<Predicate<Value>>::new(ENTRY_TYPE, subject, predicate))?;
        let mut envelope = Envelope::unsigned(payload);
        envelope.sign(key);
        let bytes = envelope.encode(Holds::Entry)?;
        // Read it like every reader: an entry that cannot be read back is never stored.
        let signed = SignedEntry::decode(&bytes)?;
        Ok((signed.entry, bytes.into()))
    }
}

impl SignedEntry {
    /// Reads an entry and checks its signature. The reader of the ledger checks what depends on the entry's name, on
    /// other entries or on the repository.
    ///
    /// # Errors
    /// [`FormatError::Version`] and [`FormatError::Critical`] for an entry that is too new for this version,
    /// [`FormatError::Signature`] without a good signature, [`FormatError::Malformed`] or [`FormatError::TooLarge`] for
    /// all other bytes that are not an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let envelope = Envelope::decode(bytes, Holds::Entry)?;
        let statement: Statement<Predicate<&RawValue>> = canonical::read(WHAT, &envelope.payload)?;
        statement.check_type(WHAT, ENTRY_TYPE)?;
        let Statement { subject, predicate, .. } = statement;
        predicate.format.check(WHAT)?;
        check_critical(WHAT, predicate.critical.as_deref(), &MEMBERS)?;
        check_head(&predicate)?;
        let event = read_event(&predicate)?;
        if event.is_known() && event.subjects(predicate.repository) != subject {
            return Err(FormatError::malformed(WHAT, "its subjects are not what its body is about"));
        }
        let carried = predicate.carries.as_deref().map(|text| read_carried(text, &predicate.policy)).transpose()?;
        let fingerprint = predicate.public_key.fingerprint();
        let signed = match predicate.public_key.ed25519() {
            Some(key) => envelope.is_signed_by(key),
            None if predicate.public_key.is_weak() => false,
            // An algorithm that this version does not know: such an entry never counts, but it is not rubbish either.
            None => envelope.signatures.iter().any(|signature| signature.keyid == fingerprint),
        };
        if !signed {
            return Err(FormatError::Signature { key: fingerprint });
        }
        let entry = Entry {
            digest: envelope.digest(),
            key: fingerprint,
            format: predicate.format,
            repository: predicate.repository,
            source: predicate.source,
            sequence: predicate.sequence,
            parents: predicate.parents,
            lost: predicate.lost,
            policy: predicate.policy,
            carries: carried.is_some(),
            checked: predicate.public_key.ed25519().is_some(),
            effect: predicate.effect,
            evidence: predicate.evidence,
            time: predicate.time,
            tool: predicate.tool,
            due: predicate.due,
            event,
        };
        Ok(Self { entry, envelope, carried })
    }
}

impl Entry {
    /// Returns its name in documents.
    #[must_use]
    pub fn reference(&self) -> EntryRef {
        EntryRef { sequence: self.sequence, digest: self.digest }
    }

    /// Returns its name in the repository.
    #[must_use]
    pub fn name(&self) -> String {
        names::entry(&self.reference())
    }

    /// Returns its kind, as spelled in entries.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event.kind()
    }

    /// Returns the snapshot, if it is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&super::SnapshotEvent> {
        self.event.snapshot()
    }
}

/// One more than the highest sequence. Parents at the limit leave no room, so reading refuses the entry.
fn next_sequence(parents: &[EntryRef]) -> u64 {
    parents.iter().map(|parent| parent.sequence).max().unwrap_or(0).saturating_add(1)
}

fn check_head(head: &Predicate<&RawValue>) -> Result<(), FormatError> {
    let refuse = |problem: String| Err(FormatError::malformed(WHAT, problem));
    if head.sequence != next_sequence(&head.parents) || head.sequence > names::SEQUENCE_LIMIT {
        return refuse(format!("its sequence {} is not one more than its highest parent's", head.sequence));
    }
    for (name, references) in [("parents", &head.parents), ("lost", &head.lost)] {
        if references.len() > limits::HEADS {
            return refuse(format!("`{name}` has more than {}", limits::HEADS));
        }
        if !references.is_sorted_by(|a, b| a < b) {
            return refuse(format!("`{name}` is not sorted, or one is repeated"));
        }
    }
    if !head.evidence.is_sorted_by(|a, b| a < b) {
        return refuse("`evidence` is not sorted, or one is repeated".to_owned());
    }
    if !head.body.get().starts_with('{') {
        return refuse("its body is no object".to_owned());
    }
    match role::rule(&head.kind) {
        Some((_, effect)) if effect != head.effect => refuse(format!("`{}` has another effect", head.kind)),
        _ => Ok(()),
    }
}

fn read_event(head: &Predicate<&RawValue>) -> Result<EntryEvent, FormatError> {
    match EntryEvent::read(&head.kind, head.body.get()) {
        // A later minor version may have given a known kind a body that we cannot read: treat it as an unknown kind.
        Err(_) if head.format > FormatVersion::CURRENT => Ok(EntryEvent::Unknown { kind: head.kind.clone() }),
        other => other,
    }
}

fn read_carried(text: &str, named: &PolicyRef) -> Result<(PolicyRef, Policy, Envelope), FormatError> {
    let refuse = |problem| FormatError::malformed(WHAT, problem);
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| refuse("`carries` is no Base64"))?;
    let carried = Policy::decode(&bytes)?;
    match carried.0 == *named {
        true => Ok(carried),
        false => Err(refuse("it carries another policy than it names")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::sha256;
    use crate::format::event::SnapshotsEvent;

    fn place(parents: Vec<EntryRef>) -> EntryPlace {
        EntryPlace {
            repository: RepositoryId(sha256(b"policy")),
            source: SourceName { provider: "p".to_owned(), instance: "i".to_owned(), region: None },
            parents,
            lost: Vec::new(),
            policy: PolicyRef { version: 1, digest: sha256(b"policy") },
            carries: None,
            due: None,
        }
    }

    fn draft() -> Draft {
        let event = EntryEvent::Hold(SnapshotsEvent { snapshots: vec![sha256(b"s")], reason: "why".to_owned() });
        Draft { time: Timestamp::from_millis(1_800_000_000_000), tool: "t".to_owned(), event }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    /// Returns the bytes of an entry with a changed payload, signed again.
    fn forged(change: impl Fn(&str) -> String) -> Vec<u8> {
        let parent = EntryRef { sequence: 41, digest: sha256(b"parent") };
        let (_, bytes) = draft().sign(&place(vec![parent]), &key()).unwrap();
        let envelope = Envelope::decode(&bytes, Holds::Entry).unwrap();
        let text = String::from_utf8(envelope.payload).unwrap();
        let changed = change(&text);
        assert_ne!(changed, text, "nothing was changed");
        let mut envelope = Envelope::unsigned(changed.into_bytes());
        envelope.sign(&key());
        envelope.encode(Holds::Entry).unwrap()
    }

    #[test]
    fn an_entry_is_named_by_its_payload_and_reads_back() {
        let parent = EntryRef { sequence: 41, digest: sha256(b"parent") };
        let (entry, bytes) = draft().sign(&place(vec![parent, parent]), &key()).unwrap();
        let signed = SignedEntry::decode(&bytes).unwrap();
        assert_eq!(signed.entry, entry);
        assert_eq!((entry.sequence, entry.parents.as_slice()), (42, &[parent][..]));
        assert_eq!(entry.digest, signed.envelope.digest());
        assert_eq!(entry.effect, EntryEffect::State);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        type Change = fn(&str) -> String;
        let changes: [(&str, Change); 10] = [
            ("a jump", |text| text.replace(r#""sequence":42"#, r#""sequence":43"#)),
            ("another effect", |text| text.replace(r#""effect":"state""#, r#""effect":"record""#)),
            ("another subject", |text| text.replace(r#""name":"entry/"#, r#""name":"evidence/"#)),
            ("no body", |text| text.replace(r#""body":{"#, r#""bodx":{"#)),
            ("a body that is a list", |text| {
                text.replace(r#""kind":"hold""#, r#""kind":"odd""#)
                    .replace("{\"reason\":\"why\",\"snapshots\":[", "[[")
                    .replace("]},\"effect\"", "]],\"effect\"")
            }),
            ("no snapshot", |text| text.replace("\"snapshots\":[\"", "\"snapshots\":[],\"x\":[\"")),
            ("a critical member", |text| text.replace(r#""effect""#, r#""critical":["due_date"],"effect""#)),
            ("another major", |text| text.replace(r#""format":"1.0""#, r#""format":"2.0""#)),
            ("a time of another spelling", |text| text.replace(".000Z", "Z")),
            ("another statement", |text| text.replace("Statement/v1", "Statement/v2")),
        ];
        for (name, change) in changes {
            assert!(SignedEntry::decode(&forged(change)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_later_minor_may_bring_members_kinds_and_bodies() {
        let added = forged(|text| text.replace(r#""effect""#, r#""duration":5,"effect""#));
        assert!(SignedEntry::decode(&added).is_ok());
        let kind = forged(|text| text.replace(r#""kind":"hold""#, r#""kind":"tomorrow""#));
        assert_eq!(SignedEntry::decode(&kind).unwrap().entry.kind(), "tomorrow");
        let body = forged(|text| {
            text.replace(r#""format":"1.0""#, r#""format":"1.1""#).replace(r#""reason":"why""#, r#""reason":7"#)
        });
        assert!(!SignedEntry::decode(&body).unwrap().entry.event.is_known());
    }

    #[test]
    fn without_a_good_signature_of_the_key_in_its_head_it_is_none() {
        let (_, bytes) = draft().sign(&place(Vec::new()), &key()).unwrap();
        let mut envelope = Envelope::decode(&bytes, Holds::Entry).unwrap();
        envelope.signatures.clear();
        envelope.sign(&SigningKey::from_seed(&[2; 32]));
        let error = SignedEntry::decode(&envelope.encode(Holds::Entry).unwrap()).unwrap_err();
        assert!(matches!(error, FormatError::Signature { .. }), "{error}");
    }
}
