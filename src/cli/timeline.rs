//! One item through all kept snapshots.

use std::collections::HashMap;
use std::sync::Arc;

use super::failure::Failure;
use super::inventory::{GroupNames, is_called};
use super::snapshot::OpenedSnapshot;
use crate::crypto::Identities;
use crate::format::snapshot::PartRef;
use crate::model::json::JsonObject;
use crate::model::{Digest, Item, Slot, Timestamp};
use crate::repository::Repository;

/// An item and every version of it that some snapshot saw.
#[derive(Debug)]
pub(super) struct Timeline {
    /// As the newest snapshot that has it shows it.
    pub(super) item: Item,
    /// Sequence of the first snapshot that has it.
    pub(super) first_seen: u64,
    /// Sequence of the last one.
    pub(super) last_seen: u64,
    /// Its versions, newest first.
    pub(super) versions: Vec<VersionHistory>,
}

/// A version as the snapshots saw it.
#[derive(Debug)]
pub(super) struct VersionHistory {
    pub(super) slot: Slot,
    pub(super) created_at: Option<String>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) last_time: Timestamp,
    /// The newest pack with its payload; `None` when no snapshot kept it.
    pub(super) pack: Option<Digest>,
}

/// Follows the item that is called `name`. Each part of a catalogue is opened once, however many snapshots share it.
///
/// # Errors
/// When no snapshot has such an item, several items are called so, or a catalogue cannot be read.
pub(super) async fn read(
    repository: &Repository,
    keys: &Arc<Identities>,
    snapshots: &[OpenedSnapshot],
    name: &str,
) -> Result<Timeline, Failure> {
    let mut parts: HashMap<Digest, Arc<Vec<Item>>> = HashMap::new();
    let mut sightings: Vec<(u64, Timestamp, Item)> = Vec::new();
    // Groups lie in the first parts, so the names are known before the secrets come.
    let mut groups = GroupNames::default();
    for snapshot in snapshots {
        for part in &snapshot.event.parts {
            let items = open(repository, keys, part, &mut parts, &mut groups, name).await?;
            let found = items.iter().filter(|item| is_called(item, &groups, name));
            sightings.extend(found.map(|item| (snapshot.entry.sequence, snapshot.event.time, item.clone())));
        }
    }
    timeline(&sightings, name)
}

/// The items of a part that may be meant: those that are called so, with or without the name of their group.
async fn open(
    repository: &Repository,
    keys: &Arc<Identities>,
    part: &PartRef,
    parts: &mut HashMap<Digest, Arc<Vec<Item>>>,
    groups: &mut GroupNames,
    name: &str,
) -> Result<Arc<Vec<Item>>, Failure> {
    if let Some(items) = parts.get(&part.digest) {
        return Ok(Arc::clone(items));
    }
    let mut items = repository.open_part(part, keys).await?;
    for item in &items {
        groups.learn(item);
    }
    items.retain(|item| is_called(item, groups, name));
    let items = Arc::new(items);
    parts.insert(part.digest, Arc::clone(&items));
    Ok(items)
}

fn timeline(sightings: &[(u64, Timestamp, Item)], name: &str) -> Result<Timeline, Failure> {
    let Some((last_seen, _, newest)) = sightings.last().cloned() else {
        return Err(Failure::usage(format!("no kept snapshot has an item called `{name}`"))
            .hinted("`keyhaven ls` lists what the newest one has; an item can be named by name, GROUP/NAME or id"));
    };
    if let Some((_, _, other)) = sightings.iter().find(|(_, _, item)| item.key != newest.key) {
        return Err(Failure::usage(format!("several items are called `{name}`: {} and {}", newest.key, other.key))
            .hinted("give the key of the one that you mean"));
    }
    let first_seen = sightings.first().map_or(last_seen, |(sequence, ..)| *sequence);
    let mut versions: Vec<VersionHistory> = Vec::new();
    for (sequence, time, item) in sightings.iter().rev() {
        for (slot, created_at) in slots(item) {
            let pack = item.payloads.iter().find(|pointer| pointer.version == slot).map(|pointer| pointer.pack);
            match versions.iter_mut().find(|version| version.slot == slot) {
                Some(version) => {
                    version.first = *sequence;
                    version.pack = version.pack.or(pack);
                }
                None => {
                    let (first, last) = (*sequence, *sequence);
                    versions.push(VersionHistory { slot, created_at, first, last, last_time: *time, pack });
                }
            }
        }
    }
    Ok(Timeline { item: newest, first_seen, last_seen, versions })
}

