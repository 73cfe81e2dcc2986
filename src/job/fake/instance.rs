//! An instance of the fake provider: an in-memory map of items that can be listed, read and changed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::FakeConverter;
use crate::crypto::digest::sha256;
use crate::model::json::{JsonObject, raw};
use crate::model::{Docs, Item, ItemKey, ItemKind, Payload, Restorability, Slot, Timestamp};
use crate::provider::normal::merge_patch;
use crate::provider::{
    Action, Address, Change, CompleteListing, ConvertError, InstanceError, InstanceInventory, ItemContent,
    ItemConverter, ItemReader, ItemWriter, Listed, Look, Presence, Readable, RequestBody, Requests, Sink, StandbyQuery,
    Write, Written,
};

/// Number of versions whose payload the provider keeps.
const KEPT: usize = 2;

/// An instance. Its id is the one in its full name, `fake:here:ID`.
pub(crate) struct FakeInstance {
    id: &'static str,
    state: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    items: BTreeMap<ItemKey, FakeItem>,
    made: u32,
    writes: Vec<&'static str>,
}

#[derive(Clone)]
struct FakeItem {
    item_type: String,
    group: Option<String>,
    row: JsonObject,
    /// Oldest first.
    versions: Vec<(JsonObject, Payload)>,
    locks: Vec<JsonObject>,
}

impl fmt::Debug for FakeInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeInstance").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FakeItem {
    /// Returns the row as a list shows it.
    fn listed_row(&self) -> JsonObject {
        let id = |(row, _): &(JsonObject, Payload)| row.str("id").unwrap_or_default();
        let mut row = self.row.clone();
        row.set("versions_total", raw(&self.versions.len()));
        row.set("newest", raw(&self.versions.iter().rev().take(KEPT).map(id).collect::<Vec<_>>()));
        let names = self.locks.iter().map(|lock| (lock.str("on").unwrap_or_default(), lock.str("name")));
        row.set("lock_names", raw(&names.collect::<Vec<_>>()));
        row
    }

    fn versions(&self) -> Vec<JsonObject> {
        let gone = self.versions.len().saturating_sub(KEPT);
        let mut rows: Vec<JsonObject> = self.versions.iter().map(|(row, _)| row.clone()).collect();
        rows.iter_mut().take(gone).for_each(|row| row.set("gone", raw(&true)));
        rows
    }

    fn listed(&self, key: &ItemKey) -> Listed {
        let row = self.listed_row().to_raw();
        Listed {
            revision: sha256(row.get().as_bytes()),
            settled: None,
            updated_at: None,
            readable: if key.kind() == ItemKind::Secret { Readable::Payloads } else { Readable::MetadataOnly },
            withheld: None,
            item: Item {
                key: key.clone(),
                name: self.row.str("name").unwrap_or_default(),
                item_type: self.item_type.clone(),
                group: self.group.clone(),
                class: Restorability::Exact.into(),
                revision: None,
                read_at: None,
                payloads: Vec::new(),
                docs: Docs::from([("row".to_owned(), row)]),
            },
        }
    }
}

