//! The rounds of a capture: list, read, list again, until two listings agree.

use std::collections::{BTreeMap, BTreeSet};

use super::CaptureError;
use super::guard::check_clock;
use super::options::CaptureOptions;
use super::packing::Packing;
use super::reading::{Failures, ItemInRound, ItemReader};
use super::records::Records;
use super::report::SpentRequests;
use super::round::{Compared, ListingComparison, ReadSideEffect, VanishedItem};
use super::supply::Supplier;
use crate::format::snapshot::Consistency;
use crate::job::event::{JobEvent, Observer, Stage};
use crate::model::{ItemKey, ItemKind, Timestamp};
use crate::provider::{Listed, Presence, Requests, Sink, Source};

/// Maximum number of rounds before a capture no longer claims a single point in time.
pub(super) const ROUNDS: u8 = 5;

/// Result of the rounds.
#[derive(Debug)]
pub(super) struct Collected {
    /// Last listing.
    pub(super) compared: Compared,
    /// Items read in each round.
    pub(super) lines: Vec<Records<ItemInRound>>,
    /// Consistency that can be claimed.
    pub(super) consistency: Consistency,
    /// Start of the interval that the claim covers.
    pub(super) from: Timestamp,
    /// End of that interval.
    pub(super) to: Timestamp,
    /// Number of rounds.
    pub(super) rounds: u32,
    /// Whether reads change `updated_at` on this instance.
    pub(super) habit: ReadSideEffect,
    /// Items that are missing from the last listing but still exist when requested.
    pub(super) still_there: BTreeMap<ItemKey, VanishedItem>,
    /// Items of the last listing that have been deleted since.
    pub(super) gone: BTreeSet<ItemKey>,
    pub(super) failures: Failures,
    /// Number of items read.
    pub(super) read: u64,
    /// Requests spent.
    pub(super) spent: SpentRequests,
}

/// Runner of the rounds.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    pub(super) reader: ItemReader<'a>,
    pub(super) options: &'a CaptureOptions,
    /// Full name of the instance that the repository belongs to.
    pub(super) expected: &'a str,
    spent: SpentRequests,
    counted: Requests,
}

impl<'a> Collector<'a> {
    /// Creates a collector and starts counting requests.
    pub(super) fn new(reader: ItemReader<'a>, options: &'a CaptureOptions, expected: &'a str) -> Self {
        Self { counted: reader.source.requests(), reader, options, expected, spent: SpentRequests::default() }
    }

    /// Lists, reads and lists again until nothing changes, at most [`ROUNDS`] times.
    ///
    /// # Errors
    /// If the instance fails, is not the expected one, is empty, or hides items that it listed before.
    pub(super) async fn collect(mut self, packing: &mut Packing<'_>) -> Result<Collected, CaptureError> {
        let mut failures = Failures::default();
        let mut lines = Vec::new();
        let mut read = 0;
        let mut compared = self.list(None).await?;
        let first = compared.inventory.listing.started;
        for round in 0..ROUNDS {
            read += compared.inventory.to_read();
            lines.push(self.reader.read(round, &mut compared, packing, &mut failures).await?);
            self.count_reading(round);
            // A further change within the same timestamp tick would be invisible, so wait until the tick is over.
            self.reader.settle_down(compared.inventory.newest_change).await;
            let next = self.list(Some(&mut compared)).await?;
            let from = compared.inventory.listing.ended;
            compared = next;
            if compared.equal {
                let to = compared.inventory.listing.started.max(from);
                let collected = self.collected(compared, lines, failures, read);
                return Ok(Collected {
                    consistency: Consistency::PointInTime,
                    from,
                    to,
                    rounds: u32::from(round) + 1,
                    ..collected
                });
            }
            self.tell(JobEvent::Note(format!("{} items changed during the read; repeating", compared.moved)));
        }
        // Read the last changes once more: these items get no revision, but they do get their payloads.
        read += compared.inventory.to_read();
        lines.push(self.reader.read(ROUNDS, &mut compared, packing, &mut failures).await?);
        self.count_reading(ROUNDS);
        let still_there = self.ask_for_all(&compared.lost).await?;
        let gone = failures.gone.iter().filter(|(_, round)| **round == ROUNDS).map(|(key, _)| key.clone()).collect();
        let moved = compared.moved;
        let to = self.reader.source.provider_now().unwrap_or(first).max(first);
        let collected = self.collected(compared, lines, failures, read);
        let consistency = Consistency::PerItem { moved: Some(moved), why: None };
        Ok(Collected { consistency, from: first, to, rounds: u32::from(ROUNDS), still_there, gone, ..collected })
    }

    fn collected(
        self,
        compared: Compared,
        lines: Vec<Records<ItemInRound>>,
        failures: Failures,
        read: u64,
    ) -> Collected {
        Collected {
            habit: compared.habit,
            consistency: Consistency::PointInTime,
            from: compared.inventory.listing.started,
            to: compared.inventory.listing.ended,
            rounds: 0,
            still_there: BTreeMap::new(),
            gone: BTreeSet::new(),
            compared,
            lines,
            failures,
            read,
            spent: self.spent,
        }
    }

