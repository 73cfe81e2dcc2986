//! Reads the parts of one item that the lists do not show.
//!
//! | case | requests |
//! |---|---|
//! | no payload to read | the version list |
//! | 1 version | `versions/current` |
//! | 2 versions | `versions/current`, `versions/previous` |
//! | 3 to 50 versions | the version list, then those with `payload_available` by id |
//! | locks | one page per 100, only if the row in the list of locks changed |
//! | configuration | 1 |

mod derived;

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::api::Which;
use super::classify::{SafeToRead, class, merge};
use super::client::Client;
use super::docs::{DERIVED, LOCKS, LOCKS_ROW, PAYLOAD_MEMBERS, REFUSED, ROW, VALUE, VERSIONS};
use super::wire::{Answer, Family};
use crate::model::json::{JsonObject, Members, as_array, canonical, raw};
use crate::model::{Item, ItemKind, Payload, Slot, Timestamp};
use crate::provider::{InstanceError, ItemContent, Listed, Readable};

/// Types whose payloads have optional members.
const WITH_OPTIONAL_MEMBERS: [&str; 3] = ["imported_cert", "private_cert", "public_cert"];
/// State of a secret that has no value yet: a certificate that is ordered, or waits for its signature.
const PRE_ACTIVATION: u64 = 0;

/// Reads one item.
pub(super) async fn read(
    client: &Client,
    listed: &Listed,
    before: Option<&Item>,
) -> Result<ItemContent, InstanceError> {
    let mut reader = VersionReader {
        client,
        listed,
        pending: false,
        docs: Vec::new(),
        payloads: Vec::new(),
        cuts: Vec::new(),
        refused: None,
        at: None,
    };
    match listed.item.key.kind() {
        ItemKind::Secret => reader.secret(before).await?,
        ItemKind::Configuration if listed.readable == Readable::Payloads => reader.configuration().await?,
        ItemKind::Configuration | ItemKind::Group | ItemKind::Registration | ItemKind::Other => {}
    }
    reader.finish()
}

struct VersionReader<'a> {
    client: &'a Client,
    listed: &'a Listed,
    /// True if its versions may not have a payload yet.
    pending: bool,
    docs: Vec<(&'static str, String)>,
    payloads: Vec<(Slot, Payload)>,
    /// Secret members cut out of metadata answers.
    cuts: Vec<Payload>,
    /// The provider's message if it refused the value.
    refused: Option<String>,
    /// The provider's clock in the last answer.
    at: Option<Timestamp>,
}

/// A version with its payload, if any.
struct ReadVersion {
    id: String,
    metadata: String,
    payload: Option<Payload>,
}

