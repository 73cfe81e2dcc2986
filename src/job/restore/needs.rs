//! What an item needs to be there: nothing is tried that cannot succeed. Pure.

use std::collections::BTreeMap;

use super::assemble::Planned;
use super::planner::PlannedItem;
use crate::provider::{ItemConverter, ItemDependency, ReferenceNames};

/// Whether an instance has any of what will do.
#[must_use]
pub fn has(names: &ReferenceNames, need: &ItemDependency) -> bool {
    need.any_of.iter().any(|reference| names.id(reference).is_some() || names.reference(reference).is_some())
}

/// Takes the steps of every item away that needs what is neither in the standby nor made by this plan, and orders the
/// rest: an item comes behind the items of its own class that it needs.
pub fn settle(planned: &mut [Planned<'_>], there: &ReferenceNames, converter: &dyn ItemConverter) {
    let needs: Vec<Vec<ItemDependency>> = planned.iter().map(|one| converter.needs(&one.entry.view)).collect();
    let references: BTreeMap<String, usize> =
        planned.iter().enumerate().map(|(place, one)| (one.entry.reference(), place)).collect();
    // Each round takes at least one item out, so there are at most as many rounds as items.
    while drop_needy(planned, &needs, &references, there) {}
    let made = |need: &ItemDependency| need.any_of.iter().find_map(|reference| references.get(reference).copied());
    let mut depths = vec![0_usize; planned.len()];
    // No chain of needs is longer than there are items; two that need each other would never settle.
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

/// Needs of needs that are followed.
const DEEPEST: usize = 32;

/// Finds items whose needs are not met; says whether there was one.
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
        // One that is in the way of the snapshot's own is another one of that name.
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
