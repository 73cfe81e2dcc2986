//! Report of an apply.

use std::collections::BTreeMap;

use serde::Serialize;

use super::signatures::SigningRequest;
use crate::job::restore::error::RestoreError;
use crate::job::restore::idmap::IdMap;
use crate::job::restore::plan::{Plan, Remark, SnapshotName, StandbyName, Step};
use crate::job::{RunFacts, RunResult, total};
use crate::model::with_causes;
use crate::model::{FailureKind, ItemKey, Timestamp};
use crate::provider::Requests;

/// Result of an apply.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ApplyReport {
    /// Snapshot that was restored.
    pub snapshot: SnapshotName,
    /// Standby that it was restored into.
    pub standby: StandbyName,
    /// Number of selected items.
    pub items: u64,
    /// Start of the run, by our clock.
    pub began: Timestamp,
    /// End of the run, including the read-back.
    pub ended: Timestamp,
    /// Achieved restore time in milliseconds: from the start to the last change.
    pub restore_millis: u64,
    /// Number of steps executed in this run.
    pub done: u64,
    /// Number of steps found already completed.
    pub already: u64,
    /// Number of steps not executed.
    pub left: u64,
    /// Number of steps executed in this run, by action.
    pub actions: BTreeMap<String, u64>,
    /// Items that the plan or the run found in conflict, and left alone from then on.
    pub conflicts: Vec<Remark>,
    /// Items with a refused step.
    pub failed: Vec<Remark>,
    /// Items, or parts of them, that cannot be restored.
    pub losses: Vec<Remark>,
    /// Items that exist and wait: for a signed certificate, or for the standby to issue them.
    pub waiting: Vec<Remark>,
    /// Items not tried because a dependency is missing or not usable yet.
    pub skipped: Vec<Remark>,
    /// Requests that must be signed outside the standby before the rest can be done.
    pub signing_requests: Vec<SigningRequest>,
    /// Remarks for the operator.
    pub notes: Vec<Remark>,
    /// Requests sent.
    pub requests: Requests,
    /// Result of the read-back; `None` if the run was stopped before it.
    pub read_back: Option<ReadBack>,
    /// Map of old ids to new ids. For a stopped run, the items known to exist, if any.
    pub id_map: Option<IdMap>,
    /// Reason why the run was stopped, if it was. The same plan can be applied again.
    pub stopped: Option<Stopped>,
}

/// Reason why a run was stopped.
#[derive(Debug, Clone, Serialize)]
pub struct Stopped {
    /// Reason in words.
    pub reason: String,
    /// Kind of failure.
    pub kind: FailureKind,
}

impl Stopped {
    /// Creates the reason from an error.
    pub(in crate::job) fn by(error: &RestoreError) -> Self {
        Self { reason: with_causes(error), kind: error.kind() }
    }
}

/// Result of comparing the standby with the snapshot after the last step.
#[derive(Debug, Clone, Serialize)]
pub struct ReadBack {
    /// Number of items compared.
    pub items: u64,
    /// Number of these that are correct.
    pub right: u64,
    /// Number of payloads read and compared in memory.
    pub payloads_compared: u64,
    /// True if every payload was compared.
    pub deep: bool,
    /// Steps that a new plan would still have, conflicts, and losses that this run did not know of.
    pub differences: Vec<Remark>,
}

impl ReadBack {
    /// Creates the result from the new `plan`, without what `report` already contains.
    pub(super) fn new(plan: &Plan, deep: bool, report: &ApplyReport) -> Self {
        let remark = |step: &Step| Remark {
            key: step.key.clone(),
            name: step.name.clone(),
            item_type: step.item_type.clone(),
            group: step.group.clone(),
            reason: format!("{}: {}", step.action.as_str(), step.reason),
        };
        // Waiting items are already reported.
        let said = |key: &ItemKey| report.waiting.iter().chain(&report.skipped).any(|known| known.key == *key);
        let mut differences: Vec<Remark> = plan.steps.iter().filter(|step| !said(&step.key)).map(remark).collect();
        let in_the_way = |found: &&Remark| !report.conflicts.iter().any(|known| known.key == found.key);
        differences.extend(plan.conflicts.iter().filter(in_the_way).cloned());
        differences.extend(plan.losses.iter().filter(|loss| !report.losses.contains(loss)).cloned());
        Self {
            items: plan.totals.items,
            right: plan.totals.right,
            payloads_compared: plan.totals.payloads_compared,
            deep,
            differences,
        }
    }
}

impl ApplyReport {
    /// Returns the kind of failure, if any: stopped, then conflicts, then missing parts.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        if let Some(stopped) = &self.stopped {
            return Some(stopped.kind);
        }
        if !self.conflicts.is_empty() {
            return Some(FailureKind::Moved);
        }
        let differs = self.read_back.as_ref().is_some_and(|read| !read.differences.is_empty());
        (differs || self.left > 0 || !self.failed.is_empty() || !self.losses.is_empty()).then_some(FailureKind::Partial)
    }

    pub(super) fn stop(&mut self, error: &RestoreError) {
        self.stopped = Some(Stopped::by(error));
    }
}

/// Counters of a run in progress.
#[derive(Debug, Default)]
pub(super) struct ApplyCounts {
    pub(super) done: u64,
    pub(super) already: u64,
    pub(super) actions: BTreeMap<String, u64>,
    pub(super) conflicts: Vec<Remark>,
    pub(super) failed: Vec<Remark>,
    pub(super) losses: Vec<Remark>,
    pub(super) waiting: Vec<Remark>,
    pub(super) skipped: Vec<Remark>,
    pub(super) signing_requests: Vec<SigningRequest>,
    pub(super) last_change: Option<Timestamp>,
    pub(super) stopped: Option<Stopped>,
}

impl ApplyCounts {
    /// Records the reason to stop; the first one wins.
    pub(super) fn stop(&mut self, error: &RestoreError) {
        self.stopped.get_or_insert_with(|| Stopped::by(error));
    }

    pub(super) fn report(
        self,
        plan: &Plan,
        standby: &StandbyName,
        began: Timestamp,
        last_change: Timestamp,
    ) -> ApplyReport {
        let joined = |planned: &[Remark], mut now: Vec<Remark>| {
            let mut all = planned.to_vec();
            now.sort_by(|a, b| a.key.cmp(&b.key));
            all.extend(now);
            all
        };
        ApplyReport {
            snapshot: plan.snapshot.clone(),
            standby: standby.clone(),
            items: plan.totals.items,
            began,
            ended: last_change,
            restore_millis: millis(began, last_change),
            done: self.done,
            already: self.already,
            left: (plan.steps.len() as u64).saturating_sub(self.done + self.already),
            actions: self.actions,
            conflicts: joined(&plan.conflicts, self.conflicts),
            failed: joined(&[], self.failed),
            losses: joined(&plan.losses, self.losses),
            waiting: joined(&[], self.waiting),
            skipped: joined(&[], self.skipped),
            signing_requests: self.signing_requests,
            notes: plan.notes.clone(),
            requests: Requests::default(),
            read_back: None,
            id_map: None,
            stopped: self.stopped,
        }
    }
}

impl RunResult for ApplyReport {
    fn facts(&self) -> RunFacts {
        let problems = total([self.conflicts.len(), self.losses.len(), self.failed.len()]);
        RunFacts { requests: Some(self.requests.total()), problems, ..self.snapshot.facts() }
    }
}

/// Returns the milliseconds between two times, never less than 0.
fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.millis_since(from)).unwrap_or_default()
}
