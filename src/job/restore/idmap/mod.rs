//! Map of old ids to new ids, in several output formats.
//!
//! Everything here is pure and returns text or data; the caller writes the file.

use serde::{Deserialize, Serialize};

use super::assemble::Planned;
use super::goal::source_version;
use super::known::StandbyItem;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::ItemKey;
use crate::provider::InstanceInventory;

mod csv;
pub mod external_secrets;
mod terraform;

/// Mapping of source items to standby items.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// Full name of the source.
    pub source: String,
    /// Full name of the standby; `None` if it shows none.
    pub standby: Option<String>,
    /// True if the run completed. Otherwise the map holds the items known to exist when it stopped.
    #[serde(default = "whole")]
    pub complete: bool,
    /// One mapping for each item that exists in both, in key order.
    pub items: Vec<Mapping>,
}

/// Mapping of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Key in the source.
    pub key: ItemKey,
    /// Type in the standby.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Type in the source, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_type: Option<String>,
    /// Name in the standby.
    pub name: String,
    /// Group name in the standby, for secrets.
    pub group: Option<String>,
    /// Name in the source, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_name: Option<String>,
    /// Group name in the source, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_group: Option<String>,
    /// Id in the source.
    pub old_id: String,
    /// Id in the standby.
    pub new_id: String,
    /// Versions, newest first.
    pub versions: Vec<VersionMapping>,
    /// Terraform resource: its type, and the id for `import`.
    pub terraform: Option<(String, String)>,
}

/// Mapping of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMapping {
    /// Id in the source.
    pub old_id: String,
    /// Id in the standby.
    pub new_id: String,
}

impl IdMap {
    /// Returns the map of all items found in the standby.
    #[must_use]
    pub fn of(planned: &[Planned<'_>], instance: &dyn InstanceInventory, source: &str, standby: Option<&str>) -> Self {
        let found = planned.iter().filter_map(|one| {
            let (known, target) = (one.known.as_ref()?, one.target.as_ref()?);
            let versions = versions_of(known);
            Some(MappedItem { entry: one.entry, new_id: target.id(), versions: &versions }.mapping(instance, standby))
        });
        Self::sorted(found.collect(), source, standby, true)
    }

    /// Returns the map of items known to exist when a run stops early.
    #[must_use]
    pub fn so_far(
        found: &[MappedItem<'_>],
        instance: &dyn InstanceInventory,
        source: &str,
        standby: Option<&str>,
    ) -> Self {
        Self::sorted(found.iter().map(|one| one.mapping(instance, standby)).collect(), source, standby, false)
    }

    fn sorted(mut items: Vec<Mapping>, source: &str, standby: Option<&str>, complete: bool) -> Self {
        items.sort_by(|a, b| a.key.cmp(&b.key));
        Self { source: source.to_owned(), standby: standby.map(ToOwned::to_owned), complete, items }
    }
}

/// Default of [`IdMap::complete`]: maps without the member were written at the end of a run.
fn whole() -> bool {
    true
}

/// An item that exists in both instances.
#[derive(Debug, Clone, Copy)]
pub struct MappedItem<'a> {
    /// Item of the snapshot.
    pub entry: &'a SnapshotItem,
    /// Id in the standby.
    pub new_id: &'a str,
    /// Standby versions and the source versions that they hold, newest first.
    pub versions: &'a [VersionMapping],
}

impl MappedItem<'_> {
    fn mapping(self, instance: &dyn InstanceInventory, standby: Option<&str>) -> Mapping {
        let view = &self.entry.view;
        let terraform = standby.and_then(|name| instance.terraform(name, &view.key, &view.item_type, self.new_id));
        let old_type = &self.entry.item.item_type;
        let origin = &self.entry.origin;
        Mapping {
            key: self.entry.item.key.clone(),
            item_type: view.item_type.clone(),
            old_type: (*old_type != view.item_type).then(|| old_type.clone()),
            name: view.name.clone(),
            group: self.entry.group.clone(),
            old_name: (origin.name != view.name).then(|| origin.name.clone()),
            old_group: origin.group.clone().filter(|_| origin.group != self.entry.group),
            old_id: self.entry.item.key.id().to_owned(),
            new_id: self.new_id.to_owned(),
            versions: self.versions.to_vec(),
            terraform: terraform.map(|resource| (resource.resource.to_owned(), resource.id)),
        }
    }
}

/// Returns the versions of an item that was compared, newest first.
fn versions_of(known: &StandbyItem) -> Vec<VersionMapping> {
    let places = known.view.newest.iter().cloned();
    let looked = known.view.versions.iter().flatten().rev().map(|version| version.id.clone());
    let ids: Vec<String> = if known.view.versions.is_some() { looked.collect() } else { places.collect() };
    let pair = |new: String| {
        let old_id = source_version(known.sources.get(&new)?).to_owned();
        Some(VersionMapping { old_id, new_id: new })
    };
    ids.into_iter().filter_map(pair).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a map of secrets whose resource names collide in every way.
    pub(super) fn map() -> IdMap {
        let item = |number: u32, name: &str, group: Option<&str>| Mapping {
            key: format!("secret/{number}").parse().unwrap(),
            item_type: "kv".into(),
            old_type: None,
            name: name.into(),
            group: group.map(Into::into),
            old_name: None,
            old_group: None,
            old_id: format!("o{number}"),
            new_id: format!("n{number}"),
            versions: vec![VersionMapping { old_id: format!("vo{number}"), new_id: format!("vn{number}") }],
            terraform: Some(("sm_kv_secret".into(), format!("eu-gb/i/{name}"))),
        };
        let items = vec![
            item(1, "a.b", Some("1st")),
            item(2, "a-b", Some("1st")),
            item(3, "a_b_2", Some("1st")),
            item(4, "=x,\"y\"", None),
        ];
        IdMap { source: "fake:a".into(), standby: None, complete: true, items }
    }

    #[test]
    fn a_map_comes_back_from_its_file_and_one_of_an_earlier_release_does_too() {
        let text = serde_json::to_string(&map()).unwrap();
        assert_eq!(serde_json::from_str::<IdMap>(&text).unwrap(), map());
        let earlier = text.replace(",\"complete\":true", "");
        assert_ne!(earlier, text);
        assert!(serde_json::from_str::<IdMap>(&earlier).unwrap().complete, "they were only written whole");
    }
}
