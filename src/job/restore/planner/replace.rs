//! Replacing what the standby has: its locks come off, it is deleted, and made anew.

use std::collections::BTreeMap;

use super::secret::remove_locks;
use super::{Chain, PlannedItem};
use crate::job::restore::known::StandbyItem;
use crate::job::restore::state::ItemState;
use crate::model::ItemKind;
use crate::provider::{Action, Phase, RestoreItem};

/// Whether an item of the standby may be replaced by `view`: a secret or a configuration with a value, and nothing that
/// was restored from another secret, which may be somebody's only copy. An authority is none: whatever it signed would be
/// worth nothing.
#[must_use]
pub fn replaceable(view: &RestoreItem, known: &StandbyItem) -> bool {
    let foreign = known.view.mark.as_ref().is_some_and(|mark| mark.source != view.key.id());
    let kind = view.key.kind();
    matches!(kind, ItemKind::Secret | ItemKind::Configuration) && view.certification.is_none() && !foreign
}

/// Deletes what is there, then does what `created` says of an item that is not there. `why` is what was in the way.
#[must_use]
pub fn replaced(view: &RestoreItem, known: &StandbyItem, phase: Phase, created: PlannedItem, why: &str) -> PlannedItem {
    let PlannedItem { steps, losses, mut notes, .. } = created;
    let mut chain = Chain::new(known.state(view.compared()));
    // The new item has versions of its own, some of them under the same names; what their metadata was does not matter.
    chain.now.version_metadata.clear();
    let mut locked = BTreeMap::<String, Vec<String>>::new();
    for lock in chain.now.locks.keys() {
        if let Some((version, name)) = lock.split_once('/') {
            locked.entry(version.to_owned()).or_default().push(name.to_owned());
        }
    }
    for (version, names) in locked {
        remove_locks(&mut chain, phase, &version, &names, "a locked version lets its secret not be deleted");
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
