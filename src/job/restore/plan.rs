//! A plan: the changes of a restore, as plain data.
//!
//! A plan holds no payload and nothing else of the class secret. It does hold names, ids and held-back metadata, so
//! protect it like a catalogue. It is bound to one snapshot and one standby and can be applied any number of times:
//! every step carries the state that it expects and the state that it leaves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::options::PlanOptions;
use super::state::ItemState;
use crate::job::plan_file::PlanFile;
use crate::job::{RunFacts, RunResult, total};
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};
use crate::provider::{Action, Phase};

/// The changes of a restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// [`PlanFile::FORMAT`].
    pub format: u32,
    /// Snapshot to restore.
    pub snapshot: SnapshotName,
    /// Standby to restore into.
    pub standby: StandbyName,
    /// Time of the plan, by the standby's clock.
    pub made: Timestamp,
    /// Requested options.
    pub options: PlanOptions,
    /// Changes, in the order in which they are applied.
    pub steps: Vec<Step>,
    /// Selected items that need no change by us. Items that were not selected are not listed.
    pub skips: Vec<Remark>,
    /// Items with a conflicting state in the standby, which are left alone.
    pub conflicts: Vec<Remark>,
    /// Items, or parts of them, that cannot be restored.
    pub losses: Vec<Remark>,
    /// Notes, such as no room for a mark, or a rotation that is held back.
    pub notes: Vec<Remark>,
    /// Items that exist in the standby and are not usable yet: still being issued, or waiting for a signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Remark>,
    /// Effects of the configured rules, overrides and transforms on the selected items. Holds no text of a payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied: Vec<Applied>,
    /// Numbers over the whole plan.
    pub totals: Totals,
    /// Digest of everything else: a plan that was changed after it was made is refused. This protects against
    /// accidents, not against attackers, who can make their own plan.
    pub digest: Digest,
}

/// Identification of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotName {
    /// Id of the repository.
    pub repository: String,
    /// Digest of the ledger entry.
    pub entry: Digest,
    /// Sequence number of the entry.
    pub sequence: u64,
    /// Time of the snapshot.
    pub time: Timestamp,
    /// Full name of the instance that was backed up.
    pub source: String,
}

/// Identification of a standby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyName {
    /// Its URL.
    pub url: String,
    /// Instance id in the URL.
    pub instance: Option<String>,
    /// Full name, once its rows show it.
    #[serde(rename = "crn")]
    pub full_name: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Position in the plan, from 1.
    pub id: u32,
    /// Phase that it belongs to.
    pub phase: Phase,
    /// Change to make.
    pub action: Action,
    /// Key of the item in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name, for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Id in the standby, if the item already exists there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Expected state before the step.
    pub expect: ItemState,
    /// State after the step.
    pub leaves: ItemState,
    /// Reason, for the operator.
    pub reason: String,
}

/// A remark about an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Key of the item in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name, for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The remark, as a sentence fragment.
    pub reason: String,
}

/// Effect of one configuration entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The entry, numbered from 1: `rule 1`, `override 2`, `transform 1`.
    pub what: String,
    /// Description of its effect, as a sentence fragment.
    pub does: String,
    /// Affected items; the reason gives the number of places rewritten in each.
    pub items: Vec<Remark>,
    /// Number of places rewritten, over all items.
    pub places: u64,
}

/// Numbers over a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Number of selected items.
    pub items: u64,
    /// Number of these that are already correct.
    pub right: u64,
    /// Number of these that steps change.
    pub changed: u64,
    /// Number of steps.
    pub steps: u64,
    /// Number of steps by action.
    pub actions: BTreeMap<String, u64>,
    /// Number of items left alone.
    pub skips: u64,
    /// Number of items in conflict.
    pub conflicts: u64,
    /// Number of losses.
    pub losses: u64,
    /// Number of standby payloads read and compared to make the plan.
    pub payloads_compared: u64,
}

impl PlanFile for Plan {
    const FORMAT: u32 = 1;
    const FORM: &'static str = "format";
    const COMMAND: &'static str = "keyhaven restore plan";

    fn digest_mut(&mut self) -> &mut Digest {
        &mut self.digest
    }
}

impl Plan {
    /// Returns true if there are no steps and no conflicts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// Returns the result of the plan for a command that only checks (`--check`): `None` if the standby is as it should
    /// be.
    #[must_use]
    pub fn check(&self) -> Option<FailureKind> {
        match (self.steps.is_empty(), self.conflicts.is_empty(), self.losses.is_empty()) {
            (false, _, _) => Some(FailureKind::Different),
            (true, false, _) => Some(FailureKind::Moved),
            (true, true, false) => Some(FailureKind::Partial),
            (true, true, true) => None,
        }
    }
}

impl SnapshotName {
    /// Returns run facts that name this snapshot.
    pub(in crate::job) fn facts(&self) -> RunFacts {
        RunFacts { sequence: Some(self.sequence), snapshot: Some(self.entry), ..RunFacts::default() }
    }
}

impl RunResult for Plan {
    fn facts(&self) -> RunFacts {
        RunFacts { problems: total([self.conflicts.len(), self.losses.len()]), ..self.snapshot.facts() }
    }
}
