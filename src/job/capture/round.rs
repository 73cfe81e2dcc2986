//! Compares a listing with the previous one and with the base while it streams in: changed items, items to read.
//!
//! Pure: a [`ListingComparison`] takes listed items in key order and holds only digests and the rows of items that may
//! have to be read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::CaptureError;
use super::inventory::{ItemTask, ListedInventory, ListedItem, ShortRevision};
use super::keys::{KeyTable, Walk};
use super::records::Records;
use super::reuse::{BaseIndex, BaseItem, ReuseDecision};
use super::supply::Supplier;
use crate::model::{Item, ItemKey, ItemKind, Payload, Revision, Timestamp};
use crate::provider::{CompleteListing, Listed, Readable, Sink};

/// Number of our reads after which only `updated_at` changed, with no counter-example, before we conclude that reading
/// itself updates it.
const TELLING: u64 = 3;
/// Window around the end of a read, in milliseconds, in which a new `updated_at` is attributed to that read. Before the
/// end: the requests of one item. After it: `Date` has no fractions of a second.
const OURS: RangeInclusive<i64> = -10_000..=1_000;

/// List rows of an item that may have to be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReadCandidate {
    /// Index in the inventory.
    pub(super) at: usize,
    /// The item with its list rows.
    pub(super) item: Item,
    /// Digest of the rows.
    pub(super) revision: Revision,
    /// The same digest without `updated_at`.
    pub(super) settled: Option<Revision>,
    /// Time of its last change.
    pub(super) updated_at: Option<Timestamp>,
    /// True if payloads may be read.
    pub(super) payloads: bool,
}

impl ReadCandidate {
    fn of(at: usize, listed: Listed) -> Self {
        Self {
            at,
            item: listed.item,
            revision: listed.revision,
            settled: listed.settled,
            updated_at: listed.updated_at,
            payloads: listed.readable == Readable::Payloads,
        }
    }

    /// Returns the item as it was listed.
    pub(super) fn listed(self, withheld: Option<Payload>) -> Listed {
        Listed {
            item: self.item,
            revision: self.revision,
            settled: self.settled,
            updated_at: self.updated_at,
            readable: if self.payloads { Readable::Payloads } else { Readable::MetadataOnly },
            withheld,
        }
    }
}

/// An item that is missing from the newest listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct VanishedItem {
    /// Index in the base.
    pub(super) base: Option<u32>,
    /// Newest round in which it was read successfully.
    pub(super) got: Option<u8>,
    /// Newest round in which a read was attempted.
    pub(super) tried: Option<u8>,
}

/// Evidence on whether reading a payload changes `updated_at` on this instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReadSideEffect {
    /// True once reads are assumed to change `updated_at`. Never reset during a run.
    pub(super) moves: bool,
    /// True if the base holds revisions without `updated_at`.
    pub(super) known: bool,
    refuted: bool,
    hinted: bool,
}

impl ReadSideEffect {
    /// Evaluates one more round. `still` is the number of our reads that left `updated_at` unchanged, `touched` the
    /// number after which only it changed. `known` is true if the base holds items stored without it.
    fn weigh(self, still: u64, touched: u64, known: bool) -> Self {
        let known = self.known || known;
        let refuted = !self.moves && (self.refuted || still > 0);
        let moves = self.moves || (!refuted && touched > 0 && (known || self.hinted || touched >= TELLING));
        Self { moves, refuted, hinted: touched > 0, known }
    }
}

/// Result of a listing.
#[derive(Debug)]
pub(super) struct Compared {
    /// The listing.
    pub(super) inventory: ListedInventory,
    /// Rows of items that may have to be read, in key order.
    pub(super) rows: Records<ReadCandidate>,
    /// Secret fields that the lists showed of these items, by index in the inventory.
    pub(super) withheld: BTreeMap<usize, Payload>,
    /// True if it equals the previous listing and both are steady: every item existed, unchanged, from the end of that
    /// listing to the start of this one.
    pub(super) equal: bool,
    /// Number of items added, removed or changed since the previous listing.
    pub(super) moved: u64,
    /// Kinds that the identity may not list, with the provider's message.
    pub(super) hidden: BTreeMap<ItemKind, String>,
    /// Items that existed before and are missing now.
    pub(super) lost: BTreeMap<ItemKey, VanishedItem>,
    /// Whether reads change `updated_at` on this instance.
    pub(super) habit: ReadSideEffect,
}

