//! What the snapshot that a run builds on is still worth, item by item.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::ShortRevision;
use super::keys::KeyTable;
use super::refresh;
use crate::model::{Digest, Item, ItemClass, Timestamp};
use crate::provider::REFUSED;

/// Why an item is read although its lists show no change, or why it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReuseDecision {
    /// Kept while its revision stays.
    Whole,
    /// Read again, and kept as it is should that fail: its refresh is due, its pack is sealed to other recipients or too
    /// small, its value was refused to us, or the run is a full one.
    Again,
    /// It was not bound to a revision: read again; what is there is better than nothing should that fail.
    Unbound,
    /// A pack of it is missing or has another size: read again, and nothing to fall back on.
    Broken,
}

/// What a run asks of what it builds on.
#[derive(Debug)]
pub(super) struct ReuseRules {
    /// `backup --full`: no earlier pack is trusted.
    pub(super) full: bool,
    /// Every item is read again within so many milliseconds.
    pub(super) full_every: i64,
    /// The provider's present, or ours before it answered.
    pub(super) now: Timestamp,
    /// Packs that are sealed to other recipients than those configured now, or given up because they are too many.
    pub(super) stale: BTreeSet<Digest>,
    /// Packs that are not there with their size.
    pub(super) missing: BTreeSet<Digest>,
}

impl ReuseRules {
    /// What an item is worth.
    pub(super) fn judge(&self, item: &Item) -> ReuseDecision {
        let in_one_of = |packs: &BTreeSet<Digest>| item.payloads.iter().any(|pointer| packs.contains(&pointer.pack));
        if in_one_of(&self.missing) {
            ReuseDecision::Broken
        } else if item.revision.is_none() {
            ReuseDecision::Unbound
        } else if self.full
            || in_one_of(&self.stale)
            || item.docs.contains_key(REFUSED)
            || refresh::due(&item.key, item.read_at, self.now, self.full_every)
        {
            ReuseDecision::Again
        } else {
            ReuseDecision::Whole
        }
    }
}

/// What is remembered of one item of the base.
#[derive(Debug, Clone)]
pub(super) struct BaseItem {
    /// The revision beside its pointers.
    pub(super) revision: Option<ShortRevision>,
    /// What it is worth.
    pub(super) worth: ReuseDecision,
    /// The part that it stands in.
    pub(super) part: u32,
    /// Its share in the snapshot's counts.
    pub(super) tally: ItemShare,
    /// Its first pack, as a place in [`BaseItem`]'s table of packs; more follow when it has more.
    pub(super) packs: (u32, u16),
}

/// An item's share in the counts of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemShare {
    /// Its class.
    pub(super) class: ItemClass,
    /// Its versions, with payload or without.
    pub(super) versions: u16,
    /// Its locks.
    pub(super) locks: u16,
}

/// The items of the base, without their documents.
#[derive(Debug, Default)]
pub(super) struct BaseIndex {
    /// Their keys.
    pub(super) keys: KeyTable,
    /// What is known of each.
    pub(super) known: Vec<BaseItem>,
    /// What tells the documents that the operator supplied for items, by their places.
    pub(super) supplied: BTreeMap<usize, ShortRevision>,
    /// The packs of all items, one after the other; each a place in the base's pack list.
    pub(super) packs: Vec<u16>,
}
