//! Deleting what no kept snapshot names: the second step of forgetting.
//!
//! There is no lock. Safe beside running backups, forgets and other sweeps it is because it waits: only objects older than
//! the grace go, and only of snapshots forgotten for longer than it, while a run builds only upon what was live when it
//! began and ends within the longest run. `docs/retention.md` says what follows from that, and where it ends.
//!
//! Look (`survey`), decide (`decide`, pure), sign, look again, delete. Every reason to stop is a [`SweepStop`]; a sweep
//! that stops has deleted nothing.

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

/// What a sweep is given.
#[derive(Debug)]
pub struct SweepOptions<'a> {
    /// The memory of this host: the heads that it saw must still be there.
    pub state: &'a StateDirectory,
    /// Entries that were heads by the caller's word.
    pub pinned_heads: Vec<Digest>,
    /// Whether the operator has chosen a policy version for this command, and so dismisses what is pending under another.
    pub policy_chosen: bool,
    /// Who signs, with a key that has the reaper's role. Without one a sweep only looks.
    pub writer: Option<&'a EntryWriter>,
    /// What writes the entry: `keyhaven/0.1.0`.
    pub tool: String,
}

/// Says what a sweep takes, and takes it when it is given a writer.
///
/// # Errors
/// When it could not look, or its entry was not written: then nothing was deleted. Reasons to stop, and a failure while it
/// deleted, are in the report: [`SweepReport::failure`].
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
    // The ledger as it is read again must not have less. A file with the name of an entry that was none then, is none now.
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
