//! Entries: statements about what happened, each linked to all that was known before.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::event::Event;
use super::statement::{PREDICATE_TYPE, STATEMENT_TYPE, Statement};
use super::version::Version;
use super::{FormatError, RepositoryId, SourceName, names};
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::model::json::Members;
use crate::model::{Digest, Due, Timestamp, limits};

const WHAT: &str = "entry";

/// An entry as it was read. That it can be read says nothing about whether it is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The digest of its envelope: its name.
    pub digest: Digest,
    /// The digest of what is signed.
    pub payload_digest: Digest,
    /// The fingerprint of the key that signed.
    pub key: Digest,
    /// The version that it was written in.
    pub format: Version,
    /// The repository; nothing in a first entry, whose digest *is* the repository.
    pub repository: Option<RepositoryId>,
    /// The instance that the repository belongs to.
    pub source: SourceName,
    /// One more than its highest parent's; 1 for a first entry.
    pub sequence: u64,
    /// All heads that its writer saw; sorted.
    pub parents: Vec<Digest>,
    /// Its writer's own previous entry.
    pub previous: Option<Digest>,
    /// The writer's clock.
    pub time: Timestamp,
    /// What wrote it.
    pub tool: String,
    /// The run of a schedule that it is the result of.
    pub due: Option<Due>,
    /// What happened.
    pub event: Event,
}

/// What a writer has to say; where it goes in the ledger is a [`Place`].
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The writer's clock.
    pub time: Timestamp,
    /// What writes it: `keyhaven/0.1.0`.
    pub tool: String,
    /// What happened.
    pub event: Event,
}

/// Where an entry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The repository; nothing for a first entry.
    pub repository: Option<RepositoryId>,
    /// The instance that the repository belongs to.
    pub source: SourceName,
    /// One more than the highest parent's.
    pub sequence: u64,
    /// All heads; any order, they are sorted here.
    pub parents: Vec<Digest>,
    /// The writer's own previous entry.
    pub previous: Option<Digest>,
    /// The run of a schedule that it is the result of.
    pub due: Option<Due>,
}

impl Place {
    /// The place of a first entry.
    #[must_use]
    pub fn first(source: SourceName) -> Self {
        Self { repository: None, source, sequence: 1, parents: Vec::new(), previous: None, due: None }
    }
}

/// An entry and the signature over it, not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// The entry.
    pub entry: Entry,
    /// The envelope that it came in.
    pub envelope: Envelope,
}

/// The members of a predicate but for its last; in the order written.
#[derive(Serialize, Deserialize)]
struct Head {
    format: Version,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repository: Option<RepositoryId>,
    source: SourceName,
    sequence: u64,
    parents: Vec<Digest>,
    previous: Option<Digest>,
    time: Timestamp,
    tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Due>,
}

impl Draft {
    /// Writes and signs an entry; gives it and the bytes to store under [`names::entry`].
    ///
    /// # Errors
    /// When the place cannot be (parents and repository are both there, or neither; more than 1,000 parents), the kind
    /// is unknown, or the result is over 1 MiB.
    pub fn sign(&self, place: &Place, key: &SigningKey) -> Result<(Entry, Bytes), FormatError> {
        let mut parents = place.parents.clone();
        parents.sort_unstable();
        parents.dedup();
        let head = Head {
            format: Version::CURRENT,
            kind: self.event.kind().to_owned(),
            repository: place.repository,
            source: place.source.clone(),
            sequence: place.sequence,
            parents,
            previous: place.previous,
            time: self.time,
            tool: self.tool.clone(),
            due: place.due.clone(),
        };
        let payload = write_payload(&head, &self.event)?;
        let envelope = Envelope::sign(payload, key);
        let bytes = envelope.encode();
        // Read it as everybody else will: what we cannot read back is never stored.
        let signed = Signed::decode(&bytes)?;
        Ok((signed.entry, bytes.into()))
    }
}

impl Signed {
    /// Reads an entry. The signature is not checked here: [`Envelope::fits`] does, with a key that is trusted.
    ///
    /// # Errors
    /// [`FormatError::Version`] for another major version; [`FormatError::Malformed`] or [`FormatError::TooLarge`] for
    /// everything that is no entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let envelope = Envelope::decode(bytes)?;
        let statement: Statement<&RawValue> =
            serde_json::from_slice(&envelope.payload).map_err(|error| FormatError::json(WHAT, &error))?;
        if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return Err(FormatError::malformed(WHAT, "its statement or predicate has another type"));
        }
        let members = members(statement.predicate)?;
        let head = read_head(statement.predicate, &members)?;
        let event = read_event(&head, &members)?;
        if !event.subjects().iter().all(|subject| statement.subject.contains(subject)) {
            return Err(FormatError::malformed(WHAT, "its subjects are not what its predicate speaks of"));
        }
        let entry = Entry {
            digest: sha256(bytes),
            payload_digest: envelope.payload_digest(),
            key: envelope.key,
            format: head.format,
            repository: head.repository,
            source: head.source,
            sequence: head.sequence,
            parents: head.parents,
            previous: head.previous,
            time: head.time,
            tool: head.tool,
            due: head.due,
            event,
        };
        Ok(Self { entry, envelope })
    }
}

impl Entry {
    /// Its name in the repository.
    #[must_use]
    pub fn name(&self) -> String {
        names::entry(self.sequence, &self.digest)
    }

