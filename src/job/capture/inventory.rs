//! An inventory without its documents: keys, revisions, and what this run has of each item.

use super::keys::KeyTable;
use super::supply::Supplied;
use crate::model::{Revision, Timestamp};
use crate::provider::CompleteListing;

/// The first half of a revision: enough to tell two apart, and 100,000 items take some megabytes less. Only whole
/// revisions are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortRevision([u8; 16]);

impl ShortRevision {
    /// The mark of a revision.
    pub(super) fn of(revision: &Revision) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(revision.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(half)
    }
}

/// What is to be done about an item after a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemTask {
    /// Its line of the base is taken over: its revision is the one stored there.
    Keep,
    /// It was read in this run, and its revision was listed both before and after.
    Done,
    /// Nothing but `updated_at` moved around our own reading of it. Settled at the end of the listing: [`ItemTask::Done`]
    /// when this instance moves `updated_at` on every read, [`ItemTask::Read`] when it does not.
    Touched,
    /// It has to be read.
    Read,
}

/// One listed item.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedItem {
    /// The digest of its rows.
    pub(super) revision: ShortRevision,
    /// The same without `updated_at`, where that still tells versions apart.
    pub(super) settled: Option<ShortRevision>,
    /// What is to be done.
    pub(super) task: ItemTask,
    /// The newest round in which it was read with success.
    pub(super) got: Option<u8>,
    /// The newest round in which it was tried; its rows of then are kept.
    pub(super) tried: Option<u8>,
    /// When that reading was done, if it brought a payload.
    pub(super) payload_at: Option<Timestamp>,
    /// Its place in the base.
    pub(super) base: Option<u32>,
    /// The place of the document that the operator supplies for it.
    pub(super) supplied: Option<u32>,
    /// Whether it is a secret, for the count.
    pub(super) secret: bool,
}

/// The items of one listing in the order of their keys.
#[derive(Debug)]
pub(super) struct ListedInventory {
    /// Their keys.
    pub(super) keys: KeyTable,
    /// What is known of each.
    pub(super) seen: Vec<ListedItem>,
    /// The listing itself.
    pub(super) listing: CompleteListing,
    /// The newest `updated_at` that it showed.
    pub(super) newest_change: Option<Timestamp>,
    /// What the operator supplies.
    pub(super) supplied: Supplied,
}

impl ListedInventory {
    /// How many items have to be read.
    pub(super) fn to_read(&self) -> u64 {
        self.count(|seen| seen.task == ItemTask::Read)
    }

    /// How many secrets there are.
    pub(super) fn secrets(&self) -> u64 {
        self.count(|seen| seen.secret)
    }

    fn count(&self, wanted: impl Fn(&ListedItem) -> bool) -> u64 {
        u64::try_from(self.seen.iter().filter(|seen| wanted(seen)).count()).unwrap_or(u64::MAX)
    }

    /// Notes what reading an item brought.
    pub(super) fn note(&mut self, at: usize, round: u8, outcome: ReadOutcome) {
        if let Some(seen) = self.seen.get_mut(at) {
            seen.tried = Some(round);
            if let ReadOutcome::Read { payload_at } = outcome {
                seen.got = Some(round);
                seen.payload_at = payload_at;
            }
        }
    }
}

/// What trying to read an item came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// It was read, with or without a payload.
    Read {
        /// When it was done by the provider's clock, if there was a payload.
        payload_at: Option<Timestamp>,
    },
    /// It was not.
    Failed,
}
