//! Events recorded by entries.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::snapshot::SnapshotEvent;
use super::statement::Subject;
use super::{FormatError, RepositoryId, canonical};
use crate::model::{Digest, Timestamp};

const WHAT: &str = "entry";

/// Maximum number of snapshots that one entry names.
pub const SNAPSHOTS_AN_ENTRY: usize = 2_000;

/// The event of an entry: its body, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryEvent {
    /// The instance was backed up.
    Snapshot(Box<SnapshotEvent>),
    /// The repository was checked.
    Verification(VerificationEvent),
    /// Recovery keys were proven to open what they must.
    Proof(ProofEvent),
    /// A snapshot was restored.
    Restore(RestoreEvent),
    /// A trial restore into a disposable target was done.
    Drill(DrillEvent),
    /// Snapshots were marked for deletion.
    Forget(ForgetEvent),
    /// A forget was undone.
    Undo(SnapshotsEvent),
    /// Snapshots are kept, regardless of the retention policy.
    Hold(SnapshotsEvent),
    /// The retention policy applies again.
    Release(SnapshotsEvent),
    /// Objects that only forgotten snapshots need are about to be deleted.
    Sweep(SweepEvent),
    /// A change of the source was announced.
    Expect(ExpectEvent),
    /// An alert was acknowledged.
    Acknowledge(AcknowledgeEvent),
    /// A kind, or a body, of a later minor version. Linked and checked like any other; its meaning is not used.
    Unknown {
        /// The kind named in the entry.
        kind: String,
    },
}

/// The body of a verification entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationEvent {
    /// The level: `ledger`, `objects`, `catalogue`, `payload`, `drill`.
    pub level: String,
    /// The slice of the packs that was opened; `None` means all packs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// True if no problem was found.
    pub passed: bool,
    /// Number of problems found.
    pub problems: u64,
    /// The entries that were checked: the heads, or the snapshots.
    pub entries: Vec<Digest>,
    /// Numbers of things checked, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, u64>>,
}

/// A slice of all packs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Number of the slice, from 1.
    pub part: u64,
    /// Number of slices.
    pub of: u64,
    /// Seed of the random choice of slices, if it was random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
}

/// The body of a proof that recovery keys open what they must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofEvent {
    /// One answer per recipient.
    pub recipients: Vec<RecipientProof>,
}

/// The answer of one recovery key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientProof {
    /// The recipient.
    pub recipient: String,
    /// The digest of the challenge that was sealed to it.
    pub challenge: Digest,
    /// The digest of what its key decrypted.
    pub answer: Digest,
}

/// The body of a restore entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreEvent {
    /// The snapshot that was restored.
    pub snapshot: Digest,
    /// The target instance.
    pub target: String,
    /// Number of items that were written or were already as they should be.
    pub restored: u64,
    /// Number of items that failed.
    pub failed: u64,
    /// Start time.
    pub from: Timestamp,
    /// End time.
    pub to: Timestamp,
}

/// The body of a drill entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillEvent {
    /// The snapshot that was restored.
    pub snapshot: Digest,
    /// The kind of target: `embedded` or `scratch`.
    pub target: String,
    /// True if everything was restored.
    pub passed: bool,
    /// Start time.
    pub from: Timestamp,
    /// End time.
    pub to: Timestamp,
    /// Duration of each phase.
    pub phases: Vec<DrillPhase>,
    /// Numbers of things restored, by name.
    pub counts: BTreeMap<String, u64>,
    /// The independent second reader that compared the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_by: Option<String>,
}

/// One phase of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillPhase {
    /// Name of the phase.
    pub name: String,
    /// Duration in milliseconds.
    pub millis: u64,
}

/// The body of a forget entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetEvent {
    /// The snapshots.
    pub snapshots: Vec<Digest>,
    /// The retention rule, for people.
    pub rule: String,
}

/// The body of an entry that names snapshots and a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotsEvent {
    /// The snapshots.
    pub snapshots: Vec<Digest>,
    /// The reason.
    pub reason: String,
}

/// The body of a sweep entry. It is written before the first object is deleted. From then on these snapshots are
/// irrecoverable, whether or not the sweep completes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepEvent {
    /// The swept snapshots.
    pub snapshots: Vec<Digest>,
    /// Number of objects to delete.
    pub objects: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Only objects that the store dates before this time are deleted.
    pub before: Timestamp,
}

/// The body of an announcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectEvent {
    /// `rotate`, `delete` or `move`.
    pub change: String,
    /// Start of the period.
    pub from: Timestamp,
    /// End of the period.
    pub to: Timestamp,
    /// The share of items, in percent.
    pub share: u64,
    /// Selectors and reason, sealed to the catalogue recipients, in Base64.
    pub sealed: String,
}

/// The body of an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgeEvent {
    /// The snapshot.
    pub snapshot: Digest,
    /// End of the acknowledgement.
    pub until: Timestamp,
    /// The reason, sealed to the catalogue recipients, in Base64.
    pub sealed: String,
}

