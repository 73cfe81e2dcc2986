//! A snapshot in memory: its items by key, and which of them are asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::backup::Backup;
use super::error::RestoreError;
use super::options::PlanOptions;
use super::plan::Remark;
use crate::instance::standby::{Recipe, View};
use crate::model::{Item, ItemKey, ItemKind, Treatment};

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
    pub async fn load(backup: &dyn Backup, recipe: &dyn Recipe) -> Result<Self, RestoreError> {
        let items = backup.items().await?;
        let is_group = |item: &&Item| item.key.kind() == ItemKind::Group;
        let groups: BTreeMap<String, String> =
            items.iter().filter(is_group).map(|group| (group.key.id().to_owned(), group.name.clone())).collect();
        let entries = items.into_iter().map(|item| {
            let treatment = recipe.treatments(&item).first().copied().unwrap_or_default();
            let view = recipe.recast(&item, treatment);
            let group = view.group.as_ref().and_then(|id| groups.get(id)).cloned();
            (item.key.clone(), Entry { item, treatment, view, group })
        });
        Ok(Self { entries: entries.collect() })
    }

    /// An item by its key.
    #[must_use]
    pub fn get(&self, key: &ItemKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every item that is asked for, in key order: what a selector selects, and the groups of selected secrets.
    #[must_use]
    pub fn selected(&self, options: &PlanOptions) -> Vec<&Entry> {
        if options.only.is_empty() {
            return self.entries.values().collect();
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
        keys.into_iter().filter_map(|key| self.entries.get(key)).collect()
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
