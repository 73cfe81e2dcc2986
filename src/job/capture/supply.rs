//! Members that the operator supplies because no response contains them, and the items that receive them.
//!
//! They are stored with the item as the document [`SUPPLIED`]. Every snapshot applies the current configuration, also
//! to items that are not read again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::inventory::ShortRevision;
use crate::crypto::digest::sha256;
use crate::model::json::JsonObject;
use crate::model::policies::Override;
use crate::model::{Item, ItemKind, SelectorSubject};
use crate::provider::SUPPLIED;
use crate::provider::Source;

/// Matches every listed item against the overrides. Groups precede their secrets, so group names are known.
#[derive(Debug)]
pub(super) struct Supplier<'a> {
    source: &'a dyn Source,
    overrides: &'a [Override],
    groups: BTreeMap<String, String>,
    supplied: Supplied,
}

/// The supplied documents, each stored once, and the overrides that were used.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    docs: Vec<(ShortRevision, Box<RawValue>)>,
    /// Index of each document, by the overrides that it combines.
    places: BTreeMap<Vec<usize>, u32>,
    used: BTreeSet<usize>,
}

impl<'a> Supplier<'a> {
    /// Starts with an empty listing.
    pub(super) fn new(source: &'a dyn Source, overrides: &'a [Override]) -> Self {
        Self { source, overrides, groups: BTreeMap::new(), supplied: Supplied::default() }
    }

    /// Starts over together with the listing.
    pub(super) fn restart(&self) -> Self {
        Self::new(self.source, self.overrides)
    }

    /// Returns the index of the document for an item, or `None` if it gets none.
    pub(super) fn of(&mut self, item: &Item) -> Option<u32> {
        if self.overrides.is_empty() {
            return None;
        }
        if item.key.kind() == ItemKind::Group {
            self.groups.insert(item.key.id().to_owned(), item.name.clone());
        }
        let labels = self.source.labels(item);
        let group = item.group.as_deref().map(|id| self.groups.get(id).map_or(id, String::as_str));
        let subject = SelectorSubject { name: &item.name, item_type: &item.item_type, group, labels: &labels };
        let selected = |one: &Override| one.select.iter().any(|selector| selector.matches(&subject));
        let matching: Vec<usize> =
            self.overrides.iter().enumerate().filter(|(_, one)| selected(one)).map(|(at, _)| at).collect();
        if matching.is_empty() {
            return None;
        }
        self.supplied.used.extend(&matching);
        if let Some(place) = self.supplied.places.get(&matching) {
            return Some(*place);
        }
        let mut members = JsonObject::default();
        for one in matching.iter().filter_map(|at| self.overrides.get(*at)) {
            // As in a plan, the last override that names a member wins.
            one.members().iter().for_each(|(name, value)| members.set(name, value.to_owned()));
        }
        let doc = members.to_raw();
        let place = u32::try_from(self.supplied.docs.len()).ok()?;
        self.supplied.docs.push((mark(&doc), doc));
        self.supplied.places.insert(matching, place);
        Some(place)
    }

    /// Returns the supplied documents.
    pub(super) fn finish(self) -> Supplied {
        self.supplied
    }
}

impl Supplied {
    /// Returns the short digest of a document.
    pub(super) fn mark(&self, place: Option<u32>) -> Option<ShortRevision> {
        Some(self.docs.get(place? as usize)?.0)
    }

    /// Sets, replaces or removes an item's supplied document.
    pub(super) fn give(&self, item: &mut Item, place: Option<u32>) {
        match place.and_then(|place| self.docs.get(place as usize)) {
            Some((_, doc)) => item.docs.insert(SUPPLIED.to_owned(), doc.clone()),
            None => item.docs.remove(SUPPLIED),
        };
    }

    /// Returns the overrides that selected nothing, by their index in the configuration.
    pub(super) fn unused(&self, overrides: usize) -> impl Iterator<Item = usize> + '_ {
        (0..overrides).filter(|at| !self.used.contains(at))
    }
}

/// Returns the short digest of the document that a base item has.
pub(super) fn mark_of(item: &Item) -> Option<ShortRevision> {
    item.docs.get(SUPPLIED).map(|doc| mark(doc))
}

fn mark(doc: &RawValue) -> ShortRevision {
    ShortRevision::of(&sha256(doc.get().as_bytes()))
}
