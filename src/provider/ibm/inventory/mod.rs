//! Lists all items: configurations, groups, the registration, and secrets with their row in the list of locks.

mod lock_rows;
mod packed;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use self::lock_rows::{LockRows, LocksRow};
use super::api::member;
use super::classify::{AnswerShape, SafeToRead, class};
use super::client::Client;
use super::docs::{LOCKS_ROW, ROW};
use super::revision::revisions;
use super::wire::{Answer, Family};
use crate::model::json::JsonObject;
use crate::model::{Docs, Item, ItemKey, ItemKind, Payload, Restorability, Timestamp};
use crate::provider::ibm::classify::merge;
use crate::provider::{CompleteListing, InstanceError, Listed, Readable, Sink};

/// Maximum number of restarts of a listing whose pages contradict each other.
const RELISTS: u32 = 2;
/// State of a secret whose value the service has destroyed.
const DESTROYED: u64 = 5;

/// Lists every item in key order.
pub(super) async fn list(client: &Client, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
    let mut left = RELISTS;
    loop {
        match Lister::new(client, &mut *sink).run().await {
            Err(InstanceError::Incomplete { .. }) if left > 0 && sink.restart() => left -= 1,
            outcome => return outcome,
        }
    }
}

struct Lister<'a> {
    client: &'a Client,
    sink: &'a mut dyn Sink,
    items: u64,
    steady: bool,
    instance: Option<String>,
    /// The provider's clock in the first and the last answer.
    span: Option<(Timestamp, Timestamp)>,
}

impl<'a> Lister<'a> {
    fn new(client: &'a Client, sink: &'a mut dyn Sink) -> Self {
        Self { client, sink, items: 0, steady: true, instance: None, span: None }
    }

    async fn run(mut self) -> Result<CompleteListing, InstanceError> {
        self.configurations().await?;
        self.groups().await?;
        self.registration().await?;
        self.secrets().await?;
        let (started, ended) = self.span.ok_or_else(|| InstanceError::Malformed {
            what: "list the instance".to_owned(),
            problem: "no answer has a `Date`".to_owned(),
        })?;
        Ok(CompleteListing { instance: self.instance, started, ended, steady: self.steady, items: self.items })
    }

    fn note(&mut self, answer: &Answer) -> Result<(), InstanceError> {
        let date = answer.date()?;
        let started = self.span.map_or(date, |(started, _)| started);
        self.span = Some((started, date));
        Ok(())
    }

    /// Lists all configurations. They are few, and sorted here because the API cannot sort by type and name.
    ///
    /// Roles that can read every secret may lack the right to list configurations; the sink decides whether to
    /// continue.
    async fn configurations(&mut self) -> Result<(), InstanceError> {
        let mut pages = self.client.configuration_pages();
        let mut found = BTreeMap::new();
        loop {
            let page = match pages.next().await {
                Err(error) if found.is_empty() => return self.without(ItemKind::Configuration, error),
                other => other?,
            };
            let Some(page) = page else { break };
            self.note(page.answer())?;
            for row in page.rows()? {
                let listed = configuration(page.answer(), row)?;
                if found.insert(listed.item.key.clone(), listed).is_some() && pages.steady_so_far() {
                    return Err(page.answer().incomplete("it repeats a configuration".to_owned()));
                }
            }
        }
        self.steady &= pages.steady();
        self.give_all(found);
        Ok(())
    }

    async fn groups(&mut self) -> Result<(), InstanceError> {
        let (answer, rows) = self.client.group_rows().await?;
        self.note(&answer)?;
        let mut found = BTreeMap::new();
        for row in &rows {
            let listed = group(&answer, row)?;
            if found.insert(listed.item.key.clone(), listed).is_some() {
                return Err(answer.incomplete("it repeats a group".to_owned()));
            }
        }
        self.give_all(found);
        Ok(())
    }

