//! Turns rotation on: one request per secret, after checking that it is not done already.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::plan::{Activation, RotatesAtOnce, RotationStep};
use super::primary::{OldPrimary, PrimaryAccess};
use super::{ActivateError, held_policy, list};
use crate::job::event::{JobEvent, Stage};
use crate::job::restore::error::RestoreError;
use crate::job::restore::examine::until_cancelled;
use crate::job::restore::plan::{Remark, StandbyName};
use crate::job::restore::survey::view_of;
use crate::job::{Context, RunFacts, RunResult, total};
use crate::model::with_causes;
use crate::model::{FailureKind, Timestamp};
use crate::provider::normal::normal;
use crate::provider::{Action, Change, Look, RestoreItem, Standby, Write, unanswered};
use crate::provider::{InstanceError, Requests};

/// Maximum number of attempts if the outcome of a request is unknown.
const TRIES: u32 = 3;

/// Result of turning rotation on.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ActivationReport {
    /// The instance.
    pub standby: StandbyName,
    /// Response of the old primary.
    pub old_primary: OldPrimary,
    /// Start of the run.
    pub began: Timestamp,
    /// End of the run.
    pub ended: Timestamp,
    /// Number of secrets turned on in this run.
    pub done: u64,
    /// Number of secrets found already turned on.
    pub already: u64,
    /// Number of secrets not turned on.
    pub left: u64,
    /// Secrets that changed since the plan, and were left alone.
    pub conflicts: Vec<Remark>,
    /// Secrets whose change was refused.
    pub failed: Vec<Remark>,
    /// Reason why the run was stopped, if it was. The same plan can be applied again.
    pub stopped: Option<String>,
    /// Kind of that failure.
    #[serde(skip)]
    stopped_kind: Option<FailureKind>,
    /// Requests sent.
    pub requests: Requests,
}

impl ActivationReport {
    /// Returns the kind of failure, if any.
    #[must_use]
    pub fn kind(&self) -> Option<FailureKind> {
        if self.stopped_kind.is_some() {
            return self.stopped_kind;
        }
        if !self.conflicts.is_empty() {
            return Some(FailureKind::Moved);
        }
        (!self.failed.is_empty() || self.left > 0).then_some(FailureKind::Partial)
    }
}

/// Outcome of one secret.
enum ActivationOutcome {
    Now,
    Before,
    Conflict(String),
    Failed(String),
}

/// Turns rotation on as planned. `settle` is the delay before checking the outcome of a request that got no response.
///
/// # Errors
/// Before the first change: if the standby cannot be read, is not the one of the plan, or the old primary may still
/// rotate the same secrets.
pub async fn apply(
    context: &Context,
    plan: &Activation,
    standby: &dyn Standby,
    primary: PrimaryAccess<'_>,
    settle: Duration,
) -> Result<ActivationReport, ActivateError> {
    let began = context.clock.now();
    let requests = standby.requests();
    let listed = until_cancelled(context, list(context, standby)).await?;
    let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
    let (then, now) = (&plan.standby, &listed.name);
    if differ(&then.full_name, &now.full_name) || (then.full_name.is_none() && then.url != now.url) {
        let name = |name: &StandbyName| name.full_name.clone().unwrap_or_else(|| name.url.clone());
        let why = format!("it was made for {}, and the target is {}", name(then), name(now));
        return Err(RestoreError::Unfit { why }.into());
    }
    let wanted: BTreeSet<String> = plan.steps.iter().map(|step| step.source.clone()).collect();
    let old_primary = match wanted.is_empty() {
        true => plan.old_primary.clone(),
        false => until_cancelled(context, async { Ok(primary.ask(&wanted).await) }).await?,
    };
    if !wanted.is_empty() {
        old_primary.allows()?;
    }
    let mut report = ActivationReport {
        standby: listed.name,
        old_primary,
        began,
        ended: began,
        done: 0,
        already: 0,
        left: plan.steps.len() as u64,
        conflicts: Vec::new(),
        failed: Vec::new(),
        stopped: None,
        stopped_kind: None,
        requests: Requests::default(),
    };
    context.observer.observe(JobEvent::Begin { stage: Stage::Apply, total: Some(report.left) });
    for step in &plan.steps {
        let became = if context.cancel.is_cancelled() {
            Err(RestoreError::Interrupted)
        } else {
            one(context, standby, step, settle).await
        };
        match became {
            Ok(ActivationOutcome::Now) => (report.done, report.left) = (report.done + 1, report.left - 1),
            Ok(ActivationOutcome::Before) => (report.already, report.left) = (report.already + 1, report.left - 1),
            Ok(ActivationOutcome::Conflict(why)) => report.conflicts.push(step.remark(why)),
            Ok(ActivationOutcome::Failed(why)) => report.failed.push(step.remark(why)),
            Err(error) => {
                (report.stopped, report.stopped_kind) = (Some(with_causes(&error)), Some(error.kind()));
                break;
            }
        }
        context.observer.observe(JobEvent::Advance { stage: Stage::Apply, by: 1 });
    }
    context.observer.observe(JobEvent::End { stage: Stage::Apply });
    report.ended = context.clock.now();
    report.requests = standby.requests().since(requests);
    Ok(report)
}

