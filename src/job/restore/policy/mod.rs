//! Applies the configuration to each item: treatment, name, supplied members, rewrites. Pure.
//!
//! Selectors match the item as it is in the source, so that no rule depends on another one. A rule, override or rewrite
//! that selects nothing, or would change nothing, is refused: it is a mistake, and during an outage nobody would notice
//! that it had no effect.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::restore::snapshot_item::{ItemOrigin, SnapshotItem, TreatmentEffect};
use crate::model::{Item, ItemKey, ItemKind, Policies, Selector, SelectorSubject, Treatment};
use crate::provider::{Conversion, ItemConverter, RestoreItem};

mod error;
mod meeting;
mod rewrites;
#[cfg(test)]
mod tests;

pub use error::PolicyError;
pub(super) use meeting::{collisions, merged};
pub(super) use rewrites::check_rewrites;

use rewrites::{rewrite, stamp};

/// Maximum number of items named in a message.
const NAMED: usize = 5;

/// Resolves the policies of every item. `groups` maps group ids to names, as in the source.
///
/// # Errors
/// If a policy cannot be applied.
pub(super) fn resolve(
    items: Vec<Item>,
    groups: &BTreeMap<String, String>,
    converter: &dyn ItemConverter,
    policies: &Policies,
    sign_with_source: bool,
) -> Result<BTreeMap<ItemKey, SnapshotItem>, PolicyError> {
    let mut sources: Vec<(Item, ItemOrigin)> = items
        .into_iter()
        .map(|item| {
            let origin = ItemOrigin::of(&converter.describe(&item), groups);
            (item, origin)
        })
        .collect();
    // Computed twice: a supplied member may allow a treatment, and which members an item takes depends on the
    // treatment.
    let first = treatments(&sources, converter, policies, sign_with_source)?;
    let supplied = supply(&mut sources, &first, converter, policies)?;
    let treatments = treatments(&sources, converter, policies, sign_with_source)?;
    let names = names(&sources, policies)?;
    let mut entries = Vec::with_capacity(sources.len());
    let chosen = treatments.into_iter().zip(names).zip(supplied);
    for ((item, origin), ((chosen, name), supplied)) in sources.into_iter().zip(chosen) {
        let Conversion { item: view, route, note } = converter.convert(&item, chosen.treatment);
        let (group, treatment) = (origin.group.clone(), chosen.treatment);
        let (effects, notes) = (chosen.effects, chosen.notes);
        let mut entry =
            SnapshotItem { item, treatment, route, view, group, origin, effects, notes, rewrites: Vec::new() };
        entry.notes.extend(note);
        if let Some((rule, name)) = name {
            entry.rename(&name);
            entry.effects.push(TreatmentEffect { what: rule, places: 0 });
        }
        entry.effects.extend(supplied);
        entries.push(entry);
    }
    for (place, transform) in policies.transforms.iter().enumerate() {
        rewrite(&mut entries, &format!("transform {}", place + 1), transform)?;
    }
    for entry in entries.iter_mut().filter(|entry| !entry.rewrites.is_empty()) {
        entry.view.rewrites = stamp(&entry.rewrites);
    }
    Ok(entries.into_iter().map(|entry| (entry.item.key.clone(), entry)).collect())
}

/// Chosen treatment of an item, with its effects and notes.
struct Chosen {
    treatment: Treatment,
    effects: Vec<TreatmentEffect>,
    notes: Vec<String>,
}

