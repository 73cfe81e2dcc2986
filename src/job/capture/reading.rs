//! Reads the items of a round in parallel, as far as the packing has room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use super::CaptureError;
use super::base::{BaseLines, BaseSnapshot};
use super::deadline::Deadline;
use super::inventory::{ItemTask, ReadOutcome};
use super::packing::{Number, Packing};
use super::records::Records;
use super::reuse::ReuseDecision;
use super::round::Compared;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::{Item, ItemKey, Revision, Slot, Timestamp};
use crate::provider::{InstanceError, ItemContent, Listed, Source};

/// Age in milliseconds that an `updated_at` must reach before its item is read. A younger item may change again within
/// the same timestamp tick.
const TICK: i64 = 2_000;
/// Maximum lead in milliseconds of an `updated_at` over the provider's own `Date`. A larger lead is not waited out.
const AHEAD: i64 = 60_000;
/// Number of consecutive items with 429, 5xx (retries included) or unusable responses after which the run aborts.
const TROUBLED: u32 = 20;

/// An item in a round: as read, or only its list rows if it could not be read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ItemInRound {
    /// The item with all available documents, without revision and pointers.
    pub(super) item: Item,
    /// Revision listed before the item was read.
    pub(super) revision: Revision,
    /// The same without `updated_at`.
    pub(super) settled: Option<Revision>,
    /// Its payloads: slot and the pack that holds it.
    pub(super) payloads: Vec<(Slot, Number)>,
}

/// Reader of items.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemReader<'a> {
    /// Context of the job.
    pub(super) context: &'a Context,
    pub(super) source: &'a dyn Source,
    /// Base snapshot of the run.
    pub(super) base: &'a BaseSnapshot,
    /// Number of items read in parallel.
    pub(super) concurrency: usize,
    /// Time limit of the run.
    pub(super) deadline: Deadline<'a>,
}

/// Items that could not be read, by key. An item that is read later is removed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Error messages.
    pub(super) why: BTreeMap<ItemKey, String>,
    /// Items that changed while they were read.
    pub(super) moved: BTreeSet<ItemKey>,
    /// Items that answered 404 to the newest attempt, with the round of that attempt.
    pub(super) gone: BTreeMap<ItemKey, u8>,
    /// Items whose value was refused, with the provider's message. Everything else about them was read.
    pub(super) refused: BTreeMap<ItemKey, String>,
    troubled: u32,
}

/// An item being read.
struct ItemRead {
    at: usize,
    listed: Listed,
    before: Option<Item>,
    /// True if the base has a payload of it.
    held: bool,
    /// True if the base has it at the listed revision.
    unmoved: bool,
}

