//! Matches items of the snapshot with items of the standby.
//!
//! First by our mark. Then by the mark of the snapshot item itself: it was restored from the secret with that id here,
//! and this is the failback. Otherwise by (group, type, name). An item of the same type and name in another group is a
//! conflict, because the provider may accept a name only once per type.

use std::collections::BTreeMap;

use crate::model::{ItemKey, ItemKind};
use crate::provider::RestoreItem;

/// Match in the standby for a snapshot item. `T` is the caller's data for a standby item.
#[derive(Debug)]
pub enum Match<'a, T> {
    /// No match.
    Absent,
    /// The matching item.
    Found(&'a T),
    /// The item of another type from which the snapshot's item was made, and which has not changed since: nothing to
    /// restore. The reason, as a sentence fragment.
    Origin(String),
    /// A conflicting item; the reason, as a sentence fragment.
    Conflict(String),
}

/// Searchable index of the items of a standby.
#[derive(Debug)]
pub struct StandbyIndex<T> {
    items: Vec<(RestoreItem, T)>,
    by_key: BTreeMap<ItemKey, usize>,
    by_mark: BTreeMap<String, Vec<usize>>,
    by_name: BTreeMap<(ItemKind, String, String), Vec<usize>>,
    /// Group ids by name.
    groups: BTreeMap<String, String>,
}

impl<T> StandbyIndex<T> {
    /// Creates the index.
    pub fn new(items: impl IntoIterator<Item = (RestoreItem, T)>) -> Self {
        let mut inventory = Self {
            items: Vec::new(),
            by_key: BTreeMap::new(),
            by_mark: BTreeMap::new(),
            by_name: BTreeMap::new(),
            groups: BTreeMap::new(),
        };
        for (view, item) in items {
            inventory.add(view, item);
        }
        inventory
    }

    fn add(&mut self, view: RestoreItem, item: T) {
        let place = self.items.len();
        self.by_key.insert(view.key.clone(), place);
        if let Some(mark) = &view.mark {
            self.by_mark.entry(mark.source.clone()).or_default().push(place);
        }
        if view.key.kind() == ItemKind::Group {
            self.groups.insert(view.name.clone(), view.key.id().to_owned());
        }
        let name = (view.key.kind(), view.item_type.clone(), view.name.clone());
        self.by_name.entry(name).or_default().push(place);
        self.items.push((view, item));
    }

    /// Returns every item.
    pub fn iter(&self) -> impl Iterator<Item = (&RestoreItem, &T)> {
        self.items.iter().map(|(view, item)| (view, item))
    }

    /// Returns an item by its key in the standby.
    #[must_use]
    pub fn get(&self, key: &ItemKey) -> Option<&T> {
        self.items.get(*self.by_key.get(key)?).map(|(_, item)| item)
    }

    /// Returns an item's view by its key in the standby.
    #[must_use]
    pub fn view(&self, key: &ItemKey) -> Option<&RestoreItem> {
        self.items.get(*self.by_key.get(key)?).map(|(view, _)| view)
    }

