//! A provider for the jobs' own tests: two kinds of items, four types of secrets, all in memory.
//!
//! Its rows use the member names of [`RestoreItem`], so that tests do not depend on a real service:
//!
//! - `row`: `name`, `description`, `labels`, `custom_metadata`, `ends`, `rotation`; a listing adds `versions_total`,
//!   `newest` (ids, newest first) and `lock_names` (pairs of version id and name)
//! - `versions`, oldest first: `id`, `ends`, `metadata`, and `gone` if the payload is gone
//! - `locks`: `on` (version id), `name`, `why`
//!
//! A full name is `fake:REGION:ID`. A `certificate` can become a `plain_certificate`, and a `token` a `text`; both can
//! be reissued. A `token` needs an `engine`.

use serde_json::value::RawValue;

use crate::model::json::{JsonObject, as_array, as_str, raw};
use crate::model::{
    Digest, Docs, Item, ItemKey, ItemKind, Payload, Pointer, Restorability, Slot, Timestamp, Treatment,
};
use crate::provider::assess::{Assessment, Expiry, Judgement, Prerequisite, Recovered, WriteOnly};
use crate::provider::mark::{take_mark, take_version_mark};
use crate::provider::{
    Conversion, ConvertError, ItemConverter, ItemDependency, PayloadMatch, Phase, ReferenceNames, RestoreItem,
    RestoreLock, RestoreVersion, Route,
};

mod instance;
mod tests;

pub(crate) use instance::FakeInstance;

/// Maximum size of custom metadata in bytes.
const METADATA_ROOM: usize = 1_000;

/// Returns an item with these documents and payloads, newest first. The key determines the kind.
pub(crate) fn item(key: &str, item_type: &str, name: &str, docs: &[(&str, &str)], payloads: &[&str]) -> Item {
    let doc = |(name, text): &(&str, &str)| {
        ((*name).to_owned(), RawValue::from_string((*text).to_owned()).unwrap_or_else(|_| raw("no JSON")))
    };
    let pointer = |slot: &&str| Some(Pointer { version: Slot::new(slot)?, pack: Digest::from_bytes([1; 32]) });
    Item {
        key: key.parse().unwrap(),
        name: name.to_owned(),
        item_type: item_type.to_owned(),
        group: key.starts_with("secret/").then(|| "default".to_owned()),
        class: Restorability::Exact.into(),
        revision: None,
        read_at: None,
        payloads: payloads.iter().filter_map(pointer).collect(),
        docs: docs.iter().map(doc).collect::<Docs>(),
    }
}

/// The converter of the fake provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FakeConverter;

fn time(row: &JsonObject, name: &str) -> Option<Timestamp> {
    row.str(name)?.parse().ok()
}

fn list(item: &Item, doc: &str) -> Option<Vec<JsonObject>> {
    let list = as_array(item.docs.get(doc)?)?;
    Some(list.iter().filter_map(|row| JsonObject::parse(row.get()).ok()).collect())
}

fn version(row: &JsonObject) -> Option<RestoreVersion> {
    let mut metadata = row.object("metadata").unwrap_or_default();
    let mark = take_version_mark(&mut metadata);
    let payload = row.bool("gone") != Some(true);
    Some(RestoreVersion { id: row.str("id")?, payload, metadata, mark, expires: time(row, "ends") })
}

fn lock(row: &JsonObject) -> Option<RestoreLock> {
    let mut settings = JsonObject::default();
    for name in ["name", "why"] {
        if let Some(value) = row.get(name) {
            settings.set(name, value.to_owned());
        }
    }
    Some(RestoreLock { version: row.str("on")?, name: row.str("name")?, settings })
}

fn becomes(item_type: &str, treatment: Treatment) -> Option<&'static str> {
    match (treatment, item_type) {
        (Treatment::Convert, "certificate") => Some("plain_certificate"),
        (Treatment::AsArbitrary, "token") => Some("text"),
        _ => None,
    }
}

