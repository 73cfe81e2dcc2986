//! The steps of one item, and where the item stands.

use std::collections::BTreeMap;

use crate::job::restore::known::StandbyItem;
use crate::job::restore::plan::{Plan, Step};
use crate::model::{ItemKey, ItemKind};
use crate::provider::{Action, Listed};
use crate::provider::{Phase, RestoreItem};

/// One item at work.
#[derive(Debug)]
pub(super) struct Chain<'p> {
    pub(super) steps: Vec<&'p Step>,
    /// How many steps are done; nothing before the standby was looked at.
    pub(super) at: Option<usize>,
    /// Set when no further step of it shall be done.
    pub(super) ended: bool,
    /// The item's id in the standby.
    pub(super) target: Option<String>,
    /// The item as the standby showed it last.
    pub(super) listed: Option<Listed>,
    pub(super) known: Option<StandbyItem>,
    /// The item's row, looked at for the step at hand.
    pub(super) row: Option<RestoreItem>,
    /// Ids of versions in the standby by their id in the source.
    pub(super) versions: BTreeMap<String, String>,
}

/// The chains of a plan, in the order in which they begin.
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
    /// Whether a step of this class is left.
    pub(super) fn has(&self, phase: Phase) -> bool {
        let left = self.steps.iter().skip(self.at.unwrap_or(0));
        !self.ended && left.clone().any(|step| step.phase == phase)
    }

    /// The next step, if it belongs to this class.
    pub(super) fn next(&self, phase: Phase) -> Option<&'p Step> {
        self.steps.get(self.at?).copied().filter(|step| step.phase == phase && !self.ended)
    }

    /// The first step; a chain has at least one.
    pub(super) fn first(&self) -> Option<&'p Step> {
        self.steps.first().copied()
    }

    /// Says what the last step that was done took away, when the chain ends there: locks that nobody puts back, or the
    /// item itself.
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
                "; what the standby had of it was deleted for this, and it is without it until the same plan is applied \
                 again"
                    .to_owned()
            }
            _ => String::new(),
        }
    }

    /// The steps that make the item anew behind a deletion that is still to be done.
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

    /// Whether it begins by making a secret: the name of its group, if it has one.
    pub(super) fn creates_secret(&self) -> Option<Option<&'p str>> {
        let step = self.first()?;
        matches!(step.action, Action::CreateSecret { .. }).then_some(step.group.as_deref())
    }

    /// Forgets what was known of an item that is deleted: the one that follows it has another id.
    pub(super) fn forget(&mut self) {
        (self.target, self.listed, self.known, self.row) = (None, None, None, None);
        self.versions.clear();
    }

    /// Whether the item is deleted on the way, so that another one may have taken its place already.
    pub(super) fn replaces(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Delete { .. }))
    }

    /// Takes what was found out about the item.
    pub(super) fn learn(&mut self, listed: Option<Listed>, known: Option<StandbyItem>) {
        if let Some(listed) = listed {
            self.target = Some(listed.item.key.id().to_owned());
            self.listed = Some(listed);
        }
        if let Some(known) = &known {
            // Oldest first, so that of two versions with one source the newer one stays.
            for version in known.view.versions.iter().flatten() {
                if let Some(source) = known.sources.get(&version.id) {
                    self.versions.insert(source.clone(), version.id.clone());
                }
            }
        }
        self.known = known;
    }
}
