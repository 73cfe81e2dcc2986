//! Applies a plan.
//!
//! Items are independent. The steps of one item run in order; items of one phase run in parallel, within the pace of
//! the standby. An item's position in its chain of states is determined before its first step, and again whenever the
//! outcome of a request is unknown. A killed apply can therefore resume with the same plan, and no create is repeated
//! blindly.

use futures_util::stream::{self, StreamExt as _};

use super::backup::{Backup, Payloads};
use super::error::RestoreError;
use super::examine::{self, ListedStandby};
use super::guard::{Consent, GuardError, Standing};
use super::plan::{Plan, StandbyName};
use super::snapshot::SnapshotItems;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::plan_file::PlanFile as _;
use crate::model::ItemKind;
use crate::provider::{InstanceInventory, Phase, Standby};

mod chain;
mod halt;
mod input;
mod look;
mod needs;
mod partial_id_map;
mod report;
mod request;
mod run;
mod signatures;
mod signing;

pub use input::ApplyOptions;
pub use report::{ApplyReport, ReadBack, Stopped};
pub use signatures::{Signatures, SigningRequest};

use chain::Chain;
use input::ApplyInput;
use run::ApplyRun;

/// Applies a plan: executes the remaining steps, reads back and compares.
///
/// An error about one item stops that item. An error about the whole run (instance unreachable, signal, wrong target)
/// stops the run and is part of the report, because changes may have been made by then.
///
/// # Errors
/// Before the first change: if the plan does not fit, the backup or the standby cannot be read, or the target must not
/// be written to.
pub async fn apply(
    context: &Context,
    plan: &Plan,
    backup: &dyn Backup,
    standby: &dyn Standby,
    options: &ApplyOptions,
    consent: &Consent,
) -> Result<ApplyReport, RestoreError> {
    apply_signed(context, plan, backup, standby, options, consent, Signatures::default()).await
}

/// Like [`apply`], with certificates for authorities that are signed outside the standby, or with their signer.
///
/// # Errors
/// See [`apply`].
pub async fn apply_signed(
    context: &Context,
    plan: &Plan,
    backup: &dyn Backup,
    standby: &dyn Standby,
    options: &ApplyOptions,
    consent: &Consent,
    signatures: Signatures<'_>,
) -> Result<ApplyReport, RestoreError> {
    ApplyInput { context, plan, backup, standby, options, consent, signatures }.apply().await
}

impl ApplyInput<'_> {
    async fn apply(self) -> Result<ApplyReport, RestoreError> {
        let Self { context, plan, backup, standby, consent, .. } = self;
        let began = context.clock.now();
        let requests = standby.requests();
        if plan.format != Plan::FORMAT || plan.snapshot != *backup.name() {
            return Err(RestoreError::Unfit { why: "it was made for another snapshot".to_owned() });
        }
        let (snapshot, listed) = examine::until_cancelled(context, async {
            let snapshot = SnapshotItems::load(backup, standby.converter(), &plan.options).await?;
            let listed = examine::list(context, backup, &snapshot, standby, consent).await?;
            Ok((snapshot, listed))
        })
        .await?;
        same_standby(standby, &plan.standby, &listed.name, consent)?;
        let named = match &listed.standing {
            Standing::Known => None,
            Standing::Unproven(None) if plan.steps.is_empty() => None,
            Standing::Unproven(None) => return Err(GuardError::Unconfirmed { url: listed.name.url }.into()),
            Standing::Unproven(Some(id)) => Some(id.clone()),
        };
        let payloads = Payloads::new(backup);
        let run = ApplyRun::new(self, &snapshot, &payloads, &listed, named, self.signatures);
        context.observer.observe(JobEvent::Begin { stage: Stage::Apply, total: Some(plan.steps.len() as u64) });
        let chains = work(&run, self, &listed).await;
        context.observer.observe(JobEvent::End { stage: Stage::Apply });
        let so_far = partial_id_map::id_map(&run, plan, &snapshot, &listed, &chains);
        let tally = run.finish();
        let last_change = tally.last_change.unwrap_or_else(|| context.clock.now());
        let mut report = tally.report(plan, &listed.name, began, last_change);
        if report.stopped.is_none() {
            self.read_back(&snapshot, &mut report).await;
        }
        if report.id_map.is_none() && !so_far.items.is_empty() {
            report.id_map = Some(so_far);
        }
        report.ended = context.clock.now();
        report.requests = standby.requests().since(requests);
        Ok(report)
    }

    /// Plans again and reports the remaining steps as differences.
    async fn read_back(self, snapshot: &SnapshotItems, report: &mut ApplyReport) {
        let deep = self.options.deep || self.plan.options.deep;
        let wanted = super::PlanOptions { deep, ..self.plan.options.clone() };
        let looking = examine::examine(self.context, self.backup, snapshot, self.standby, &wanted, self.consent);
        match examine::until_cancelled(self.context, looking).await {
            Ok(examined) => {
                report.standby = examined.plan.standby.clone();
                report.waiting.extend(examined.plan.waiting.iter().cloned());
                report.read_back = Some(ReadBack::new(&examined.plan, deep, report));
                report.id_map = Some(examined.id_map);
            }
            Err(error) => report.stop(&error),
        }
    }
}

