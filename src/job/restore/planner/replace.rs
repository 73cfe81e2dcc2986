//! Replaces a standby item: removes its locks, deletes it, and creates it anew.

use std::collections::BTreeMap;

use super::secret::remove_locks;
use super::{Chain, PlannedItem};
use crate::job::restore::known::StandbyItem;
use crate::job::restore::state::ItemState;
use crate::model::ItemKind;
use crate::provider::{Action, Phase, RestoreItem};

/// Returns true if a standby item may be replaced by `view`: a secret, or a configuration with a value. Never an item
/// restored from another secret, which may be the only copy. Never an authority: everything that it signed would become
/// worthless.
#[must_use]
pub fn replaceable(view: &RestoreItem, known: &StandbyItem) -> bool {
    let foreign = known.view.mark.as_ref().is_some_and(|mark| mark.source != view.key.id());
    let kind = view.key.kind();
    matches!(kind, ItemKind::Secret | ItemKind::Configuration) && view.certification.is_none() && !foreign
}

/// Deletes the existing item, then runs the steps of `created`. `why` is the conflict.
#[must_use]
pub fn replaced(view: &RestoreItem, known: &StandbyItem, phase: Phase, created: PlannedItem, why: &str) -> PlannedItem {
    let PlannedItem { steps, losses, mut notes, .. } = created;
    let mut chain = Chain::new(known.state(view.compared()));
    // The new item's versions may have the same names; the metadata of the deleted ones does not matter.
    chain.now.version_metadata.clear();
    let mut locked = BTreeMap::<String, Vec<String>>::new();
    for lock in chain.now.locks.keys() {
        if let Some((version, name)) = lock.split_once('/') {
            locked.entry(version.to_owned()).or_default().push(name.to_owned());
        }
    }
    for (version, names) in locked {
        remove_locks(&mut chain, phase, &version, &names, "a secret with a locked version cannot be deleted");
    }
    let action = Action::Delete { key: known.view.key.clone() };
    chain.step(phase, action, format!("to be replaced: {why}"), |state| *state = ItemState::default());
    for step in steps {
        let leaves = step.leaves;
        chain.step(step.phase, step.action, step.reason, |state| *state = leaves);
    }
    notes.push("what the standby has of it is deleted for good".to_owned());
    PlannedItem { steps: chain.finish(), losses, notes, ..PlannedItem::default() }
}
