//! Makes a plan: lists the standby, reads items if the lists do not show enough, compares.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use zeroize::Zeroizing;

use super::assemble::{Assembly, Planned};
use super::backup::{Backup, Payloads};
use super::error::RestoreError;
use super::goal::Goal;
use super::groups;
use super::guard::{Consent, Standing, TargetFacts, decide};
use super::idmap::IdMap;
use super::known::StandbyItem;
use super::matching::{Match, StandbyIndex};
use super::needs;
use super::opaque::Ids;
use super::options::{OnConflict, PlanOptions};
use super::plan::{Plan, StandbyName};
use super::planner::{self, AuthorityContext, PlannedItem, SecretContext};
use super::policy;
use super::snapshot::SnapshotItems;
use super::survey::{Collected, SurveyedItem, Surveyor};
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::restore::snapshot_item::{SnapshotItem, TreatmentEffect};
use crate::model::{ItemKey, ItemKind, Payload, Slot, Timestamp, Treatment};
use crate::provider::{
    Action, Change, InstanceError, ItemConverter, Listed, Phase, ReferenceNames, RestoreItem, Route, Standby,
};

/// Number of standby items read in parallel, within the pace of the instance.
const LOOKS_IN_FLIGHT: usize = 8;

/// Compares a snapshot with a standby and plans the changes of a restore. Changes nothing.
///
/// # Errors
/// If the backup or the standby cannot be read, or the target is the source.
pub async fn plan(
    context: &Context,
    backup: &dyn Backup,
    standby: &dyn Standby,
    options: &PlanOptions,
    consent: &Consent,
) -> Result<Plan, RestoreError> {
    until_cancelled(context, async {
        let snapshot = SnapshotItems::load(backup, standby.converter(), options).await?;
        Ok(examine(context, backup, &snapshot, standby, options, consent).await?.plan)
    })
    .await
}

/// Runs `work` until the run is cancelled. Only for work that changes nothing.
pub(in crate::job) async fn until_cancelled<T>(
    context: &Context,
    work: impl Future<Output = Result<T, RestoreError>>,
) -> Result<T, RestoreError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(RestoreError::Interrupted),
        done = work => done,
    }
}

/// A plan, and the id map found while making it.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) plan: Plan,
    pub(super) id_map: IdMap,
}

/// A listed standby, and the decision whether it may be written to.
#[derive(Debug)]
pub(in crate::job) struct ListedStandby {
    pub(in crate::job) name: StandbyName,
    pub(super) standing: Standing,
    pub(in crate::job) inventory: StandbyIndex<Listed>,
    /// Names of the standby's ids.
    pub(in crate::job) names: ReferenceNames,
    pub(in crate::job) now: Timestamp,
}

/// Lists the standby and checks that it is not the source.
pub(in crate::job) async fn list(
    context: &Context,
    backup: &dyn Backup,
    snapshot: &SnapshotItems,
    standby: &dyn Standby,
    consent: &Consent,
) -> Result<ListedStandby, RestoreError> {
    let converter = standby.converter();
    context.observer.observe(JobEvent::Begin { stage: Stage::List, total: None });
    let mut items = Collected::default();
    let listing = standby.list(&mut items).await?;
    context.observer.observe(JobEvent::End { stage: Stage::List });
    let telling = snapshot.telling_keys();
    let address = standby.address();
    let shared = items.0.keys().find(|key| telling.contains(key));
    let target = TargetFacts { address: &address, full_name: listing.instance.as_deref(), shared };
    let standing = decide(standby, &backup.name().source, &target, consent)?;
    let mut items: Vec<(RestoreItem, Listed)> =
        items.0.into_values().map(|listed| (converter.describe(&listed.item), listed)).collect();
    let is_group = |(view, _): &&(RestoreItem, Listed)| view.key.kind() == ItemKind::Group;
    let groups: BTreeMap<String, String> =
        items.iter().filter(is_group).map(|(view, _)| (view.key.id().to_owned(), view.name.clone())).collect();
    let names = ReferenceNames::of(items.iter().map(|(view, _)| view), |id| groups.get(id).cloned());
    for (view, _) in &mut items {
        converter.name_references(view, &names);
    }
    let inventory = StandbyIndex::new(items);
    Ok(ListedStandby {
        name: StandbyName { url: address.url, instance: address.instance, full_name: listing.instance },
        standing,
        inventory,
        names,
        now: standby.provider_now().unwrap_or_else(|| context.clock.now()),
    })
}

