//! Checks that the standby has room for every group, and that every new secret has a group. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::assemble::Planned;
use super::planner::PlannedItem;
use crate::model::ItemKind;
use crate::provider::Action;

/// Removes the steps of groups that exceed the standby's limit, then the steps of secrets whose group would not exist.
/// `there` are the names of the standby's groups, `most` is its limit.
pub(super) fn settle(planned: &mut [Planned<'_>], there: &BTreeSet<&str>, most: Option<usize>) {
    let mut room = most.unwrap_or(usize::MAX).saturating_sub(there.len());
    let makes = |one: &Planned<'_>, wanted: &Action| one.outcome.steps.first().is_some_and(|s| s.action == *wanted);
    let mut groups: Vec<&mut Planned<'_>> = planned.iter_mut().filter(|one| makes(one, &Action::CreateGroup)).collect();
    groups.sort_by(|a, b| a.entry.view.name.cmp(&b.entry.view.name));
    for one in groups {
        match room.checked_sub(1) {
            Some(left) => room = left,
            None => {
                let why = format!(
                    "the standby takes {} secret groups and has no room for it; delete one there, or let two become one \
                     with a transform",
                    most.unwrap_or_default()
                );
                one.outcome = PlannedItem { conflict: Some(why), ..PlannedItem::default() };
            }
        }
    }
    let missing: BTreeMap<String, Option<String>> = planned
        .iter()
        .filter(|one| one.entry.item.key.kind() == ItemKind::Group && one.outcome.steps.is_empty())
        .map(|one| (one.entry.view.name.clone(), one.outcome.conflict.clone()))
        .collect();
    let made: BTreeSet<String> =
        planned.iter().filter(|one| makes(one, &Action::CreateGroup)).map(|one| one.entry.view.name.clone()).collect();
    for one in planned {
        let creates = one.outcome.steps.iter().any(|step| matches!(step.action, Action::CreateSecret { .. }));
        let Some(group) = one.entry.group.as_deref().filter(|_| creates) else { continue };
        if there.contains(group) || made.contains(group) {
            continue;
        }
        let because = missing.get(group).and_then(Option::as_ref).map(|why| format!(": {why}")).unwrap_or_default();
        one.outcome.steps.clear();
        one.outcome.notes.clear();
        one.outcome
            .losses
            .push(format!("its group {group} is not in the standby, and this plan does not make it{because}"));
    }
}
