//! The chain of steps of one item, and its position in the chain.

use std::collections::BTreeMap;

use crate::job::restore::known::StandbyItem;
use crate::job::restore::plan::{Plan, Step};
use crate::model::{ItemKey, ItemKind};
use crate::provider::{Action, Listed};
use crate::provider::{Phase, RestoreItem};

/// An item being restored.
#[derive(Debug)]
pub(super) struct Chain<'p> {
    pub(super) steps: Vec<&'p Step>,
    /// Number of completed steps; `None` until the standby has been read.
    pub(super) at: Option<usize>,
    /// True if no further steps of the item may be executed.
    pub(super) ended: bool,
    /// The item's id in the standby.
    pub(super) target: Option<String>,
    /// The item as the standby listed it last.
    pub(super) listed: Option<Listed>,
    pub(super) known: Option<StandbyItem>,
    /// The item's row, read for the current step.
    pub(super) row: Option<RestoreItem>,
    /// Version ids in the standby by version id in the source.
    pub(super) versions: BTreeMap<String, String>,
}

/// Returns the chains of a plan, in the order in which they begin.
pub(super) fn of_plan(plan: &Plan) -> Vec<Chain<'_>> {
    let mut places: BTreeMap<&ItemKey, usize> = BTreeMap::new();
    let mut chains: Vec<Chain<'_>> = Vec::new();
    for step in &plan.steps {
        let place = *places.entry(&step.key).or_insert(chains.len());
        match chains.get_mut(place) {
            Some(chain) => chain.steps.push(step),
            None => chains.push(Chain {
                steps: vec![step],
                at: None,
                ended: false,
                target: step.target.clone(),
                listed: None,
                known: None,
                row: None,
                versions: BTreeMap::new(),
            }),
        }
    }
    chains
}

impl<'p> Chain<'p> {
    /// Returns true if a step of this phase remains.
    pub(super) fn has(&self, phase: Phase) -> bool {
        let left = self.steps.iter().skip(self.at.unwrap_or(0));
        !self.ended && left.clone().any(|step| step.phase == phase)
    }

    /// Returns the next step if it belongs to this phase.
    pub(super) fn next(&self, phase: Phase) -> Option<&'p Step> {
        self.steps.get(self.at?).copied().filter(|step| step.phase == phase && !self.ended)
    }

    /// Returns the first step; a chain has at least one.
    pub(super) fn first(&self) -> Option<&'p Step> {
        self.steps.first().copied()
    }

    /// Describes what the completed steps removed if the chain ends here: locks that are not restored, or the item
    /// itself.
    pub(super) fn taken_away(&self) -> String {
        let done = self.steps.iter().take(self.at.unwrap_or(0)).rev().map(|step| &step.action);
        let unlocked = done.clone().map_while(|action| match action {
            Action::RemoveLocks { names, .. } => Some(names.join(", ")),
            _ => None,
        });
        let mut unlocked: Vec<String> = unlocked.collect();
        unlocked.reverse();
        match done.clone().next() {
            Some(Action::RemoveLocks { .. }) => {
                format!("; its locks {} were taken off for this and are still off", unlocked.join(", "))
            }
            Some(Action::Delete { .. }) => {
                "; the standby's item was deleted for this; apply the same plan again to create its replacement"
                    .to_owned()
            }
            _ => String::new(),
        }
    }

    /// Returns the remaining steps that re-create the item after its deletion.
    pub(super) fn remade(&self) -> Vec<&'p Step> {
        let left = self.steps.iter().skip(self.at.unwrap_or(0)).copied();
        left.skip_while(|step| !matches!(step.action, Action::Delete { .. })).skip(1).collect()
    }

    pub(super) fn is_of(&self, kind: ItemKind) -> bool {
        self.first().is_some_and(|step| step.key.kind() == kind)
    }

    pub(super) fn name(&self) -> Option<&'p str> {
        self.first().map(|step| step.name.as_str())
    }

    pub(super) fn first_phase(&self) -> Phase {
        self.first().map_or(Phase::Groups, |step| step.phase)
    }

    /// Returns `Some` with the name of the group, if any, when the chain begins by creating a secret.
    pub(super) fn creates_secret(&self) -> Option<Option<&'p str>> {
        let step = self.first()?;
        matches!(step.action, Action::CreateSecret { .. }).then_some(step.group.as_deref())
    }

    /// Clears what is known of an item that was deleted: its replacement has another id.
    pub(super) fn forget(&mut self) {
        (self.target, self.listed, self.known, self.row) = (None, None, None, None);
        self.versions.clear();
    }

    /// Returns true if the chain deletes the item, so that a replacement may already exist.
    pub(super) fn replaces(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Delete { .. }))
    }

    /// Stores what was found out about the item.
    pub(super) fn learn(&mut self, listed: Option<Listed>, known: Option<StandbyItem>) {
        if let Some(listed) = listed {
            self.target = Some(listed.item.key.id().to_owned());
            self.listed = Some(listed);
        }
        if let Some(known) = &known {
            // Oldest first, so that the newer of two versions with the same source wins.
            for version in known.view.versions.iter().flatten() {
                if let Some(source) = known.sources.get(&version.id) {
                    self.versions.insert(source.clone(), version.id.clone());
                }
            }
        }
        self.known = known;
    }
}
