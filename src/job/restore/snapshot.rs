//! A snapshot in memory: its items by key, and the selection for a restore.

use std::collections::{BTreeMap, BTreeSet};

use super::backup::Backup;
use super::error::RestoreError;
use super::options::{PlanOptions, Selector};
use super::policy;
use super::snapshot_item::SnapshotItem;
use crate::model::{Item, ItemKey, ItemKind, Treatment};
use crate::provider::{ItemConverter, ReferenceNames, Route};

/// All items of a snapshot.
#[derive(Debug)]
pub struct SnapshotItems {
    entries: BTreeMap<ItemKey, SnapshotItem>,
}

impl SnapshotItems {
    /// Reads the whole inventory.
    ///
    /// # Errors
    /// If the backup cannot be read, or a policy cannot be applied.
    pub async fn load(
        backup: &dyn Backup,
        converter: &dyn ItemConverter,
        options: &PlanOptions,
    ) -> Result<Self, RestoreError> {
        let items = backup.items().await?;
        let is_group = |item: &&Item| item.key.kind() == ItemKind::Group;
        let groups: BTreeMap<String, String> =
            items.iter().filter(is_group).map(|group| (group.key.id().to_owned(), group.name.clone())).collect();
        let mut entries = policy::resolve(items, &groups, converter, &options.policies, options.sign_with_source)?;
        let of_group = |entry: &&SnapshotItem| entry.item.key.kind() == ItemKind::Group;
        let renamed: BTreeMap<String, String> = entries
            .values()
            .filter(of_group)
            .map(|entry| (entry.item.key.id().to_owned(), entry.view.name.clone()))
            .collect();
        let names = ReferenceNames::of(entries.values().map(|entry| &entry.view), |id| renamed.get(id).cloned());
        for entry in entries.values_mut() {
            converter.name_references(&mut entry.view, &names);
        }
        Ok(Self { entries })
    }

    /// Returns every item, in key order.
    pub fn entries(&self) -> impl Iterator<Item = &SnapshotItem> {
        self.entries.values()
    }

    /// Returns the source authority that signed this one, if it should also sign the standby's.
    #[must_use]
    pub fn signer(
        &self,
        entry: &SnapshotItem,
        converter: &dyn ItemConverter,
        options: &PlanOptions,
    ) -> Option<ItemKey> {
        if !options.sign_with_source || entry.treatment != Treatment::External {
            return None;
        }
        // The converted item names no issuer; the original does.
        converter.issuers(&converter.describe(&entry.item)).into_iter().find(|key| self.entries.contains_key(key))
    }

    /// Returns an item by its key.
    #[must_use]
    pub fn get(&self, key: &ItemKey) -> Option<&SnapshotItem> {
        self.entries.get(key)
    }

    /// Returns the items to restore, in key order: items matched by a selector (as in the source, or as converted), the
    /// groups of selected secrets, and the dependencies of selected items. Excluded items are never returned.
    #[must_use]
    pub fn selected(&self, options: &PlanOptions, converter: &dyn ItemConverter) -> Vec<&SnapshotItem> {
        let in_scope = |entry: &&SnapshotItem| options.scope.has(entry.item.key.kind());
        let excluded = |entry: &&SnapshotItem| options.exclude.iter().any(|selector| selects(selector, entry));
        let asked_for = |entry: &&SnapshotItem| in_scope(entry) && !excluded(entry);
        if options.only.is_empty() {
            return self.entries.values().filter(asked_for).collect();
        }
        let picked = |entry: &&SnapshotItem| options.only.iter().any(|selector| selects(selector, entry));
        let mut keys: BTreeSet<&ItemKey> =
            self.entries.values().filter(picked).filter(asked_for).map(|entry| &entry.item.key).collect();
        self.add_needs(&mut keys, converter);
        keys.into_iter().filter_map(|key| self.entries.get(key)).filter(asked_for).collect()
    }

    /// Adds the dependencies of the items recursively: referenced items, and the groups of all of them.
    fn add_needs<'s>(&'s self, keys: &mut BTreeSet<&'s ItemKey>, converter: &dyn ItemConverter) {
        let by_reference: BTreeMap<String, &ItemKey> =
            self.entries.values().map(|entry| (entry.reference(), &entry.item.key)).collect();
        let by_id: BTreeMap<&str, &ItemKey> = self
            .entries
            .values()
            .filter(|entry| entry.item.key.kind() == ItemKind::Group)
            .map(|entry| (entry.item.key.id(), &entry.item.key))
            .collect();
        let mut left: Vec<&ItemKey> = keys.iter().copied().collect();
        while let Some(key) = left.pop() {
            let Some(entry) = self.entries.get(key) else { continue };
            let group = entry.view.group.as_deref().and_then(|id| by_id.get(id).copied());
            let made = matches!(entry.route, Route::Create(_));
            let needs = if made { converter.needs(&entry.view) } else { Vec::new() };
            let needed = needs
                .iter()
                .filter_map(|need| need.any_of.iter().find_map(|reference| by_reference.get(reference).copied()));
            for key in group.into_iter().chain(needed) {
                if keys.insert(key) {
                    left.push(key);
                }
            }
        }
    }

    /// Returns the keys that identify this instance: not the group that every instance has, and no item whose id is its
    /// name.
    pub fn telling_keys(&self) -> BTreeSet<&ItemKey> {
        let telling = |entry: &&SnapshotItem| match entry.item.key.kind() {
            ItemKind::Secret => true,
            ItemKind::Group => entry.route != Route::BuiltIn,
            ItemKind::Configuration | ItemKind::Registration | ItemKind::Other => false,
        };
        self.entries.values().filter(telling).map(|entry| &entry.item.key).collect()
    }
}

/// Returns true if a command-line selector matches the item, as it is in the source or as converted. A group matches
/// only by its own prefix, so that a glob over names does not include unneeded groups.
fn selects(selector: &Selector, entry: &SnapshotItem) -> bool {
    if entry.item.key.kind() == ItemKind::Group {
        return selector.selects_group(&entry.origin.name) || selector.selects_group(&entry.view.name);
    }
    entry.origin.selected(std::slice::from_ref(selector)) || selector.selects(&entry.view, entry.group.as_deref())
}