/// Runs every chain, phase by phase.
async fn work<'p>(run: &ApplyRun<'_>, job: ApplyInput<'p>, listed: &ListedStandby) -> Vec<Chain<'p>> {
    let mut chains = chain::of_plan(job.plan);
    if run.unproven() {
        verify_target(run, &mut chains, listed).await;
    }
    for phase in Phase::ALL {
        let side_by_side = job.options.concurrency.clamp(1, 64);
        let mut left: Vec<&mut Chain<'_>> = chains.iter_mut().filter(|chain| chain.has(phase)).collect();
        // Chains that depend on others of the same phase run after them. If none of the rest is ready, they run anyway
        // and report what is missing.
        while !left.is_empty() {
            let (ready, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|chain| run.ready(chain));
            let (now, later) = if ready.is_empty() { (later, Vec::new()) } else { (ready, later) };
            stream::iter(now)
                .for_each_concurrent(side_by_side, async |chain| run.advance(chain, phase, usize::MAX).await)
                .await;
            left = later;
        }
    }
    chains
}

/// Creates one secret, and the group that it needs, before anything else, because only a secret shows the target's full
/// name. A group alone is harmless. If a secret cannot be created, the next one is tried; if none shows the name, the
/// run stops before anything else is written. A plan that creates no secrets, or only ones that the standby issues,
/// relies on the operator's confirmation until an item shows the name.
async fn verify_target(run: &ApplyRun<'_>, chains: &mut [Chain<'_>], listed: &ListedStandby) {
    let needs_group = |chain: &Chain<'_>| {
        let group = chain.creates_secret().flatten();
        group.is_some_and(|name| !listed.inventory.groups().contains_key(name))
    };
    // A secret that the standby issues depends on an engine and more, so it waits for its turn.
    let creates = |(_, chain): &(usize, &Chain<'_>)| chain.creates_secret().is_some() && !run.issues(chain);
    let mut places: Vec<(bool, usize)> =
        chains.iter().enumerate().filter(creates).map(|(place, chain)| (needs_group(chain), place)).collect();
    places.sort_unstable();
    for &(_, place) in &places {
        let group = chains.get(place).and_then(|chain| chain.creates_secret().flatten()).map(ToOwned::to_owned);
        let is_group = |chain: &Chain<'_>| {
            chain.is_of(ItemKind::Group) && chain.name().is_some_and(|name| Some(name) == group.as_deref())
        };
        if let Some(group) = chains.iter_mut().find(|chain| is_group(chain)) {
            run.advance(group, Phase::Groups, usize::MAX).await;
        }
        if let Some(chain) = chains.get_mut(place) {
            let phase = chain.first_phase();
            run.advance(chain, phase, 1).await;
        }
        if !run.unproven() || run.stopped() {
            return;
        }
    }
    if !places.is_empty() {
        run.stop(&GuardError::Unproven { url: listed.name.url.clone() }.into());
    }
}

/// Checks that the plan was made for this standby, by every name that either of them shows.
fn same_standby(
    instance: &dyn InstanceInventory,
    planned: &StandbyName,
    now: &StandbyName,
    consent: &Consent,
) -> Result<(), RestoreError> {
    let shown = |name: &StandbyName| {
        name.full_name.as_deref().and_then(|name| instance.instance_id(name)).or_else(|| name.instance.clone())
    };
    let confirmed = || consent.confirm.as_ref().map(|id| id.to_ascii_lowercase());
    let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
    let made_for = shown(planned);
    let other = differ(&planned.full_name, &now.full_name)
        || differ(&made_for, &shown(now).or_else(confirmed))
        || (made_for.is_none() && planned.url != now.url);
    if other {
        let name = |name: &StandbyName| name.full_name.clone().unwrap_or_else(|| name.url.clone());
        let why = format!("it was made for {}, and the target is {}", name(planned), name(now));
        return Err(RestoreError::Unfit { why });
    }
    Ok(())
}
