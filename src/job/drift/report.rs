//! Findings of a comparison: names and kinds, never a value.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::job::restore::plan::{Remark, SnapshotName, StandbyName};
use crate::job::{RunFacts, RunResult, total};
use crate::model::{FailureKind, ItemKey, Timestamp};
use crate::provider::Requests;

/// Differences between a standby and its expected content.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DriftReport {
    /// Reference of the comparison: a snapshot, or the live source.
    pub expected: ComparedWith,
    /// The standby.
    pub standby: StandbyName,
    /// Time of the comparison, by the standby's clock.
    pub at: Timestamp,
    /// Basis of the comparison of payloads, over all secrets.
    pub basis: OverallBasis,
    /// Number of compared items, by basis of the comparison.
    pub compared: BTreeMap<ComparisonBasis, u64>,
    /// Number of items without differences.
    pub same: u64,
    /// Differences, in key order.
    pub differences: Vec<Difference>,
    /// Items whose content could not be compared: without a mark, and without a key that opens the backup.
    pub unknown: Vec<Remark>,
    /// Items that cannot be restored, and are not expected in the standby.
    pub unrestorable: Vec<Remark>,
    /// Rotation that is deliberately held back, with the date from which that matters. Not drift.
    pub held: Vec<HeldRotation>,
    /// Requests sent to the standby.
    pub requests: Requests,
}

/// Expected side of the comparison.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedWith {
    /// A snapshot.
    Snapshot(SnapshotName),
    /// The source itself, as it is now.
    Source {
        /// Full name of the source.
        #[serde(rename = "crn")]
        full_name: String,
        /// Time of the listing, by the source's clock.
        at: Timestamp,
    },
}

/// Basis on which an item was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonBasis {
    /// Values.
    Values,
    /// Marks of a restore.
    Marks,
    /// Lists and documents only: the item has no payload, or one that the standby issued.
    Metadata,
    /// Not compared.
    Nothing,
}

/// Basis on which payloads were compared, over all items that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OverallBasis {
    /// All by value.
    Values,
    /// All by marks.
    Marks,
    /// Some by value, others by marks or not at all.
    Mixed,
}

/// Kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DriftKind {
    /// The standby lacks it.
    Missing,
    /// Only the standby has it.
    Extra,
    /// Its current payload or value differs.
    Payload,
    /// It lacks an earlier version.
    Version,
    /// Settings differ.
    Settings,
    /// Name, description, labels or custom metadata differ.
    Metadata,
    /// Locks differ.
    Locks,
    /// It rotates although it should not, or does not rotate although nothing holds the rotation back.
    Rotation,
    /// The matching item of the standby cannot be determined.
    Conflict,
}

impl DriftKind {
    /// Returns the word used in output.
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

/// One difference of an item.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// Kind of difference.
    pub kind: DriftKind,
    /// Key of the item on the expected side; for an item that only the standby has, its key there.
    pub key: ItemKey,
    /// Id in the standby, if it exists there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name, for secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Basis of the comparison.
    pub basis: ComparisonBasis,
    /// The difference, as a sentence fragment without any value.
    pub what: String,
}

/// A held-back rotation.
#[derive(Debug, Clone, Serialize)]
pub struct HeldRotation {
    /// Key of the item on the expected side.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Policy of the source.
    pub policy: Box<RawValue>,
    /// Time of the source's next rotation, after which the standby's value is outdated.
    pub next: Option<Timestamp>,
    /// True if that time has passed: the source has rotated since, or should have.
    pub due: bool,
}

impl DriftReport {
    /// Returns the kind of failure: `None` if the standby is as expected.
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