impl VersionReader<'_> {
    async fn secret(&mut self, before: Option<&Item>) -> Result<(), InstanceError> {
        let row = self.listed.item.doc(ROW).ok_or_else(|| self.malformed("the listed item has no row"))?;
        let named = self.listed.item.docs.get(LOCKS_ROW).map(|row| named_versions(row)).unwrap_or_default();
        let total = row.u64("versions_total");
        self.pending = row.u64("state") == Some(PRE_ACTIVATION);
        if self.listed.readable == Readable::MetadataOnly {
            let (rows, _) = self.version_list(total, &named).await?;
            self.put_versions(&rows);
        } else {
            let safe = self.client.safe_to_read(&row)?;
            let none_gone = named.iter().all(|version| version.payload_available != Some(false));
            let versions = match total {
                Some(1) if none_gone => self.by_alias(&safe, &[Which::Current]).await?,
                Some(2) if none_gone => self.by_alias(&safe, &[Which::Current, Which::Previous]).await?,
                _ => None,
            };
            match versions {
                Some(versions) => self.take_by_alias(versions, &named)?,
                None => self.by_id(&safe, total, &named).await?,
            }
        }
        self.derive(&row);
        self.locks(&row, &named, before).await
    }

    /// Reads the versions by their aliases. Returns `None` if the instance refuses one of them, as for a version that
    /// has lost its payload.
    async fn by_alias(
        &mut self,
        safe: &SafeToRead,
        wanted: &[Which<'_>],
    ) -> Result<Option<Vec<ReadVersion>>, InstanceError> {
        let mut versions = Vec::new();
        for which in wanted {
            let answer = match self.client.version_answer(safe, *which).await {
                Ok(answer) => answer,
                Err(InstanceError::Gone { .. } | InstanceError::Refused { status: 400..=499, .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            versions.push(self.version(&answer)?);
        }
        Ok(Some(versions))
    }

    /// Checks versions that were read by alias against each other and against the list rows.
    fn take_by_alias(&mut self, versions: Vec<ReadVersion>, named: &[NamedVersion]) -> Result<(), InstanceError> {
        let ids: BTreeSet<&str> = versions.iter().map(|version| version.id.as_str()).collect();
        if ids.len() < versions.len() {
            return Err(self.moved("a version was created between the reads of two"));
        }
        for (version, alias) in versions.iter().zip(["current", "previous"]) {
            let listed = named.iter().find(|named| named.alias.as_deref() == Some(alias));
            if listed.is_some_and(|listed| listed.id != version.id) {
                return Err(self.moved(&format!("its {alias} version is not the one that was listed")));
            }
        }
        let rows: Vec<String> = versions.iter().map(|version| version.metadata.clone()).collect();
        for version in versions {
            self.put_payload(&version.id, version.payload)?;
        }
        self.put_versions(&rows);
        Ok(())
    }

    /// Reads the version list, then every version that still has its payload.
    async fn by_id(
        &mut self,
        safe: &SafeToRead,
        total: Option<u64>,
        named: &[NamedVersion],
    ) -> Result<(), InstanceError> {
        let (rows, mut available) = self.version_list(total, named).await?;
        // Newest first: the order of the list is not guaranteed.
        available.sort_by_key(|version| match version.alias.as_deref() {
            Some("current") => 0,
            Some("previous") => 1,
            _ => 2,
        });
        for version in available {
            let answer = match self.client.version_answer(safe, Which::Id(&version.id)).await {
                Ok(answer) => answer,
                Err(InstanceError::Gone { .. }) => return Err(self.moved("a listed version is gone")),
                Err(error) => return Err(error),
            };
            let read = self.version(&answer)?;
            if read.id != version.id {
                return Err(answer.malformed("it is another version than the one that was asked for"));
            }
            self.put_payload(&read.id, read.payload)?;
        }
        self.put_versions(&rows);
        Ok(())
    }

    /// Reads the metadata of all versions. Also returns the versions that still have their payload.
    async fn version_list(
        &mut self,
        total: Option<u64>,
        named: &[NamedVersion],
    ) -> Result<(Vec<String>, Vec<NamedVersion>), InstanceError> {
        let (answer, rows) = self.client.version_rows(self.listed.item.key.id()).await?;
        self.note(&answer);
        if total.is_some_and(|total| total != rows.len() as u64) {
            return Err(self.moved("it has more or fewer versions than were listed"));
        }
        let (mut texts, mut versions) = (Vec::with_capacity(rows.len()), Vec::new());
        let mut ids = BTreeSet::new();
        for (index, row) in rows.iter().enumerate() {
            let cut = answer.cut_text(row, Family::Secret, Some(&format!("{VERSIONS}/{index}")))?;
            self.cuts.extend(cut.payload);
            let object = JsonObject::parse(&cut.rest).map_err(|_| answer.malformed("a version is no JSON object"))?;
            let id = object.str("id").ok_or_else(|| answer.malformed("a version has no `id`"))?;
            self.of_our_type(&answer, &object)?;
            if !ids.insert(id.clone()) {
                return Err(answer.incomplete("it repeats a version".to_owned()));
            }
            let payload_available = object.bool("payload_available");
            versions.push(NamedVersion { id, alias: object.str("alias"), payload_available });
            texts.push(cut.rest);
        }
        for listed in named {
            let found = versions.iter().find(|version| version.id == listed.id);
            if found.is_none_or(|found| found.alias.is_some() && found.alias != listed.alias) {
                return Err(self.moved("its versions are not the ones that were listed"));
            }
        }
        // The member is not guaranteed. Without it, read the two versions that can have a payload.
        versions.retain(|version| version.payload_available.unwrap_or(version.alias.is_some()));
        Ok((texts, versions))
    }

    fn version(&mut self, answer: &Answer) -> Result<ReadVersion, InstanceError> {
        self.note(answer);
        let split = answer.split(Family::Version)?;
        let id = split.metadata.str("id").ok_or_else(|| answer.malformed("it has no `id`"))?;
        self.of_our_type(answer, &split.metadata)?;
        let may_lack_it = self.pending || split.metadata.bool("payload_available") == Some(false);
        if !may_lack_it && split.payload.is_none() {
            return Err(answer.malformed("it does not say that its payload is gone, and shows none"));
        }
        Ok(ReadVersion { id, metadata: split.metadata.to_raw().get().to_owned(), payload: split.payload })
    }

    /// Rejects a version of another type than its secret: secret members are cut by the secret's type, so those of
    /// another type would remain in the catalogue.
    fn of_our_type(&self, answer: &Answer, version: &JsonObject) -> Result<(), InstanceError> {
        match version.str("secret_type") {
            Some(other) if other != self.listed.item.item_type => {
                Err(answer.malformed("it calls itself a version of another type than its secret"))
            }
            _ => Ok(()),
        }
    }

    async fn locks(
        &mut self,
        row: &JsonObject,
        named: &[NamedVersion],
        before: Option<&Item>,
    ) -> Result<(), InstanceError> {
        let locks_row = self.listed.item.docs.get(LOCKS_ROW);
        let listed = locks_row.map(|row| named_locks(row));
        if listed.as_ref().map_or(row.u64("locks_total") == Some(0), BTreeSet::is_empty) {
            return Ok(());
        }
        if let (Some(now), Some(before)) = (locks_row, before)
            && let (Some(then), Some(locks)) = (before.docs.get(LOCKS_ROW), before.docs.get(LOCKS))
            && same(now, then)
            && before.payloads.iter().all(|pointer| pointer.version.as_str() != Slot::WITHHELD)
        {
            self.docs.push((LOCKS, locks.get().to_owned()));
            return Ok(());
        }
        let (locks, cuts, at) = self.client.lock_rows(self.listed.item.key.id()).await?;
        self.at = at.or(self.at);
        self.cuts.extend(cuts);
        if let Some(listed) = listed {
            let found: BTreeSet<(String, String)> = locks
                .iter()
                .filter_map(|lock| {
                    let lock = JsonObject::parse(lock).ok()?;
                    Some((lock.str("secret_version_id")?, lock.str("name")?))
                })
                .collect();
            // A lock on a version that is not in the row is no contradiction.
            let known = |id: &String| named.iter().any(|version| version.id == *id);
            if listed != found.into_iter().filter(|(version, _)| known(version)).collect() {
                return Err(self.moved("its locks are not the ones that were listed"));
            }
        }
        self.docs.push((LOCKS, format!("[{}]", locks.join(","))));
        Ok(())
    }

    async fn configuration(&mut self) -> Result<(), InstanceError> {
        let item = &self.listed.item;
        let answer = match self.client.configuration_answer(&item.name, &item.item_type).await {
            // The list row is worth keeping without the value.
            Err(InstanceError::Forbidden { message, .. }) => {
                let mut mark = JsonObject::default();
                mark.set("why", raw(message.as_str()));
                self.docs.push((REFUSED, mark.to_raw().get().to_owned()));
                self.refused = Some(message);
                return Ok(());
            }
            other => other?,
        };
        self.note(&answer);
        let split = answer.split(Family::Configuration)?;
        let is = |name: &str, wanted: &str| split.metadata.str(name).is_some_and(|text| text == wanted);
        if !is("name", &item.name) || !is("config_type", &item.item_type) {
            return Err(answer.malformed("it is another configuration than the one that was asked for"));
        }
        self.put_payload(Slot::VALUE, split.payload)?;
        self.docs.push((VALUE, split.metadata.to_raw().get().to_owned()));
        let derived = derived::of_authority(&item.item_type, &split.metadata);
        self.docs.extend(derived.map(|derived| (DERIVED, derived.to_raw().get().to_owned())));
        Ok(())
    }

    /// Derives members that no answer returns from the certificate of the newest version.
    fn derive(&mut self, row: &JsonObject) {
        if self.listed.item.item_type != "private_cert" {
            return;
        }
        let Some((slot, payload)) = self.payloads.first() else { return };
        let versions = self.docs.iter().find(|(name, _)| *name == VERSIONS).map(|(_, text)| text.as_str());
        let created = versions.and_then(|versions| {
            let list: Vec<&RawValue> = serde_json::from_str(versions).ok()?;
            let mut versions = list.iter().filter_map(|version| JsonObject::parse(version.get()).ok());
            versions.find(|version| version.str("id").is_some_and(|id| id == slot.as_str()))?.str("created_at")
        });
        let derived = derived::of_private_certificate(row, payload, created.and_then(|at| at.parse().ok()));
        self.docs.extend(derived.map(|derived| (DERIVED, derived.to_raw().get().to_owned())));
    }

    /// Returns the names of the members of each payload, for types where they matter.
    fn payload_members(&self) -> Option<JsonObject> {
        let item = &self.listed.item;
        let tells =
            item.key.kind() == ItemKind::Configuration || WITH_OPTIONAL_MEMBERS.contains(&item.item_type.as_str());
        let mut members = JsonObject::default();
        for (slot, payload) in self.payloads.iter().filter(|_| tells) {
            members.set(slot.as_str(), raw(&filled_members(payload)));
        }
        (!members.is_empty()).then_some(members)
    }

    fn put_versions(&mut self, rows: &[String]) {
        self.docs.push((VERSIONS, format!("[{}]", rows.join(","))));
    }

    fn put_payload(&mut self, slot: &str, payload: Option<Payload>) -> Result<(), InstanceError> {
        if let Some(payload) = payload {
            let slot = Slot::new(slot).ok_or_else(|| self.malformed("the id of a version cannot be stored"))?;
            self.payloads.push((slot, payload));
        }
        Ok(())
    }

    fn note(&mut self, answer: &Answer) {
        self.at = answer.date().ok().or(self.at);
    }

    fn finish(mut self) -> Result<ItemContent, InstanceError> {
        let members = self.payload_members();
        self.docs.extend(members.map(|members| (PAYLOAD_MEMBERS, members.to_raw().get().to_owned())));
        let mut docs = self.listed.item.docs.clone();
        for (name, text) in std::mem::take(&mut self.docs) {
            let value = RawValue::from_string(text).map_err(|_| self.malformed("an answer is no JSON"))?;
            docs.insert(name.to_owned(), value);
        }
        let withheld = merge(self.listed.withheld.iter().chain(&self.cuts));
        self.put_payload(Slot::WITHHELD, withheld)?;
        let now = self.client.wire().now();
        let read_at = self.at.or(now).ok_or_else(|| self.malformed("no answer has a `Date`"))?;
        let slots: Vec<Slot> = self.payloads.iter().map(|(slot, _)| slot.clone()).collect();
        let item = Item { docs, ..self.listed.item.clone() };
        let class = class(&item, &slots);
        Ok(ItemContent { docs: item.docs, payloads: self.payloads, class, refused: self.refused, read_at })
    }

    fn what(&self) -> String {
        format!("read {}", self.listed.item.key)
    }

    fn moved(&self, problem: &str) -> InstanceError {
        InstanceError::Moved { what: self.what(), problem: problem.to_owned() }
    }

    fn malformed(&self, problem: &str) -> InstanceError {
        InstanceError::Malformed { what: self.what(), problem: problem.to_owned() }
    }
}

/// Returns the names of the non-empty members of a payload.
fn filled_members(payload: &Payload) -> Vec<String> {
    let empty = |value: &RawValue| matches!(value.get(), "null" | "\"\"" | "[]" | "{}");
    let members = Members::parse(payload.expose()).map(|members| members.0).unwrap_or_default();
    members.into_iter().filter(|(_, value)| !empty(value)).map(|(name, _)| name).collect()
}

/// A version as shown in a list.
#[derive(Debug, Clone)]
pub(super) struct NamedVersion {
    pub(super) id: String,
    pub(super) alias: Option<String>,
    pub(super) payload_available: Option<bool>,
}

/// Returns the versions in a row of the list of locks, except those without an id.
pub(super) fn named_versions(row: &RawValue) -> Vec<NamedVersion> {
    versions_of(row)
        .iter()
        .filter_map(|version| {
            let id = version.str("version_id")?;
            let payload_available = version.bool("payload_available");
            Some(NamedVersion { id, alias: version.str("version_alias"), payload_available })
        })
        .collect()
}

/// Returns the locks in a row of the list of locks: version and name.
fn named_locks(row: &RawValue) -> BTreeSet<(String, String)> {
    let mut locks = BTreeSet::new();
    for version in versions_of(row) {
        let names = version.array("locks").unwrap_or_default();
        if let Some(id) = version.str("version_id") {
            locks.extend(names.iter().filter_map(|name| Some((id.clone(), crate::model::json::as_str(name)?))));
        }
    }
    locks
}

fn versions_of(row: &RawValue) -> Vec<JsonObject> {
    let list = JsonObject::parse(row.get()).ok().and_then(|row| row.get("versions").and_then(as_array));
    list.unwrap_or_default().iter().filter_map(|version| JsonObject::parse(version.get()).ok()).collect()
}

/// Returns true if two rows are equal apart from member order.
fn same(a: &RawValue, b: &RawValue) -> bool {
    matches!((canonical(a), canonical(b)), (Ok(a), Ok(b)) if a == b)
}