/// The versions of an item, newest first, with their creation time where the provider shows it.
///
/// The order of the provider's list is not documented, and two versions may be of one moment: the alias decides, then
/// the time.
fn slots(item: &Item) -> Vec<(Slot, Option<String>)> {
    let listed = item.docs.get("versions").and_then(|versions| crate::model::json::as_array(versions));
    let mut slots: Vec<(u8, Option<Timestamp>, Slot, Option<String>)> = listed
        .unwrap_or_default()
        .iter()
        .filter_map(|version| JsonObject::parse(version.get()).ok())
        .filter_map(|version| {
            let rank = match version.str("alias").as_deref() {
                Some("current") => 2,
                Some("previous") => 1,
                _ => 0,
            };
            let created = version.str("created_at");
            let time = created.as_deref().and_then(|text| text.parse().ok());
            Some((rank, time, Slot::new(&version.str("id")?)?, created))
        })
        .collect();
    slots.sort_by_key(|(rank, time, ..)| std::cmp::Reverse((*rank, *time)));
    let mut slots: Vec<(Slot, Option<String>)> =
        slots.into_iter().map(|(_, _, slot, created)| (slot, created)).collect();
    for pointer in &item.payloads {
        if !slots.iter().any(|(slot, _)| *slot == pointer.version) {
            slots.push((pointer.version.clone(), None));
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ItemKey, ItemKind, Pointer, Restorability};

    fn sighting(sequence: u64, id: &str, versions: &[&str], kept: &[&str]) -> (u64, Timestamp, Item) {
        let rows = versions
            .iter()
            .enumerate()
            .map(|(at, id)| format!(r#"{{"id":"{id}","created_at":"2026-01-0{}T00:00:00Z"}}"#, at + 1))
            .collect::<Vec<_>>()
            .join(",");
        let versions = serde_json::value::RawValue::from_string(format!("[{rows}]")).unwrap();
        let pack = Digest::from_bytes([u8::try_from(sequence).unwrap(); 32]);
        let item = Item {
            key: ItemKey::new(ItemKind::Secret, id).unwrap(),
            name: "db".into(),
            item_type: "arbitrary".into(),
            group: None,
            class: Restorability::Exact.into(),
            revision: None,
            read_at: None,
            payloads: kept.iter().map(|id| Pointer { version: Slot::new(id).unwrap(), pack }).collect(),
            docs: [("versions".to_owned(), versions)].into(),
        };
        (sequence, Timestamp::from_millis(0), item)
    }

    #[test]
    fn a_version_that_the_provider_dropped_is_still_found_in_its_last_pack() {
        let sightings = vec![
            sighting(1, "a", &["v1"], &["v1"]),
            sighting(2, "a", &["v1", "v2"], &["v2", "v1"]),
            sighting(3, "a", &["v1", "v2", "v3"], &["v3", "v2"]),
        ];
        let timeline = timeline(&sightings, "db").unwrap();
        let versions: Vec<_> = timeline
            .versions
            .iter()
            .map(|v| (v.slot.as_str(), v.first, v.last, v.pack.map(|p| p.as_bytes()[0])))
            .collect();
        assert_eq!(versions, [("v3", 3, 3, Some(3)), ("v2", 2, 3, Some(3)), ("v1", 1, 3, Some(2))]);
        assert_eq!((timeline.first_seen, timeline.last_seen), (1, 3));
    }

    #[test]
    fn two_items_of_one_name_are_not_mixed() {
        let failure = timeline(&[sighting(1, "a", &[], &[]), sighting(1, "b", &[], &[])], "db").unwrap_err();
        assert!(failure.chain().join("").contains("several items"), "{failure:?}");
        assert!(timeline(&[], "db").is_err());
    }

    #[test]
    fn the_current_version_is_the_newest_whatever_the_order_and_the_spelling_of_times() {
        let order = |rows: &str| {
            let mut item = sighting(1, "a", &[], &[]).2;
            let rows = serde_json::value::RawValue::from_string(rows.to_owned()).unwrap();
            item.docs.insert("versions".to_owned(), rows);
            slots(&item).into_iter().map(|(slot, _)| slot.as_str().to_owned()).collect::<Vec<_>>()
        };
        let one_moment = r#"[{"id":"old","alias":"previous","created_at":"2026-01-01T00:00:00Z"},
            {"id":"new","alias":"current","created_at":"2026-01-01T00:00:00Z"}]"#;
        assert_eq!(order(one_moment), ["new", "old"]);
        let spelled = r#"[{"id":"old","created_at":"2026-01-01T00:00:00Z"},
            {"id":"new","created_at":"2026-01-01T00:00:00.500Z"}]"#;
        assert_eq!(order(spelled), ["new", "old"]);
    }
}
