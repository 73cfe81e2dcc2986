//! What came of applying a plan.

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

/// The result of an apply.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ApplyReport {
    /// The snapshot that was restored.
    pub snapshot: SnapshotName,
    /// The standby that it was restored into.
    pub standby: StandbyName,
    /// Items of the snapshot that were asked for.
    pub items: u64,
    /// When it began, by our clock.
    pub began: Timestamp,
    /// When it ended, reading back included.
    pub ended: Timestamp,
    /// The achieved restore time in milliseconds: from the beginning to the last change.
    pub restore_millis: u64,
    /// Steps that were done now.
    pub done: u64,
    /// Steps that were found done.
    pub already: u64,
    /// Steps that were not done.
    pub left: u64,
    /// Steps that were done now, by what they did.
    pub actions: BTreeMap<String, u64>,
    /// Items that the plan or the run found in conflict: nothing was done about them, or nothing more.
    pub conflicts: Vec<Remark>,
    /// Items of which a step was refused.
    pub failed: Vec<Remark>,
    /// What cannot be brought back.
    pub losses: Vec<Remark>,
    /// What is there and waits: for a signed certificate, or for what the standby still issues.
    pub waiting: Vec<Remark>,
    /// What was not tried, because what it needs is not there or not usable yet.
    pub skipped: Vec<Remark>,
    /// Requests that have to be signed outside the standby before the rest can be done.
    pub signing_requests: Vec<SigningRequest>,
    /// Things to know.
    pub notes: Vec<Remark>,
    /// Requests that it took.
    pub requests: Requests,
    /// What reading back found; `None` when the run was stopped before.
    pub read_back: Option<ReadBack>,
    /// Which id became which; what is known to be there when the run was stopped, if anything is.
    pub id_map: Option<IdMap>,
    /// Why the run was stopped, if it was. The same plan can be applied again.
    pub stopped: Option<Stopped>,
}

/// Why a run was stopped.
#[derive(Debug, Clone, Serialize)]
pub struct Stopped {
    /// In words.
    pub reason: String,
    /// What kind of failure it is.
    pub kind: FailureKind,
}

impl Stopped {
    /// By this error.
    pub(in crate::job) fn by(error: &RestoreError) -> Self {
        Self { reason: with_causes(error), kind: error.kind() }
    }
}

/// What comparing the standby with the snapshot found when all was done.
#[derive(Debug, Clone, Serialize)]
pub struct ReadBack {
    /// Items that were compared.
    pub items: u64,
    /// Of these, those that are as they should be.
    pub right: u64,
    /// Payloads that were read and compared in memory.
    pub payloads_compared: u64,
    /// Whether every payload was.
    pub deep: bool,
    /// What a new plan would still do, what is in its way, and losses that this run did not know of.
    pub differences: Vec<Remark>,
}

impl ReadBack {
    /// `plan` is the new plan; what `report` already says of an item is not said again.
    pub(super) fn new(plan: &Plan, deep: bool, report: &ApplyReport) -> Self {
        let remark = |step: &Step| Remark {
            key: step.key.clone(),
            name: step.name.clone(),
            item_type: step.item_type.clone(),
            group: step.group.clone(),
            reason: format!("{}: {}", step.action.as_str(), step.reason),
        };
        // What waits is said once.
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
    /// What kind of failure it is, if it is one: stopped, then conflicts, then what is missing.
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

/// What a run counts while it goes.
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
    /// Keeps the first reason to stop.
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

/// Milliseconds from one moment to another, never below 0.
fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.millis_since(from)).unwrap_or_default()
}