fn treatments(
    sources: &[(Item, ItemOrigin)],
    converter: &dyn ItemConverter,
    policies: &Policies,
    sign_with_source: bool,
) -> Result<Vec<Chosen>, PolicyError> {
    for (place, rule) in policies.rules.iter().enumerate() {
        if !sources.iter().any(|(_, origin)| origin.selected(&rule.select)) {
            return Err(PolicyError::Idle { what: rule_name(place) });
        }
    }
    let mut used = vec![false; policies.rules.len()];
    let mut chosen = Vec::with_capacity(sources.len());
    for (item, origin) in sources {
        let allowed = converter.treatments(item);
        let mut one =
            Chosen { treatment: allowed.first().copied().unwrap_or_default(), effects: Vec::new(), notes: Vec::new() };
        match asked(item, origin, policies) {
            // An item that is restored exactly needs no rule: a rule for its whole group is meant for the other items.
            (Some((_, treatment)), _) if allowed == [Treatment::Exact] && treatment != Treatment::Exact => {}
            (Some((place, treatment)), _) => {
                if !converter.type_treatments(&item.item_type).contains(&treatment) {
                    return Err(PolicyError::Treatment {
                        what: rule_name(place),
                        treatment,
                        name: origin.in_words(),
                        item_type: item.item_type.clone(),
                        allowed: words(converter.type_treatments(&item.item_type)),
                    });
                }
                if let Some(used) = used.get_mut(place) {
                    *used = true;
                }
                one.effects.push(TreatmentEffect { what: rule_name(place), places: 0 });
                one.choose(treatment, allowed);
            }
            (None, Some(treatment)) => one.choose(treatment, allowed),
            (None, None) => {}
        }
        let external = sign_with_source && allowed.contains(&Treatment::External);
        if external && one.treatment == Treatment::Recreate {
            one.treatment = Treatment::External;
        }
        chosen.push(one);
    }
    // An unused rule asks for a treatment that none of its items has. If earlier rules take all its items, it may be
    // meant as a fallback.
    for (place, rule) in policies.rules.iter().enumerate() {
        let Some(treatment) = rule.treatment.filter(|_| used.get(place) == Some(&false)) else { continue };
        let meant = || sources.iter().filter(|(_, origin)| origin.selected(&rule.select));
        let shadowed =
            policies.rules.iter().take(place).any(|earlier| {
                earlier.treatment.is_some() && meant().any(|(_, origin)| origin.selected(&earlier.select))
            });
        if let Some((item, origin)) = meant().next().filter(|_| !shadowed) {
            return Err(PolicyError::Treatment {
                what: rule_name(place),
                treatment,
                name: origin.in_words(),
                item_type: item.item_type.clone(),
                allowed: words(converter.treatments(item)),
            });
        }
    }
    Ok(chosen)
}

/// Returns the treatment of the first matching rule, with its index, and the treatment of the item's type.
fn asked(item: &Item, origin: &ItemOrigin, policies: &Policies) -> (Option<(usize, Treatment)>, Option<Treatment>) {
    let mut rules = policies.rules.iter().enumerate();
    let by_rule =
        rules.find_map(|(place, rule)| Some((place, rule.treatment.filter(|_| origin.selected(&rule.select))?)));
    (by_rule, policies.types.get(&item.item_type).copied())
}

/// Returns the treatment of an item under these policies. As in a plan, a treatment that the item cannot have in its
/// current state is skipped; what a plan would refuse is not an error here. `groups` maps group ids to names.
#[must_use]
pub fn treatment(
    item: &Item,
    groups: &BTreeMap<String, String>,
    converter: &dyn ItemConverter,
    policies: &Policies,
) -> Treatment {
    let allowed = converter.treatments(item);
    let (by_rule, by_type) = asked(item, &ItemOrigin::of(&converter.describe(item), groups), policies);
    let wanted = by_rule.map(|(_, treatment)| treatment).or(by_type);
    wanted.filter(|wanted| allowed.contains(wanted)).or(allowed.first().copied()).unwrap_or_default()
}

impl Chosen {
    /// Sets a treatment that the type allows; keeps the default if the state of this item does not allow it.
    fn choose(&mut self, treatment: Treatment, allowed: &[Treatment]) {
        if allowed.contains(&treatment) {
            self.treatment = treatment;
        } else {
            let instead = self.treatment;
            self.notes.push(format!("its current state does not allow `{treatment}`; using `{instead}`"));
        }
    }
}

