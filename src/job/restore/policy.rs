//! What the configuration makes of each item: its treatment, its name, supplied members, rewrites. Pure.
//!
//! Selectors go by what an item is in the source, so that no rule depends on another one. A rule, override or rewrite
//! that selects nothing, or would change nothing, is refused: it is a slip, and in an outage nobody sees that it did not
//! work.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::assemble::Planned;
use super::rewrite::{rewrite_json, rewrite_text};
use super::snapshot::{Effect, Entry, Origin};
use crate::crypto::digest::sha256;
use crate::instance::standby::{Recipe, Route, View};
use crate::model::json::{Object, raw};
use crate::model::{Field, Item, ItemKey, ItemKind, Policies, Selector, Subject, Transform, Treatment};

/// A policy that cannot be followed. All of these are usage errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It selects nothing.
    #[error("{what} selects nothing in the snapshot; mend its `select`, or take it out of the configuration")]
    Idle {
        /// The rule, override or transform, with its number from 1.
        what: String,
    },
    /// It selects items and finds nothing to rewrite in them.
    #[error("{what} finds nothing to rewrite in what it selects; mend its `from`, or take it out of the configuration")]
    Nothing {
        /// The transform, with its number from 1.
        what: String,
    },
    /// A treatment that no item of that type has.
    #[error(
        "{what} asks for `{treatment}`, which {name} of type {item_type} cannot have; it allows {allowed}; narrow its \
         `select`, or name another treatment"
    )]
    Treatment {
        /// The rule, with its number from 1.
        what: String,
        /// The treatment.
        treatment: Treatment,
        /// The item.
        name: String,
        /// Its type.
        item_type: String,
        /// What it allows.
        allowed: String,
    },
    /// A name for more than one item.
    #[error("{what} has one name for {count} items; select one of them: {items}")]
    OneName {
        /// The rule, with its number from 1.
        what: String,
        /// How many it selects.
        count: usize,
        /// Some of them.
        items: String,
    },
    /// A name for what keeps its own.
    #[error("{what} names {item}, but only a secret can be renamed: others refer to a configuration by its name")]
    Unnameable {
        /// The rule, with its number from 1.
        what: String,
        /// The item.
        item: ItemKey,
    },
}

/// Names at most so many items in a message.
const NAMED: usize = 5;

/// Works out what every item becomes. `groups` are the names of groups by id, as the source has them.
///
/// # Errors
/// When a policy cannot be followed.
pub(super) fn resolve(
    items: Vec<Item>,
    groups: &BTreeMap<String, String>,
    recipe: &dyn Recipe,
    policies: &Policies,
    sign_with_source: bool,
) -> Result<BTreeMap<ItemKey, Entry>, PolicyError> {
    let sources: Vec<(Item, Origin)> = items
        .into_iter()
        .map(|item| {
            let origin = Origin::of(&recipe.view(&item), groups);
            (item, origin)
        })
        .collect();
    let treatments = treatments(&sources, recipe, policies, sign_with_source)?;
    let names = names(&sources, policies)?;
    let mut entries = Vec::with_capacity(sources.len());
    for (((item, origin), chosen), name) in sources.into_iter().zip(treatments).zip(names) {
        let view = recipe.recast(&item, chosen.treatment);
        let group = origin.group.clone();
        let mut entry = Entry {
            item,
            treatment: chosen.treatment,
            view,
            group,
            origin,
            effects: chosen.effects,
            notes: chosen.notes,
            rewrites: Vec::new(),
        };
        entry.notes.extend(recipe.recast_note(&entry.item, entry.treatment));
        if let Some((rule, name)) = name {
            entry.rename(&name);
            entry.effects.push(Effect { what: rule, places: 0 });
        }
        entries.push(entry);
    }
    for (place, one) in policies.overrides.iter().enumerate() {
        let what = format!("override {}", place + 1);
        let members = one.members();
        let mut selected = entries.iter_mut().filter(|entry| entry.origin.selected(&one.select)).peekable();
        if selected.peek().is_none() {
            return Err(PolicyError::Idle { what });
        }
        for entry in selected {
            set(&mut entry.view, &members);
            entry.effects.push(Effect { what: what.clone(), places: 0 });
        }
    }
    for (place, transform) in policies.transforms.iter().enumerate() {
        rewrite(&mut entries, &format!("transform {}", place + 1), transform, recipe)?;
    }
    for entry in entries.iter_mut().filter(|entry| !entry.rewrites.is_empty()) {
        entry.view.rewrites = stamp(&entry.rewrites);
    }
    Ok(entries.into_iter().map(|entry| (entry.item.key.clone(), entry)).collect())
}

