//! Catalogue writer: one sorted merge of the last listing, the base and the items read.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::CaptureError;
use super::base::{BaseLines, BaseSnapshot};
use super::collect::Collected;
use super::counts::{RunningCounts, tally};
use super::inventory::ListedInventory;
use super::packing::Packing;
use super::reading::ItemInRound;
use super::records::Records;
use super::segments::{LineOrigin, Segment, Segments, origins};
use crate::crypto::Recipients;
use crate::format::SourceName;
use crate::format::catalogue::{PartBuilder, cut_before};
use crate::format::list::{ListedPack, PackList};
use crate::format::snapshot::PartRef;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::limits::PACKS_PER_SNAPSHOT;
use crate::model::{Digest, Item, ItemKey, Pointer};
use crate::provider::Source;
use crate::repository::Repository;

/// Number of parts sealed or uploaded in parallel.
const IN_FLIGHT: usize = 2;

/// A catalogue in the repository, with its pack list.
#[derive(Debug)]
pub(super) struct Written {
    /// Its parts, in order.
    pub(super) parts: Vec<PartRef>,
    /// Packs that it needs.
    pub(super) list: PackList,
    /// Digest of that list.
    pub(super) list_digest: Digest,
    /// Counts of its contents.
    pub(super) counts: RunningCounts,
    /// Number of items copied unchanged from the base.
    pub(super) kept: u64,
    /// Number of parts sealed.
    pub(super) parts_written: u64,
    /// Number of base parts reused.
    pub(super) parts_reused: u64,
}

/// Destination of a catalogue, and its recipients.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatalogueTarget<'a> {
    /// Context of the job.
    pub(super) context: &'a Context,
    pub(super) repository: &'a Repository,
    /// Source instance of the repository.
    pub(super) source: &'a SourceName,
    /// Recipients of the parts.
    pub(super) recipients: &'a Recipients,
    /// Provider, which judges the class of items.
    pub(super) judge: &'a dyn Source,
    /// zstd level.
    pub(super) level: i32,
    /// True if base parts may be reused, because they are sealed to exactly these recipients.
    pub(super) reuse_parts: bool,
}

/// Writes the catalogue of the collected items, reusing base parts that are unchanged.
///
/// # Errors
/// If the repository fails, or if lines kept in memory are missing, which is a bug.
pub(super) async fn write<'a>(
    target: CatalogueTarget<'a>,
    base: &'a BaseSnapshot,
    collected: &'a mut Collected,
    packing: &'a Packing<'_>,
) -> Result<Written, CaptureError> {
    let lines = std::mem::take(&mut collected.lines);
    let collected = &*collected;
    let mut writer = PartWriter {
        target,
        base,
        packing,
        bases: BaseLines::new(base),
        lines: lines.into_iter().map(Cursor::new).collect(),
        without: collected.habit.moves,
        inventory: &collected.compared.inventory,
        source: target.judge,
        parts: Vec::new(),
        flying: FuturesUnordered::new(),
        old_packs: BTreeSet::new(),
        new_packs: BTreeMap::new(),
        counts: RunningCounts::default(),
        kept: 0,
        reused: 0,
        written: 0,
    };
    let Collected { compared, still_there, gone, .. } = collected;
    let mut segments = Segments::new(&base.index, &base.part_items);
    let expand = !target.reuse_parts;
    for line in origins(&compared.inventory, &base.index, still_there, gone) {
        let (key, origin) = line?;
        let cut = cut_before(&key);
        if let Some(segment) = segments.push(key, origin, cut) {
            writer.take(segment, expand).await?;
        }
    }
    if let Some(segment) = segments.finish() {
        writer.take(segment, expand).await?;
    }
    writer.finish().await
}

/// Expands reusable base parts into lines to be written again.
fn expanded(base: &BaseSnapshot, segment: Segment) -> Segment {
    let Segment::Same(parts) = &segment else { return segment };
    let places = parts.iter().flat_map(|part| base.places_of(*part));
    let line = |at: usize| Some((base.index.keys.key(at)?, LineOrigin::Base { at: u32::try_from(at).ok()? }));
    Segment::New(places.filter_map(line).collect())
}

