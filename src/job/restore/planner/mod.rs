//! The planner. Pure: computes the steps of one item from a snapshot and what is known of a standby.

use super::known::{StandbyItem, settings_digest};
use super::options::{DEFAULT_SOURCE_NAME, OnConflict};
use super::state::{ItemState, Parts};
use crate::provider::{Action, Phase, RegistrationNames, RestoreItem};

mod authority;
mod reissue;
mod replace;
mod secret;
#[cfg(test)]
mod tests;

pub use authority::{AuthorityContext, authority};
pub use reissue::reissue;
pub use replace::{replaceable, replaced};
pub use secret::{METADATA_DIFFERS, SecretContext, secret};

/// A step of one item, not yet placed in a plan.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Phase.
    pub phase: Phase,
    /// Change to make.
    pub action: Action,
    /// Expected state before the step.
    pub expect: ItemState,
    /// State after the step.
    pub leaves: ItemState,
    /// Reason.
    pub reason: String,
}

/// Planned outcome for one item.
#[derive(Debug, Default)]
pub struct PlannedItem {
    /// Steps, in order.
    pub steps: Vec<Draft>,
    /// Conflict that prevents any step.
    pub conflict: Option<String>,
    /// Losses.
    pub losses: Vec<String>,
    /// Notes for the operator.
    pub notes: Vec<String>,
    /// Reasons why an existing item is not usable yet, as sentence fragments.
    pub waiting: Vec<String>,
}

impl PlannedItem {
    fn conflict(why: impl Into<String>) -> Self {
        Self { conflict: Some(why.into()), ..Self::default() }
    }
}

/// Builder of an item's steps, which tracks its state.
struct Chain {
    now: ItemState,
    steps: Vec<Draft>,
}

impl Chain {
    fn new(now: ItemState) -> Self {
        Self { now, steps: Vec::new() }
    }

    fn step(&mut self, phase: Phase, action: Action, reason: impl Into<String>, change: impl FnOnce(&mut ItemState)) {
        let expect = self.now.clone();
        change(&mut self.now);
        self.steps.push(Draft { phase, action, expect, leaves: self.now.clone(), reason: reason.into() });
    }

    /// Returns the steps, with their states reduced to the parts that the steps change.
    fn finish(mut self) -> Vec<Draft> {
        let mut parts = Parts::default();
        for step in &self.steps {
            parts.add_changes(&step.expect, &step.leaves);
        }
        for step in &mut self.steps {
            step.expect = parts.keep(&step.expect);
            step.leaves = parts.keep(&step.leaves);
        }
        self.steps
    }
}

/// Plans a group. `known` is the group in the standby.
#[must_use]
pub fn group(view: &RestoreItem, known: Option<&StandbyItem>) -> PlannedItem {
    simple(view, known, None, Phase::Groups, Action::CreateGroup, || Ok(Action::UpdateGroup))
}

/// Plans the registration. A registration with another service is never changed.
#[must_use]
pub fn registration(view: &RestoreItem, known: Option<&StandbyItem>, names: Option<&RegistrationNames>) -> PlannedItem {
    let mut outcome = simple(view, known, None, Phase::Registration, Action::Register, || {
        Err("the standby is registered with another notification service; delete that registration first".to_owned())
    });
    if names.is_none() && !outcome.steps.is_empty() {
        let note =
            format!("no answer shows what the source is called there; the standby becomes {DEFAULT_SOURCE_NAME}");
        outcome.notes.push(note);
    }
    outcome
}

/// Plans a configuration; the value of an existing one has been compared.
#[must_use]
pub fn configuration(
    view: &RestoreItem,
    phase: Phase,
    known: Option<&StandbyItem>,
    on_conflict: OnConflict,
) -> PlannedItem {
    simple(view, known, Some(true), phase, Action::CreateConfiguration, || {
        let differing = known.map(|known| authority::differing(view, known)).unwrap_or_default();
        match (on_conflict, differing.iter().find(|name| view.unpatchable.contains(name))) {
            (OnConflict::NewVersion, Some(name)) => Err(format!(
                "the standby has it with another {name}, which no patch can change; rename or delete that one, then make \
                 a new plan"
            )),
            (OnConflict::NewVersion, None) => Ok(Action::UpdateConfiguration),
            (OnConflict::Fail | OnConflict::Skip | OnConflict::Replace, _) => {
                Err("the standby has it with another value; exclude it, delete it there, or overwrite it".to_owned())
            }
        }
    })
}

/// Plans an item that either exists or not, with settings and possibly a value. `value` is the value member of the
/// state of a correct item.
fn simple(
    view: &RestoreItem,
    known: Option<&StandbyItem>,
    value: Option<bool>,
    phase: Phase,
    create: Action,
    update: impl FnOnce() -> Result<Action, String>,
) -> PlannedItem {
    let names = || view.compared();
    let right = |state: &mut ItemState| {
        state.present = true;
        state.settings = Some(settings_digest(&view.settings, names(), None));
        state.value = value;
    };
    let mut chain = Chain::new(known.map(|known| known.state(names())).unwrap_or_default());
    let mut wanted = chain.now.clone();
    right(&mut wanted);
    match known {
        None => chain.step(phase, create, "it is not in the standby", right),
        Some(_) if wanted == chain.now => {}
        Some(_) => match update() {
            Ok(action) => chain.step(phase, action, "its settings or value differ", right),
            Err(why) => return PlannedItem::conflict(why),
        },
    }
    PlannedItem { steps: chain.finish(), ..PlannedItem::default() }
}
