//! The planner: pure, from what a snapshot holds and what is known of a standby to the steps of one item.

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

/// A step of one item, before it has its place in a plan.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The class of steps.
    pub phase: Phase,
    /// What is done.
    pub action: Action,
    /// The state before.
    pub expect: ItemState,
    /// The state after.
    pub leaves: ItemState,
    /// Why.
    pub reason: String,
}

/// What is to be done about one item.
#[derive(Debug, Default)]
pub struct PlannedItem {
    /// The steps, in order.
    pub steps: Vec<Draft>,
    /// Why nothing can be done.
    pub conflict: Option<String>,
    /// What of it is lost.
    pub losses: Vec<String>,
    /// What to know.
    pub notes: Vec<String>,
    /// What is there and cannot be used yet: why, as a fragment.
    pub waiting: Vec<String>,
}

impl PlannedItem {
    fn conflict(why: impl Into<String>) -> Self {
        Self { conflict: Some(why.into()), ..Self::default() }
    }
}

/// Grows the steps of one item, keeping track of its state.
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

    /// The steps, their states reduced to what they touch.
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

/// Plans a group. `known` is what the standby has.
#[must_use]
pub fn group(view: &RestoreItem, known: Option<&StandbyItem>) -> PlannedItem {
    simple(view, known, None, Phase::Groups, Action::CreateGroup, || Ok(Action::UpdateGroup))
}

/// Plans the registration; one with another service is not ours to change.
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

/// Plans a configuration, whose value was compared when it is there.
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

/// Items that are either there or not, with settings and perhaps a value; `value` is what states say of it when it is
/// right.
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
