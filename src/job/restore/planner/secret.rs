//! Secrets: versions, metadata, locks, marks.

use super::{Chain, PlannedItem};
use crate::job::restore::goal::Goal;
use crate::job::restore::known::{StandbyItem, VERSIONS_COUNTED, lock_digest, metadata_digest, settings_digest};
use crate::job::restore::options::{OnConflict, PlanOptions};
use crate::job::restore::state::{ItemState, version_name};
use crate::model::json::JsonObject;
use crate::model::{Digest, Item, Slot, Timestamp};
use crate::provider::{Action, Phase, RestoreItem, RestoreLock, RestoreMark, RestoreVersion};

/// Note for a secret that only the id map records.
const NO_ROOM_FOR_MARK: &str = "no room for the restore mark in its custom metadata (10 KB limit, or the key is \
                                taken); only the id map records it";

/// Reason of a metadata patch that changes more than the restore mark.
pub const METADATA_DIFFERS: &str = "its metadata differs";

/// Maximum number of locks that one step removes. Their names have up to 64 characters each, and servers limit URLs to
/// a few thousand.
const UNLOCKED_AT_ONCE: usize = 50;

/// Inputs for planning a secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretContext<'a> {
    /// Requested options.
    pub options: &'a PlanOptions,
    /// Phase of the secret.
    pub phase: Phase,
    /// Ledger entry of the snapshot.
    pub snapshot: Digest,
    /// Current time, by the standby's clock.
    pub now: Timestamp,
}

/// Plans a secret with its versions, metadata and locks.
///
/// An existing secret without our mark that holds the snapshot's payload is adopted: it gets the marks, so that the
/// next plan is empty and reads no payload.
#[must_use]
pub fn secret(
    item: &Item,
    view: &RestoreItem,
    known: Option<&StandbyItem>,
    context: &SecretContext<'_>,
) -> PlannedItem {
    let goal = match Goal::new(item, view, context.now) {
        Ok(goal) => goal,
        Err(why) => return PlannedItem { losses: vec![why], ..PlannedItem::default() },
    };
    let mut planned = match known {
        None => created(view, &goal, context),
        Some(known) => match changed(view, &goal, known, context) {
            Ok(outcome) => outcome,
            Err(why) => PlannedItem::conflict(why),
        },
    };
    planned.losses.splice(0..0, goal.losses);
    planned.notes.extend(withheld(item));
    planned
}

/// Returns the note about members with secret names that were cut out of an item's metadata.
fn withheld(item: &Item) -> Option<String> {
    let cut = item.payloads.iter().any(|pointer| pointer.version.as_str() == Slot::WITHHELD);
    cut.then(|| {
        format!(
            "its metadata holds members that are secret by their name (such as `private_key`); they lie in the pack \
             and \
             are not put back: keyhaven get {} --version-id {} --reveal",
            item.key,
            Slot::WITHHELD
        )
    })
}

/// Returns the mark of a secret, unless there is no room for it.
///
/// `rotates` is true if the secret rotates automatically in the standby. A rotation that the source itself, as a
/// restored instance, still held back stays held back.
pub(super) fn mark(
    view: &RestoreItem,
    goal: &Goal,
    versions: u64,
    rotates: bool,
    context: &SecretContext<'_>,
) -> Option<RestoreMark> {
    let held = view.rotation.as_ref().map(|rotation| {
        let held: JsonObject = [("rotation".to_owned(), rotation.to_raw())].into_iter().collect();
        held.to_raw()
    });
    let held = held.or_else(|| view.mark.as_ref()?.held.clone()).filter(|_| !rotates);
    let mark = RestoreMark {
        source: view.key.id().to_owned(),
        version: goal.newest()?.to_owned(),
        versions,
        details: goal.details.clone(),
        snapshot: context.snapshot,
        held,
    };
    view.fits(&mark).then_some(mark)
}

fn names(view: &RestoreItem) -> impl Iterator<Item = &str> {
    view.compared()
}