/// The treatment of one item, and why.
struct Chosen {
    treatment: Treatment,
    effects: Vec<Effect>,
    notes: Vec<String>,
}

fn treatments(
    sources: &[(Item, Origin)],
    recipe: &dyn Recipe,
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
        let allowed = recipe.treatments(item);
        let mut one =
            Chosen { treatment: allowed.first().copied().unwrap_or_default(), effects: Vec::new(), notes: Vec::new() };
        match asked(item, origin, policies) {
            // What comes back by itself needs no rule: one for a whole group speaks of the others in it.
            (Some((_, treatment)), _) if allowed == [Treatment::Exact] && treatment != Treatment::Exact => {}
            (Some((place, treatment)), _) => {
                if !recipe.type_treatments(&item.item_type).contains(&treatment) {
                    return Err(PolicyError::Treatment {
                        what: rule_name(place),
                        treatment,
                        name: origin.in_words(),
                        item_type: item.item_type.clone(),
                        allowed: words(recipe.type_treatments(&item.item_type)),
                    });
                }
                if let Some(used) = used.get_mut(place) {
                    *used = true;
                }
                one.effects.push(Effect { what: rule_name(place), places: 0 });
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
    let idle = |(place, rule): &(usize, &crate::model::Rule)| {
        rule.treatment.is_some() && rule.name.is_none() && used.get(*place) == Some(&false)
    };
    if let Some((place, rule)) = policies.rules.iter().enumerate().find(idle)
        && let Some(treatment) = rule.treatment
    {
        let earlier = |(_, origin): &&(Item, Origin)| origin.selected(&rule.select);
        let first = sources.iter().find(earlier);
        let shadowed = policies.rules.iter().take(place).any(|other| {
            other.treatment.is_some()
                && sources.iter().filter(earlier).any(|(_, origin)| origin.selected(&other.select))
        });
        if let Some((item, origin)) = first.filter(|_| !shadowed) {
            return Err(PolicyError::Treatment {
                what: rule_name(place),
                treatment,
                name: origin.in_words(),
                item_type: item.item_type.clone(),
                allowed: words(recipe.treatments(item)),
            });
        }
        return Err(PolicyError::Idle {
            what: format!("{} is behind others that select the same; it", rule_name(place)),
        });
    }
    Ok(chosen)
}

/// The treatment that the first fitting rule asks for, with its place, and the one that the type has.
fn asked(item: &Item, origin: &Origin, policies: &Policies) -> (Option<(usize, Treatment)>, Option<Treatment>) {
    let mut rules = policies.rules.iter().enumerate();
    let by_rule =
        rules.find_map(|(place, rule)| Some((place, rule.treatment.filter(|_| origin.selected(&rule.select))?)));
    (by_rule, policies.types.get(&item.item_type).copied())
}

/// The treatment that an item gets by these policies. What it cannot have as it is now is passed over, as in a plan; what
/// a plan would refuse is no matter here. `groups` are the names of groups by id.
#[must_use]
pub fn treatment(
    item: &Item,
    groups: &BTreeMap<String, String>,
    recipe: &dyn Recipe,
    policies: &Policies,
) -> Treatment {
    let allowed = recipe.treatments(item);
    let (by_rule, by_type) = asked(item, &Origin::of(&recipe.view(item), groups), policies);
    let wanted = by_rule.map(|(_, treatment)| treatment).or(by_type);
    wanted.filter(|wanted| allowed.contains(wanted)).or(allowed.first().copied()).unwrap_or_default()
}

impl Chosen {
    /// Takes a treatment that the type allows; where the state of this very item does not, the usual one stays.
    fn choose(&mut self, treatment: Treatment, allowed: &[Treatment]) {
        if allowed.contains(&treatment) {
            self.treatment = treatment;
        } else {
            let instead = self.treatment;
            self.notes.push(format!("as it is now it cannot be `{treatment}`; it is `{instead}` instead"));
        }
    }
}

/// The name that a rule gives to each item, with the rule.
fn names(sources: &[(Item, Origin)], policies: &Policies) -> Result<Vec<Option<(String, String)>>, PolicyError> {
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

/// Puts supplied members where the item has such a setting, else among what only a create takes.
fn set(view: &mut View, members: &Object) {
    for (name, value) in members.iter() {
        let place = if view.settings.get(name).is_some() { &mut view.settings } else { &mut view.inputs };
        place.set(name, value.to_owned());
    }
}

/// Does one rewrite. Payloads are only noted: they are rewritten where they are read.
fn rewrite(entries: &mut [Entry], what: &str, transform: &Transform, recipe: &dyn Recipe) -> Result<(), PolicyError> {
    if transform.field == Field::Group {
        return rewrite_groups(entries, what, transform, recipe);
    }
    let (mut selected, mut found) = (false, false);
    for entry in entries.iter_mut().filter(|entry| entry.origin.selected(&transform.select)) {
        selected = true;
        let places = match transform.field {
            Field::Payload => {
                if entry.has_payload() {
                    found = true;
                    entry.rewrites.push((what.to_owned(), transform.clone()));
                }
                continue;
            }
            Field::Name if entry.item.key.kind() != ItemKind::Secret => 0,
            Field::Name => match rewrite_text(&entry.view.name, transform) {
                Some((name, places)) => {
                    entry.rename(&name);
                    places
                }
                None => 0,
            },
            Field::Description => member(&mut entry.view.settings, "description", transform),
            Field::Labels => member(&mut entry.view.settings, "labels", transform),
            Field::CustomMetadata => member(&mut entry.view.settings, "custom_metadata", transform),
            Field::VersionCustomMetadata => entry
                .view
                .versions
                .iter_mut()
                .flatten()
                .map(|version| every_member(&mut version.metadata, &[], transform))
                .sum(),
            Field::Settings | Field::Group => {
                let apart = ["name", "description", "labels", "custom_metadata"];
                every_member(&mut entry.view.settings, &apart, transform)
                    + every_member(&mut entry.view.inputs, &[], transform)
            }
        };
        if places > 0 {
            found = true;
            entry.effects.push(Effect { what: what.to_owned(), places });
        }
    }
    match (selected, found) {
        (false, _) => Err(PolicyError::Idle { what: what.to_owned() }),
        (true, false) => Err(PolicyError::Nothing { what: what.to_owned() }),
        (true, true) => Ok(()),
    }
}

/// Renames groups, and with them the group of every secret in them.
fn rewrite_groups(
    entries: &mut [Entry],
    what: &str,
    transform: &Transform,
    recipe: &dyn Recipe,
) -> Result<(), PolicyError> {
    let mut renamed = BTreeMap::new();
    let mut selected = false;
    for entry in entries.iter_mut().filter(|entry| {
        entry.item.key.kind() == ItemKind::Group
            && entry.origin.selected(&transform.select)
            && recipe.route(&entry.item, entry.treatment) != Route::BuiltIn
    }) {
        selected = true;
        if let Some((name, places)) = rewrite_text(&entry.view.name, transform) {
            entry.rename(&name);
            entry.effects.push(Effect { what: what.to_owned(), places });
            renamed.insert(entry.item.key.id().to_owned(), name);
        }
    }
    match (selected, renamed.is_empty()) {
        (false, _) => return Err(PolicyError::Idle { what: what.to_owned() }),
        (true, true) => return Err(PolicyError::Nothing { what: what.to_owned() }),
        (true, false) => {}
    }
    for entry in entries.iter_mut().filter(|entry| entry.item.key.kind() == ItemKind::Secret) {
        if let Some(name) = entry.view.group.as_ref().and_then(|id| renamed.get(id)) {
            entry.group = Some(name.clone());
        }
    }
    Ok(())
}

/// Rewrites the texts of one member; says in how many places.
fn member(settings: &mut Object, name: &str, transform: &Transform) -> u64 {
    let Some((text, places)) = settings.get(name).and_then(|value| rewrite_json(value.get(), transform)) else {
        return 0;
    };
    match RawValue::from_string(text.to_string()) {
        Ok(value) => {
            settings.set(name, value);
            places
        }
        Err(_) => 0,
    }
}

fn every_member(settings: &mut Object, apart: &[&str], transform: &Transform) -> u64 {
    let names: Vec<String> =
        settings.iter().map(|(name, _)| name.to_owned()).filter(|name| !apart.contains(&name.as_str())).collect();
    names.iter().map(|name| member(settings, name, transform)).sum()
}

/// A short digest over rewrites of a payload: a changed one makes another payload of the same version.
fn stamp(rewrites: &[(String, Transform)]) -> String {
    let pairs: Vec<[&str; 2]> = rewrites.iter().map(|(_, one)| [one.from.as_str(), one.to.as_str()]).collect();
    let mut digest = sha256(raw(&pairs).get().as_bytes()).to_string();
    digest.truncate(8);
    digest
}

/// Makes sure that every rewrite of payloads that was asked for finds something.
///
/// # Errors
/// When one finds nothing in any item that was asked for and that it selects.
pub(super) fn check_rewrites(planned: &[Planned<'_>], policies: &Policies) -> Result<(), PolicyError> {
    for (place, transform) in policies.transforms.iter().enumerate() {
        let what = format!("transform {}", place + 1);
        let mut tried = planned.iter().filter(|one| {
            let lost = !one.outcome.losses.is_empty() || one.outcome.conflict.is_some() || one.skip.is_some();
            !lost && one.entry.rewrites.iter().any(|(name, _)| *name == what)
        });
        let found = planned.iter().any(|one| one.effects.iter().any(|effect| effect.what == what));
        if transform.field == Field::Payload && !found && tried.next().is_some() {
            return Err(PolicyError::Nothing { what });
        }
    }
    Ok(())
}

/// Items that would meet under one name in the standby, and why each cannot be made.
///
/// The provider takes a name once per type and group, perhaps once per type: what the source has twice it may have, what
/// only a policy brings together it may not.
#[must_use]
pub(super) fn collisions(entries: &[&Entry], recipe: &dyn Recipe) -> BTreeMap<ItemKey, String> {
    let made = |entry: &&&Entry| {
        entry.item.key.kind() == ItemKind::Secret
            && matches!(recipe.route(&entry.item, entry.treatment), Route::Create(_))
    };
    let mut meeting: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(made) {
        meeting.entry((entry.view.item_type.as_str(), entry.view.name.as_str())).or_default().push(entry);
    }
    let mut found = BTreeMap::new();
    for ((item_type, name), entries) in meeting {
        for entry in &entries {
            let meets = |other: &&&Entry| {
                other.item.key != entry.item.key
                    && (other.group == entry.group || other.is_renamed() || entry.is_renamed())
            };
            let others: Vec<String> = entries.iter().filter(meets).map(|other| other.origin.in_words()).collect();
            if !others.is_empty() {
                let why = format!(
                    "it would meet {} as {item_type} `{name}` in the standby; give one of them another name with a rule \
                     (`[[rules]]`, `name`)",
                    others.join(", ")
                );
                found.insert(entry.item.key.clone(), why);
            }
        }
    }
    for entry in entries {
        if entry.view.name != entry.origin.name
            && let Some(why) = recipe.refused_name(entry.item.key.kind(), &entry.view.name)
        {
            let why = format!("the provider takes no `{}` as its name: {why}", entry.view.name);
            found.entry(entry.item.key.clone()).or_insert(why);
        }
    }
    found
}

/// Groups that become part of another one, with what to say about each.
#[must_use]
pub(super) fn merged(entries: &[&Entry], recipe: &dyn Recipe) -> BTreeMap<ItemKey, String> {
    let groups = || entries.iter().filter(|entry| entry.item.key.kind() == ItemKind::Group);
    let built_in = |entry: &Entry| recipe.route(&entry.item, entry.treatment) == Route::BuiltIn;
    let mut first: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in groups() {
        let kept = first.entry(entry.view.name.as_str()).or_insert(entry);
        // The group that keeps its name, and the one that is there already, come before one that takes the name on.
        if built_in(entry) || (entry.view.name == entry.origin.name && !built_in(kept)) {
            *kept = entry;
        }
    }
    let joins =
        |entry: &&&Entry| first.get(entry.view.name.as_str()).is_some_and(|kept| kept.item.key != entry.item.key);
    groups()
        .filter(joins)
        .map(|entry| {
            let why =
                format!("its secrets go into the group `{}`, together with those of another one", entry.view.name);
            (entry.item.key.clone(), why)
        })
        .collect()
}

impl Origin {
    fn of(view: &View, groups: &BTreeMap<String, String>) -> Self {
        Self {
            name: view.name.clone(),
            item_type: view.item_type.clone(),
            group: view.group.as_ref().and_then(|id| groups.get(id)).cloned(),
            labels: view.labels.clone(),
            is_group: view.key.kind() == ItemKind::Group,
        }
    }

    /// Whether one of the selectors means the item as it is in the source. A group is also meant by `group:GLOB`.
    #[must_use]
    pub fn selected(&self, select: &[Selector]) -> bool {
        let Self { name, item_type, group, labels, is_group } = self;
        let group = if *is_group { Some(name.as_str()) } else { group.as_deref() };
        let subject = Subject { name, item_type, group, labels };
        select.iter().any(|selector| selector.matches(&subject))
    }

    /// Group and name.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.group.as_ref().map_or_else(|| self.name.clone(), |group| format!("{group}/{}", self.name))
    }
}
