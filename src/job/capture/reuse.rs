//! Decides, item by item, what can be reused from the base snapshot.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::ShortRevision;
use super::keys::KeyTable;
use super::refresh;
use crate::model::{Digest, Item, ItemClass, Timestamp};
use crate::provider::REFUSED;

/// Decision whether an item's base line can be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReuseDecision {
    /// Kept while its revision is unchanged.
    Whole,
    /// Read again, and kept unchanged if that fails: its refresh is due, its pack is sealed to other recipients or too
    /// small, its value was refused, or the run is a full one.
    Again,
    /// Not bound to a revision: read again, and kept if that fails.
    Unbound,
    /// One of its packs is missing or has another size: read again, with no fallback.
    Broken,
}

/// Requirements of a run for reusing base items.
#[derive(Debug)]
pub(super) struct ReuseRules {
    /// True for `backup --full`: no earlier pack is trusted.
    pub(super) full: bool,
    /// Time in milliseconds within which every item is read again.
    pub(super) full_every: i64,
    /// Current time by the provider's clock, or by ours until the provider has answered.
    pub(super) now: Timestamp,
    /// Packs sealed to other recipients than those configured now, or to be merged because there are too many.
    pub(super) stale: BTreeSet<Digest>,
    /// Packs that are missing or have another size.
    pub(super) missing: BTreeSet<Digest>,
}

impl ReuseRules {
    /// Decides whether an item can be reused.
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

/// An item of the base, without its documents.
#[derive(Debug, Clone)]
pub(super) struct BaseItem {
    /// Revision stored with its pointers.
    pub(super) revision: Option<ShortRevision>,
    /// Reuse decision.
    pub(super) worth: ReuseDecision,
    /// Number of its catalogue part.
    pub(super) part: u32,
    /// Its share of the snapshot's counts.
    pub(super) tally: ItemShare,
    /// Range in [`BaseIndex::packs`]: first index and number of packs.
    pub(super) packs: (u32, u16),
}

/// An item's share of a snapshot's counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemShare {
    pub(super) class: ItemClass,
    /// Number of versions, with or without payload.
    pub(super) versions: u16,
    /// Number of locks.
    pub(super) locks: u16,
}

/// Index of the base: its items, without their documents.
#[derive(Debug, Default)]
pub(super) struct BaseIndex {
    /// Item keys.
    pub(super) keys: KeyTable,
    /// State of each item.
    pub(super) known: Vec<BaseItem>,
    /// Digests of the documents that the operator supplied, by item index.
    pub(super) supplied: BTreeMap<usize, ShortRevision>,
    /// Packs of all items, concatenated, as indexes into the base's pack list.
    pub(super) packs: Vec<u16>,
}