/// Returns the name that a rule gives to each item, with the rule.
fn names(sources: &[(Item, ItemOrigin)], policies: &Policies) -> Result<Vec<Option<(String, String)>>, PolicyError> {
    let mut names: Vec<Option<(String, String)>> = vec![None; sources.len()];
    for (place, rule) in policies.rules.iter().enumerate() {
        let Some(name) = &rule.name else { continue };
        let selected: Vec<usize> = sources
            .iter()
            .enumerate()
            .filter(|(_, (_, origin))| origin.selected(&rule.select))
            .map(|(index, _)| index)
            .collect();
        let what = rule_name(place);
        let [index] = selected.as_slice() else {
            let items = selected.iter().filter_map(|index| sources.get(*index)).map(|(_, origin)| origin.in_words());
            let items = items.take(NAMED).collect::<Vec<_>>().join(", ");
            return Err(PolicyError::OneName { what, count: selected.len(), items });
        };
        if let (Some(slot), Some((item, _))) = (names.get_mut(*index), sources.get(*index)) {
            if item.key.kind() != ItemKind::Secret {
                return Err(PolicyError::Unnameable { what, item: item.key.clone() });
            }
            slot.get_or_insert_with(|| (what, name.clone()));
        }
    }
    Ok(names)
}

fn rule_name(place: usize) -> String {
    format!("rule {}", place + 1)
}

fn words(treatments: &[Treatment]) -> String {
    treatments.iter().map(|treatment| treatment.as_str()).collect::<Vec<_>>().join(", ")
}

/// Adds supplied members to items. Returns the overrides that each item took a member from.
fn supply(
    sources: &mut [(Item, ItemOrigin)],
    treatments: &[Chosen],
    converter: &dyn ItemConverter,
    policies: &Policies,
) -> Result<Vec<Vec<TreatmentEffect>>, PolicyError> {
    let mut effects: Vec<Vec<TreatmentEffect>> = sources.iter().map(|_| Vec::new()).collect();
    for (place, one) in policies.overrides.iter().enumerate() {
        let what = format!("override {}", place + 1);
        let members = one.members();
        let mut unknown: BTreeSet<&str> = members.iter().map(|(name, _)| name).collect();
        let mut selected = None;
        for (((item, origin), chosen), effects) in sources.iter_mut().zip(treatments).zip(&mut effects) {
            if !origin.selected(&one.select) {
                continue;
            }
            selected.get_or_insert_with(|| item.item_type.clone());
            let taken = converter.supply(item, chosen.treatment, &members);
            unknown.retain(|name| !taken.iter().any(|taken| taken == name));
            if !taken.is_empty() {
                effects.push(TreatmentEffect { what: what.clone(), places: 0 });
            }
        }
        match (selected, unknown.first()) {
            (None, _) => return Err(PolicyError::Idle { what }),
            (Some(item_type), Some(member)) => {
                return Err(PolicyError::Member { what, member: (*member).to_owned(), item_type });
            }
            (Some(_), None) => {}
        }
    }
    Ok(effects)
}

impl ItemOrigin {
    fn of(view: &RestoreItem, groups: &BTreeMap<String, String>) -> Self {
        Self {
            name: view.name.clone(),
            item_type: view.item_type.clone(),
            group: view.group.as_ref().and_then(|id| groups.get(id)).cloned(),
            labels: view.labels.clone(),
            is_group: view.key.kind() == ItemKind::Group,
        }
    }

    /// Returns true if one of the selectors matches the item as it is in the source. `group:GLOB` also matches a group.
    #[must_use]
    pub fn selected(&self, select: &[Selector]) -> bool {
        let Self { name, item_type, group, labels, is_group } = self;
        let group = if *is_group { Some(name.as_str()) } else { group.as_deref() };
        let subject = SelectorSubject { name, item_type, group, labels };
        select.iter().any(|selector| selector.matches(&subject))
    }

    /// Returns group and name.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.group.as_ref().map_or_else(|| self.name.clone(), |group| format!("{group}/{}", self.name))
    }
}
