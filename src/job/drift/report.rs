//! What a comparison found. Names and kinds; never a value.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::job::restore::plan::{Remark, SnapshotName, StandbyName};
use crate::job::{RunFacts, RunResult, total};
use crate::model::{FailureKind, ItemKey, Timestamp};
use crate::provider::Requests;

/// What differs between a standby and what it should hold.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DriftReport {
    /// What the standby is compared with: a snapshot, or the live source.
    pub expected: ComparedWith,
    /// The standby.
    pub standby: StandbyName,
    /// When, by the standby's clock.
    pub at: Timestamp,
    /// How payloads were compared, over all secrets.
    pub basis: OverallBasis,
    /// Items that were compared, by how their content was compared.
    pub compared: BTreeMap<ComparisonBasis, u64>,
    /// Items that are as they should be.
    pub same: u64,
    /// What differs, in key order.
    pub differences: Vec<Difference>,
    /// Items whose content could not be compared: without a mark, and without a key that opens the backup.
    pub unknown: Vec<Remark>,
    /// Items that no restore brings back: not expected in the standby.
    pub unrestorable: Vec<Remark>,
    /// Rotation that is held back on purpose, with the date by which that matters. No drift.
    pub held: Vec<HeldRotation>,
    /// Requests that the comparison took, of the standby.
    pub requests: Requests,
}

/// What a standby is compared with.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedWith {
    /// A snapshot.
    Snapshot(SnapshotName),
    /// The source itself, as it is now.
    Source {
        /// Its full name.
        #[serde(rename = "crn")]
        full_name: String,
        /// When it was listed, by its clock.
        at: Timestamp,
    },
}

/// How the content of an item was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonBasis {
    /// The values themselves.
    Values,
    /// The marks that a restore left.
    Marks,
    /// What the lists and the documents show: it has no payload, or one that the standby issued itself.
    Metadata,
    /// Not at all.
    Nothing,
}

/// How payloads were compared, over all items that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverallBasis {
    /// All by their values.
    Values,
    /// All by marks.
    Marks,
    /// Some by values, some by marks or not at all.
    Mixed,
}

/// In what an item differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftKind {
    /// The standby lacks it.
    Missing,
    /// Only the standby has it.
    Extra,
    /// Its current payload or value is another one.
    Payload,
    /// It lacks an earlier version.
    Version,
    /// Settings differ.
    Settings,
    /// Name, description, labels or custom metadata differ.
    Metadata,
    /// Locks differ.
    Locks,
    /// It rotates where it should not, or does not where nothing holds it back.
    Rotation,
    /// It cannot be said which item of the standby it is.
    Conflict,
}

impl DriftKind {
    /// The word used in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Payload => "payload",
            Self::Version => "version",
            Self::Settings => "settings",
            Self::Metadata => "metadata",
            Self::Locks => "locks",
            Self::Rotation => "rotation",
            Self::Conflict => "conflict",
        }
    }
}

/// One thing in which an item differs.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// In what.
    pub kind: DriftKind,
    /// The item: its key in what is expected; for one that is only in the standby, its key there.
    pub key: ItemKey,
    /// Its id in the standby, where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group, for secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How its content was compared.
    pub basis: ComparisonBasis,
    /// What differs, as a fragment without any value.
    pub what: String,
}

/// A rotation that is held back.
#[derive(Debug, Clone, Serialize)]
pub struct HeldRotation {
    /// The item, by its key in what is expected.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The policy, as the source has it.
    pub policy: Box<RawValue>,
    /// When the source rotates it next, so that the standby's value is no longer the current one.
    pub next: Option<Timestamp>,
    /// Whether that date is past: the source has rotated it since, or should have.
    pub due: bool,
}

impl DriftReport {
    /// What kind of result it is: `None` when the standby is as it should be.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        match (self.differences.is_empty(), self.unknown.is_empty()) {
            (false, _) => Some(FailureKind::Different),
            (true, false) => Some(FailureKind::Partial),
            (true, true) => None,
        }
    }
}

impl RunResult for DriftReport {
    fn facts(&self) -> RunFacts {
        let (requests, problems) = (Some(self.requests.total()), total([self.differences.len()]));
        match &self.expected {
            ComparedWith::Snapshot(name) => RunFacts { requests, problems, ..name.facts() },
            ComparedWith::Source { .. } => RunFacts { requests, problems, ..RunFacts::default() },
        }
    }
}
