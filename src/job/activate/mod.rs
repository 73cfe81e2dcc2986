//! Turns on the rotation that a restore held back, once the standby has become the primary.
//!
//! | module | what |
//! |---|---|
//! | `plan` | what would be turned on, and what would rotate at once (plain data) |
//! | `primary` | checks whether the old primary still rotates the same secrets |
//! | `apply` | turns rotation on, one request per secret, resumable |
//!
//! The marks contain the held-back policies, so neither a repository nor a recovery key is needed. A single request
//! turns the policy on and removes it from the mark, so a killed run leaves no secret half done.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::plan_file::PlanFile as _;
use crate::job::restore::Selector;
use crate::job::restore::error::RestoreError;
use crate::job::restore::examine::until_cancelled;
use crate::job::restore::matching::StandbyIndex;
use crate::job::restore::plan::StandbyName;
use crate::job::restore::survey::Collected;
use crate::model::json::JsonObject;
use crate::model::{Digest, FailureKind, ItemKind, Timestamp};
use crate::provider::{InstanceError, Listed};
use crate::provider::{Look, RestoreItem, Standby};

mod apply;
pub mod plan;
pub mod primary;

pub use apply::{ActivationReport, apply};
pub use plan::{Activation, RotatesAtOnce, RotationStep};
pub use primary::{OldPrimary, PrimaryAccess};

/// Number of secrets read in parallel, within the pace of the instance.
const LOOKS_IN_FLIGHT: usize = 8;

/// Reason why rotation cannot be turned on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivateError {
    /// The standby cannot be read, or the plan does not fit.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The old primary still rotates the secrets.
    #[error(
        "the old primary answers and still rotates {names}; two instances that rotate one credential break each other. \
         Nothing was changed. Turn rotation off there first, or say --source-is-dead when nobody uses its values any more"
    )]
    StillRotates {
        /// Some of their names.
        names: String,
    },
    /// The old primary is not configured.
    #[error(
        "old primary unknown: cannot check whether it still rotates these secrets; nothing was changed. Configure it \
         as [source], or pass --source-is-dead if it is gone"
    )]
    NotAsked,
    /// The old primary did not respond.
    #[error(
        "the old primary gives no answer ({why}), and it may still rotate the same; nothing was changed. Say \
         --source-is-dead when it is gone, or when nobody uses its values any more"
    )]
    Silent {
        /// Reason.
        why: String,
    },
    /// The old primary has none of the secrets.
    #[error(
        "[source] has none of the restored secrets and may be the wrong instance; nothing was changed. Correct \
         [source], or pass --source-is-dead if it was emptied"
    )]
    Stranger,
}

impl ActivateError {
    /// Returns the kind of this failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Restore(error) => error.kind(),
            Self::StillRotates { .. } => FailureKind::Moved,
            Self::NotAsked | Self::Stranger => FailureKind::Usage,
            Self::Silent { .. } => FailureKind::Instance,
        }
    }
}

impl From<InstanceError> for ActivateError {
    fn from(error: InstanceError) -> Self {
        Self::Restore(error.into())
    }
}

/// Plans what would be turned on. Changes nothing.
///
/// # Errors
/// If the standby cannot be read.
pub async fn plan(
    context: &Context,
    standby: &dyn Standby,
    primary: PrimaryAccess<'_>,
    only: &[Selector],
) -> Result<Activation, ActivateError> {
    let making = async {
        let listed = list(context, standby).await?;
        let marked = listed.inventory.iter().filter(|(view, _)| view.mark.is_some());
        let (held, free): (Vec<_>, Vec<_>) = marked.partition(|(view, _)| held_policy(view).is_some());
        let group_of = |view: &RestoreItem| {
            let groups = listed.inventory.groups().iter();
            groups.clone().find(|(_, id)| Some(*id) == view.group.as_ref()).map(|(name, _)| name.clone())
        };
        let asked = held.into_iter().map(|(view, there)| (view, there, group_of(view))).filter(|(view, _, group)| {
            only.is_empty() || only.iter().any(|selector| selector.selects(view, group.as_deref()))
        });
        let mut steps: Vec<RotationStep> = stream::iter(asked)
            .map(|(view, there, group)| turn(standby, view, there, group, listed.now))
            .buffer_unordered(LOOKS_IN_FLIGHT)
            .try_filter_map(async |turn| Ok(turn))
            .try_collect()
            .await?;
        steps.sort_by(|a, b| a.key.cmp(&b.key));
        for (id, step) in (1..).zip(&mut steps) {
            step.id = id;
        }
        let wanted: BTreeSet<String> = steps.iter().map(|step| step.source.clone()).collect();
        let old_primary = primary.ask(&wanted).await;
        Ok(Activation {
            activation_format: Activation::FORMAT,
            standby: listed.name,
            made: listed.now,
            old_primary,
            steps,
            nothing_held: free.len() as u64,
            digest: Digest::from_bytes([0; 32]),
        }
        .sealed())
    };
    Ok(until_cancelled(context, making).await?)
}

/// A listed standby.
#[derive(Debug)]
struct ListedStandby {
    name: StandbyName,
    inventory: StandbyIndex<Listed>,
    now: Timestamp,
}

async fn list(context: &Context, standby: &dyn Standby) -> Result<ListedStandby, RestoreError> {
    context.observer.observe(JobEvent::Begin { stage: Stage::List, total: None });
    let mut items = Collected::default();
    let listing = standby.list(&mut items).await?;
    context.observer.observe(JobEvent::End { stage: Stage::List });
    let address = standby.address();
    Ok(ListedStandby {
        name: StandbyName { url: address.url, instance: address.instance, full_name: listing.instance },
        inventory: StandbyIndex::new(items.0.into_values().map(|one| (standby.converter().describe(&one.item), one))),
        now: standby.provider_now().unwrap_or_else(|| context.clock.now()),
    })
}

/// Returns the rotation policy that the mark of a secret holds back.
fn held_policy(view: &RestoreItem) -> Option<JsonObject> {
    let held = view.mark.as_ref()?.held.as_ref()?;
    JsonObject::parse(held.get()).ok()?.object("rotation").filter(|_| view.key.kind() == ItemKind::Secret)
}

/// Returns the step of one secret; `None` if it is gone meanwhile.
async fn turn(
    standby: &dyn Standby,
    view: &RestoreItem,
    there: &Listed,
    group: Option<String>,
    now: Timestamp,
) -> Result<Option<RotationStep>, RestoreError> {
    let (Some(policy), Some(mark)) = (held_policy(view), view.mark.as_ref()) else { return Ok(None) };
    let mut item = there.item.clone();
    match standby.look(&item.key, Look { versions: true, ..Look::default() }).await {
        Ok(docs) => item.docs.extend(docs),
        Err(InstanceError::Gone { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let due = standby.converter().next_rotation(&item, &policy);
    let at_once = match due {
        _ if view.rotation.is_some() => RotatesAtOnce::Rotates,
        Some(due) if due <= now => RotatesAtOnce::Due,
        _ => RotatesAtOnce::May,
    };
    Ok(Some(RotationStep {
        id: 0,
        key: view.key.clone(),
        name: view.name.clone(),
        item_type: view.item_type.clone(),
        group,
        source: mark.source.clone(),
        policy: policy.to_raw(),
        due,
        at_once,
    }))
}
