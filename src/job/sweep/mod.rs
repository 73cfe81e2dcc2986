//! Sweep: deletes objects that no kept snapshot names. This is the second step of forgetting.
//!
//! There is no lock. A sweep is safe alongside running backups, forgets and other sweeps because it waits. It deletes
//! only objects older than the grace period, and only of snapshots forgotten longer ago than that. A run builds only
//! upon snapshots that were live when it began, and ends within the longest run. `docs/retention.md` describes
//! consequences and limits.
//!
//! Survey (`survey`), decide (`decide`, pure), sign, survey again, delete. Every reason to stop is a [`SweepStop`]; a
//! stopped sweep has deleted nothing.

mod decide;
mod delete;
mod error;
mod report;
mod stop;
mod survey;
mod sweep_view;

pub use error::SweepError;
pub use report::{ObjectTotals, RetainedObjects, Stopped, SweepReport, SweptSnapshot, WaitingSnapshot};
pub use stop::SweepStop;

use self::decide::{Plan, SweepDecision, recheck, settle};
use self::survey::SweepFacts;
use super::Context;
use crate::format::event::SweepEvent;
use crate::format::{Draft, EntryEvent};
use crate::model::{Digest, Timestamp};
use crate::repository::{EntryWriter, Repository, StateDirectory};

/// Inputs of a sweep.
#[derive(Debug)]
pub struct SweepOptions<'a> {
    /// State directory of this host: heads that it saw must still exist.
    pub state: &'a StateDirectory,
    /// Entries that the caller states were heads.
    pub pinned_heads: Vec<Digest>,
    /// True if the operator chose a policy version for this command, and so dismisses entries pending under another.
    pub policy_chosen: bool,
    /// Writer with a key of the role reaper. Without one, a sweep is a dry run.
    pub writer: Option<&'a EntryWriter>,
    /// Tool that writes the entry: `keyhaven/0.1.0`.
    pub tool: String,
}

/// Plans a sweep, and executes it if a writer is given.
///
/// # Errors
/// If the survey failed or the sweep's entry was not written: then nothing was deleted. Reasons to stop, and failures
/// during the deletion, are in the report: [`SweepReport::failure`].
pub async fn sweep(
    context: &Context,
    repository: &Repository,
    options: &SweepOptions<'_>,
) -> Result<SweepReport, SweepError> {
    let mut known = SweepFacts {
        heads: options.state.heads().await?,
        pinned: options.pinned_heads.clone(),
        policy_chosen: options.policy_chosen,
    };
    let seen = survey::survey(context, repository, &known).await?;
    let mut report = SweepReport::new(repository, options.writer.is_some(), seen.now(), seen.grace);
    let plan = match decide::decide(&seen) {
        Ok(plan) => plan,
        Err(stops) => {
            report.stop(&stops);
            return Ok(report);
        }
    };
    let answers = survey::retentions(context, repository.store(), &plan.candidates).await?;
    let settled = settle(&plan, &answers, plan.now);
    report.planned(&plan, &settled);
    let Some(writer) = options.writer.filter(|_| !settled.going.is_empty()) else { return Ok(report) };
    if context.cancel.is_cancelled() {
        return Err(SweepError::Interrupted);
    }
    let done = repository.commit(writer, draft(options, &plan, &settled, writer.clock.now())).await?;
    report.entry = Some(done.entry.digest);
    known.heads.push(done.entry.name());
    report.warnings.extend(done.into_warnings());
    // The second read must not show less than the first. Files that were not valid entries then are not now either.
    known.heads.extend(seen.ledger.entries.iter().cloned());
    let stops = recheck(&settled, &seen.ledger, &survey::again(context, repository, &known, plan.now).await?);
    if !stops.is_empty() {
        report.stop(&stops);
        return Ok(report);
    }
    let deleted = delete::delete(context, repository.store(), &settled, plan.before).await;
    report.done(&settled, deleted);
    Ok(report)
}

fn draft(options: &SweepOptions<'_>, plan: &Plan, settled: &SweepDecision, time: Timestamp) -> Draft {
    let event = EntryEvent::Sweep(SweepEvent {
        snapshots: settled.sweeping.iter().map(|due| due.entry).collect(),
        objects: settled.going.len() as u64,
        bytes: settled.going.values().fold(0, |sum, object| sum.saturating_add(object.size)),
        before: plan.before,
    });
    Draft { time, tool: options.tool.clone(), event }
}
