//! Dependencies of items: steps that cannot succeed are not planned. Pure.

use std::collections::BTreeMap;

use super::assemble::Planned;
use super::planner::PlannedItem;
use crate::provider::{ItemConverter, ItemDependency, ReferenceNames};

/// Returns true if an instance has any of the alternatives of a dependency.
#[must_use]
pub fn has(names: &ReferenceNames, need: &ItemDependency) -> bool {
    need.any_of.iter().any(|reference| names.id(reference).is_some() || names.reference(reference).is_some())
}

/// Removes the steps of every item whose dependencies are neither in the standby nor created by this plan. Orders the
/// rest: an item follows the items of its own phase that it depends on.
pub fn settle(planned: &mut [Planned<'_>], there: &ReferenceNames, converter: &dyn ItemConverter) {
    let needs: Vec<Vec<ItemDependency>> = planned.iter().map(|one| converter.needs(&one.entry.view)).collect();
    let references: BTreeMap<String, usize> =
        planned.iter().enumerate().map(|(place, one)| (one.entry.reference(), place)).collect();
    // Each round removes at least one item, so there are at most as many rounds as items.
    while drop_needy(planned, &needs, &references, there) {}
    let made = |need: &ItemDependency| need.any_of.iter().find_map(|reference| references.get(reference).copied());
    let mut depths = vec![0_usize; planned.len()];
    // No dependency chain is longer than the number of items; a cycle would never settle.
    for _ in 0..planned.len().min(DEEPEST) {
        let before = depths.clone();
        for (place, needs) in needs.iter().enumerate() {
            let below = needs.iter().filter_map(made).filter(|other| *other != place);
            let deepest = below.filter_map(|other| before.get(other)).map(|depth| depth + 1).max();
            if let (Some(depth), Some(deepest)) = (depths.get_mut(place), deepest) {
                *depth = deepest;
            }
        }
        if depths == before {
            break;
        }
    }
    for (one, depth) in planned.iter_mut().zip(depths) {
        one.depth = depth;
    }
}

/// Maximum depth of dependencies that is followed.
const DEEPEST: usize = 32;

/// Drops the steps of items with unmet dependencies; returns true if there were any.
fn drop_needy(
    planned: &mut [Planned<'_>],
    needs: &[Vec<ItemDependency>],
    references: &BTreeMap<String, usize>,
    there: &ReferenceNames,
) -> bool {
    let mut found = Vec::new();
    let doing = planned.iter().enumerate().filter(|(_, one)| !one.outcome.steps.is_empty());
    for (place, _) in doing {
        let made = |need: &ItemDependency| {
            let places = need.any_of.iter().filter_map(|reference| references.get(reference));
            places.filter_map(|other| planned.get(*other)).any(|other| !other.outcome.steps.is_empty())
        };
        // If a standby item conflicts with the snapshot's own, it is a different item of that name.
        let in_the_way = |need: &ItemDependency| {
            let places = need.any_of.iter().filter_map(|reference| references.get(reference));
            places.filter_map(|other| planned.get(*other)).any(|other| other.outcome.conflict.is_some())
        };
        let met = |need: &ItemDependency| made(need) || (has(there, need) && !in_the_way(need));
        let unmet = needs.get(place).into_iter().flatten().find(|need| !met(need));
        if let Some(need) = unmet {
            let planned_need = need.any_of.iter().find_map(|reference| planned.get(*references.get(reference)?));
            let why = planned_need.and_then(|other| {
                let PlannedItem { conflict, losses, .. } = &other.outcome;
                conflict.as_ref().or(losses.first()).map(|why| format!(": {why}"))
            });
            found.push((
                place,
                format!(
                    "it needs {}, which the standby does not have and this plan does not restore{}",
                    need.what,
                    why.unwrap_or_default()
                ),
            ));
        }
    }
    let any = !found.is_empty();
    for (place, why) in found {
        if let Some(one) = planned.get_mut(place) {
            one.outcome.steps.clear();
            one.outcome.notes.clear();
            one.outcome.losses.push(why);
        }
    }
    any
}