fn created(view: &RestoreItem, goal: &Goal, context: &SecretContext<'_>) -> PlannedItem {
    let mut outcome = PlannedItem::default();
    let rotates = view.rotation.is_some() && context.options.allow_rotation;
    let mark = mark(view, goal, goal.versions.len() as u64, rotates, context);
    if mark.is_none() {
        outcome.notes.push(NO_ROOM_FOR_MARK.to_owned());
    }
    if view.rotation.is_some() && !context.options.allow_rotation {
        outcome.notes.push("it rotates by itself in the source; in the standby that is held back".to_owned());
    } else if view.rotation.is_none() && mark.as_ref().is_some_and(|mark| mark.held.is_some()) {
        outcome.notes.push("its rotation was held back in the source already, and stays so".to_owned());
    }
    let mut chain = Chain::new(ItemState::default());
    for (place, version) in goal.versions.iter().enumerate() {
        let mark_version = note_version(view, version, &mut outcome);
        let newest = version_name(Some(&version.id), "");
        let id = version.id.clone();
        if place == 0 {
            let settings = settings_digest(&view.settings, names(view), mark.as_ref());
            let action = Action::CreateSecret { version: id, mark: mark.clone(), mark_version };
            chain.step(context.phase, action, "it is not in the standby", |state| {
                state.present = true;
                state.settings = Some(settings);
                state.newest = Some(newest);
            });
        } else {
            let action = Action::AddVersion { version: id, mark_version };
            let moves = view.version_moves_settings();
            chain.step(context.phase, action, "its current version follows the previous one", |state| {
                state.newest = Some(newest);
                state.settings = state.settings.filter(|_| !moves);
            });
        }
    }
    if chain.now.settings.is_none() {
        let settings = settings_digest(&view.settings, names(view), mark.as_ref());
        let reason = "a new version may have cleared its expiry";
        chain.step(context.phase, Action::PatchMetadata { mark }, reason, |state| state.settings = Some(settings));
    }
    for version in &goal.versions {
        let locks: Vec<&RestoreLock> = goal.locks_on(&version.id).collect();
        add_locks(&mut chain, &version.id, &locks, &[]);
    }
    outcome.steps = chain.finish();
    outcome
}

/// Returns true if the version gets a mark; adds a note if there is no room for it.
pub(super) fn note_version(view: &RestoreItem, version: &RestoreVersion, outcome: &mut PlannedItem) -> bool {
    let fits = view.fits_version(version);
    if !fits {
        let note = format!(
            "no room for the restore mark in the metadata of its version {}; only the id map records it",
            version.id
        );
        outcome.notes.push(note);
    }
    fits
}

pub(super) fn add_locks(chain: &mut Chain, version: &str, locks: &[&RestoreLock], removed: &[String]) {
    if locks.is_empty() {
        return;
    }
    let names: Vec<String> = locks.iter().map(|lock| lock.name.clone()).collect();
    let put_back = names.iter().any(|name| removed.contains(name));
    let reason =
        if put_back { "they were taken off for the new version" } else { "its version is locked in the source" };
    let action = Action::AddLocks { version: version.to_owned(), names, put_back };
    chain.step(Phase::Locks, action, reason, |state| {
        for lock in locks {
            state.locks.insert(format!("{}/{}", version_name(Some(version), ""), lock.name), lock_digest(lock));
        }
    });
}

/// Plans a secret that exists.
fn changed(
    view: &RestoreItem,
    goal: &Goal,
    known: &StandbyItem,
    context: &SecretContext<'_>,
) -> Result<PlannedItem, String> {
    if let Some(version) = known.false_marks.first() {
        return Err(format!("its version {version} carries our mark and another payload; somebody marked it by hand"));
    }
    if let Some(other) = known.view.mark.as_ref().filter(|mark| mark.source != view.key.id())
        && context.options.on_conflict != OnConflict::NewVersion
    {
        return Err(format!(
            "the secret of this name in the standby was restored from another one, {}; if that one is gone from the \
             source, overwrite it, else rename one of the two",
            other.source
        ));
    }
    let mut outcome = PlannedItem::default();
    let mut chain = Chain::new(known.state(names(view)));
    let adds = versions_to_add(goal, known, context.options.on_conflict)?;
    if known.fixed_differs && !adds.is_empty() {
        return Err(
            "the user name differs and cannot be changed after creation; rename or delete the secret in the standby, \
             then \
             make a new plan"
                .to_owned(),
        );
    }
    // Versions that will have a payload in the end, as named in states, oldest first.
    let mut bearing: Vec<String> = bearing(known);
    let mut removed = Vec::new();
    let total = known.view.versions_total.unwrap_or(known.view.versions.iter().flatten().count() as u64);
    for version in &adds {
        if let [.., previous, _] = bearing.as_slice() {
            let previous = previous.clone();
            removed.extend(unlock(&mut chain, goal, &previous, context)?);
            if let Some(own) = previous.strip_prefix("own:") {
                outcome.notes.push(format!(
                    "its standby version {own}, which is not from this backup, loses its payload to the new version"
                ));
            }
        }
        let mark_version = note_version(view, version, &mut outcome);
        let newest = version_name(Some(&version.id), "");
        bearing.push(newest.clone());
        let metadata = metadata_digest(&version.metadata, mark_version.then_some(version.id.as_str()));
        let action = Action::AddVersion { version: version.id.clone(), mark_version };
        chain.step(context.phase, action, "the snapshot has a newer version", |state| {
            state.version_metadata.insert(newest.clone(), metadata);
            state.newest = Some(newest);
            // The new version may change the settings; they are patched below.
            state.settings = None;
        });
    }
    if known.view.versions.is_some() {
        let bearing = bearing.split_off(bearing.len().saturating_sub(2));
        let here = |version: &&RestoreVersion| bearing.contains(&version_name(Some(&version.id), ""));
        for version in goal.versions.iter().filter(|version| !here(version)) {
            outcome.losses.push(format!(
                "its previous version {} is missing in the standby and cannot be added before the current one",
                version.id
            ));
        }
        for version in goal.versions.iter().filter(here) {
            patch_version(&mut chain, view, version, &mut outcome);
        }
        for version in goal.versions.iter().filter(here) {
            let locks: Vec<&RestoreLock> = goal.locks_on(&version.id).collect();
            lock(&mut chain, &version.id, &locks, &removed);
        }
    }
    let versions = (total + adds.len() as u64).min(VERSIONS_COUNTED);
    patch_settings(&mut chain, view, goal, known, versions, context, &mut outcome)?;
    if known.view.rotation.is_some() && !context.options.allow_rotation {
        outcome.notes.push("it rotates by itself in the standby".to_owned());
    }
    outcome.steps = chain.finish();
    Ok(outcome)
}