    /// Returns all items of that kind, type and name, in any group.
    pub fn named(&self, want: &RestoreItem) -> Vec<&RestoreItem> {
        let key = (want.key.kind(), want.item_type.clone(), want.name.clone());
        let places = self.by_name.get(&key).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.items.get(*place)).map(|(view, _)| view).collect()
    }

    /// Returns group ids by group name.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<String, String> {
        &self.groups
    }

    /// Finds the match for an item of the snapshot. `group` is the name of its group in the standby.
    #[must_use]
    pub fn find(&self, want: &RestoreItem, group: Option<&str>) -> Match<'_, (RestoreItem, T)> {
        let group_id = group.and_then(|name| self.groups.get(name));
        if want.key.kind() == ItemKind::Secret {
            let marked = self.by_mark.get(want.key.id()).map_or(&[][..], Vec::as_slice);
            match *marked {
                [] => {}
                [one] => return self.checked(one, want, group_id, "the secret that carries its mark"),
                _ => return Match::Conflict(format!("{} secrets of the standby carry its mark", marked.len())),
            }
        }
        if let Some(origin) = want.mark.as_ref().and_then(|mark| ItemKey::new(ItemKind::Secret, &mark.source).ok())
            && let Some(&place) = self.by_key.get(&origin)
        {
            match self.made_from(place, want) {
                None => {}
                Some(Match::Absent) => {
                    return self.checked(place, want, group_id, "the secret that it was restored from");
                }
                Some(other) => return other,
            }
        }
        let key = (want.key.kind(), want.item_type.clone(), want.name.clone());
        let named = self.by_name.get(&key).map_or(&[][..], Vec::as_slice);
        let here = |place: &&usize| {
            want.key.kind() != ItemKind::Secret
                || self.items.get(**place).is_some_and(|(view, _)| view.group.as_ref() == group_id)
        };
        match (named.iter().find(here), named.first()) {
            (Some(&place), _) => self.items.get(place).map_or(Match::Absent, Match::Found),
            (None, Some(_)) => Match::Conflict(format!(
                "the standby has a secret of this type and name in another group; rename or delete that one{}",
                group.map(|group| format!(", or move it to {group}")).unwrap_or_default()
            )),
            (None, None) => Match::Absent,
        }
    }

    /// Decides about a converted secret on failback: its origin accepts no version from outside. `Absent` if the secret
    /// was not converted; `None` if it has another name and may exist next to its origin.
    fn made_from(&self, place: usize, want: &RestoreItem) -> Option<Match<'_, (RestoreItem, T)>> {
        let (origin, _) = self.items.get(place)?;
        if origin.item_type == want.item_type {
            return Some(Match::Absent);
        }
        if origin.name != want.name {
            return None;
        }
        let from = format!("it was made from the {} of that name, which is there", origin.item_type);
        let unchanged = want.mark.as_ref().is_some_and(|mark| Some(mark.versions) == want.versions_total);
        Some(if unchanged {
            Match::Origin(format!("{from}, and has had no version since"))
        } else {
            Match::Conflict(format!(
                "{from} and takes no version from outside; give this one another name with a rule (`[[rules]]`, `name`), \
                 or leave it out"
            ))
        })
    }

    /// Returns an item that a mark names, or a conflict if type or group differ. `what` is its description in messages.
    fn checked(
        &self,
        place: usize,
        want: &RestoreItem,
        group_id: Option<&String>,
        what: &str,
    ) -> Match<'_, (RestoreItem, T)> {
        let Some(found) = self.items.get(place) else { return Match::Absent };
        if found.0.item_type != want.item_type {
            return Match::Conflict(format!("{what} is of type {}", found.0.item_type));
        }
        if found.0.group.as_ref() != group_id {
            return Match::Conflict(format!("{what} is in another group"));
        }
        Match::Found(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;
    use crate::provider::RestoreMark;

    fn view(key: &str, item_type: &str, name: &str, group: Option<&str>, mark: Option<&str>) -> RestoreItem {
        RestoreItem {
            group: group.map(Into::into),
            mark: mark.map(|source| RestoreMark {
                source: source.into(),
                version: "v".into(),
                versions: 1,
                details: String::new(),
                snapshot: Digest::from_bytes([0; 32]),
                held: None,
            }),
            ..RestoreItem::new(key.parse().unwrap(), name, item_type, 0)
        }
    }

    fn standby(secrets: &[(&str, &str, &str, Option<&str>)]) -> StandbyIndex<()> {
        let group = |id: &str, name: &str| (view(&format!("group/{id}"), "group", name, None, None), ());
        let secrets = secrets
            .iter()
            .enumerate()
            .map(|(n, (group, kind, name, mark))| (view(&format!("secret/{n}"), kind, name, Some(group), *mark), ()));
        StandbyIndex::new([group("g1", "prod"), group("g2", "test")].into_iter().chain(secrets))
    }

    fn found(inventory: &StandbyIndex<()>, want: &RestoreItem) -> Option<String> {
        match inventory.find(want, Some("prod")) {
            Match::Found((view, ())) => Some(view.key.id().to_owned()),
            Match::Absent => None,
            Match::Origin(why) | Match::Conflict(why) => Some(why),
        }
    }

    #[test]
    fn the_mark_counts_before_the_name() {
        let want = view("secret/old", "kv", "a", Some("x"), None);
        let inventory = standby(&[("g1", "kv", "a", None), ("g1", "kv", "renamed", Some("old"))]);
        assert_eq!(found(&inventory, &want).as_deref(), Some("1"));
        let inventory = standby(&[("g1", "kv", "a", None), ("g1", "arbitrary", "a", None)]);
        assert_eq!(found(&inventory, &want).as_deref(), Some("0"));
        assert_eq!(found(&standby(&[("g1", "arbitrary", "a", None)]), &want), None, "another type is another secret");
    }

    #[test]
    fn on_the_way_back_the_mark_of_the_snapshot_names_the_secret() {
        // Secret "copy" was restored from secret 0. It was renamed since, and another secret has its old name here.
        let want = view("secret/copy", "kv", "a", Some("x"), Some("0"));
        let inventory = standby(&[("g1", "kv", "before", None), ("g1", "kv", "a", None)]);
        assert_eq!(found(&inventory, &want).as_deref(), Some("0"));
        let elsewhere = standby(&[("g2", "kv", "before", None)]);
        assert!(found(&elsewhere, &want).unwrap().contains("restored from is in another group"));
        let gone = view("secret/copy", "kv", "a", Some("x"), Some("7"));
        assert_eq!(found(&inventory, &gone).as_deref(), Some("1"), "by name, when that secret is gone");
    }

    #[test]
    fn what_is_in_the_way_is_said() {
        let want = view("secret/old", "kv", "a", Some("x"), None);
        let says = |secrets: &[_], words: &str| {
            let text = found(&standby(secrets), &want).unwrap();
            assert!(text.contains(words), "{text}");
        };
        says(&[("g2", "kv", "a", None)], "in another group");
        says(&[("g2", "kv", "b", Some("old"))], "in another group");
        says(&[("g1", "arbitrary", "b", Some("old"))], "of type arbitrary");
        says(&[("g1", "kv", "a", Some("old")), ("g1", "kv", "b", Some("old"))], "2 secrets");
    }
}
