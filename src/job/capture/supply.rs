//! Members that the operator supplies because no answer returns them: which items get which.
//!
//! They are stored with the item, as the document [`SUPPLIED`], and follow the configuration with every snapshot, also on
//! items that are not read again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::inventory::ShortRevision;
use crate::crypto::digest::sha256;
use crate::model::json::JsonObject;
use crate::model::policies::Override;
use crate::model::{Item, ItemKind, SelectorSubject};
use crate::provider::SUPPLIED;
use crate::provider::Source;

/// Looks at every listed item. Groups come before the secrets in them, so their names are known.
#[derive(Debug)]
pub(super) struct Supplier<'a> {
    source: &'a dyn Source,
    overrides: &'a [Override],
    groups: BTreeMap<String, String>,
    supplied: Supplied,
}

/// The documents, each once, and what is known of the overrides.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    docs: Vec<(ShortRevision, Box<RawValue>)>,
    /// The place of a document, by the overrides that it is made of.
    places: BTreeMap<Vec<usize>, u32>,
    used: BTreeSet<usize>,
}

impl<'a> Supplier<'a> {
    /// Starts with a listing.
    pub(super) fn new(source: &'a dyn Source, overrides: &'a [Override]) -> Self {
        Self { source, overrides, groups: BTreeMap::new(), supplied: Supplied::default() }
    }

    /// Starts over, as the listing does.
    pub(super) fn restart(&self) -> Self {
        Self::new(self.source, self.overrides)
    }

    /// The place of the document that an item gets; `None` when it gets none.
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
            // As in a plan: the last that names a member gives it.
            one.members().iter().for_each(|(name, value)| members.set(name, value.to_owned()));
        }
        let doc = members.to_raw();
        let place = u32::try_from(self.supplied.docs.len()).ok()?;
        self.supplied.docs.push((mark(&doc), doc));
        self.supplied.places.insert(matching, place);
        Some(place)
    }

    /// What it came to.
    pub(super) fn finish(self) -> Supplied {
        self.supplied
    }
}

impl Supplied {
    /// What tells a document from another.
    pub(super) fn mark(&self, place: Option<u32>) -> Option<ShortRevision> {
        Some(self.docs.get(place? as usize)?.0)
    }

    /// Gives an item the document that it should have now, in place of the one that it may have.
    pub(super) fn give(&self, item: &mut Item, place: Option<u32>) {
        match place.and_then(|place| self.docs.get(place as usize)) {
            Some((_, doc)) => item.docs.insert(SUPPLIED.to_owned(), doc.clone()),
            None => item.docs.remove(SUPPLIED),
        };
    }

    /// The overrides that selected nothing, by their place in the configuration.
    pub(super) fn unused(&self, overrides: usize) -> impl Iterator<Item = usize> + '_ {
        (0..overrides).filter(|at| !self.used.contains(at))
    }
}

/// The mark of the document that an item of the base has.
pub(super) fn mark_of(item: &Item) -> Option<ShortRevision> {
    item.docs.get(SUPPLIED).map(|doc| mark(doc))
}

fn mark(doc: &RawValue) -> ShortRevision {
    ShortRevision::of(&sha256(doc.get().as_bytes()))
}
