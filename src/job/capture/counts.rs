//! Item counts of a snapshot.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::reuse::ItemShare;
use crate::model::{Item, ItemKey};

/// Name of the document with the metadata of an item's versions.
const VERSIONS: &str = "versions";
/// Name of the document with an item's locks.
const LOCKS: &str = "locks";

/// Returns an item's share of the counts.
pub(super) fn tally(item: &Item) -> ItemShare {
    ItemShare { class: item.class.clone(), versions: entries(item, VERSIONS), locks: entries(item, LOCKS) }
}

fn entries(item: &Item, doc: &str) -> u16 {
    let list = item.docs.get(doc).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
    list.map_or(0, |list| list.len().try_into().unwrap_or(u16::MAX))
}

/// Running counts of a snapshot.
#[derive(Debug, Default)]
pub(super) struct RunningCounts {
    /// Items by kind, including the versions and locks of secrets.
    pub(super) kinds: BTreeMap<String, u64>,
    /// Items by class.
    pub(super) classes: BTreeMap<String, u64>,
}

impl RunningCounts {
    /// Adds an item.
    pub(super) fn add(&mut self, key: &ItemKey, tally: &ItemShare) {
        for (word, count) in
            [(key.kind_word(), 1), ("version", u64::from(tally.versions)), ("lock", u64::from(tally.locks))]
        {
            if count > 0 {
                *self.kinds.entry(word.to_owned()).or_default() += count;
            }
        }
        *self.classes.entry(tally.class.as_str().to_owned()).or_default() += 1;
    }
}