/// Comparison of a listing that is streaming in.
#[derive(Debug)]
pub(super) struct ListingComparison<'a> {
    /// Items that were missing before this listing.
    lost_before: BTreeMap<ItemKey, VanishedItem>,
    base: &'a BaseIndex,
    base_walk: Walk,
    before: Option<&'a ListedInventory>,
    before_walk: Walk,
    habit: ReadSideEffect,
    keys: KeyTable,
    seen: Vec<ListedItem>,
    rows: Records<ReadCandidate>,
    withheld: BTreeMap<usize, Payload>,
    hidden: BTreeMap<ItemKind, String>,
    supplier: Option<Supplier<'a>>,
    newest_change: Option<Timestamp>,
    lost: BTreeMap<ItemKey, VanishedItem>,
    moved: u64,
    still: u64,
    touched: u64,
    stored_without: bool,
    failed: Option<CaptureError>,
}

impl<'a> ListingComparison<'a> {
    /// Starts to compare a listing with the base and with the previous listing, `before`. `lost` are the items that
    /// were already missing then.
    pub(super) fn new(
        base: &'a BaseIndex,
        before: Option<&'a ListedInventory>,
        lost: BTreeMap<ItemKey, VanishedItem>,
        habit: ReadSideEffect,
    ) -> Self {
        // A little more than before: growing by doubling would briefly need twice the memory.
        let likely = before.map_or(base.keys.len(), |before| before.keys.len());
        let likely = likely + likely / 64;
        let mut keys = KeyTable::default();
        keys.reserve(likely);
        Self {
            base,
            base_walk: Walk::default(),
            before,
            before_walk: Walk::default(),
            habit,
            keys,
            seen: Vec::with_capacity(likely),
            rows: Records::default(),
            withheld: BTreeMap::new(),
            hidden: BTreeMap::new(),
            supplier: None,
            newest_change: None,
            lost: lost.clone(),
            lost_before: lost,
            moved: 0,
            still: 0,
            touched: 0,
            stored_without: false,
            failed: None,
        }
    }

    /// Also looks up the members that the operator supplies for each item.
    pub(super) fn supplied_by(mut self, supplier: Supplier<'a>) -> Self {
        self.supplier = Some(supplier);
        self
    }

    fn take_in(&mut self, listed: Listed) {
        let key = listed.item.key.clone();
        let earlier = self.find_before(key.as_str());
        let known = self.find_in_base(key.as_str());
        let mut seen = ListedItem {
            revision: ShortRevision::of(&listed.revision),
            settled: listed.settled.as_ref().map(ShortRevision::of),
            task: ItemTask::Read,
            got: None,
            tried: None,
            payload_at: None,
            base: known.map(|(at, _)| at),
            supplied: self.supplier.as_mut().and_then(|supplier| supplier.of(&listed.item)),
            secret: key.kind() == ItemKind::Secret,
        };
        if let Some(earlier) = earlier {
            (seen.got, seen.tried, seen.payload_at) = (earlier.got, earlier.tried, earlier.payload_at);
        } else if let Some(lost) = self.lost.remove(&key) {
            (seen.got, seen.tried) = (lost.got, lost.tried);
        }
        seen.task = self.task(&seen, listed.updated_at, earlier, known.map(|(_, known)| known));
        if self.before.is_some() && earlier.is_none_or(|earlier| earlier.revision != seen.revision) {
            self.moved += 1;
        }
        self.newest_change = self.newest_change.max(listed.updated_at);
        let at = self.seen.len();
        self.keys.push(&key);
        self.seen.push(seen);
        if matches!(seen.task, ItemTask::Read | ItemTask::Touched) {
            self.store(at, listed);
        }
    }