async fn one(
    context: &Context,
    standby: &dyn Standby,
    step: &RotationStep,
    settle: Duration,
) -> Result<ActivationOutcome, RestoreError> {
    let mut sent = false;
    for _ in 0..TRIES {
        let docs = match standby.look(&step.key, Look { row: true, ..Look::default() }).await {
            Ok(docs) => docs,
            Err(InstanceError::Gone { .. }) => {
                return Ok(ActivationOutcome::Conflict("it is gone from the standby".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let have = view_of(standby.converter(), &step.key, &step.item_type, docs);
        match standing(step, &have) {
            RotationState::On => return Ok(if sent { ActivationOutcome::Now } else { ActivationOutcome::Before }),
            RotationState::Moved(why) => return Ok(ActivationOutcome::Conflict(why)),
            RotationState::Held => {}
        }
        let action = Action::ReleaseRotation { turn_on: step.at_once != RotatesAtOnce::Rotates };
        let body = standby.body(&Change { have: Some(&have), ..Change::new(&action, &have) })?;
        let write = Write { target: Some(step.key.id().to_owned()), ..Write::new(action, body) };
        sent = true;
        match standby.write(write).await {
            Ok(_) => return Ok(ActivationOutcome::Now),
            Err(error) if unanswered(&error) => {
                context.observer.observe(JobEvent::Note(with_causes(&error)));
                tokio::time::sleep(settle).await;
            }
            Err(error @ (InstanceError::Refused { .. } | InstanceError::Forbidden { .. })) => {
                return Ok(ActivationOutcome::Failed(with_causes(&error)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ActivationOutcome::Failed(format!("no answer in {TRIES} attempts")))
}

/// Rotation state of a secret.
enum RotationState {
    Held,
    On,
    Moved(String),
}

fn standing(step: &RotationStep, have: &RestoreItem) -> RotationState {
    let moved = |what: &str| RotationState::Moved(format!("{what} since the plan was made; make a new plan"));
    let Some(mark) = &have.mark else { return moved("its mark has gone") };
    if mark.source != step.source {
        return moved("it carries the mark of another secret");
    }
    let rotates = have.rotation.as_ref().map(|rotation| normal(&rotation.to_raw()));
    let wanted = normal(&step.policy);
    match held_policy(have) {
        None if rotates.as_ref() == Some(&wanted) => RotationState::On,
        // It rotated under another policy when the plan was made, which the plan kept.
        None if rotates.is_some() && step.at_once == RotatesAtOnce::Rotates => RotationState::On,
        None => moved("what was held back has been taken out of its mark"),
        Some(policy) if normal(&policy.to_raw()) != wanted => moved("another policy is held back"),
        Some(_) if rotates.is_some() && step.at_once != RotatesAtOnce::Rotates => moved("it has begun to rotate"),
        Some(_) => RotationState::Held,
    }
}

impl RunResult for ActivationReport {
    fn facts(&self) -> RunFacts {
        let problems = total([self.conflicts.len(), self.failed.len()]);
        RunFacts { requests: Some(self.requests.total()), problems, ..RunFacts::default() }
    }
}