/// Makes a plan, and an id map of the existing items.
pub(super) async fn examine(
    context: &Context,
    backup: &dyn Backup,
    snapshot: &SnapshotItems,
    standby: &dyn Standby,
    options: &PlanOptions,
    consent: &Consent,
) -> Result<Examined, RestoreError> {
    let listed = list(context, backup, snapshot, standby, consent).await?;
    let payloads = Payloads::new(backup);
    let planned = look(context, snapshot, &payloads, standby, &listed, options).await?;
    let id_map = IdMap::of(&planned, standby, &backup.name().source, listed.name.full_name.as_deref());
    let assembly = Assembly { snapshot: backup.name().clone(), standby: listed.name, made: listed.now, options };
    Ok(Examined { plan: assembly.plan(planned), id_map })
}

/// Reads everything selected in a listed standby, and plans it.
pub(in crate::job) async fn look<'s>(
    context: &Context,
    snapshot: &'s SnapshotItems,
    payloads: &Payloads<'_>,
    standby: &dyn Standby,
    listed: &ListedStandby,
    options: &PlanOptions,
) -> Result<Vec<Planned<'s>>, RestoreError> {
    let mut selected = snapshot.selected(options, standby.converter());
    let collisions = policy::collisions(&selected, standby);
    let merged = policy::merged(&selected);
    let examiner = Examiner {
        converter: standby.converter(),
        surveyor: Surveyor { standby, payloads, names: &listed.names, deep: options.deep },
        snapshot,
        options,
        entry: payloads.snapshot().entry,
        now: listed.now,
        inventory: &listed.inventory,
        collisions,
        merged,
    };
    let packs: BTreeSet<_> = selected.iter().flat_map(|entry| &entry.item.payloads).map(|one| one.pack).collect();
    payloads.look_for(&packs).await?;
    // Process items pack by pack: compared payloads are in few packs.
    selected.sort_by_key(|entry| entry.item.payloads.first().map(|pointer| pointer.pack));
    context.observer.observe(JobEvent::Begin { stage: Stage::Compare, total: Some(selected.len() as u64) });
    let mut planned: Vec<Planned<'s>> = stream::iter(selected)
        .map(|entry| examiner.item(context, entry))
        .buffer_unordered(LOOKS_IN_FLIGHT)
        .try_collect()
        .await?;
    context.observer.observe(JobEvent::End { stage: Stage::Compare });
    if payloads.usable() {
        policy::check_rewrites(&planned, &options.policies)?;
    }
    reject_shared_targets(&mut planned);
    names_taken(&mut planned, &listed.inventory, options.on_conflict);
    let groups = listed.inventory.groups().keys().map(String::as_str).collect();
    groups::settle(&mut planned, &groups, standby.max_items(ItemKind::Group));
    needs::settle(&mut planned, &listed.names, standby.converter());
    let ids = Ids::of(snapshot.entries());
    for one in planned.iter_mut().filter(|one| !one.outcome.steps.is_empty()) {
        one.outcome.notes.extend(ids.notes(&one.entry.view));
    }
    Ok(planned)
}