impl ItemReader<'_> {
    /// Reads every item of the inventory whose task is [`ItemTask::Read`] and returns the lines in key order.
    ///
    /// # Errors
    /// If the instance fails as a whole, or a pack cannot be written. A single unreadable item is not an error.
    pub(super) async fn read(
        &self,
        round: u8,
        compared: &mut Compared,
        packing: &mut Packing<'_>,
        failures: &mut Failures,
    ) -> Result<Records<ItemInRound>, CaptureError> {
        // Later rounds read mostly items that failed before, so these would be consecutive.
        failures.troubled = 0;
        let total = compared.inventory.to_read();
        self.tell(JobEvent::Begin { stage: Stage::Read, total: Some(total) });
        let mut lines = InOrder::default();
        let mut bases = BaseLines::new(self.base);
        let mut reads = FuturesUnordered::new();
        let mut more = true;
        loop {
            self.deadline.check()?;
            while more && reads.len() < self.concurrency.max(1) && packing.has_room() {
                match self.next_job(compared, &mut bases).await? {
                    Some(job) => {
                        lines.expect(job.at);
                        reads.push(self.read_one(job));
                    }
                    None => more = false,
                }
            }
            if reads.is_empty() && (!more || !packing.busy()) {
                break;
            }
            tokio::select! {
                written = packing.next(), if packing.busy() => written?,
                Some((job, result)) = reads.next(), if !reads.is_empty() => {
                    let at = job.at;
                    let (line, outcome) = self.settle(round, job, result, packing, failures)?;
                    compared.inventory.note(at, round, outcome);
                    lines.put(at, line)?;
                    self.tell(JobEvent::Advance { stage: Stage::Read, by: 1 });
                }
            }
        }
        self.tell(JobEvent::End { stage: Stage::Read });
        Ok(lines.done)
    }

    /// Waits until every listed change is old enough that no further change can share its timestamp tick.
    pub(super) async fn settle_down(&self, newest: Option<Timestamp>) {
        if let (Some(newest), Some(now)) = (newest, self.source.provider_now()) {
            // An implausible future time must not cut short the wait for the plausible ones.
            let newest = if newest.millis_since(now) <= AHEAD { newest } else { now };
            self.source.wait_until(newest.plus_millis(TICK)).await;
        }
    }

    async fn next_job(
        &self,
        compared: &mut Compared,
        bases: &mut BaseLines<'_>,
    ) -> Result<Option<ItemRead>, CaptureError> {
        while let Some(row) = compared.rows.pop()? {
            let withheld = compared.withheld.remove(&row.at);
            let Some(seen) = compared.inventory.seen.get(row.at).filter(|seen| seen.task == ItemTask::Read) else {
                continue;
            };
            let before = match seen.base {
                Some(at) if self.base.worth(at) == Some(ReuseDecision::Whole) => bases.get(at).await?,
                _ => None,
            };
            let known = seen.base.and_then(|at| self.base.index.known.get(at as usize));
            let known = known.filter(|known| known.worth != ReuseDecision::Broken);
            return Ok(Some(ItemRead {
                at: row.at,
                held: known.is_some_and(|known| known.packs.1 > 0),
                unmoved: known.is_some_and(|known| {
                    known.revision.is_some_and(|stored| stored == seen.revision || Some(stored) == seen.settled)
                }),
                listed: row.listed(withheld),
                before,
            }));
        }
        Ok(None)
    }

    async fn read_one(&self, job: ItemRead) -> (ItemRead, Result<ItemContent, InstanceError>) {
        self.settle_down(job.listed.updated_at).await;
        let result = self.source.read(&job.listed, job.before.as_ref()).await;
        (job, result)
    }

    /// Turns the result of a read into a line and passes payloads to the packing.
    fn settle(
        &self,
        round: u8,
        job: ItemRead,
        result: Result<ItemContent, InstanceError>,
        packing: &mut Packing<'_>,
        failures: &mut Failures,
    ) -> Result<(ItemInRound, ReadOutcome), CaptureError> {
        let Listed { mut item, revision, settled, .. } = job.listed;
        let reading = match result {
            Ok(reading) => reading,
            Err(error) => {
                failures.take(&item.key, round, error)?;
                return Ok((ItemInRound { item, revision, settled, payloads: Vec::new() }, ReadOutcome::Failed));
            }
        };
        failures.forget(&item.key);
        if let Some(words) = reading.refused {
            failures.refused.insert(item.key.clone(), words);
            // Keep the line of the base snapshot: it is at least as complete.
            if job.held || job.unmoved {
                return Ok((ItemInRound { item, revision, settled, payloads: Vec::new() }, ReadOutcome::Failed));
            }
        }
        let mut payloads = Vec::with_capacity(reading.payloads.len());
        for (slot, payload) in &reading.payloads {
            payloads.push((slot.clone(), packing.push(&item.key, slot, payload)?));
        }
        let outcome = ReadOutcome::Read { payload_at: (!payloads.is_empty()).then_some(reading.read_at) };
        item.docs = reading.docs;
        item.read_at = Some(reading.read_at);
        Ok((ItemInRound { item, revision, settled, payloads }, outcome))
    }

    fn tell(&self, event: JobEvent) {
        self.context.observer.observe(event);
    }
}

impl Failures {
    /// Records a failed read. Returns the error if continuing is pointless.
    fn take(&mut self, key: &ItemKey, round: u8, error: InstanceError) -> Result<(), CaptureError> {
        self.moved.remove(key);
        self.gone.remove(key);
        self.refused.remove(key);
        match error {
            InstanceError::Gone { .. } => {
                self.gone.insert(key.clone(), round);
            }
            // A single such response concerns one item; consecutive ones concern the instance.
            InstanceError::Overloaded { .. } | InstanceError::Malformed { .. } | InstanceError::Incomplete { .. } => {
                self.troubled += 1;
                if self.troubled >= TROUBLED {
                    return Err(CaptureError::Unreadable { failures: self.troubled, source: error });
                }
            }
            InstanceError::Moved { .. } => {
                self.moved.insert(key.clone());
            }
            InstanceError::Forbidden { .. } | InstanceError::Refused { .. } | InstanceError::Unsafe { .. } => {}
            // No response or no access: other items would fail as well.
            other => return Err(other.into()),
        }
        self.why.insert(key.clone(), error.to_string());
        Ok(())
    }

    fn forget(&mut self, key: &ItemKey) {
        self.troubled = 0;
        self.why.remove(key);
        self.refused.remove(key);
        self.moved.remove(key);
        self.gone.remove(key);
    }
}

/// Restores the requested order of lines that arrive in any order.
#[derive(Default)]
struct InOrder {
    expected: VecDeque<usize>,
    waiting: BTreeMap<usize, ItemInRound>,
    done: Records<ItemInRound>,
}

impl InOrder {
    fn expect(&mut self, at: usize) {
        self.expected.push_back(at);
    }

    fn put(&mut self, at: usize, line: ItemInRound) -> Result<(), CaptureError> {
        self.waiting.insert(at, line);
        while let Some(line) = self.expected.front().and_then(|at| self.waiting.remove(at)) {
            self.expected.pop_front();
            self.done.push(&line)?;
        }
        Ok(())
    }
}