/// Returns the standby versions that have a payload, as named in states, oldest first.
fn bearing(known: &StandbyItem) -> Vec<String> {
    let versions = known.view.versions.iter().flatten();
    versions.filter(|version| version.payload).map(|version| known.version_name(&version.id)).collect()
}

/// Returns the versions to add after the existing ones, oldest first.
fn versions_to_add<'a>(
    goal: &'a Goal,
    known: &StandbyItem,
    on_conflict: OnConflict,
) -> Result<Vec<&'a RestoreVersion>, String> {
    // Versions are read only if the rows do not already prove them correct.
    let Some(current) = known.view.current() else { return Ok(Vec::new()) };
    let holds = known.sources.get(&current.id);
    let Some(newest) = goal.versions.last() else { return Ok(Vec::new()) };
    if holds == Some(&newest.id) {
        return Ok(Vec::new());
    }
    match holds {
        // The current version is the previous one, or an older one from an earlier restore.
        Some(there) => {
            let after = goal.versions.iter().position(|version| version.id == *there).map_or(0, |place| place + 1);
            Ok(goal.versions.iter().skip(after).collect())
        }
        // Add only the newest, so that the standby's own version remains as the previous one.
        None if on_conflict == OnConflict::NewVersion => Ok(vec![newest]),
        None => Err(format!(
            "its current version {} in the standby is not from this backup; overwrite it, or exclude it",
            current.id
        )),
    }
}

/// Removes the locks from the version that the next one displaces.
fn unlock(chain: &mut Chain, goal: &Goal, version: &str, context: &SecretContext<'_>) -> Result<Vec<String>, String> {
    let prefix = format!("{version}/");
    let names: Vec<String> =
        chain.now.locks.keys().filter_map(|key| key.strip_prefix(&prefix)).map(Into::into).collect();
    if names.is_empty() {
        return Ok(names);
    }
    let theirs = names.iter().find(|name| !goal.locks.iter().any(|lock| lock.name == **name));
    if let Some(name) = theirs.filter(|_| context.options.on_conflict != OnConflict::NewVersion) {
        return Err(format!(
            "its previous version has the lock {name}, which is not in the snapshot and blocks new versions; remove \
             the lock in the standby, or overwrite"
        ));
    }
    remove_locks(chain, context.phase, version, &names, "a locked previous version blocks new versions");
    Ok(names)
}

/// Removes locks from a version in chunks: their names are part of the request's URL. A killed apply resumes between
/// two chunks.
pub(super) fn remove_locks(chain: &mut Chain, phase: Phase, version: &str, names: &[String], reason: &str) {
    for names in names.chunks(UNLOCKED_AT_ONCE) {
        let action = Action::RemoveLocks { version: version.to_owned(), names: names.to_vec() };
        chain.step(phase, action, reason, |state| {
            for name in names {
                state.locks.remove(&format!("{version}/{name}"));
            }
        });
    }
}