impl EntryEvent {
    /// Returns the kind, as spelled in entries.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Verification(_) => "verification",
            Self::Proof(_) => "proof",
            Self::Restore(_) => "restore",
            Self::Drill(_) => "drill",
            Self::Forget(_) => "forget",
            Self::Undo(_) => "undo",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Sweep(_) => "sweep",
            Self::Expect(_) => "expect",
            Self::Acknowledge(_) => "acknowledge",
            Self::Unknown { kind } => kind,
        }
    }

    /// Returns true if its meaning is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }

    /// Returns the snapshot, if it is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&SnapshotEvent> {
        match self {
            Self::Snapshot(event) => Some(event),
            _ => None,
        }
    }

    /// Returns the snapshots that an entry about snapshots names.
    #[must_use]
    pub fn named_snapshots(&self) -> &[Digest] {
        match self {
            Self::Forget(ForgetEvent { snapshots, .. })
            | Self::Undo(SnapshotsEvent { snapshots, .. })
            | Self::Hold(SnapshotsEvent { snapshots, .. })
            | Self::Release(SnapshotsEvent { snapshots, .. })
            | Self::Sweep(SweepEvent { snapshots, .. }) => snapshots,
            _ => &[],
        }
    }

    /// Returns the subjects of the statement, exactly and in this order.
    #[must_use]
    pub fn subjects(&self, repository: RepositoryId) -> Vec<Subject> {
        match self {
            Self::Snapshot(event) => {
                let parts = event.parts.iter().map(|part| Subject::part(part.digest));
                parts.chain([Subject::list(event.list)]).collect()
            }
            Self::Verification(event) if !event.entries.is_empty() => {
                event.entries.iter().copied().map(Subject::entry).collect()
            }
            Self::Restore(RestoreEvent { snapshot, .. })
            | Self::Drill(DrillEvent { snapshot, .. })
            | Self::Acknowledge(AcknowledgeEvent { snapshot, .. }) => vec![Subject::entry(*snapshot)],
            Self::Forget(_) | Self::Undo(_) | Self::Hold(_) | Self::Release(_) | Self::Sweep(_)
                if !self.named_snapshots().is_empty() =>
            {
                self.named_snapshots().iter().copied().map(Subject::entry).collect()
            }
            Self::Unknown { .. } => Vec::new(),
            _ => vec![Subject::repository(repository)],
        }
    }

    /// Returns the body to write; `None` for an unknown kind.
    pub(super) fn body(&self) -> Result<Option<Value>, FormatError> {
        self.check()?;
        let body = match self {
            Self::Snapshot(body) => serde_json::to_value(body),
            Self::Verification(body) => serde_json::to_value(body),
            Self::Proof(body) => serde_json::to_value(body),
            Self::Restore(body) => serde_json::to_value(body),
            Self::Drill(body) => serde_json::to_value(body),
            Self::Forget(body) => serde_json::to_value(body),
            Self::Undo(body) | Self::Hold(body) | Self::Release(body) => serde_json::to_value(body),
            Self::Sweep(body) => serde_json::to_value(body),
            Self::Expect(body) => serde_json::to_value(body),
            Self::Acknowledge(body) => serde_json::to_value(body),
            Self::Unknown { .. } => return Ok(None),
        };
        body.map(Some).map_err(|error| FormatError::json(WHAT, &error))
    }

    /// Reads a body by its kind.
    pub(super) fn read(kind: &str, body: &str) -> Result<Self, FormatError> {
        let event = match kind {
            "snapshot" => Self::Snapshot(Box::new(read(body)?)),
            "verification" => Self::Verification(read(body)?),
            "proof" => Self::Proof(read(body)?),
            "restore" => Self::Restore(read(body)?),
            "drill" => Self::Drill(read(body)?),
            "forget" => Self::Forget(read(body)?),
            "undo" => Self::Undo(read(body)?),
            "hold" => Self::Hold(read(body)?),
            "release" => Self::Release(read(body)?),
            "sweep" => Self::Sweep(read(body)?),
            "expect" => Self::Expect(read(body)?),
            "acknowledge" => Self::Acknowledge(read(body)?),
            kind => Self::Unknown { kind: kind.to_owned() },
        };
        event.check()?;
        Ok(event)
    }

    /// Checks bounds that the types do not express.
    fn check(&self) -> Result<(), FormatError> {
        if let Self::Snapshot(event) = self
            && !(event.reuses.is_sorted_by(|one, next| one < next) && event.hidden.is_sorted_by(|one, next| one < next))
        {
            return Err(FormatError::malformed(WHAT, "its `reuses` or `hidden` are not sorted, or repeat something"));
        }
        let named = self.named_snapshots();
        // A sweep may delete only objects that no snapshot ever named, so its list of snapshots may be empty.
        let must_name = matches!(self.kind(), "forget" | "undo" | "hold" | "release");
        let mut sorted = named.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        match must_name && named.is_empty() || named.len() > SNAPSHOTS_AN_ENTRY || sorted.len() != named.len() {
            true => Err(FormatError::malformed(WHAT, "it names no snapshot, too many, or one twice")),
            false => Ok(()),
        }
    }
}

fn read<T: DeserializeOwned + Serialize>(body: &str) -> Result<T, FormatError> {
    canonical::read(WHAT, body.as_bytes())
}
