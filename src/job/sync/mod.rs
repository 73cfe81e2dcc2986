//! Keeping a standby in step: the planner of a restore, only what changed, with brakes.
//!
//! | module | what |
//! |---|---|
//! | `choose` | which snapshot: the newest good one of some age (pure) |
//! | `guard` | whether a run would change too much (pure) |
//! | `delete` | what a restore made and the source has lost |
//!
//! A run looks, plans, and stops unless it may change the standby. It never goes back behind the snapshot that the marks
//! of the standby name. No plan file is needed: a run that was killed is run again, and what is done is found done.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::job::restore::examine::{ListedStandby, list, until_cancelled};
use crate::job::restore::plan::{Plan, Remark, SnapshotName, StandbyName};
use crate::job::restore::snapshot::SnapshotItems;
use crate::job::restore::{
    ApplyOptions, ApplyReport, Backup, Consent, PlanOptions, RestoreError, Stopped, apply, plan,
};
use crate::job::{Context, RunFacts, RunResult};
use crate::model::{Digest, FailureKind};
use crate::provider::Standby;

pub mod choose;
mod delete;
pub mod guard;

use delete::{LostSecret, SourceLosses, lost};
use guard::{ChangeShare, in_use};

/// How a standby is brought into step.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// What a plan is made for.
    pub plan: PlanOptions,
    /// Whether the standby is changed.
    pub apply: bool,
    /// Whether what the source has lost is deleted.
    pub delete: bool,
    /// The share of the standby's items that may be overwritten or deleted, 0 to 1.
    pub max_change: f64,
    /// Whether the standby may be taken back to a snapshot older than the one it has.
    pub allow_older: bool,
    /// Sequences of the repository's snapshots by the digests of their entries.
    pub known: BTreeMap<Digest, u64>,
    /// How steps are carried out.
    pub steps: ApplyOptions,
}

/// What a run did, or would do.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// The standby.
    pub standby: StandbyName,
    /// The newest snapshot of this repository that the marks of the standby name, by sequence.
    pub has: Option<u64>,
    /// Set when the standby has a newer snapshot already: nothing was planned.
    pub ahead: bool,
    /// What a restore would do; `None` when the standby is ahead.
    pub plan: Option<Plan>,
    /// Secrets of the standby that the source has lost; deleted only when that is asked for.
    pub lost: Vec<Remark>,
    /// Secrets that the source has lost and that are spared all the same.
    pub spared: Vec<Remark>,
    /// Whether [`SyncReport::lost`] is to be deleted.
    pub delete: bool,
    /// Why the run was stopped before it changed anything.
    pub stopped: Option<String>,
    /// Secrets that were deleted.
    pub deleted: u64,
    /// Secrets that could not be deleted.
    pub undeleted: Vec<Remark>,
    /// What was applied; `None` in a dry run.
    pub applied: Option<ApplyReport>,
    /// Why the run ended after its deletions and before anything was applied, if it did. Running it again goes on.
    pub aborted: Option<Stopped>,
}

impl SyncReport {
    /// What kind of result it is: `None` when the standby is in step.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        if self.stopped.is_some() {
            return Some(FailureKind::Partial);
        }
        if let Some(aborted) = &self.aborted {
            return Some(aborted.kind);
        }
        if let Some(applied) = &self.applied {
            return applied.kind().or_else(|| (!self.undeleted.is_empty()).then_some(FailureKind::Partial));
        }
        let deletes = self.delete && !self.lost.is_empty();
        match &self.plan {
            _ if deletes => Some(FailureKind::Different),
            Some(plan) => plan.check(),
            None => None,
        }
    }
}

/// Brings a standby into step with a snapshot, or says what that would take.
///
/// # Errors
/// Before the first change: when the backup or the standby cannot be read, the target must not be written to, or is taken
/// back in time without that being asked for. After it, the report says why the run ended.
pub async fn sync(
    context: &Context,
    backup: &dyn Backup,
    standby: &dyn Standby,
    options: &SyncOptions,
    consent: &Consent,
) -> Result<SyncReport, RestoreError> {
    let (mut report, snapshot, listed) = until_cancelled(context, async {
        let snapshot = SnapshotItems::load(backup, standby.converter(), &options.plan).await?;
        let listed = list(context, backup, &snapshot, standby, consent).await?;
        let has = newest_mark(&listed, &options.known);
        let report = SyncReport {
            snapshot: backup.name().clone(),
            standby: listed.name.clone(),
            has,
            ahead: has.is_some_and(|has| has > backup.name().sequence) && !options.allow_older,
            plan: None,
            lost: Vec::new(),
            spared: Vec::new(),
            delete: options.delete,
            stopped: None,
            deleted: 0,
            undeleted: Vec::new(),
            applied: None,
            aborted: None,
        };
        Ok((report, snapshot, listed))
    })
    .await?;
    if report.ahead {
        return Ok(report);
    }
    let sequence = backup.name().sequence;
    let SourceLosses { deletable, spared } =
        lost(&listed.inventory, &snapshot, sequence, &options.plan, &options.known);
    report.lost = deletable.iter().map(|lost| lost.remark.clone()).collect();
    report.spared = spared;
    let made = plan(context, backup, standby, &options.plan, consent).await?;
    let deletes = if options.delete { deletable.len() as u64 } else { 0 };
    let change = ChangeShare::of(&made, deletes, listed.inventory.iter().count() as u64);
    report.stopped = in_use(&made, &listed.inventory).or_else(|| change.stopped(options.max_change));
    let idle = made.steps.is_empty() && deletes == 0;
    report.plan = Some(made);
    if report.stopped.is_some() || !options.apply || idle {
        return Ok(report);
    }
    match carry_out(context, backup, standby, options, consent, &deletable, &mut report).await {
        Err(error) if report.deleted == 0 => Err(error),
        Err(error) => {
            report.aborted = Some(Stopped::by(&error));
            Ok(report)
        }
        Ok(()) => Ok(report),
    }
}

/// Deletes what is to be deleted, then applies the plan. What was done stands in the report, whatever this returns.
async fn carry_out(
    context: &Context,
    backup: &dyn Backup,
    standby: &dyn Standby,
    options: &SyncOptions,
    consent: &Consent,
    deletable: &[LostSecret],
    report: &mut SyncReport,
) -> Result<(), RestoreError> {
    for lost in deletable.iter().filter(|_| options.delete) {
        if context.cancel.is_cancelled() {
            return Err(RestoreError::Interrupted);
        }
        match delete::delete(context, standby, lost, options.steps.settle).await? {
            Ok(()) => report.deleted += 1,
            Err(why) => report.undeleted.push(Remark { reason: why, ..lost.remark.clone() }),
        }
    }
    // A name that was in the way may be free now.
    if report.deleted > 0 {
        report.plan = Some(plan(context, backup, standby, &options.plan, consent).await?);
    }
    if let Some(plan) = &report.plan {
        report.applied = Some(apply(context, plan, backup, standby, &options.steps, consent).await?);
    }
    Ok(())
}

/// The newest snapshot of this repository that a mark of the standby names.
fn newest_mark(listed: &ListedStandby, known: &BTreeMap<Digest, u64>) -> Option<u64> {
    let marks = listed.inventory.iter().filter_map(|(view, _)| view.mark.as_ref());
    marks.filter_map(|mark| known.get(&mark.snapshot)).max().copied()
}

impl RunResult for SyncReport {
    fn facts(&self) -> RunFacts {
        self.applied.as_ref().map_or_else(|| self.snapshot.facts(), RunResult::facts)
    }
}