/// Rejects items that map to the same standby item: applying both would overwrite one with the other.
fn reject_shared_targets(planned: &mut [Planned<'_>]) {
    let mut claims = BTreeMap::<ItemKey, Vec<String>>::new();
    for one in planned.iter() {
        if let Some(target) = &one.target {
            claims.entry(target.clone()).or_default().push(one.entry.item.key.to_string());
        }
    }
    claims.retain(|_, claimants| claimants.len() > 1);
    for one in planned {
        let Some(claimants) = one.target.as_ref().and_then(|target| claims.get(target)) else { continue };
        let why = format!("{} would all become one item of the standby; rename all but one", claimants.join(", "));
        one.outcome = PlannedItem { conflict: Some(why), ..PlannedItem::default() };
    }
}

/// Reports secrets that would get a name already taken in the standby, because the provider would refuse them. A secret
/// that gives up its name in the same plan does not block it.
fn names_taken(planned: &mut [Planned<'_>], inventory: &StandbyIndex<Listed>, on_conflict: OnConflict) {
    let renamed = |one: &&Planned<'_>| {
        let now = one.target.as_ref().and_then(|key| inventory.view(key));
        !one.outcome.steps.is_empty() && now.is_some_and(|now| now.name != one.entry.view.name)
    };
    let leaving: Vec<ItemKey> = planned.iter().filter(renamed).filter_map(|one| one.target.clone()).collect();
    for one in planned.iter_mut().filter(|one| leaving.iter().any(|key| one.target.as_ref() == Some(key))) {
        let others = inventory.named(&one.entry.view);
        let Some(other) = others.into_iter().find(|other| !leaving.contains(&other.key)) else { continue };
        let why = format!(
            "renamed to `{}` in the source, but the standby has another secret of this type and name ({}); rename or \
             delete that one, then make a new plan",
            other.name,
            other.key.id()
        );
        one.outcome = PlannedItem::default();
        match on_conflict {
            OnConflict::Skip => one.skip = Some(why),
            _ => one.outcome.conflict = Some(why),
        }
    }
}

/// Returns an empty payload.
fn nothing() -> Payload {
    Payload::new(Zeroizing::new("{}".to_owned()))
}

/// Comparison of single items.
struct Examiner<'a> {
    converter: &'a dyn ItemConverter,
    surveyor: Surveyor<'a>,
    snapshot: &'a SnapshotItems,
    options: &'a PlanOptions,
    entry: crate::model::Digest,
    now: Timestamp,
    inventory: &'a StandbyIndex<Listed>,
    /// Items with colliding or invalid names, with reasons.
    collisions: BTreeMap<ItemKey, String>,
    /// Groups that are merged into another one.
    merged: BTreeMap<ItemKey, String>,
}

