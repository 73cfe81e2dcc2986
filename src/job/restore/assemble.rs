//! Assembles the outcomes of single items into one ordered plan.

use std::collections::BTreeMap;

use super::known::StandbyItem;
use super::options::PlanOptions;
use super::plan::{Applied, Plan, Remark, SnapshotName, StandbyName, Step, Totals};
use super::planner::{Draft, PlannedItem};
use crate::job::plan_file::PlanFile as _;
use crate::job::restore::snapshot_item::{SnapshotItem, TreatmentEffect};
use crate::model::{Digest, ItemKey, Policies, Timestamp};
use crate::provider::Phase;

/// One item with its survey results and its planned outcome.
#[derive(Debug)]
pub struct Planned<'a> {
    /// Item of the snapshot.
    pub entry: &'a SnapshotItem,
    /// Key in the standby, if the item exists there.
    pub target: Option<ItemKey>,
    /// Its known state in the standby.
    pub known: Option<StandbyItem>,
    /// Planned outcome.
    pub outcome: PlannedItem,
    /// True if every instance has it built in.
    pub built_in: bool,
    /// Number of standby payloads read.
    pub compared: u64,
    /// Length of the longest dependency chain before it.
    pub depth: usize,
    /// Reason why a selected item is skipped; not a failure.
    pub skip: Option<String>,
    /// Number of places in its payload that each rewrite changes.
    pub effects: Vec<TreatmentEffect>,
}

impl<'a> Planned<'a> {
    /// Creates an entry about which nothing is known yet.
    #[must_use]
    pub fn new(entry: &'a SnapshotItem) -> Self {
        Self {
            entry,
            target: None,
            known: None,
            outcome: PlannedItem::default(),
            built_in: false,
            compared: 0,
            depth: 0,
            skip: None,
            effects: Vec::new(),
        }
    }
}

/// Parts of a plan other than its items.
#[derive(Debug)]
pub struct Assembly<'a> {
    /// Snapshot to restore.
    pub snapshot: SnapshotName,
    /// Standby to restore into.
    pub standby: StandbyName,
    /// Time of the plan.
    pub made: Timestamp,
    /// Requested options.
    pub options: &'a PlanOptions,
}

/// Sort key of steps: phase, dependency depth, rank of `first`, pack to open, item, position in the item's chain.
type StepOrder = (Phase, usize, usize, Option<Digest>, ItemKey, usize);

impl Assembly<'_> {
    /// Assembles the plan. The result does not depend on the order of the items.
    #[must_use]
    pub fn plan(self, mut planned: Vec<Planned<'_>>) -> Plan {
        planned.sort_by(|a, b| a.entry.item.key.cmp(&b.entry.item.key));
        let (mut skips, mut conflicts, mut losses, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        let applied = applied(&planned, &self.options.policies);
        let mut totals = Totals { items: planned.len() as u64, ..Totals::default() };
        let mut placed: Vec<(StepOrder, Step)> = Vec::new();
        for one in planned {
            totals.payloads_compared += one.compared;
            let remarks = |list: Vec<String>| list.into_iter().map(|reason| one.entry.remark(reason));
            let PlannedItem { steps, conflict, losses: lost, notes: noted, waiting: waits } = one.outcome;
            totals.changed += u64::from(!steps.is_empty());
            let quiet = steps.is_empty() && conflict.is_none() && lost.is_empty() && one.skip.is_none();
            totals.right += u64::from(quiet);
            skips.extend(one.skip.map(|reason| one.entry.remark(reason)));
            if one.built_in {
                skips.push(one.entry.remark("every instance has it by itself"));
            }
            losses.extend(remarks(lost));
            notes.extend(remarks(noted));
            waiting.extend(remarks(waits));
            conflicts.extend(conflict.map(|reason| one.entry.remark(reason)));
            let rank = self.rank(one.entry);
            let pack = one.entry.item.payloads.first().map(|pointer| pointer.pack);
            let target = one.target.as_ref().map(|key| key.id().to_owned());
            for (order, draft) in steps.into_iter().enumerate() {
                let place = (draft.phase, one.depth, rank, pack, one.entry.item.key.clone(), order);
                placed.push((place, step(one.entry, target.clone(), draft)));
            }
        }
        placed.sort_by(|a, b| a.0.cmp(&b.0));
        let mut steps: Vec<Step> = placed.into_iter().map(|(_, step)| step).collect();
        for (id, step) in (1..).zip(&mut steps) {
            step.id = id;
            *totals.actions.entry(step.action.as_str().to_owned()).or_default() += 1;
        }
        let count = |list: &[Remark]| list.len() as u64;
        totals.steps = steps.len() as u64;
        (totals.skips, totals.conflicts, totals.losses) = (count(&skips), count(&conflicts), count(&losses));
        let Self { snapshot, standby, made, options } = self;
        let options = options.clone();
        let digest = Digest::from_bytes([0; 32]);
        Plan {
            format: Plan::FORMAT,
            snapshot,
            standby,
            made,
            options,
            steps,
            skips,
            conflicts,
            losses,
            notes,
            waiting,
            applied,
            totals,
            digest,
        }
        .sealed()
    }

    /// Returns the index of the first selector that selects the item; unselected items come last.
    fn rank(&self, entry: &SnapshotItem) -> usize {
        let first = &self.options.first;
        let selects = |selector: &super::options::Selector| selector.selects(&entry.view, entry.group.as_deref());
        first.iter().position(selects).unwrap_or(first.len())
    }
}

/// Returns the effects of the configured rules, overrides and transforms on the selected items.
fn applied(planned: &[Planned<'_>], policies: &Policies) -> Vec<Applied> {
    let Policies { rules, overrides, transforms, .. } = policies;
    let rules = rules.iter().map(|rule| {
        let treatment = rule.treatment.map(|treatment| format!("treatment {treatment}"));
        let name = rule.name.as_ref().map(|name| format!("name `{name}`"));
        ("rule", treatment.into_iter().chain(name).collect::<Vec<_>>().join(", "))
    });
    let overrides = overrides.iter().map(|one| {
        let names: Vec<&str> = one.set.keys().map(String::as_str).collect();
        ("override", format!("set {}", names.join(", ")))
    });
    let transforms =
        transforms.iter().map(|one| ("transform", format!("in {}: `{}` becomes `{}`", one.field, one.from, one.to)));
    let mut numbers = BTreeMap::<&str, usize>::new();
    let mut all = Vec::new();
    for (kind, does) in rules.chain(overrides).chain(transforms) {
        let number = numbers.entry(kind).or_default();
        *number += 1;
        let what = format!("{kind} {number}");
        let (mut places, mut items) = (0, Vec::new());
        for one in planned {
            let effects = one.entry.effects.iter().chain(&one.effects);
            for effect in effects.filter(|effect| effect.what == what) {
                places += effect.places;
                let reason = match effect.places {
                    0 => String::new(),
                    1 => "1 place".to_owned(),
                    places => format!("{places} places"),
                };
                items.push(one.entry.remark(reason));
            }
        }
        if !items.is_empty() {
            all.push(Applied { what, does, items, places });
        }
    }
    all
}

fn step(entry: &SnapshotItem, target: Option<String>, draft: Draft) -> Step {
    Step {
        id: 0,
        phase: draft.phase,
        action: draft.action,
        key: entry.item.key.clone(),
        name: entry.view.name.clone(),
        item_type: entry.view.item_type.clone(),
        group: entry.group.clone(),
        target,
        expect: draft.expect,
        leaves: draft.leaves,
        reason: draft.reason,
    }
}
