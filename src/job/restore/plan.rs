//! A plan: what a restore would change, as plain data.
//!
//! A plan holds no payload and nothing else that is secret by class; it does hold names, metadata that was held back,
//! and ids, so it is kept as carefully as a catalogue. It is bound to one snapshot and one standby and can be applied
//! any number of times: every step carries the state that it expects and the state that it leaves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::options::PlanOptions;
use super::state::ItemState;
use crate::job::plan_file::PlanFile;
use crate::job::{RunFacts, RunResult, total};
use crate::model::{Digest, FailureKind, ItemKey, Timestamp};
use crate::provider::{Action, Phase};

/// What a restore would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// [`PlanFile::FORMAT`].
    pub format: u32,
    /// The snapshot that is restored.
    pub snapshot: SnapshotName,
    /// The standby that it is restored into.
    pub standby: StandbyName,
    /// When the plan was made, by the standby's clock.
    pub made: Timestamp,
    /// What was asked for.
    pub options: PlanOptions,
    /// The changes, in the order in which they are applied.
    pub steps: Vec<Step>,
    /// Items that were left out because they were not asked for are not here; these were, and need no change by us.
    pub skips: Vec<Remark>,
    /// Items whose state in the standby is in the way: nothing is done about them.
    pub conflicts: Vec<Remark>,
    /// What cannot be brought back.
    pub losses: Vec<Remark>,
    /// Things to know: no room for a mark, a rotation that is held back.
    pub notes: Vec<Remark>,
    /// What is in the standby and cannot be used yet: still being issued, or waiting for a signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Remark>,
    /// What rules, overrides and transforms of the configuration did to the items that were asked for. Holds no text of a
    /// payload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied: Vec<Applied>,
    /// Numbers over all of it.
    pub totals: Totals,
    /// The digest of all the rest: a plan that was changed after it was made is refused. It keeps from accidents; whoever
    /// wants to can make a plan of their own.
    pub digest: Digest,
}

/// A snapshot by everything that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotName {
    /// The repository's id.
    pub repository: String,
    /// The digest of the ledger entry.
    pub entry: Digest,
    /// The entry's sequence.
    pub sequence: u64,
    /// The snapshot's time.
    pub time: Timestamp,
    /// The full name of the instance that was backed up.
    pub source: String,
}

/// A standby by everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandbyName {
    /// Its URL.
    pub url: String,
    /// The instance id in the URL.
    pub instance: Option<String>,
    /// Its full name, once its rows show it.
    #[serde(rename = "crn")]
    pub full_name: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the plan, from 1.
    pub id: u32,
    /// The class of steps that it belongs to.
    pub phase: Phase,
    /// What is done.
    pub action: Action,
    /// The item, by its key in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group, for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its id in the standby, where it is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The item's state before.
    pub expect: ItemState,
    /// The item's state after.
    pub leaves: ItemState,
    /// Why, for people.
    pub reason: String,
}

/// Something said about an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The item, by its key in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group, for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What there is to say, as a fragment.
    pub reason: String,
}

/// What one entry of the configuration does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which one, with its number from 1: `rule 1`, `override 2`, `transform 1`.
    pub what: String,
    /// What it does, as a fragment.
    pub does: String,
    /// To which items; the reason says in how many places each was rewritten.
    pub items: Vec<Remark>,
    /// In how many places it rewrote a text, over all of them.
    pub places: u64,
}

/// Numbers over a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Items of the snapshot that were asked for.
    pub items: u64,
    /// Of these, those that are right already.
    pub right: u64,
    /// Of these, those that steps change.
    pub changed: u64,
    /// Steps.
    pub steps: u64,
    /// Steps by what they do.
    pub actions: BTreeMap<String, u64>,
    /// Items left alone.
    pub skips: u64,
    /// Items in conflict.
    pub conflicts: u64,
    /// What is lost.
    pub losses: u64,
    /// Payloads of the standby that were read and compared to make the plan.
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
    /// Whether there is nothing to do and nothing in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }

    /// What kind of result the plan is for a command that only asks (`--check`): `None` when the standby is as it
    /// should be.
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
    /// A record that names this snapshot.
    pub(in crate::job) fn facts(&self) -> RunFacts {
        RunFacts { sequence: Some(self.sequence), snapshot: Some(self.entry), ..RunFacts::default() }
    }
}

impl RunResult for Plan {
    fn facts(&self) -> RunFacts {
        RunFacts { problems: total([self.conflicts.len(), self.losses.len()]), ..self.snapshot.facts() }
    }
}
