//! Secrets that the standby issues: created once, never given a version, payloads never compared.
//!
//! An existing one is correct if everything that a patch can change is correct. A newer version in the source is not
//! transferred: adding a version would rotate a credential that may already be in use.

use super::secret::{add_locks, is_origin, lock, mark, may_cover, note_version};
use super::{Chain, PlannedItem, SecretContext};
use crate::job::restore::goal::Goal;
use crate::job::restore::known::{StandbyItem, settings_digest};
use crate::job::restore::options::OnConflict;
use crate::job::restore::state::ItemState;
use crate::provider::normal::normal;
use crate::provider::{Action, RestoreItem, RestoreLock};

/// Plans a secret that the standby issues.
#[must_use]
pub fn reissue(
    view: &RestoreItem,
    goal: &Goal,
    known: Option<&StandbyItem>,
    context: &SecretContext<'_>,
) -> PlannedItem {
    match known {
        None => created(view, goal, context),
        Some(known) => changed(view, goal, known, context).unwrap_or_else(PlannedItem::conflict),
    }
}

fn created(view: &RestoreItem, goal: &Goal, context: &SecretContext<'_>) -> PlannedItem {
    let mut outcome = PlannedItem::default();
    outcome.notes.push("the standby issues a new credential; give it to its users".to_owned());
    let rotates = view.rotation.is_some() && context.options.allow_rotation;
    if view.rotation.is_some() && !rotates {
        outcome.notes.push("it rotates automatically in the source; rotation is held back in the standby".to_owned());
    }
    let mark = mark(view, goal, 1, rotates, context);
    let Some(version) = goal.versions.last() else { return outcome };
    let mark_version = note_version(view, version, &mut outcome);
    let settings = settings_digest(&view.settings, view.compared(), mark.as_ref());
    let action = Action::CreateSecret { version: version.id.clone(), mark, mark_version };
    let mut chain = Chain::new(ItemState::default());
    chain.step(context.phase, action, "it is not in the standby", |state| {
        state.present = true;
        state.settings = Some(settings);
    });
    let locks: Vec<&RestoreLock> = goal.locks_on(&version.id).collect();
    add_locks(&mut chain, &version.id, &locks, &[]);
    outcome.steps = chain.finish();
    outcome
}

fn changed(
    view: &RestoreItem,
    goal: &Goal,
    known: &StandbyItem,
    context: &SecretContext<'_>,
) -> Result<PlannedItem, String> {
    let mut outcome = PlannedItem::default();
    let there = known.view.mark.as_ref();
    let ours = there.filter(|mark| mark.source == view.key.id());
    if let Some(other) = there.filter(|_| ours.is_none())
        && context.options.on_conflict != OnConflict::NewVersion
    {
        return Err(format!(
            "the secret of this name in the standby was restored from another one, {}; if that one is gone from the \
             source, overwrite it, else rename one of the two",
            other.source
        ));
    }
    if there.is_none()
        && !is_origin(view, known)
        && let Some(name) = fixed_differs(view, known)
    {
        return Err(format!(
            "the standby has another secret of this name: its {name} differs, which no patch can change; rename or \
             delete that one, then make a new plan"
        ));
    }
    if known.view.pending {
        outcome.waiting.push("the standby is still issuing it".to_owned());
    }
    let mut chain = Chain::new(known.state(view.compared()));
    // The mark describes the versions at the time of the restore, and stays as it is.
    let rotates = known.view.rotation.is_some();
    let wanted_mark = ours.cloned().or_else(|| mark(view, goal, 1, rotates, context));
    let wanted = settings_digest(&view.settings, view.compared(), wanted_mark.as_ref());
    if chain.now.settings != Some(wanted) {
        let digest = |settings| settings_digest(settings, view.compared(), None);
        if digest(&view.settings) != digest(&known.view.settings) {
            may_cover(view, known, context)?;
        }
        let reason = if ours.is_none() { "it has no mark of this secret yet" } else { "its metadata differs" };
        let action = Action::PatchMetadata { mark: wanted_mark };
        chain.step(context.phase, action, reason, |state| state.settings = Some(wanted));
    }
    // Locks belong to the version that our create made. If the standby has rotated since, there is nothing to lock.
    for version in goal.versions.iter().filter(|version| known.holding(&version.id).is_some()) {
        let locks: Vec<&RestoreLock> = goal.locks_on(&version.id).collect();
        lock(&mut chain, &version.id, &locks, &[]);
    }
    outcome.steps = chain.finish();
    Ok(outcome)
}

/// Returns a setting that can only be set at creation and that differs, if both instances show it.
fn fixed_differs<'v>(view: &'v RestoreItem, known: &StandbyItem) -> Option<&'v str> {
    let differs = |name: &&&str| match (view.settings.get(name), known.view.settings.get(name)) {
        (Some(want), Some(have)) => normal(want) != normal(have),
        _ => false,
    };
    view.fixed.iter().find(differs).copied()
}
