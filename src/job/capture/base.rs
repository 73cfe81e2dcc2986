//! The base snapshot of a run: how it is chosen, which of its packs can be reused, and its catalogue lines on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::CaptureError;
use super::counts::tally;
use super::inventory::ShortRevision;
use super::keys::KeyTable;
use super::merge_packs::packs_to_merge;
use super::reuse::{BaseIndex, BaseItem, ReuseDecision, ReuseRules};
use super::supply::mark_of;
use crate::crypto::Identities;
use crate::format::list::{ListedPack, PackList};
use crate::format::snapshot::PartRef;
use crate::format::{Entry, EntryRef, names};
use crate::model::{Digest, FailureKind, Item, Timestamp};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError};

/// Number of catalogue parts fetched and opened in parallel.
const PARTS_IN_FLIGHT: usize = 4;
/// Number of snapshots tried before a run proceeds without a base.
const TRIED: usize = 8;
/// Maximum number of items to reserve memory for based on an entry's counts. Not a limit on the items themselves.
const RESERVED: usize = 1_000_000;
/// Number of packs that a run is expected to add, used to predict the pack count of its snapshot.
pub(super) const NEW_PACKS: usize = 8;

/// The base snapshot of a run. Empty if there is none.
#[derive(Debug)]
pub(super) struct BaseSnapshot {
    /// The entry of the snapshot; `None` for an empty base, or one that was never recorded.
    pub(super) snapshot: Option<Digest>,
    /// Index of its items.
    pub(super) index: BaseIndex,
    /// Parts of its catalogue.
    pub(super) parts: Vec<PartRef>,
    /// Number of items in each part.
    pub(super) part_items: Vec<u64>,
    /// Its packs, each with the snapshot entry that first named it.
    pub(super) packs: Vec<ListedPack>,
    /// True if its pack list already names that entry for every pack.
    pub(super) listed_alike: bool,
    /// Digest of its pack list.
    pub(super) list: Option<Digest>,
    repository: Repository,
    keys: Arc<Identities>,
}

/// Requirements for a base snapshot, and the repository to read it from.
#[derive(Debug)]
pub(super) struct BaseQuery<'a> {
    pub(super) repository: &'a Repository,
    /// Identities that open its catalogue.
    pub(super) keys: &'a Arc<Identities>,
    /// Currently configured recovery recipients.
    pub(super) recipients: Vec<String>,
    /// True if the run is a full one, which reuses no payload.
    pub(super) full: bool,
    /// Age in milliseconds at which an item is due for refresh.
    pub(super) full_every: i64,
    /// Current time.
    pub(super) now: Timestamp,
    /// Number of packs that the run is expected to add.
    pub(super) new_packs: usize,
}

impl BaseSnapshot {
    /// A base without items.
    pub(super) fn empty(wanted: &BaseQuery<'_>) -> Self {
        Self {
            snapshot: None,
            index: BaseIndex::default(),
            parts: Vec::new(),
            part_items: Vec::new(),
            packs: Vec::new(),
            listed_alike: false,
            list: None,
            repository: wanted.repository.clone(),
            keys: Arc::clone(wanted.keys),
        }
    }

