//! An inventory without documents: keys, revisions, and the state of each item in this run.

use super::keys::KeyTable;
use super::supply::Supplied;
use crate::model::{Revision, Timestamp};
use crate::provider::CompleteListing;

/// First half of a revision: enough to distinguish revisions, and saves some megabytes per 100,000 items. Only whole
/// revisions are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShortRevision([u8; 16]);

impl ShortRevision {
    /// Shortens a revision.
    pub(super) fn of(revision: &Revision) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(revision.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(half)
    }
}

/// Action required for an item after a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemTask {
    /// Keep the base line: the revision is the one stored there.
    Keep,
    /// Nothing left to do: the item was read in this run, and its revision was the same in the listings before and
    /// after.
    Done,
    /// Only `updated_at` changed, around our own read. Resolved at the end of the listing: to [`ItemTask::Done`] if
    /// reads change `updated_at` on this instance, otherwise to [`ItemTask::Read`].
    Touched,
    /// Read the item.
    Read,
}

/// One listed item.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListedItem {
    /// Digest of its rows.
    pub(super) revision: ShortRevision,
    /// The same digest without `updated_at`, if that still distinguishes versions.
    pub(super) settled: Option<ShortRevision>,
    /// Required action.
    pub(super) task: ItemTask,
    /// Newest round in which it was read successfully.
    pub(super) got: Option<u8>,
    /// Newest round in which a read was attempted; its rows from that round are kept.
    pub(super) tried: Option<u8>,
    /// Time of that read, if it returned a payload.
    pub(super) payload_at: Option<Timestamp>,
    /// Index in the base.
    pub(super) base: Option<u32>,
    /// Index of the document that the operator supplies for it.
    pub(super) supplied: Option<u32>,
    /// True if it is a secret; used for the counts.
    pub(super) secret: bool,
}

/// The items of one listing in key order.
#[derive(Debug)]
pub(super) struct ListedInventory {
    /// Item keys.
    pub(super) keys: KeyTable,
    /// State of each item.
    pub(super) seen: Vec<ListedItem>,
    /// The listing itself.
    pub(super) listing: CompleteListing,
    /// Newest `updated_at` in the listing.
    pub(super) newest_change: Option<Timestamp>,
    /// Members that the operator supplies.
    pub(super) supplied: Supplied,
}

impl ListedInventory {
    /// Returns the number of items to read.
    pub(super) fn to_read(&self) -> u64 {
        self.count(|seen| seen.task == ItemTask::Read)
    }

    /// Returns the number of secrets.
    pub(super) fn secrets(&self) -> u64 {
        self.count(|seen| seen.secret)
    }

    fn count(&self, wanted: impl Fn(&ListedItem) -> bool) -> u64 {
        u64::try_from(self.seen.iter().filter(|seen| wanted(seen)).count()).unwrap_or(u64::MAX)
    }

    /// Records the outcome of reading an item.
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

/// Outcome of an attempt to read an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// The item was read, with or without a payload.
    Read {
        /// Time of the read by the provider's clock, if there was a payload.
        payload_at: Option<Timestamp>,
    },
    /// The read failed.
    Failed,
}