struct PartWriter<'a, 'p> {
    target: CatalogueTarget<'a>,
    base: &'a BaseSnapshot,
    packing: &'a Packing<'p>,
    bases: BaseLines<'a>,
    lines: Vec<Cursor>,
    /// True if revisions are stored without `updated_at`.
    without: bool,
    /// Newest listing.
    inventory: &'a ListedInventory,
    source: &'a dyn Source,
    parts: Vec<Option<PartRef>>,
    flying: FuturesUnordered<BoxFuture<'a, Result<(usize, PartRef), CaptureError>>>,
    old_packs: BTreeSet<u16>,
    new_packs: BTreeMap<Digest, ListedPack>,
    counts: RunningCounts,
    kept: u64,
    reused: u64,
    written: u64,
}

impl PartWriter<'_, '_> {
    async fn take(&mut self, segment: Segment, expand: bool) -> Result<(), CaptureError> {
        match if expand { expanded(self.base, segment) } else { segment } {
            Segment::Same(parts) => self.reuse(&parts),
            Segment::New(lines) => self.make(lines).await?,
        }
        Ok(())
    }

    fn reuse(&mut self, parts: &[u32]) {
        for part in parts {
            for at in self.base.places_of(*part) {
                if let (Some(known), Some(key)) = (self.base.index.known.get(at), self.base.index.keys.key(at)) {
                    self.counts.add(&key, &known.tally);
                    self.old_packs.extend(self.base.index.packs_of(known));
                    self.kept += 1;
                }
            }
            self.parts.push(self.base.parts.get(*part as usize).cloned());
            self.reused += 1;
        }
    }

    async fn make(&mut self, lines: Vec<(ItemKey, LineOrigin)>) -> Result<(), CaptureError> {
        let mut builder = self.builder()?;
        for (key, origin) in lines {
            let mut item = self.item(&key, origin).await?;
            if !matches!(origin, LineOrigin::Base { .. }) {
                self.finish_item(&mut item);
            }
            self.counts.add(&key, &tally(&item));
            if builder.is_full() {
                let full = std::mem::replace(&mut builder, self.builder()?);
                self.seal(full).await?;
            }
            builder.push(&item).map_err(|source| {
                let what = format!("put {key} into the catalogue");
                CaptureError::Format { what, source }
            })?;
        }
        self.seal(builder).await
    }

    fn builder(&self) -> Result<PartBuilder, CaptureError> {
        PartBuilder::new(*self.target.repository.id(), self.target.source)
            .map_err(|source| CaptureError::Format { what: "begin a catalogue part".to_owned(), source })
    }

    /// Returns one catalogue line and adds its packs to the pack list.
    async fn item(&mut self, key: &ItemKey, origin: LineOrigin) -> Result<Item, CaptureError> {
        match origin {
            LineOrigin::Base { at } | LineOrigin::Supplied { at } => {
                self.kept += 1;
                self.base_line(key, at).await
            }
            LineOrigin::Older { at, rows } => {
                let mut item = self.base_line(key, at).await?;
                item.revision = None;
                self.renew(&mut item, rows)?;
                Ok(item)
            }
            LineOrigin::Rows { round } => Ok(self.line(key, round)?.item),
            LineOrigin::Read { round, bound, rows } => {
                let ItemInRound { mut item, revision, settled, payloads } = self.line(key, round)?;
                let stored = if self.without { settled.unwrap_or(revision) } else { revision };
                item.revision = bound.then_some(stored);
                for (version, number) in payloads {
                    let pack = self.packing.written(number).ok_or_else(|| lost(key, "its pack"))?;
                    self.new_packs.entry(pack.pack).or_insert_with(|| pack.clone());
                    item.payloads.push(Pointer { version, pack: pack.pack });
                }
                self.renew(&mut item, rows)?;
                Ok(item)
            }
        }
    }

    /// Adds the members that the operator supplies, then judges the class of the completed item.
    fn finish_item(&self, item: &mut Item) {
        if let Some(seen) = self.inventory.keys.find(&item.key).and_then(|at| self.inventory.seen.get(at)) {
            self.inventory.supplied.give(item, seen.supplied);
        }
        item.class = self.source.judge(item);
    }

    /// Merges the rows of a later round into an item that could not be read in that round: its list rows are current,
    /// its payloads are not.
    fn renew(&mut self, item: &mut Item, rows: Option<u8>) -> Result<(), CaptureError> {
        if let Some(round) = rows {
            let ItemInRound { item: newer, .. } = self.line(&item.key, round)?;
            item.docs.extend(newer.docs);
            (item.name, item.group) = (newer.name, newer.group);
        }
        Ok(())
    }