impl FakeInstance {
    pub(crate) fn new(id: &'static str) -> Self {
        let instance = Self { id, state: Mutex::default() };
        instance.add("group/default", "group", None, r#"{"name":"default"}"#, &[]);
        instance
    }

    /// Adds an item with these payloads, oldest first.
    pub(crate) fn add(&self, key: &str, item_type: &str, group: Option<&str>, row: &str, payloads: &[&str]) {
        let version = |(place, text): (usize, &&str)| {
            let row = JsonObject::parse(&format!(r#"{{"id":"{}-{place}"}}"#, self.id)).unwrap();
            (row, Payload::new(Zeroizing::new((*text).to_owned())))
        };
        let item = FakeItem {
            item_type: item_type.to_owned(),
            group: group.map(ToOwned::to_owned),
            row: JsonObject::parse(row).unwrap(),
            versions: payloads.iter().enumerate().map(version).collect(),
            locks: Vec::new(),
        };
        self.state().items.insert(key.parse().unwrap(), item);
    }

    /// Returns the actions written, in order.
    pub(crate) fn writes(&self) -> Vec<&'static str> {
        self.state().writes.clone()
    }

    /// Returns the payloads of a secret by name, oldest first.
    pub(crate) fn payloads(&self, name: &str) -> Vec<String> {
        let state = self.state();
        let found = state.items.values().find(|item| item.row.str("name").as_deref() == Some(name));
        found.into_iter().flat_map(|item| &item.versions).map(|(_, payload)| payload.expose().to_owned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full_name(&self) -> String {
        format!("fake:here:{}", self.id)
    }

    fn of(&self, key: &ItemKey) -> Result<FakeItem, InstanceError> {
        self.state().items.get(key).cloned().ok_or_else(|| InstanceError::Gone { what: format!("read {key}") })
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

#[async_trait]
impl InstanceInventory for FakeInstance {
    fn address(&self) -> Address {
        Address { url: format!("https://{}.fake.example", self.id), instance: Some(self.id.to_owned()) }
    }

    fn instance_id(&self, full_name: &str) -> Option<String> {
        full_name.strip_prefix("fake:")?.split(':').nth(1).map(str::to_ascii_lowercase)
    }

    fn instance_of(&self, item: &Item) -> Option<String> {
        (item.key.kind() == ItemKind::Secret).then(|| self.full_name())
    }

    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
        let items = self.state().items.clone();
        items.iter().for_each(|(key, item)| sink.take(item.listed(key)));
        let (instance, items) = (Some(self.full_name()), items.len() as u64);
        Ok(CompleteListing { instance, started: now(), ended: now(), steady: true, items })
    }

    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError> {
        let state = self.state();
        let found = state.items.iter().find(|(key, item)| {
            key.kind() == wanted.key.kind()
                && item.item_type == wanted.item_type
                && item.row.str("name").as_deref() == Some(wanted.name)
                && item.group.as_deref() == wanted.group
        });
        Ok(found.map(|(key, item)| item.listed(key)))
    }

    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        Ok(if self.of(key).is_ok() { Presence::Present } else { Presence::Gone })
    }

    fn provider_now(&self) -> Option<Timestamp> {
        Some(now())
    }

    fn requests(&self) -> Requests {
        Requests { writing: self.state().writes.len() as u64, ..Requests::default() }
    }
}

#[async_trait]
impl ItemReader for FakeInstance {
    async fn read(&self, listed: &Listed, _before: Option<&Item>) -> Result<ItemContent, InstanceError> {
        let item = self.of(&listed.item.key)?;
        let mut docs = listed.item.docs.clone();
        docs.insert("versions".to_owned(), raw(&item.versions()));
        let payload = |(row, payload): &(JsonObject, Payload)| Some((Slot::new(&row.str("id")?)?, payload.clone()));
        let payloads = item.versions.iter().rev().take(KEPT).filter_map(payload).collect();
        Ok(ItemContent { docs, payloads, class: Restorability::Exact, refused: None, read_at: now() })
    }

    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError> {
        let item = self.of(key)?;
        let mut docs = Docs::new();
        if look.row {
            docs.insert("row".to_owned(), item.listed_row().to_raw());
        }
        if look.versions {
            docs.insert("versions".to_owned(), raw(&item.versions()));
        }
        if look.locks {
            docs.insert("locks".to_owned(), raw(&item.locks));
        }
        Ok(docs)
    }
}

#[async_trait]
impl ItemWriter for FakeInstance {
    fn converter(&self) -> &dyn ItemConverter {
        &FakeConverter
    }

    fn refused_name(&self, _kind: ItemKind, name: &str) -> Option<String> {
        name.contains(' ').then(|| "it has a space".to_owned())
    }

    fn max_items(&self, _kind: ItemKind) -> Option<usize> {
        None
    }

    /// Returns the body of a secret: its row, with the group under `group` and the metadata of the version under
    /// `version`.
    fn body(&self, change: &Change<'_>) -> Result<RequestBody, ConvertError> {
        let item = change.item;
        let version = |mark: bool| {
            let version = change.part(change.version, "a version")?;
            Ok(version.marked(mark.then_some(version.id.as_str())).to_raw())
        };
        let mut body = item.settings.clone();
        match change.action {
            Action::CreateSecret { mark, mark_version, .. } => {
                body.set("type", raw(item.item_type.as_str()));
                body.set("group", raw(&change.group));
                body.set("custom_metadata", item.marked(mark.as_ref()).to_raw());
                body.set("version", version(*mark_version)?);
            }
            Action::AddVersion { mark_version, .. } | Action::PatchVersionMetadata { mark_version, .. } => {
                body = [("version".to_owned(), version(*mark_version)?)].into_iter().collect();
            }
            Action::PatchMetadata { mark } => {
                let there = change.part(change.have, "the item of the standby")?;
                let there = there.marked(there.mark.as_ref());
                body.set("custom_metadata", merge_patch(&there, &item.marked(mark.as_ref())).to_raw());
            }
            Action::AddLocks { .. } => {
                let locks: Vec<&JsonObject> = change.locks.iter().map(|lock| &lock.settings).collect();
                body = [("locks".to_owned(), raw(&locks))].into_iter().collect();
            }
            _ => {}
        }
        Ok(RequestBody { metadata: body, payload: change.payload.cloned() })
    }

    async fn write(&self, write: Write) -> Result<Written, InstanceError> {
        let mut state = self.state();
        state.writes.push(write.action.as_str());
        state.made += 1;
        let id = format!("{}-{}", self.id, state.made);
        let RequestBody { mut metadata, payload } = write.body;
        let new_version = |metadata: &JsonObject| {
            let mut row = JsonObject::default();
            row.set("id", raw(id.as_str()));
            row.set("metadata", metadata.object("version").unwrap_or_default().to_raw());
            row
        };
        let mut written = Written { id: Some(id.clone()), instance: Some(self.full_name()), version: None };
        let kind = if matches!(write.action, Action::CreateGroup) { ItemKind::Group } else { ItemKind::Secret };
        let target = ItemKey::new(kind, write.target.as_deref().unwrap_or(&id)).unwrap();
        match write.action {
            Action::CreateGroup => {
                let item_type = "group".to_owned();
                let item = FakeItem { item_type, group: None, row: metadata, versions: Vec::new(), locks: Vec::new() };
                state.items.insert(target, item);
            }
            Action::CreateSecret { .. } => {
                let version = (new_version(&metadata), payload.unwrap());
                let (item_type, group) = (metadata.str("type").unwrap(), metadata.str("group"));
                ["type", "group", "version"].iter().for_each(|name| drop(metadata.remove(name)));
                let item = FakeItem { item_type, group, row: metadata, versions: vec![version], locks: Vec::new() };
                state.items.insert(target, item);
            }
            Action::AddVersion { .. } => {
                let item = state.items.get_mut(&target).unwrap();
                item.versions.push((new_version(&metadata), payload.unwrap()));
                // Real services clear it too.
                item.row.set("ends", serde_json::value::RawValue::NULL.to_owned());
                written = Written { id: None, version: Some(id.clone()), ..written };
            }
            Action::PatchMetadata { .. } => {
                let item = state.items.get_mut(&target).unwrap();
                let patch = metadata.object("custom_metadata").unwrap_or_default();
                let mut merged = item.row.object("custom_metadata").unwrap_or_default();
                patch.iter().for_each(|(name, value)| merged.set(name, value.to_owned()));
                metadata.set("custom_metadata", merged.to_raw());
                metadata.iter().for_each(|(name, value)| item.row.set(name, value.to_owned()));
            }
            Action::AddLocks { .. } => {
                let item = state.items.get_mut(&target).unwrap();
                for lock in metadata.array("locks").unwrap_or_default() {
                    let mut lock = JsonObject::parse(lock.get()).unwrap();
                    lock.set("on", raw(&write.version));
                    item.locks.push(lock);
                }
            }
            action => panic!("the fake provider does not do {}", action.as_str()),
        }
        Ok(written)
    }
}