fn patch_settings(
    chain: &mut Chain,
    view: &RestoreItem,
    goal: &Goal,
    known: &StandbyItem,
    versions: u64,
    context: &SecretContext<'_>,
    outcome: &mut PlannedItem,
) -> Result<(), String> {
    let there = &known.view;
    // A patch never turns rotation on, so a rotation held back earlier stays held back, whatever is allowed now.
    let rotates = there.rotation.is_some();
    if view.rotation.is_some() && !rotates && context.options.allow_rotation {
        outcome
            .notes
            .push("it does not rotate in the standby, and only a create turns that on: turn it on there".to_owned());
    }
    let mark = mark(view, goal, versions, rotates, context);
    if mark.is_none() {
        outcome.notes.push(NO_ROOM_FOR_MARK.to_owned());
    }
    let wanted = settings_digest(&view.settings, names(view), mark.as_ref());
    if chain.now.settings == Some(wanted) {
        return Ok(());
    }
    let unmarked = |mark: Option<&RestoreMark>| settings_digest(&view.settings, names(view), mark);
    let same = unmarked(None) == settings_digest(&there.settings, names(view), None);
    if !same && mark.is_some() {
        may_cover(view, known, context)?;
    }
    let reason = match (same, there.mark.is_none() && mark.is_some()) {
        (true, true) => "it has the right content and no mark yet",
        (true, false) => "its mark follows its versions",
        (false, _) => METADATA_DIFFERS,
    };
    // The mark claims that version metadata and locks are complete, so it is written after them.
    let phase = chain.steps.last().map_or(context.phase, |step| step.phase);
    chain.step(phase, Action::PatchMetadata { mark }, reason, |state| state.settings = Some(wanted));
    Ok(())
}

/// Checks whether the snapshot's metadata may replace that of an existing secret. It may if a restore created the
/// secret, or on failback if the snapshot's secret was restored from it. Metadata of other secrets belongs to someone
/// else.
pub(super) fn may_cover(view: &RestoreItem, known: &StandbyItem, context: &SecretContext<'_>) -> Result<(), String> {
    let versions = || known.view.versions.iter().flatten();
    let restored = known.view.mark.is_some() || versions().any(|version| version.mark.is_some());
    let ours = restored || is_origin(view, known);
    match context.options.on_conflict {
        OnConflict::Fail | OnConflict::Skip if !ours => {
            Err("the standby has a secret of this name with metadata of its own, and it carries no mark of a restore; \
             overwrite it, or leave it out"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Returns true if the snapshot's secret was restored from the existing one.
pub(super) fn is_origin(view: &RestoreItem, known: &StandbyItem) -> bool {
    view.mark.as_ref().is_some_and(|mark| mark.source == known.view.key.id())
}

fn patch_version(chain: &mut Chain, view: &RestoreItem, version: &RestoreVersion, outcome: &mut PlannedItem) {
    let name = version_name(Some(&version.id), "");
    let fits = view.fits_version(version);
    let wanted = metadata_digest(&version.metadata, fits.then_some(version.id.as_str()));
    if chain.now.version_metadata.get(&name) == Some(&wanted) {
        return;
    }
    let mark_version = note_version(view, version, outcome);
    let action = Action::PatchVersionMetadata { version: version.id.clone(), mark_version };
    chain.step(Phase::VersionMetadata, action, "the version's metadata or mark differs", |state| {
        state.version_metadata.insert(name, wanted);
    });
}

/// Makes the locks of one version match the snapshot; locks with other names stay.
pub(super) fn lock(chain: &mut Chain, version: &str, wanted: &[&RestoreLock], removed: &[String]) {
    let key = |lock: &RestoreLock| format!("{}/{}", version_name(Some(version), ""), lock.name);
    let is = |lock: &&&RestoreLock, state: &ItemState| state.locks.get(&key(lock)) == Some(&lock_digest(lock));
    let missing: Vec<&RestoreLock> = wanted.iter().filter(|lock| !is(lock, &chain.now)).copied().collect();
    let other: Vec<&RestoreLock> =
        missing.iter().filter(|lock| chain.now.locks.contains_key(&key(lock))).copied().collect();
    if !other.is_empty() {
        let names: Vec<String> = other.iter().map(|lock| lock.name.clone()).collect();
        let version = version_name(Some(version), "");
        remove_locks(chain, Phase::Locks, &version, &names, "locks cannot be changed, only made anew");
    }
    add_locks(chain, version, &missing, removed);
}