    /// Its kind, as entries spell it.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event.kind()
    }

    /// The snapshot, if it is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&super::SnapshotEvent> {
        self.event.snapshot()
    }
}

fn write_payload(head: &Head, event: &Event) -> Result<Vec<u8>, FormatError> {
    let failed = |error: serde_json::Error| FormatError::json(WHAT, &error);
    let unknown = || FormatError::malformed(WHAT, "an entry of an unknown kind cannot be written");
    if !event.is_understood() {
        return Err(unknown());
    }
    let body = match event {
        Event::Init(body) => serde_json::to_string(body),
        Event::Snapshot(body) => serde_json::to_string(body),
        Event::Verification(body) => serde_json::to_string(body),
        Event::Restore(body) => serde_json::to_string(body),
        Event::AcceptLoss(body) => serde_json::to_string(body),
        Event::AcceptSuspect(body) => serde_json::to_string(body),
        Event::Keys(body) => serde_json::to_string(body),
        Event::Forget(body) => serde_json::to_string(body),
        Event::Pin(body) => serde_json::to_string(body),
        Event::Sweep(body) => serde_json::to_string(body),
        Event::Unknown { .. } => return Err(unknown()),
    }
    .map_err(failed)?;
    // The head without its closing brace, then the member that is named after the kind.
    let head_text = serde_json::to_string(head).map_err(failed)?;
    let open = head_text.strip_suffix('}').unwrap_or(&head_text);
    let predicate = RawValue::from_string(format!(r#"{open},"{}":{body}}}"#, head.kind)).map_err(failed)?;
    let statement = Statement {
        statement_type: STATEMENT_TYPE.to_owned(),
        subject: event.subjects(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate,
    };
    serde_json::to_vec(&statement).map_err(failed)
}

/// The members of a predicate; a name that stands there twice could be read in two ways.
fn members(predicate: &RawValue) -> Result<Members<'_>, FormatError> {
    let members = Members::parse(predicate.get()).map_err(|error| FormatError::json(WHAT, &error))?;
    let mut seen: Vec<&str> = members.0.iter().map(|(name, _)| name.as_str()).collect();
    seen.sort_unstable();
    if seen.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(FormatError::malformed(WHAT, "a member of its predicate is repeated"));
    }
    Ok(members)
}

fn read_head(predicate: &RawValue, members: &Members<'_>) -> Result<Head, FormatError> {
    // The version first: of another major, nothing else may be assumed.
    let format = members.0.iter().find(|(name, _)| name == "format").map(|(_, value)| value.get());
    let format: Version = serde_json::from_str(format.unwrap_or("null"))
        .map_err(|_| FormatError::malformed(WHAT, "it does not say which format it has"))?;
    format.check(WHAT)?;
    let head: Head = serde_json::from_str(predicate.get()).map_err(|error| FormatError::json(WHAT, &error))?;
    names::check_sequence(head.sequence)?;
    if head.parents.len() > limits::HEADS {
        return Err(FormatError::malformed(WHAT, format!("it names more than {} parents", limits::HEADS)));
    }
    if !head.parents.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::malformed(WHAT, "its parents are not sorted, or one is repeated"));
    }
    let first = head.parents.is_empty();
    if first != head.repository.is_none() || first != (head.kind == "init") || (first && head.sequence != 1) {
        let problem = "only a first entry has no parents, names no repository, is of kind init and has sequence 1";
        return Err(FormatError::malformed(WHAT, problem));
    }
    Ok(head)
}

fn read_event(head: &Head, members: &Members<'_>) -> Result<Event, FormatError> {
    let unknown = || Event::Unknown { kind: head.kind.clone() };
    if !matches!(
        head.kind.as_str(),
        "init"
            | "snapshot"
            | "verification"
            | "restore"
            | "accept_loss"
            | "accept_suspect"
            | "keys"
            | "forget"
            | "pin"
            | "sweep"
    ) {
        return Ok(unknown());
    }
    let body = members.0.iter().find(|(name, _)| *name == head.kind).map(|(_, value)| *value);
    let body = body.ok_or_else(|| FormatError::malformed(WHAT, format!("the member `{}` is missing", head.kind)))?;
    let read = match head.kind.as_str() {
        "init" => read_body(body).map(Event::Init),
        "snapshot" => read_body(body).map(|event| Event::Snapshot(Box::new(event))),
        "verification" => read_body(body).map(Event::Verification),
        "restore" => read_body(body).map(Event::Restore),
        "accept_loss" => read_body(body).map(Event::AcceptLoss),
        "accept_suspect" => read_body(body).map(Event::AcceptSuspect),
        "keys" => read_body(body).map(Event::Keys),
        "forget" => read_body(body).map(Event::Forget),
        "pin" => read_body(body).map(Event::Pin),
        _ => read_body(body).map(Event::Sweep),
    };
    match read {
        // A later minor may have given a known kind a body that we cannot read: as good as a kind we do not know.
        Err(_) if head.format > Version::CURRENT && head.kind != "init" => Ok(unknown()),
        other => other,
    }
}

fn read_body<T: DeserializeOwned>(body: &RawValue) -> Result<T, FormatError> {
    serde_json::from_str(body.get()).map_err(|error| FormatError::json(WHAT, &error))
}
