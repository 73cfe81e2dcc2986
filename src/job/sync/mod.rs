//! Keeps a standby in sync: plans a restore of the changes, with safety limits.
//!
//! | module | what |
//! |---|---|
//! | `choose` | chooses the newest good snapshot of some age (pure) |
//! | `guard` | checks whether a run would change too much (pure) |
//! | `delete` | deletes restored secrets that the source no longer has |
//!
//! A run lists, plans, and stops if it may not change the standby. It never goes back to a snapshot older than the one
//! in the standby's marks. It needs no plan file: a killed run is simply run again and finds completed steps done.

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

/// Options of a sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Options of the plan.
    pub plan: PlanOptions,
    /// True if the standby is changed.
    pub apply: bool,
    /// True if secrets that the source no longer has are deleted.
    pub delete: bool,
    /// Maximum share of the standby's items that may be overwritten or deleted, 0 to 1.
    pub max_change: f64,
    /// True if the standby may go back to an older snapshot than it has.
    pub allow_older: bool,
    /// Sequence numbers of the repository's snapshots, by digest of their entries.
    pub known: BTreeMap<Digest, u64>,
    /// Options for executing the steps.
    pub steps: ApplyOptions,
}

/// Result of a sync, or of a dry run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// The standby.
    pub standby: StandbyName,
    /// Sequence number of the newest snapshot of this repository in the standby's marks.
    pub has: Option<u64>,
    /// True if the standby already has a newer snapshot; nothing was planned.
    pub ahead: bool,
    /// Plan of the restore; `None` if the standby is ahead.
    pub plan: Option<Plan>,
    /// Secrets of the standby that the source no longer has; deleted only on request.
    pub lost: Vec<Remark>,
    /// Secrets that the source no longer has and that are spared.
    pub spared: Vec<Remark>,
    /// True if the secrets in [`SyncReport::lost`] are to be deleted.
    pub delete: bool,
    /// Reason why the run was stopped before it changed anything.
    pub stopped: Option<String>,
    /// Number of secrets deleted.
    pub deleted: u64,
    /// Secrets that could not be deleted.
    pub undeleted: Vec<Remark>,
    /// Result of the apply; `None` in a dry run.
    pub applied: Option<ApplyReport>,
    /// Reason why the run ended after its deletions and before the apply, if it did. Running it again continues.
    pub aborted: Option<Stopped>,
}

impl SyncReport {
    /// Returns the kind of failure: `None` if the standby is in sync.
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

/// Syncs a standby with a snapshot, or plans that.
///
/// # Errors
/// Before the first change: if the backup or the standby cannot be read, the target must not be written to, or it would
/// go back in time without consent. After the first change, the report gives the reason why the run ended.
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

/// Deletes lost secrets if requested, then applies the plan. Records what was done in the report, even on an error.
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
    // Deleting may have freed a conflicting name.
    if report.deleted > 0 {
        report.plan = Some(plan(context, backup, standby, &options.plan, consent).await?);
    }
    if let Some(plan) = &report.plan {
        report.applied = Some(apply(context, plan, backup, standby, &options.steps, consent).await?);
    }
    Ok(())
}

/// Returns the sequence number of the newest snapshot of this repository in the standby's marks.
fn newest_mark(listed: &ListedStandby, known: &BTreeMap<Digest, u64>) -> Option<u64> {
    let marks = listed.inventory.iter().filter_map(|(view, _)| view.mark.as_ref());
    marks.filter_map(|mark| known.get(&mark.snapshot)).max().copied()
}

impl RunResult for SyncReport {
    fn facts(&self) -> RunFacts {
        self.applied.as_ref().map_or_else(|| self.snapshot.facts(), RunResult::facts)
    }
}