    async fn registration(&mut self) -> Result<(), InstanceError> {
        match self.client.registration_answer().await {
            Ok(Some(answer)) => {
                self.note(&answer)?;
                let listed = registration(&answer)?;
                self.give(listed);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => self.without(ItemKind::Registration, error),
        }
    }

    /// Continues without a kind of items that the identity may not list, if the sink agrees.
    fn without(&mut self, kind: ItemKind, error: InstanceError) -> Result<(), InstanceError> {
        match &error {
            InstanceError::Forbidden { message, .. } if self.sink.hidden(kind, message) => Ok(()),
            _ => Err(error),
        }
    }

    /// Streams the secrets, each with its row in the list of locks.
    async fn secrets(&mut self) -> Result<(), InstanceError> {
        let mut pages = self.client.secret_pages();
        let mut locks = LockRows::new(self.client);
        while let Some(page) = pages.next().await? {
            self.note(page.answer())?;
            for row in page.rows()? {
                let id = member(row, "id").ok_or_else(|| page.answer().malformed("a row has no `id`"))?;
                let mut locks_row = locks.take(&id);
                while locks_row.is_none()
                    && let Some(more) = locks.read_on().await?
                {
                    self.note(more.answer())?;
                    locks_row = locks.take(&id);
                }
                let locks_total = || JsonObject::parse(row.get()).ok().and_then(|row| row.u64("locks_total"));
                if locks_row.is_none() && locks.lacks(locks_total()) {
                    self.steady = false;
                }
                let listed = secret(self.client, page.answer(), row, locks_row)?;
                self.see_instance(page.answer(), &listed)?;
                self.give(listed);
            }
        }
        while let Some(more) = locks.read_on().await? {
            self.note(more.answer())?;
        }
        // A row without its secret: one of the two was created or deleted during the listing.
        self.steady &= pages.steady() && locks.steady();
        Ok(())
    }

    /// Checks that all secrets, which name the instance in their CRN, name the same one.
    fn see_instance(&mut self, answer: &Answer, listed: &Listed) -> Result<(), InstanceError> {
        let Some(crn) = listed.item.doc(ROW).and_then(|row| row.str("crn")) else { return Ok(()) };
        let Some((instance, _)) = crn.split_once(":secret:") else { return Ok(()) };
        let instance = format!("{instance}::");
        match &self.instance {
            Some(known) if *known != instance => {
                Err(answer.incomplete(format!("it shows secrets of two instances, {known} and {instance}")))
            }
            Some(_) => Ok(()),
            None => {
                self.instance = Some(instance);
                Ok(())
            }
        }
    }

    fn give_all(&mut self, found: BTreeMap<ItemKey, Listed>) {
        found.into_values().for_each(|listed| self.give(listed));
    }

    fn give(&mut self, listed: Listed) {
        self.items += 1;
        self.sink.take(listed);
    }
}

fn secret(
    client: &Client,
    answer: &Answer,
    row: &RawValue,
    locks_row: Option<LocksRow>,
) -> Result<Listed, InstanceError> {
    let cut = answer.cut_text(row.get(), Family::Secret, Some(ROW))?;
    let row = raw(answer, cut.rest)?;
    let object = JsonObject::parse(row.get()).map_err(|_| answer.malformed("a row is no JSON object"))?;
    let wanted = |name: &str| object.str(name).ok_or_else(|| answer.malformed(&format!("a row has no `{name}`")));
    let id = wanted("id")?;
    let mut readable = match SafeToRead::new(&object, client.vouched_types()) {
        Ok(_) => Readable::Payloads,
        Err(InstanceError::Unsafe { .. }) => Readable::MetadataOnly,
        Err(error) => return Err(error),
    };
    if object.u64("versions_total") == Some(0) || object.u64("state") == Some(DESTROYED) {
        readable = Readable::MetadataOnly;
    }
    let names_versions = locks_row.as_ref().is_some_and(|locks| names_current(&locks.row));
    let mut docs = Docs::from([(ROW.to_owned(), row)]);
    let mut withheld = cut.payload;
    if let Some(locks) = locks_row {
        docs.insert(LOCKS_ROW.to_owned(), locks.row);
        withheld = merge(withheld.iter().chain(locks.withheld.iter()));
    }
    let item = Item {
        name: object.str("name").unwrap_or_else(|| id.clone()),
        item_type: wanted("secret_type")?,
        group: object.str("secret_group_id"),
        ..bare(key(answer, ItemKind::Secret, &id)?, docs)
    };
    listed(answer, item, &object, readable, withheld, names_versions)
}

fn configuration(answer: &Answer, row: &RawValue) -> Result<Listed, InstanceError> {
    let cut = answer.cut_text(row.get(), Family::Configuration, Some(ROW))?;
    let row = raw(answer, cut.rest)?;
    let object = JsonObject::parse(row.get()).map_err(|_| answer.malformed("a row is no JSON object"))?;
    let wanted = |name: &str| object.str(name).ok_or_else(|| answer.malformed(&format!("a row has no `{name}`")));
    let (name, item_type) = (wanted("name")?, wanted("config_type")?);
    let known = AnswerShape::Configuration(&item_type).is_known();
    let readable = if known { Readable::Payloads } else { Readable::MetadataOnly };
    let key = key(answer, ItemKind::Configuration, &format!("{item_type}/{name}"))?;
    let item = Item { name, item_type, ..bare(key, Docs::from([(ROW.to_owned(), row)])) };
    listed(answer, item, &object, readable, cut.payload, false)
}

fn group(answer: &Answer, row: &str) -> Result<Listed, InstanceError> {
    let cut = answer.cut_text(row, Family::Other, Some(ROW))?;
    let row = raw(answer, cut.rest)?;
    let object = JsonObject::parse(row.get()).map_err(|_| answer.malformed("a row is no JSON object"))?;
    let id = object.str("id").ok_or_else(|| answer.malformed("a row has no `id`"))?;
    let item = Item {
        name: object.str("name").unwrap_or_else(|| id.clone()),
        ..bare(key(answer, ItemKind::Group, &id)?, Docs::from([(ROW.to_owned(), row)]))
    };
    listed(answer, item, &object, Readable::MetadataOnly, cut.payload, true)
}

fn registration(answer: &Answer) -> Result<Listed, InstanceError> {
    let cut = answer.cut_text(answer.text(), Family::Other, Some(ROW))?;
    let row = raw(answer, cut.rest)?;
    let object = JsonObject::parse(row.get()).map_err(|_| answer.malformed("it is no JSON object"))?;
    let key = key(answer, ItemKind::Registration, "")?;
    let item = bare(key, Docs::from([(ROW.to_owned(), row)]));
    listed(answer, item, &object, Readable::MetadataOnly, cut.payload, true)
}

/// Creates an item with only its rows, named after its kind.
fn bare(key: ItemKey, docs: Docs) -> Item {
    let kind = key.kind().as_str();
    Item {
        key,
        name: kind.to_owned(),
        item_type: kind.to_owned(),
        group: None,
        class: Restorability::DefinitionOnly.into(),
        revision: None,
        read_at: None,
        payloads: Vec::new(),
        docs,
    }
}

fn listed(
    answer: &Answer,
    mut item: Item,
    row: &JsonObject,
    readable: Readable,
    withheld: Option<Payload>,
    settles: bool,
) -> Result<Listed, InstanceError> {
    let rows: Vec<(&str, &RawValue)> = item.docs.iter().map(|(name, row)| (name.as_str(), &**row)).collect();
    let revisions = revisions(&rows).ok_or_else(|| answer.malformed("a row nests too deep"))?;
    item.class = class(&item, &[]).into();
    Ok(Listed {
        revision: revisions.whole,
        settled: settles.then_some(revisions.settled),
        // If the time is unreadable, assume that of the answer, the latest possible.
        updated_at: row.str("updated_at").and_then(|text| text.parse().ok().or_else(|| answer.date().ok())),
        readable,
        withheld,
        item,
    })
}

/// Returns true if a row of the list of locks has the id of the current version.
fn names_current(row: &RawValue) -> bool {
    super::reading::named_versions(row).iter().any(|version| version.alias.as_deref() == Some("current"))
}

fn key(answer: &Answer, kind: ItemKind, id: &str) -> Result<ItemKey, InstanceError> {
    ItemKey::new(kind, id).map_err(|error| answer.malformed(&format!("a row cannot be named: {error}")))
}

fn raw(answer: &Answer, text: String) -> Result<Box<RawValue>, InstanceError> {
    RawValue::from_string(text).map_err(|_| answer.malformed("a row is no JSON"))
}