    async fn base_line(&mut self, key: &ItemKey, at: u32) -> Result<Item, CaptureError> {
        if let Some(known) = self.base.index.known.get(at as usize) {
            self.old_packs.extend(self.base.index.packs_of(known));
        }
        self.bases.get(at).await?.ok_or_else(|| lost(key, "its line in the catalogue of the base"))
    }

    fn line(&mut self, key: &ItemKey, round: u8) -> Result<ItemInRound, CaptureError> {
        let cursor = self.lines.get_mut(usize::from(round)).ok_or_else(|| lost(key, "its round"))?;
        cursor.to(key)?.ok_or_else(|| lost(key, "its reading"))
    }

    async fn seal(&mut self, builder: PartBuilder) -> Result<(), CaptureError> {
        if builder.is_empty() {
            return Ok(());
        }
        while self.flying.len() >= IN_FLIGHT {
            self.land().await?;
        }
        let (at, target) = (self.parts.len(), self.target);
        self.parts.push(None);
        self.written += 1;
        self.flying.push(Box::pin(async move { Ok((at, target.put(builder).await?)) }));
        Ok(())
    }

    async fn land(&mut self) -> Result<(), CaptureError> {
        if let Some(done) = self.flying.next().await {
            let (at, part) = done?;
            if let Some(place) = self.parts.get_mut(at) {
                *place = Some(part);
            }
            self.target.context.observer.observe(JobEvent::Advance { stage: Stage::Upload, by: 1 });
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Written, CaptureError> {
        while !self.flying.is_empty() {
            self.land().await?;
        }
        let parts: Vec<PartRef> = self.parts.into_iter().flatten().collect();
        let old = self.old_packs.iter().filter_map(|at| self.base.packs.get(usize::from(*at)).cloned());
        let new = self.new_packs.len();
        let mut packs: Vec<ListedPack> = old.chain(self.new_packs.into_values()).collect();
        packs.sort_by_key(|pack| pack.pack);
        packs.dedup_by_key(|pack| pack.pack);
        if packs.len() > PACKS_PER_SNAPSHOT {
            return Err(CaptureError::TooManyPacks { packs: packs.len(), new, limit: PACKS_PER_SNAPSHOT });
        }
        let list = PackList::new(packs)
            .map_err(|source| CaptureError::Format { what: "list the packs".to_owned(), source })?;
        // The base was live when this run began, so its list outlasts the run. Reuse the list only if it names a first
        // snapshot for every pack: packs without one would be attributed to the wrong snapshot.
        let list_digest = match self.base.list {
            Some(same) if self.base.listed_alike && self.base.packs == list.packs => same,
            _ => self.target.repository.put_list(&list).await?,
        };
        Ok(Written {
            parts,
            list,
            list_digest,
            counts: self.counts,
            kept: self.kept,
            parts_written: self.written,
            parts_reused: self.reused,
        })
    }
}

impl CatalogueTarget<'_> {
    async fn put(self, builder: PartBuilder) -> Result<PartRef, CaptureError> {
        let (recipients, level, items) = (self.recipients.clone(), self.level, builder.len());
        let sealed = tokio::task::spawn_blocking(move || builder.seal(&recipients, level))
            .await
            .map_err(|error| CaptureError::Internal { what: format!("sealing a catalogue part died: {error}") })?
            .map_err(|source| CaptureError::Format { what: "seal a catalogue part".to_owned(), source })?;
        self.repository.put_part(&sealed).await?;
        let size = u64::try_from(sealed.bytes.len()).unwrap_or(u64::MAX);
        Ok(PartRef { digest: sealed.digest, size, items })
    }
}

/// Cursor over the lines of a round, requested in ascending order.
struct Cursor {
    lines: Records<ItemInRound>,
    ahead: Option<ItemInRound>,
}

impl Cursor {
    fn new(lines: Records<ItemInRound>) -> Self {
        Self { lines, ahead: None }
    }

    fn to(&mut self, key: &ItemKey) -> Result<Option<ItemInRound>, CaptureError> {
        loop {
            let next = match self.ahead.take() {
                Some(line) => Some(line),
                None => self.lines.pop()?,
            };
            match next {
                Some(line) if line.item.key == *key => return Ok(Some(line)),
                Some(line) if line.item.key > *key => {
                    self.ahead = Some(line);
                    return Ok(None);
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

fn lost(key: &ItemKey, what: &str) -> CaptureError {
    CaptureError::Internal { what: format!("{what} is not there for {key}") }
}
