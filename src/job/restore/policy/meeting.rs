//! Name collisions caused by policies.

use std::collections::BTreeMap;

use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::{ItemKey, ItemKind};
use crate::provider::{ItemWriter, Route};

/// Returns the items whose names would collide in the standby, with reasons.
///
/// The provider accepts a name once per type and group, or possibly once per type. Names that occur twice in the source
/// are accepted; names that collide only because of a policy are not.
#[must_use]
pub(in crate::job::restore) fn collisions(
    entries: &[&SnapshotItem],
    writer: &dyn ItemWriter,
) -> BTreeMap<ItemKey, String> {
    let made =
        |entry: &&&SnapshotItem| entry.item.key.kind() == ItemKind::Secret && matches!(entry.route, Route::Create(_));
    let mut meeting: BTreeMap<(&str, &str), Vec<&SnapshotItem>> = BTreeMap::new();
    for entry in entries.iter().filter(made) {
        meeting.entry((entry.view.item_type.as_str(), entry.view.name.as_str())).or_default().push(entry);
    }
    let mut found = BTreeMap::new();
    for ((item_type, name), entries) in meeting {
        for entry in &entries {
            let meets = |other: &&&SnapshotItem| {
                other.item.key != entry.item.key
                    && (other.group == entry.group || other.is_renamed() || entry.is_renamed())
            };
            let others: Vec<String> = entries.iter().filter(meets).map(|other| other.origin.in_words()).collect();
            if !others.is_empty() {
                let why = format!(
                    "name collision with {} as {item_type} `{name}` in the standby; rename one of them with a rule \
                     (`[[rules]]`, `name`)",
                    others.join(", ")
                );
                found.insert(entry.item.key.clone(), why);
            }
        }
    }
    for entry in entries {
        if entry.view.name != entry.origin.name
            && let Some(why) = writer.refused_name(entry.item.key.kind(), &entry.view.name)
        {
            let why = format!("the provider rejects the name `{}`: {why}", entry.view.name);
            found.entry(entry.item.key.clone()).or_insert(why);
        }
    }
    found
}

/// Returns the groups that are merged into another one, with a message for each.
#[must_use]
pub(in crate::job::restore) fn merged(entries: &[&SnapshotItem]) -> BTreeMap<ItemKey, String> {
    let groups = || entries.iter().filter(|entry| entry.item.key.kind() == ItemKind::Group);
    let built_in = |entry: &SnapshotItem| entry.route == Route::BuiltIn;
    let mut first: BTreeMap<&str, &SnapshotItem> = BTreeMap::new();
    for entry in groups() {
        let kept = first.entry(entry.view.name.as_str()).or_insert(entry);
        // A group that keeps its name, or that already exists, takes precedence over one renamed to it.
        if built_in(entry) || (entry.view.name == entry.origin.name && !built_in(kept)) {
            *kept = entry;
        }
    }
    let joins = |entry: &&&SnapshotItem| {
        first.get(entry.view.name.as_str()).is_some_and(|kept| kept.item.key != entry.item.key)
    };
    groups()
        .filter(joins)
        .map(|entry| {
            let why =
                format!("its secrets go into the group `{}`, together with those of another one", entry.view.name);
            (entry.item.key.clone(), why)
        })
        .collect()
}
