//! The id map of a run that stopped: to continue by hand, operators need the ids that already exist.

use std::collections::BTreeMap;

use super::chain::Chain;
use super::run::ApplyRun;
use crate::job::restore::examine::ListedStandby;
use crate::job::restore::goal::{source_version, version_as};
use crate::job::restore::idmap::{IdMap, MappedItem, VersionMapping};
use crate::job::restore::known::{Question, by_place, need};
use crate::job::restore::matching::Match;
use crate::job::restore::plan::Plan;
use crate::job::restore::snapshot::SnapshotItems;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::{ItemKey, ItemKind};
use crate::provider::Route;

/// Returns the map of items known to exist, from the listing and from what the run learned since. Sends no request.
pub(super) fn id_map(
    run: &ApplyRun<'_>,
    plan: &Plan,
    snapshot: &SnapshotItems,
    listed: &ListedStandby,
    chains: &[Chain<'_>],
) -> IdMap {
    let chains: BTreeMap<&ItemKey, &Chain<'_>> =
        chains.iter().filter_map(|chain| Some((&chain.first()?.key, chain))).collect();
    let mut there: Vec<(&SnapshotItem, String, Vec<VersionMapping>)> = Vec::new();
    for entry in snapshot.selected(&plan.options, run.standby.converter()) {
        let found = match chains.get(&entry.item.key) {
            Some(chain) => of_chain(entry, chain),
            None => of_listing(plan, entry, listed),
        };
        there.extend(found.map(|(id, versions)| (entry, id, versions)));
    }
    let found: Vec<MappedItem<'_>> =
        there.iter().map(|(entry, new_id, versions)| MappedItem { entry, new_id, versions }).collect();
    IdMap::so_far(&found, run.standby, &plan.snapshot.source, run.full_name().as_deref())
}

/// Returns the mapping of an item that the run processed, as far as it got.
fn of_chain(entry: &SnapshotItem, chain: &Chain<'_>) -> Option<(String, Vec<VersionMapping>)> {
    let by_name = matches!(entry.item.key.kind(), ItemKind::Configuration | ItemKind::Registration);
    let made = by_name && chain.at.is_some_and(|at| at > 0);
    let id = chain.target.clone().or_else(|| made.then(|| entry.view.key.id().to_owned()))?;
    let newest_first = entry.item.payloads.iter().map(|pointer| pointer.version.as_str());
    let held = |old: &str| chain.versions.get(&version_as(old, &entry.view.rewrites));
    let pair = |old: &str| Some(VersionMapping { old_id: old.to_owned(), new_id: held(old)?.clone() });
    Some((id, newest_first.filter_map(pair).collect()))
}

/// Returns the mapping of an item that needed no step or was not reached, from the listing.
fn of_listing(plan: &Plan, entry: &SnapshotItem, listed: &ListedStandby) -> Option<(String, Vec<VersionMapping>)> {
    let Match::Found((view, there)) = listed.inventory.find(&entry.view, entry.group.as_deref()) else { return None };
    let mut versions = Vec::new();
    if entry.item.key.kind() == ItemKind::Secret
        && let Ok(goal) = entry.goal(plan.made)
        && need(&goal, entry.item.key.id(), view) == Question::Nothing
    {
        let sources = by_place(&goal, view);
        let pair = |new: &String| {
            Some(VersionMapping { old_id: source_version(sources.get(new)?).to_owned(), new_id: new.clone() })
        };
        versions.extend(view.newest.iter().filter_map(pair));
    }
    let built_in = entry.route == Route::BuiltIn;
    (!built_in).then(|| (there.item.key.id().to_owned(), versions))
}