impl ItemConverter for FakeConverter {
    fn describe(&self, item: &Item) -> RestoreItem {
        let row = item.doc("row").unwrap_or_default();
        let name = row.str("name").unwrap_or_else(|| item.name.clone());
        let mut found = RestoreItem::new(item.key.clone(), &name, &item.item_type, METADATA_ROOM);
        found.settings.set("name", raw(name.as_str()));
        if item.key.kind() != ItemKind::Secret {
            return found;
        }
        found.group = item.group.clone();
        found.labels = row.array("labels").unwrap_or_default().iter().filter_map(|label| as_str(label)).collect();
        let mut metadata = row.object("custom_metadata").unwrap_or_default();
        found.mark = take_mark(&mut metadata);
        found.settings.set("custom_metadata", metadata.to_raw());
        for name in ["description", "ends"] {
            found.settings.set(name, row.get(name).unwrap_or(RawValue::NULL).to_owned());
        }
        found.cleared_by_versions = &["ends"];
        found.expires = time(&row, "ends");
        found.rotation = row.object("rotation");
        found.versions_total = row.u64("versions_total");
        found.versions = list(item, "versions").map(|rows| rows.iter().filter_map(version).collect());
        found.locks = list(item, "locks").map(|rows| rows.iter().filter_map(lock).collect());
        found.newest = row.array("newest").unwrap_or_default().iter().filter_map(|id| as_str(id)).collect();
        for pair in row.array("lock_names").unwrap_or_default() {
            found.lock_names.extend(serde_json::from_str::<(String, String)>(pair.get()));
        }
        found
    }

    fn assess(&self, item: &Item, _now: Option<Timestamp>) -> Assessment {
        let judgement = |class, code| Judgement { class, code, why: "so it is", today: "" };
        if item.item_type != "token" {
            return Assessment {
                judgement: judgement(Restorability::Exact, "importable"),
                write_only: Vec::new(),
                not_captured: false,
                needs: Vec::new(),
                fulfils: (item.item_type == "engine").then_some("engine"),
            };
        }
        Assessment {
            judgement: judgement(Restorability::Reissued, "minted"),
            write_only: vec![
                WriteOnly { member: "format", known: Recovered::Lost },
                WriteOnly { member: "ttl", known: Recovered::Derived },
            ],
            not_captured: item.name == "unread",
            needs: vec![Prerequisite { code: "engine", what: "an engine", subject: Some(item.name.clone()) }],
            fulfils: None,
        }
    }

    fn expiry(&self, item: &Item) -> Option<Expiry> {
        Some(Expiry { at: self.describe(item).expires?, renews: false })
    }

    fn next_rotation(&self, _item: &Item, _policy: &JsonObject) -> Option<Timestamp> {
        None
    }

    fn treatments(&self, item: &Item) -> &'static [Treatment] {
        self.type_treatments(&item.item_type)
    }

    fn type_treatments(&self, item_type: &str) -> &'static [Treatment] {
        match item_type {
            "certificate" => &[Treatment::Convert, Treatment::Reissue, Treatment::Definition],
            "token" => &[Treatment::Definition, Treatment::Reissue, Treatment::AsArbitrary],
            _ => &[Treatment::Exact],
        }
    }

    fn supply(&self, _item: &mut Item, _treatment: Treatment, _members: &JsonObject) -> Vec<String> {
        Vec::new()
    }

    fn convert(&self, item: &Item, treatment: Treatment) -> Conversion {
        let mut found = self.describe(item);
        if let Some(to) = becomes(&item.item_type, treatment) {
            found.item_type = to.to_owned();
        }
        let route = match (item.key.kind(), treatment) {
            (ItemKind::Group, _) if item.key.id() == "default" => Route::BuiltIn,
            (ItemKind::Group, _) => Route::Create(Phase::Groups),
            (_, Treatment::Definition) => Route::Lost("only its definition is kept".to_owned()),
            (ItemKind::Secret, _) => Route::Create(Phase::Secrets),
            (ItemKind::Configuration, _) => Route::Create(Phase::AuthoritiesAndDns),
            (ItemKind::Registration | ItemKind::Other, _) => Route::Lost("it is not restored".to_owned()),
        };
        let note = becomes(&item.item_type, treatment).map(|to| format!("it becomes {to}"));
        Conversion { item: found, route, note }
    }

    fn convert_payload(&self, _item: &Item, _treatment: Treatment, payload: Payload) -> Result<Payload, ConvertError> {
        Ok(payload)
    }

    fn compare_payloads(&self, _item_type: &str, one: &Payload, other: &Payload) -> PayloadMatch {
        PayloadMatch { whole: one.expose() == other.expose(), fixed: true }
    }

    fn name_references(&self, _item: &mut RestoreItem, _names: &ReferenceNames) {}

    fn resolve_references(&self, item: &RestoreItem, _names: &ReferenceNames) -> Result<RestoreItem, ConvertError> {
        Ok(item.clone())
    }

    fn needs(&self, _item: &RestoreItem) -> Vec<ItemDependency> {
        Vec::new()
    }

    fn issuers(&self, _item: &RestoreItem) -> Vec<ItemKey> {
        Vec::new()
    }
}
