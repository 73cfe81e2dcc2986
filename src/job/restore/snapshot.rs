//! A snapshot in memory: its items by key, and which of them are asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::backup::Backup;
use super::error::RestoreError;
use super::goal::Goal;
use super::options::PlanOptions;
use super::plan::Remark;
use crate::instance::standby::reference::reference;
use crate::instance::standby::{Names, Recipe, View};
use crate::model::{Item, ItemKey, ItemKind, Timestamp, Treatment};

/// An item of the snapshot with its common view.
#[derive(Debug)]
pub struct Entry {
    /// The item as the catalogue has it.
    pub item: Item,
    /// How it is brought back.
    pub treatment: Treatment,
    /// What it becomes in the standby, in common terms.
    pub view: View,
    /// The name of its group, for secrets whose group the snapshot has.
    pub group: Option<String>,
}

impl Entry {
    /// What comes of a secret, worked out for the time `now`.
    ///
    /// # Errors
    /// When nothing of it can be brought back: why, as a fragment.
    pub fn goal(&self, now: Timestamp) -> Result<Goal, String> {
        match self.treatment {
            Treatment::Reissue => Ok(Goal::reissued(&self.view)),
            _ => Goal::new(&self.item, &self.view, now),
        }
    }

    /// The text that stands for the item wherever its id is meant.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(self.item.key.kind(), &self.view.item_type, self.group.as_deref(), &self.view.name)
    }

    /// Says something about the item.
    #[must_use]
    pub fn remark(&self, reason: impl Into<String>) -> Remark {
        Remark {
            key: self.item.key.clone(),
            name: self.view.name.clone(),
            item_type: self.view.item_type.clone(),
            group: self.group.clone(),
            reason: reason.into(),
        }
    }
}

/// How an item is brought back.
fn treatment(item: &Item, recipe: &dyn Recipe, options: &PlanOptions) -> Treatment {
    let allowed = recipe.treatments(item);
    let external = options.sign_with_source && allowed.contains(&Treatment::External);
    if external { Treatment::External } else { allowed.first().copied().unwrap_or_default() }
}

/// All items of a snapshot.
#[derive(Debug)]
pub struct Snapshot {
    entries: BTreeMap<ItemKey, Entry>,
}

impl Snapshot {
    /// Reads the whole inventory.
    ///
    /// # Errors
    /// When the backup cannot be read.
    pub async fn load(backup: &dyn Backup, recipe: &dyn Recipe, options: &PlanOptions) -> Result<Self, RestoreError> {
        let items = backup.items().await?;
        let is_group = |item: &&Item| item.key.kind() == ItemKind::Group;
        let groups: BTreeMap<String, String> =
            items.iter().filter(is_group).map(|group| (group.key.id().to_owned(), group.name.clone())).collect();
        let entries = items.into_iter().map(|item| {
            let treatment = treatment(&item, recipe, options);
            let view = recipe.recast(&item, treatment);
            let group = view.group.as_ref().and_then(|id| groups.get(id)).cloned();
            (item.key.clone(), Entry { item, treatment, view, group })
        });
        let mut entries: BTreeMap<ItemKey, Entry> = entries.collect();
        let names = Names::of(entries.values().map(|entry| &entry.view), |id| groups.get(id).cloned());
        for entry in entries.values_mut() {
            recipe.name_references(&mut entry.view, &names);
        }
        Ok(Self { entries })
    }

    /// Every item, in key order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The authority of the source that signed this one, when it shall sign that of the standby too.
    #[must_use]
    pub fn signer(&self, entry: &Entry, recipe: &dyn Recipe, options: &PlanOptions) -> Option<ItemKey> {
        if !options.sign_with_source || entry.treatment != Treatment::External {
            return None;
        }
        // What it becomes names no issuer; what it was does.
        recipe.issuers(&recipe.view(&entry.item)).into_iter().find(|key| self.entries.contains_key(key))
    }

    /// An item by its key.
    #[must_use]
    pub fn get(&self, key: &ItemKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every item that is asked for, in key order: what a selector selects, and the groups of selected secrets.
    #[must_use]
    pub fn selected(&self, options: &PlanOptions) -> Vec<&Entry> {
        let in_scope = |entry: &&Entry| options.scope.has(entry.item.key.kind());
        if options.only.is_empty() {
            return self.entries.values().filter(in_scope).collect();
        }
        let picked = |entry: &&Entry| {
            options.only.iter().any(|selector| match entry.item.key.kind() {
                ItemKind::Group => selector.selects_group(&entry.view.name),
                _ => selector.selects(&entry.view, entry.group.as_deref()),
            })
        };
        let mut keys: BTreeSet<&ItemKey> = self.entries.values().filter(picked).map(|entry| &entry.item.key).collect();
        let groups: BTreeSet<&str> =
            keys.iter().filter_map(|key| self.entries.get(*key)?.view.group.as_deref()).collect();
        let of_secrets = |key: &&ItemKey| key.kind() == ItemKind::Group && groups.contains(key.id());
        keys.extend(self.entries.keys().filter(of_secrets));
        keys.into_iter().filter_map(|key| self.entries.get(key)).filter(in_scope).collect()
    }

    /// An item that another instance can only have when it is this one: not the group that every instance has, and
    /// nothing whose id is its name.
    pub fn telling_keys(&self, recipe: &dyn Recipe) -> BTreeSet<&ItemKey> {
        let telling = |entry: &&Entry| match entry.item.key.kind() {
            ItemKind::Secret => true,
            ItemKind::Group => recipe.route(&entry.item, entry.treatment) != crate::instance::standby::Route::BuiltIn,
            ItemKind::Configuration | ItemKind::Registration => false,
        };
        self.entries.values().filter(telling).map(|entry| &entry.item.key).collect()
    }
}