    fn task(
        &mut self,
        now: &ListedItem,
        updated_at: Option<Timestamp>,
        earlier: Option<ListedItem>,
        known: Option<&BaseItem>,
    ) -> ItemTask {
        if let Some(earlier) = earlier {
            let same = earlier.revision == now.revision;
            let settled = earlier.settled.is_some() && earlier.settled == now.settled;
            // Read successfully after the previous listing, so the two listings enclose the read.
            let read = earlier.task == ItemTask::Read && earlier.got.is_some() && earlier.got == earlier.tried;
            if let (true, true, Some(at)) = (read, settled, earlier.payload_at) {
                let ours = updated_at.is_some_and(|moved| OURS.contains(&moved.millis_since(at)));
                self.still += u64::from(same);
                self.touched += u64::from(!same && ours);
            }
            match earlier.task {
                ItemTask::Keep if same => return ItemTask::Keep,
                ItemTask::Done if same => return ItemTask::Done,
                ItemTask::Read if same && read => return ItemTask::Done,
                ItemTask::Done if settled => return ItemTask::Touched,
                ItemTask::Read if settled && read => return ItemTask::Touched,
                _ => {}
            }
        }
        match known {
            Some(BaseItem { worth: ReuseDecision::Whole, revision: Some(stored), .. }) if *stored == now.revision => {
                ItemTask::Keep
            }
            Some(BaseItem { worth: ReuseDecision::Whole, revision: Some(stored), .. })
                if Some(*stored) == now.settled =>
            {
                self.stored_without = true;
                ItemTask::Keep
            }
            _ => ItemTask::Read,
        }
    }

    fn store(&mut self, at: usize, mut listed: Listed) {
        if let Some(withheld) = listed.withheld.take() {
            self.withheld.insert(at, withheld);
        }
        if self.failed.is_none() {
            self.failed = self.rows.push(&ReadCandidate::of(at, listed)).err();
        }
    }

    fn find_before(&mut self, key: &str) -> Option<ListedItem> {
        let before = self.before?;
        let (lost, moved) = (&mut self.lost, &mut self.moved);
        let at = self.before_walk.to(&before.keys, key, |at| {
            *moved += 1;
            lose(lost, before, at);
        })?;
        before.seen.get(at).copied()
    }

    fn find_in_base(&mut self, key: &str) -> Option<(u32, &'a BaseItem)> {
        let (lost, base) = (&mut self.lost, self.base);
        let at = self.base_walk.to(&base.keys, key, |at| lose_from_base(lost, base, at))?;
        Some((u32::try_from(at).ok()?, base.known.get(at)?))
    }

    /// Completes the comparison at the end of the listing.
    ///
    /// # Errors
    /// If rows could not be stored.
    pub(super) fn finish(mut self, listing: CompleteListing) -> Result<Compared, CaptureError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (lost, moved, base) = (&mut self.lost, &mut self.moved, self.base);
        if let Some(before) = self.before {
            self.before_walk.rest(&before.keys, |at| {
                *moved += 1;
                lose(lost, before, at);
            });
        }
        self.base_walk.rest(&base.keys, |at| lose_from_base(lost, base, at));
        let habit = self.habit.weigh(self.still, self.touched, self.stored_without);
        let settled = if habit.moves { ItemTask::Done } else { ItemTask::Read };
        for seen in self.seen.iter_mut().filter(|seen| seen.task == ItemTask::Touched) {
            seen.task = settled;
        }
        self.keys.shrink();
        self.seen.shrink_to_fit();
        let steady = listing.steady && self.before.is_some_and(|before| before.listing.steady);
        Ok(Compared {
            equal: steady && self.moved == 0,
            moved: self.moved,
            inventory: ListedInventory {
                keys: self.keys,
                seen: self.seen,
                listing,
                newest_change: self.newest_change,
                supplied: self.supplier.map(Supplier::finish).unwrap_or_default(),
            },
            rows: self.rows,
            withheld: self.withheld,
            hidden: self.hidden,
            lost: self.lost,
            habit,
        })
    }
}

impl Sink for ListingComparison<'_> {
    fn take(&mut self, listed: Listed) {
        self.take_in(listed);
    }

    fn restart(&mut self) -> bool {
        let lost = std::mem::take(&mut self.lost_before);
        let supplier = self.supplier.as_ref().map(Supplier::restart);
        *self = Self { supplier, ..Self::new(self.base, self.before, lost, self.habit) };
        true
    }

    fn hidden(&mut self, kind: ItemKind, why: &str) -> bool {
        self.hidden.insert(kind, why.to_owned());
        true
    }
}

fn lose(lost: &mut BTreeMap<ItemKey, VanishedItem>, before: &ListedInventory, at: usize) {
    if let (Some(key), Some(seen)) = (before.keys.key(at), before.seen.get(at)) {
        lost.insert(key, VanishedItem { base: seen.base, got: seen.got, tried: seen.tried });
    }
}

fn lose_from_base(lost: &mut BTreeMap<ItemKey, VanishedItem>, base: &BaseIndex, at: usize) {
    if let Some(key) = base.keys.key(at) {
        lost.entry(key).or_default().base = u32::try_from(at).ok();
    }
}

#[cfg(test)]
mod tests;
