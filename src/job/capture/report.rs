//! Result of a capture.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::job::{RunFacts, RunResult, total};
use crate::model::{Digest, FailureKind, ItemKey, ItemKind, Timestamp};

/// Result of a recorded capture. The members are stable: members may be added, but none changes its meaning.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CaptureReport {
    /// Entry that records the snapshot.
    pub snapshot: Digest,
    /// Its sequence number.
    pub sequence: u64,
    /// Consistency that is claimed: `point_in_time` or `per_item`.
    pub cut: &'static str,
    /// Start of the interval that the cut covers, by the provider's clock. This is the snapshot's time.
    pub from: Timestamp,
    /// End of that interval.
    pub to: Timestamp,
    /// Number of items that changed between the last two listings; 0 for `point_in_time`.
    pub moved: u64,
    /// Number of rounds of reading and listing again.
    pub rounds: u64,
    /// True if everything was read.
    pub full: bool,
    /// Reason for a full run that neither the options nor a missing base required: the trust policy made a snapshot
    /// void.
    pub full_because: Option<String>,
    /// Base snapshot.
    pub base: Option<Digest>,
    /// True if nothing changed, so that the entry names the catalogue of its base.
    pub quiet: bool,
    /// Reasons why the snapshot is suspect; empty if it is good.
    pub suspect: Vec<String>,
    /// Doubts about the repository itself: a forked policy, snapshots that cannot be judged, missing entries, an entry
    /// that this host does not remember.
    pub doubts: Vec<String>,
    /// Items whose payloads could not be read, with reasons.
    pub unread: Vec<UnreadItem>,
    /// Configurations whose value was refused because the identity lacks a role. Everything else about them was
    /// captured.
    pub refused: Vec<RefusedItem>,
    /// Kinds that the identity may not list because it lacks a role. No item of them was captured, and no earlier
    /// snapshot had any.
    pub hidden: Vec<HiddenKind>,
    /// True if the configuration accepts this, so that a missing role alone does not make the run partial.
    pub refused_is_accepted: bool,
    /// Contents of the snapshot, counted by kind.
    pub counts: BTreeMap<String, u64>,
    /// Number of items by restorability class.
    pub classes: BTreeMap<String, u64>,
    /// Number of items copied from the base.
    pub kept: u64,
    /// Number of items read in this run.
    pub read: u64,
    /// Requests per round, with the first listing counted separately.
    pub requests: SpentRequests,
    /// Plain bytes of payload lines, before compression.
    pub plain_bytes: u64,
    /// Sealed bytes of the packs that this run wrote.
    pub sealed_bytes: u64,
    /// Number of packs written.
    pub packs_written: u64,
    /// Number of packs of earlier runs that the snapshot reuses.
    pub packs_reused: u64,
    /// Number of catalogue parts written.
    pub parts_written: u64,
    /// Number of catalogue parts reused.
    pub parts_reused: u64,
    /// Duration of the run in milliseconds, by this host's clock.
    pub duration_ms: i64,
    /// Recovery point achieved: milliseconds from the start of the cut to the end of the run, by the provider's clock.
    pub recovery_point_ms: i64,
    /// Notes of the entry, in words.
    pub notes: Vec<String>,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// An item whose payloads could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadItem {
    /// The item.
    pub key: ItemKey,
    /// Reason, in words.
    pub why: String,
}

/// A kind that the identity may not list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiddenKind {
    /// The kind.
    pub kind: ItemKind,
    /// The provider's message.
    pub why: String,
}

/// An item whose value the identity may not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedItem {
    /// The item.
    pub key: ItemKey,
    /// The provider's message.
    pub why: String,
    /// Time at which the kept value was read for an earlier snapshot; `None` if there is no earlier value.
    pub value_of: Option<Timestamp>,
    /// True if the item has changed since, so that the kept value may be out of date.
    pub moved_since: bool,
    /// True if the kept value is sealed to other recovery keys than those configured now, which therefore cannot open
    /// it. No setting accepts that.
    pub sealed_to_others: bool,
}

/// Requests to the instance, including retries and excluding token exchanges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SpentRequests {
    /// List pages per listing; the first listing precedes all reads.
    pub listing: Vec<u64>,
    /// Reads in the first round.
    pub reading: u64,
    /// Reads of changed items in all later rounds.
    pub rereading: u64,
    /// Requests that checked whether an item missing from the listing still exists.
    pub asking: u64,
    /// Requests repeated after a failure; included in the numbers above.
    pub retried: u64,
}

impl SpentRequests {
    /// Adds the requests of another attempt.
    pub(super) fn add(&mut self, other: &Self) {
        self.listing.extend(&other.listing);
        self.reading += other.reading;
        self.rereading += other.rereading;
        self.asking += other.asking;
        self.retried += other.retried;
    }

    /// Returns the sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.listing.iter().sum::<u64>() + self.reading + self.rereading + self.asking
    }
}

impl CaptureReport {
    /// Returns how a recorded run counts: partial if items could not be read, the snapshot is suspect, or values were
    /// refused and the configuration does not accept that.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        let accepted = self.refused_is_accepted && !self.refused.iter().any(|item| item.sealed_to_others);
        let refused = !(accepted || self.refused.is_empty() && self.hidden.is_empty());
        let whole = self.suspect.is_empty() && self.doubts.is_empty() && self.unread.is_empty() && !refused;
        (!whole).then_some(FailureKind::Partial)
    }
}

impl RunResult for CaptureReport {
    fn facts(&self) -> RunFacts {
        RunFacts {
            sequence: Some(self.sequence),
            snapshot: Some(self.snapshot),
            requests: Some(self.requests.total()),
            problems: total([self.unread.len(), self.refused.len(), self.hidden.len()]),
            suspect: !self.suspect.is_empty(),
        }
    }
}