    async fn list(&mut self, before: Option<&mut Compared>) -> Result<Compared, CaptureError> {
        self.reader.deadline.check()?;
        self.tell(JobEvent::Begin { stage: Stage::List, total: None });
        let index = &self.reader.base.index;
        let comparison = match before {
            None => ListingComparison::new(index, None, BTreeMap::new(), ReadSideEffect::default()),
            Some(before) => {
                let lost = std::mem::take(&mut before.lost);
                ListingComparison::new(index, Some(&before.inventory), lost, before.habit)
            }
        };
        let supplier = Supplier::new(self.reader.source, &self.options.overrides);
        let mut comparison = comparison.supplied_by(supplier);
        let observer = &*self.reader.context.observer;
        let listing =
            self.reader.source.list(&mut ReportedComparison { comparison: &mut comparison, observer }).await?;
        let compared = comparison.finish(listing)?;
        self.tell(JobEvent::End { stage: Stage::List });
        let spent = self.since();
        self.spent.listing.push(spent.listing);
        self.spent.retried += spent.retried;
        self.check(&compared)?;
        Ok(compared)
    }

    fn check(&self, compared: &Compared) -> Result<(), CaptureError> {
        if let Some(found) = &compared.inventory.listing.instance
            && found != self.expected
        {
            return Err(CaptureError::OtherInstance { found: found.clone(), expected: self.expected.to_owned() });
        }
        check_clock(self.reader.context.clock.now(), self.reader.source.provider_now())?;
        // Kinds that may no longer be listed but were listed before.
        for kind in compared.hidden.keys() {
            if let Some(key) = compared.lost.keys().find(|key| key.kind() == *kind) {
                return Err(CaptureError::SightLost { key: key.clone() });
            }
        }
        if compared.inventory.secrets() == 0 && !self.options.allow_empty {
            return Err(CaptureError::Empty);
        }
        Ok(())
    }

    /// Requests every item that a round or the base had and the last listing lacks.
    async fn ask_for_all(
        &mut self,
        lost: &BTreeMap<ItemKey, VanishedItem>,
    ) -> Result<BTreeMap<ItemKey, VanishedItem>, CaptureError> {
        let mut there = BTreeMap::new();
        for (key, lost) in lost {
            self.reader.deadline.check()?;
            match self.reader.source.presence(key).await? {
                Presence::Gone => {}
                Presence::Present => {
                    there.insert(key.clone(), *lost);
                }
                Presence::Hidden => return Err(CaptureError::SightLost { key: key.clone() }),
            }
        }
        self.count_asking();
        Ok(there)
    }

    fn count_reading(&mut self, round: u8) {
        let spent = self.since();
        let place = if round == 0 { &mut self.spent.reading } else { &mut self.spent.rereading };
        *place += spent.reading;
        self.spent.retried += spent.retried;
    }

    fn count_asking(&mut self) {
        let spent = self.since();
        self.spent.asking += spent.reading + spent.listing;
        self.spent.retried += spent.retried;
    }

    /// Returns the number of requests since the previous call.
    fn since(&mut self) -> Requests {
        let now = self.reader.source.requests();
        now.since(std::mem::replace(&mut self.counted, now))
    }

    fn tell(&self, event: JobEvent) {
        self.reader.context.observer.observe(event);
    }
}

/// A comparison that reports its progress.
struct ReportedComparison<'a, 'b> {
    comparison: &'a mut ListingComparison<'b>,
    observer: &'a dyn Observer,
}

impl Sink for ReportedComparison<'_, '_> {
    fn take(&mut self, listed: Listed) {
        self.observer.observe(JobEvent::Advance { stage: Stage::List, by: 1 });
        self.comparison.take(listed);
    }

    fn restart(&mut self) -> bool {
        self.comparison.restart()
    }

    fn hidden(&mut self, kind: ItemKind, why: &str) -> bool {
        self.comparison.hidden(kind, why)
    }
}

/// Requests a sample of the items that vanished from stable listings; a deleted item answers 404.
///
/// # Errors
/// If an item is hidden, or exists although the lists lack it. Not for a configuration or the registration, which may
/// have been re-created under its old name.
pub(super) async fn ask_for_some(
    source: &dyn Source,
    lost: &BTreeMap<ItemKey, VanishedItem>,
    spent: &mut SpentRequests,
) -> Result<(), CaptureError> {
    let before = source.requests();
    let keys: Vec<&ItemKey> = lost.keys().collect();
    for key in super::shrink::sample(keys.len()).filter_map(|at| keys.get(at)) {
        match source.presence(key).await? {
            Presence::Gone => {}
            Presence::Present if !matches!(key.kind(), ItemKind::Secret | ItemKind::Group) => {}
            Presence::Present => return Err(CaptureError::Unlisted { key: (*key).clone() }),
            Presence::Hidden => return Err(CaptureError::SightLost { key: (*key).clone() }),
        }
    }
    let asked = source.requests().since(before);
    spent.asking += asked.reading + asked.listing;
    spent.retried += asked.retried;
    Ok(())
}
