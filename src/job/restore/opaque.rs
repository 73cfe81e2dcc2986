//! Detects source ids in fields that only users understand: reported, never rewritten.

use std::collections::BTreeMap;

use crate::job::restore::snapshot_item::SnapshotItem;
use crate::provider::RestoreItem;

/// Minimum length of an id; shorter ones cannot be told from ordinary words.
const SHORTEST_ID: usize = 8;

/// Ids of a snapshot's secrets, groups and versions, with a description of each.
#[derive(Debug, Default)]
pub struct Ids(BTreeMap<String, String>);

impl Ids {
    /// Collects the ids.
    #[must_use]
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e SnapshotItem>) -> Self {
        let mut ids = BTreeMap::new();
        for entry in entries {
            let what = match &entry.group {
                Some(group) => format!("{} {group}/{}", entry.item.key.kind(), entry.view.name),
                None => format!("{} {}", entry.item.key.kind(), entry.view.name),
            };
            for version in entry.view.versions.iter().flatten() {
                ids.insert(version.id.clone(), format!("a version of the {what}"));
            }
            ids.insert(entry.item.key.id().to_owned(), format!("the {what}"));
        }
        ids.retain(|id, _| id.len() >= SHORTEST_ID);
        Self(ids)
    }

    /// Returns where an item contains source ids, as sentence fragments.
    #[must_use]
    pub fn notes(&self, view: &RestoreItem) -> Vec<String> {
        let mut places: Vec<(&str, String)> = Vec::new();
        if let Some(metadata) = view.settings.get("custom_metadata") {
            places.push(("custom_metadata", metadata.get().to_owned()));
        }
        places.push(("labels", view.labels.join(" ")));
        let versions = view.versions.iter().flatten().map(|version| version.metadata.to_raw());
        places.extend(versions.map(|metadata| ("version_custom_metadata", metadata.get().to_owned())));
        let locks = view.locks.iter().flatten().map(|lock| lock.settings.to_raw());
        places.extend(locks.map(|settings| ("the attributes of a lock", settings.get().to_owned())));
        let mut notes = Vec::new();
        for (place, text) in places {
            for (id, what) in self.found(&text) {
                let note = format!("{place} names {id}, in the source {what}; it is not rewritten, see the id map");
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
        notes
    }

    fn found<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a String, &'a String)> {
        let word = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
        text.split(word).filter(|word| word.len() >= SHORTEST_ID).filter_map(|word| self.0.get_key_value(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::fake::FakeConverter;
    use crate::job::restore::goal::tests::item;
    use crate::provider::ItemConverter;

    #[test]
    fn ids_are_found_as_whole_words_wherever_users_put_them() {
        let id = "0f6a1c9e-1111-4a4a-8c8c-000000000001";
        let ids = Ids(BTreeMap::from([(id.to_owned(), "the secret prod/db".to_owned())]));
        let row = format!(r#"{{"custom_metadata":{{"peer":"fake:x:secret:{id}","n":1}},"labels":["x{id}","{id}"]}}"#);
        let locks = format!(r#"[{{"name":"a","on":"v","why":{{"of":"{id}"}}}}]"#);
        let notes = ids.notes(&FakeConverter.describe(&item(&[("row", &row), ("locks", &locks)], &["v"])));
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].starts_with("custom_metadata") && notes[0].contains("prod/db"), "{notes:?}");
        let other = item(&[("row", r#"{"labels":["x0f6a1c9e-1111-4a4a-8c8c-000000000001"]}"#)], &["v"]);
        assert!(ids.notes(&FakeConverter.describe(&other)).is_empty(), "part of a longer word is no id");
    }
}