    /// Returns the newest good, live snapshot that `signer` signed and whose catalogue opens here. Adds to `warnings`
    /// why newer ones were skipped.
    ///
    /// # Errors
    /// If the repository cannot be reached. A damaged or locked catalogue is not an error: an older base, or none, is
    /// used.
    pub(super) async fn choose(
        wanted: &BaseQuery<'_>,
        ledger: &Ledger,
        signer: &Digest,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CaptureError> {
        // Only snapshots that were live when the run began: their objects outlast the longest run (`Deadline`).
        let candidates = ledger
            .live()
            .rev()
            .filter(|entry| entry.key == *signer && ledger.is_good(entry) && ledger.may_build_on(entry));
        for entry in candidates.take(TRIED) {
            match Self::of_entry(wanted, entry).await {
                Ok(base) => return Ok(base),
                Err(error) if matches!(error.kind(), FailureKind::Key | FailureKind::Integrity) => {
                    warnings.push(format!("cannot build on snapshot {}: {error}", entry.digest.short()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::empty(wanted))
    }

    async fn of_entry(wanted: &BaseQuery<'_>, entry: &Entry) -> Result<Self, RepositoryError> {
        let Some(event) = entry.snapshot() else { return Ok(Self::empty(wanted)) };
        let list = wanted.repository.get_list(&event.list).await?;
        let base = Self::load(wanted, event.parts.clone(), list).await?;
        let first = EntryRef { sequence: entry.sequence, digest: entry.digest };
        Ok(Self { snapshot: Some(entry.digest), list: Some(event.list), ..base.first_named_by(first) })
    }

    /// Reads a catalogue and decides whether each item can be reused.
    ///
    /// # Errors
    /// If a part cannot be fetched or opened.
    pub(super) async fn load(
        wanted: &BaseQuery<'_>,
        parts: Vec<PartRef>,
        list: PackList,
    ) -> Result<Self, RepositoryError> {
        let sizes = wanted.repository.pack_sizes().await?;
        let places = list.packs.iter().enumerate().filter_map(|(at, pack)| Some((pack.pack, at.try_into().ok()?)));
        let judge = Arc::new(ReuseJudge { demands: demands(wanted, &list.packs, &sizes), places: places.collect() });
        let mut base = Self { parts, packs: list.packs, ..Self::empty(wanted) };
        base.index.reserve(base.parts.iter().map(|part| part.items).sum());
        let numbered: Vec<(u32, PartRef)> = (0..).zip(base.parts.clone()).collect();
        let fetched = stream::iter(numbered).map(|(number, part)| {
            let (repository, keys, judge) = (wanted.repository.clone(), Arc::clone(wanted.keys), Arc::clone(&judge));
            // Reduced on the thread that opens the part: holding the full items of several parts would dominate memory
            // use.
            let reduce = move |item: Item, index: &mut BaseIndex| index.push(&item, number, &judge);
            async move { whole(&part, repository.read_part(&part.digest, &keys, reduce).await?.0) }
        });
        let mut fetched = fetched.buffered(PARTS_IN_FLIGHT);
        while let Some(index) = fetched.try_next().await? {
            base.part_items.push(index.known.len().try_into().unwrap_or(u64::MAX));
            base.index.append(index);
        }
        base.index.keys.shrink();
        Ok(base)
    }

    /// Names this snapshot as the first to list the packs for which the pack list names none.
    fn first_named_by(mut self, snapshot: EntryRef) -> Self {
        self.listed_alike = self.packs.iter().all(|pack| pack.since.is_some());
        for pack in &mut self.packs {
            pack.since.get_or_insert(snapshot);
        }
        self
    }

    /// Returns the reuse decision for the item at an index.
    pub(super) fn worth(&self, at: u32) -> Option<ReuseDecision> {
        Some(self.index.known.get(at as usize)?.worth)
    }

    /// Returns the index range of the items of a part.
    pub(super) fn places_of(&self, part: u32) -> Range<usize> {
        let known = &self.index.known;
        known.partition_point(|item| item.part < part)..known.partition_point(|item| item.part <= part)
    }
}

impl BaseIndex {
    /// Reserves memory for this many items at once: growing by doubling would briefly need twice the memory.
    fn reserve(&mut self, items: u64) {
        let items = usize::try_from(items).unwrap_or_default().min(RESERVED);
        self.keys.reserve(items);
        self.known.reserve_exact(items);
        self.packs.reserve_exact(items);
    }

    /// Appends the items of the next part.
    fn append(&mut self, mut part: BaseIndex) {
        let moved = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        let before = self.known.len();
        self.supplied.extend(part.supplied.into_iter().map(|(at, mark)| (before + at, mark)));
        self.keys.append(&part.keys);
        self.packs.append(&mut part.packs);
        self.known.extend(part.known.into_iter().map(|known| {
            let (first, count) = known.packs;
            BaseItem { packs: (first.saturating_add(moved), count), ..known }
        }));
    }

    fn push(&mut self, item: &Item, part: u32, ReuseJudge { demands, places }: &ReuseJudge) {
        let mut packs: Vec<u16> = Vec::new();
        let mut listed = true;
        for pointer in &item.payloads {
            match places.get(&pointer.pack) {
                Some(place) if packs.contains(place) => {}
                Some(place) => packs.push(*place),
                None => listed = false,
            }
        }
        let first = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        let count = u16::try_from(packs.len()).unwrap_or(u16::MAX);
        self.packs.append(&mut packs);
        self.supplied.extend(mark_of(item).map(|mark| (self.known.len(), mark)));
        self.keys.push(&item.key);
        self.known.push(BaseItem {
            revision: item.revision.as_ref().map(ShortRevision::of),
            worth: if listed { demands.judge(item) } else { ReuseDecision::Broken },
            part,
            tally: tally(item),
            packs: (first, count),
        });
    }

    /// Returns the packs of an item, as indexes into the pack list of the base.
    pub(super) fn packs_of(&self, known: &BaseItem) -> &[u16] {
        let (first, count) = (known.packs.0 as usize, usize::from(known.packs.1));
        self.packs.get(first..first + count).unwrap_or_default()
    }
}

/// Rules by which each base item is judged.
#[derive(Debug)]
struct ReuseJudge {
    demands: ReuseRules,
    /// Index of each pack in the pack list.
    places: BTreeMap<Digest, u16>,
}

/// Rejects a part whose item count differs from its entry.
fn whole(part: &PartRef, index: BaseIndex) -> Result<BaseIndex, RepositoryError> {
    let found = index.known.len();
    if u64::try_from(found).ok() == Some(part.items) {
        return Ok(index);
    }
    let why = format!("it holds {found} items, its entry says {}", part.items);
    Err(RepositoryError::Damaged { path: names::catalogue(&part.digest), why })
}

fn demands(wanted: &BaseQuery<'_>, packs: &[ListedPack], sizes: &BTreeMap<Digest, u64>) -> ReuseRules {
    let missing: BTreeSet<Digest> =
        packs.iter().filter(|pack| sizes.get(&pack.pack) != Some(&pack.size)).map(|pack| pack.pack).collect();
    let mut stale: BTreeSet<Digest> =
        packs.iter().filter(|pack| pack.recipients != wanted.recipients).map(|pack| pack.pack).collect();
    let whole: Vec<&ListedPack> =
        packs.iter().filter(|pack| !missing.contains(&pack.pack) && !stale.contains(&pack.pack)).collect();
    let sizes: Vec<u64> = whole.iter().map(|pack| pack.size).collect();
    stale.extend(packs_to_merge(&sizes, wanted.new_packs).into_iter().filter_map(|at| Some(whole.get(at)?.pack)));
    ReuseRules { full: wanted.full, full_every: wanted.full_every, now: wanted.now, stale, missing }
}

/// Returns the keys of any snapshot, in order.
///
/// # Errors
/// If a part cannot be fetched or opened.
pub(super) async fn keys_of(
    repository: &Repository,
    keys: &Arc<Identities>,
    parts: &[PartRef],
) -> Result<KeyTable, RepositoryError> {
    let mut table = KeyTable::default();
    for part in parts {
        let fold = |item: Item, table: &mut KeyTable| table.push(&item.key);
        table.append(&repository.read_part(&part.digest, keys, fold).await?.0);
    }
    Ok(table)
}

/// Reader of base catalogue lines, requested in ascending order; each part is fetched once.
#[derive(Debug)]
pub(super) struct BaseLines<'a> {
    base: &'a BaseSnapshot,
    part: Option<u32>,
    items: VecDeque<Item>,
}

impl<'a> BaseLines<'a> {
    /// Starts at the first line.
    pub(super) fn new(base: &'a BaseSnapshot) -> Self {
        Self { base, part: None, items: VecDeque::new() }
    }

    /// Returns the line at an index of the base.
    ///
    /// # Errors
    /// If its part can no longer be fetched or opened.
    pub(super) async fn get(&mut self, at: u32) -> Result<Option<Item>, CaptureError> {
        let Some(known) = self.base.index.known.get(at as usize) else { return Ok(None) };
        let key = self.base.index.keys.get(at as usize).unwrap_or_default();
        if self.part != Some(known.part) {
            let Some(part) = self.base.parts.get(known.part as usize) else { return Ok(None) };
            self.items = self.base.repository.open_part(part, &self.base.keys).await?.into();
            self.part = Some(known.part);
        }
        while let Some(item) = self.items.pop_front() {
            if item.key.as_str() == key {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}
