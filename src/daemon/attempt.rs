//! One attempt to run a slot, from reading the ledger to the last notification.

use tracing::{info, warn};

use super::engine::Ports;
use super::lease_manager::LeaseDecision;
use super::notify::RunStart;
use super::plan::{CompletedSlot, RetryDecision, retry_decision};
use super::ports::{AttemptOutcome, RunRequest, StopRequest};
use super::task::JobTask;
use super::{JobRun, RunOutcome};
use crate::job::RunFacts;
use crate::model::Timestamp;

/// Result of an attempt.
#[derive(Debug)]
pub(super) enum AttemptResult {
    /// The ledger was asked; the outer `Option` is `None` if it could not be read.
    Looked(Option<Option<CompletedSlot>>),
    /// The slot was already completed.
    Filled(CompletedSlot),
    /// Another daemon holds the lease; check again at this time.
    HeldBack(Timestamp),
    /// The job ran.
    Ran(RunOutcome),
}

/// Reads from the ledger which slot of a job was completed last.
pub(super) async fn look(ports: &Ports, task: &JobTask) -> AttemptResult {
    AttemptResult::Looked(filled(ports, task).await)
}

async fn filled(ports: &Ports, task: &JobTask) -> Option<Option<CompletedSlot>> {
    let until = ports.clock.now().plus_millis(super::plan::AHEAD_MILLIS);
    match ports.ledgers.filled(&task.instance, &task.name, until).await {
        Ok(filled) => Some(filled),
        Err(why) => {
            // Start the job anyway: if the ledger is really unreachable, it fails, and that is notified.
            warn!(job = task.name, instance = task.instance, "the ledger cannot be read: {why}");
            None
        }
    }
}

/// Takes the lease, checks again that the slot is open, runs the job and notifies.
pub(super) async fn run(
    ports: &Ports,
    task: &JobTask,
    slot: Timestamp,
    attempt: u32,
    stop: &StopRequest,
) -> AttemptResult {
    let mut held = match ports.leases.take(task).await {
        LeaseDecision::Wait(until) => return AttemptResult::HeldBack(until),
        LeaseDecision::Go(held) => held,
    };
    if let Some(lease) = &held {
        // The previous holder may have completed this slot.
        let by_lease =
            lease.done().filter(|done| *done >= slot).map(|at| CompletedSlot { at, took_millis: 0, contested: false });
        let by_ledger = async { filled(ports, task).await.flatten().filter(|filled| filled.at >= slot) };
        let found = match by_lease {
            Some(filled) => Some(filled),
            None => by_ledger.await,
        };
        if let Some(found) = found {
            if let Some(lease) = held {
                lease.release(task, None).await;
            }
            return AttemptResult::Filled(found);
        }
    }
    let ending = match &mut held {
        Some(lease) => lease.during(task, told(ports, task, slot, attempt, stop)).await,
        None => told(ports, task, slot, attempt, stop).await,
    };
    if let Some(lease) = held {
        let done = (retry_decision(&ending) == RetryDecision::Done).then_some(slot);
        lease.release(task, done).await;
    }
    AttemptResult::Ran(ending)
}

/// Runs the job, with the start notification before it and the end notification after it.
async fn told(ports: &Ports, task: &JobTask, slot: Timestamp, attempt: u32, stop: &StopRequest) -> RunOutcome {
    let started = ports.clock.now();
    let start = RunStart {
        job: task.name.clone(),
        kind: task.kind.name.to_owned(),
        instance: task.instance.clone(),
        due: Some(task.due(slot)),
        started,
        attempt,
    };
    let outcome = match ports.audience.run_started(&start).await {
        Ok(()) if stop.soon.is_cancelled() => {
            AttemptOutcome { ending: RunOutcome::Interrupted, facts: RunFacts::default(), why: None }
        }
        Ok(()) => {
            info!(job = task.name, instance = task.instance, due = %slot, attempt, "started");
            ports.runner.run(&order(task, slot), stop).await
        }
        // A hook that was stopped because the daemon stops is not a failure of the job.
        Err(why) if stop.soon.is_cancelled() => {
            AttemptOutcome { ending: RunOutcome::Interrupted, facts: RunFacts::default(), why: Some(why) }
        }
        Err(why) => AttemptOutcome {
            ending: RunOutcome::Failed { exit: crate::model::FailureKind::Failed.exit_code() },
            facts: RunFacts::default(),
            why: Some(why),
        },
    };
    let ended = ports.clock.now();
    say(task, slot, &outcome, ended.millis_since(started));
    let again =
        retry_decision(&outcome.ending) == RetryDecision::Retry && attempt <= task.retries && !stop.soon.is_cancelled();
    let run = JobRun {
        job: start.job,
        kind: start.kind,
        instance: start.instance,
        due: start.due,
        started,
        ended,
        attempt,
        ending: outcome.ending,
        facts: outcome.facts,
        why: outcome.why,
    };
    ports.audience.run_finished(&run, again).await;
    run.ending
}

fn order(task: &JobTask, slot: Timestamp) -> RunRequest {
    RunRequest {
        instance: task.instance.clone(),
        kind: task.kind.name,
        arguments: task.arguments.clone(),
        due: task.due(slot),
        deadline: task.deadline,
    }
}

/// Logs the outcome in one line.
fn say(task: &JobTask, slot: Timestamp, outcome: &AttemptOutcome, millis: i64) {
    let (job, instance, due, sequence) = (&task.name, &task.instance, slot, outcome.facts.sequence);
    let why = outcome.why.as_deref().unwrap_or("no reason given");
    match &outcome.ending {
        RunOutcome::Succeeded => info!(job, instance, %due, sequence, millis, "succeeded"),
        RunOutcome::Partial => warn!(job, instance, %due, sequence, millis, "completed with missing items"),
        RunOutcome::Suspect => warn!(job, instance, %due, sequence, millis, "completed; the snapshot is suspect"),
        RunOutcome::Failed { exit } => tracing::error!(job, instance, %due, millis, exit, "failed: {why}"),
        RunOutcome::TimedOut => tracing::error!(job, instance, %due, millis, "stopped at its deadline"),
        RunOutcome::Interrupted => warn!(job, instance, %due, millis, "stopped"),
    }
}