impl Examiner<'_> {
    async fn item<'e>(&self, context: &Context, entry: &'e SnapshotItem) -> Result<Planned<'e>, RestoreError> {
        let mut planned = self.compare(entry).await?;
        if let Some(why) = self.lost_payload(&planned).await {
            planned.outcome = PlannedItem { losses: vec![why], ..PlannedItem::default() };
        }
        if self.options.on_conflict == OnConflict::Skip {
            planned.skip = planned.skip.or_else(|| planned.outcome.conflict.take());
        }
        let key = &entry.item.key;
        if let Some(why) = self.collisions.get(key).filter(|_| planned.outcome.losses.is_empty()) {
            planned.outcome = PlannedItem { conflict: Some(why.clone()), ..PlannedItem::default() };
            planned.skip = None;
        }
        if planned.outcome.conflict.is_none() && planned.skip.is_none() {
            planned.outcome.notes.splice(0..0, entry.notes.iter().cloned());
        }
        context.observer.observe(JobEvent::Advance { stage: Stage::Compare, by: 1 });
        Ok(planned)
    }

    /// Returns why a payload that the item's steps would send is unavailable: a plan must not promise what its apply
    /// cannot do.
    async fn lost_payload(&self, planned: &Planned<'_>) -> Option<String> {
        // Secrets that the standby reissues need no payload of ours.
        if planned.entry.treatment == Treatment::Reissue {
            return None;
        }
        for step in &planned.outcome.steps {
            let version = match &step.action {
                Action::CreateConfiguration | Action::UpdateConfiguration => Some(Slot::VALUE),
                action => action.payload_of(),
            };
            let Some(version) = version else { continue };
            if let Some(error) = self.surveyor.payloads.lost(&planned.entry.item, version).await {
                return Some(format!("{error}; an older snapshot may have the value in another pack (`--snapshot`)"));
            }
        }
        None
    }

    /// Counts the places that each rewrite changes in the item's payloads, over all versions to be restored.
    async fn rewritten(&self, entry: &SnapshotItem) -> Result<Vec<TreatmentEffect>, RestoreError> {
        let payloads = self.surveyor.payloads;
        if entry.rewrites.is_empty() || !payloads.usable() {
            return Ok(Vec::new());
        }
        let versions: Vec<String> = match entry.item.key.kind() {
            ItemKind::Secret => {
                let goal = entry.goal(self.now);
                goal.map(|goal| goal.versions.into_iter().map(|version| version.id).collect()).unwrap_or_default()
            }
            _ => vec![Slot::VALUE.to_owned()],
        };
        let effect = |(what, _): &(String, _)| TreatmentEffect { what: what.clone(), places: 0 };
        let mut effects: Vec<TreatmentEffect> = entry.rewrites.iter().map(effect).collect();
        for version in versions {
            let Some((_, counts)) = payloads.counted(self.converter, entry, &version).await? else { continue };
            for (effect, places) in effects.iter_mut().zip(counts) {
                effect.places += places;
            }
        }
        effects.retain(|effect| effect.places > 0);
        Ok(effects)
    }

    async fn compare<'e>(&self, entry: &'e SnapshotItem) -> Result<Planned<'e>, RestoreError> {
        let mut planned = Planned::new(entry);
        if let Some(why) = entry.item.unknown() {
            planned.skip = Some(format!("{why}; it is left alone, a newer keyhaven may restore it"));
            return Ok(planned);
        }
        if let Some(why) = self.merged.get(&entry.item.key) {
            planned.skip = Some(why.clone());
            return Ok(planned);
        }
        let phase = match &entry.route {
            Route::Create(phase) => *phase,
            Route::BuiltIn => {
                planned.built_in = true;
                return Ok(planned);
            }
            Route::Lost(why) => {
                planned.outcome.losses.push(why.clone());
                return Ok(planned);
            }
        };
        if entry.item.key.kind() == ItemKind::Secret && entry.group.is_none() {
            planned.outcome.losses.push("the snapshot does not have its group".to_owned());
            return Ok(planned);
        }
        let there = match self.inventory.find(&entry.view, entry.group.as_deref()) {
            Match::Absent => None,
            Match::Found((view, _)) if let Some(why) = self.restored_from_other(entry, view) => {
                planned.outcome.conflict = Some(why);
                return Ok(planned);
            }
            Match::Found((_, listed)) => Some(listed),
            Match::Origin(why) => {
                planned.skip = Some(why);
                return Ok(planned);
            }
            Match::Conflict(why) => {
                planned.outcome.conflict = Some(why);
                return Ok(planned);
            }
        };
        planned.target = there.map(|listed| listed.item.key.clone());
        let looked = async {
            planned.effects = self.rewritten(entry).await?;
            self.known(entry, there).await
        };
        match looked.await {
            Ok(found) => {
                planned.compared = found.compared;
                planned.outcome = self.outcome(entry, phase, found.known.as_ref());
                self.replace(&mut planned, phase, found.known.as_ref());
                planned.known = found.known;
            }
            Err(RestoreError::Instance(error @ InstanceError::Moved { .. })) => {
                planned.outcome.conflict = Some(error.to_string());
            }
            // Items in other packs are still restored.
            Err(
                error @ (RestoreError::PayloadMissing { .. }
                | RestoreError::PackDamaged { .. }
                | RestoreError::Convert(_)),
            ) => planned.outcome.losses.push(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(planned)
    }

    /// Returns a conflict if the standby item was restored from another item of the snapshot. It must not be
    /// overwritten under any policy, or the other item would be lost.
    fn restored_from_other(&self, entry: &SnapshotItem, there: &RestoreItem) -> Option<String> {
        let mark = there.mark.as_ref().filter(|mark| mark.source != entry.item.key.id())?;
        let other = self.snapshot.get(&ItemKey::new(ItemKind::Secret, &mark.source).ok()?)?;
        matches!(other.route, Route::Create(_)).then(|| {
            format!(
                "the secret of this name in the standby was restored from another one, {}, which the snapshot has too; \
                 rename one of the two with a rule (`[[rules]]`, `name`)",
                other.origin.in_words()
            )
        })
    }

    /// Replaces a conflicting standby item, if the policy allows it: deletes it and creates it anew.
    fn replace(&self, planned: &mut Planned<'_>, phase: Phase, known: Option<&StandbyItem>) {
        let view = &planned.entry.view;
        if self.options.on_conflict == OnConflict::Replace
            && let Some(known) = known.filter(|known| planner::replaceable(view, known))
            && let Some(why) = planned.outcome.conflict.take()
        {
            let created = self.outcome(planned.entry, phase, None);
            planned.outcome = match created.steps.is_empty() {
                true => PlannedItem { conflict: Some(why), ..PlannedItem::default() },
                false => planner::replaced(view, known, phase, created, &why),
            };
        }
    }

    async fn known(&self, entry: &SnapshotItem, there: Option<&Listed>) -> Result<SurveyedItem, RestoreError> {
        let plain = |known| SurveyedItem { known, compared: 0 };
        let Some(there) = there else { return Ok(plain(None)) };
        match entry.item.key.kind() {
            ItemKind::Group | ItemKind::Registration | ItemKind::Other => Ok(plain(Some(self.surveyor.plain(there)))),
            ItemKind::Configuration => self.surveyor.configuration(entry, there).await,
            ItemKind::Secret => match entry.goal(self.now) {
                Ok(goal) if entry.treatment == Treatment::Reissue => self.surveyor.issued(&goal, there, false).await,
                Ok(goal) => self.surveyor.secret(entry, &goal, there).await,
                // Nothing can be restored, so there is nothing to compare with.
                Err(_) => Ok(plain(Some(self.surveyor.plain(there)))),
            },
        }
    }

    fn outcome(&self, entry: &SnapshotItem, phase: Phase, known: Option<&StandbyItem>) -> PlannedItem {
        match entry.item.key.kind() {
            ItemKind::Other => PlannedItem::default(),
            ItemKind::Group => planner::group(&entry.view, known),
            ItemKind::Registration => planner::registration(&entry.view, known, self.options.registration.as_ref()),
            ItemKind::Configuration => self.configuration(entry, phase, known),
            ItemKind::Secret => {
                let context = SecretContext { options: self.options, phase, snapshot: self.entry, now: self.now };
                match entry.treatment {
                    Treatment::Reissue => {
                        let view = self.named(&entry.view);
                        planner::reissue(&view, &Goal::reissued(&view), known, &context)
                    }
                    _ => planner::secret(&entry.item, &entry.view, known, &context),
                }
            }
        }
    }

    /// Replaces ids of the standby, which an operator may have given, by references.
    fn named(&self, view: &RestoreItem) -> RestoreItem {
        let mut named = view.clone();
        self.converter.name_references(&mut named, self.surveyor.names);
        named
    }

    fn configuration(&self, entry: &SnapshotItem, phase: Phase, known: Option<&StandbyItem>) -> PlannedItem {
        let view = &self.named(&entry.view);
        // For authorities and templates, the provider requires data that some readers of the source may not see.
        let makes_its_own = entry.item.payloads.is_empty();
        let change = Change { payload: Some(&nothing()), ..Change::new(&Action::CreateConfiguration, view) };
        if let Err(error) = self.surveyor.standby.body(&change)
            && known.is_none()
            && makes_its_own
        {
            return PlannedItem { losses: vec![error.to_string()], ..PlannedItem::default() };
        }
        let mut outcome = if view.certification.is_some() {
            let signer = self.snapshot.signer(entry, self.converter, self.options);
            let context = AuthorityContext {
                has_issuer: !self.converter.issuers(view).is_empty(),
                treatment: entry.treatment,
                phase,
                on_conflict: self.options.on_conflict,
                signer: signer.as_ref(),
            };
            planner::authority(view, known, &context)
        } else {
            planner::configuration(view, phase, known, self.options.on_conflict)
        };
        if outcome.conflict.is_none() {
            outcome.losses.extend(view.lost.iter().cloned());
        }
        outcome
    }
}
