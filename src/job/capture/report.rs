//! What a capture came to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::job::{RunFacts, RunResult, total};
use crate::model::{Digest, FailureKind, ItemKey, ItemKind, Timestamp};

/// The result of a capture that was recorded. The members are stable: more may come, none changes its meaning.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CaptureReport {
    /// The entry that makes the snapshot real.
    pub snapshot: Digest,
    /// Its sequence number.
    pub sequence: u64,
    /// What can be said about its moment: `point_in_time` or `per_item`.
    pub cut: &'static str,
    /// Start of the interval that the cut speaks of, by the provider's clock; the snapshot's time.
    pub from: Timestamp,
    /// End of that interval.
    pub to: Timestamp,
    /// Items that moved between the last two listings; 0 for `point_in_time`.
    pub moved: u64,
    /// Rounds of reading and listing again.
    pub rounds: u64,
    /// Whether everything was read.
    pub full: bool,
    /// Why, when neither the options asked for it nor a base was missing: the trust policy made a snapshot void.
    pub full_because: Option<String>,
    /// The snapshot that it builds on.
    pub base: Option<Digest>,
    /// Whether nothing had changed, so that the entry names the catalogue of its base again.
    pub quiet: bool,
    /// Why the snapshot is suspect; empty for a good one.
    pub suspect: Vec<String>,
    /// What makes the repository itself doubtful: a forked policy, snapshots that cannot be judged, entries that are gone,
    /// an entry that this host does not remember.
    pub doubts: Vec<String>,
    /// Items whose payloads could not be read, each with the reason.
    pub unread: Vec<UnreadItem>,
    /// Configurations whose value was refused, because the identity lacks a role. The rest of them was captured.
    pub refused: Vec<RefusedItem>,
    /// Kinds of items that the identity may not list, because it lacks a role; nothing of them was captured, and no
    /// earlier snapshot had any.
    pub hidden: Vec<HiddenKind>,
    /// Whether the configuration file accepts that, so that what lacks a role alone makes no run partial.
    pub refused_is_accepted: bool,
    /// How much of what it holds, by kind.
    pub counts: BTreeMap<String, u64>,
    /// Items by restorability class.
    pub classes: BTreeMap<String, u64>,
    /// Items taken over from the base.
    pub kept: u64,
    /// Items read in this run.
    pub read: u64,
    /// What each round cost, the first listing apart.
    pub requests: SpentRequests,
    /// Bytes of payload lines before compression.
    pub plain_bytes: u64,
    /// Sealed bytes of the packs that this run wrote.
    pub sealed_bytes: u64,
    /// Packs written.
    pub packs_written: u64,
    /// Packs of earlier runs that the snapshot names again.
    pub packs_reused: u64,
    /// Catalogue parts written.
    pub parts_written: u64,
    /// Catalogue parts named again.
    pub parts_reused: u64,
    /// How long the run took, in milliseconds, by this host's clock.
    pub duration_ms: i64,
    /// The recovery point achieved: milliseconds from the start of the cut to the end of the run, by the provider's clock.
    pub recovery_point_ms: i64,
    /// What the entry says beside the figures.
    pub notes: Vec<String>,
    /// What the operator should look at.
    pub warnings: Vec<String>,
}

/// An item whose payloads could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadItem {
    /// The item.
    pub key: ItemKey,
    /// The reason, in words.
    pub why: String,
}

/// A kind of items that the identity may not list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiddenKind {
    /// The kind.
    pub kind: ItemKind,
    /// The provider's words.
    pub why: String,
}

/// An item whose value the identity may not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedItem {
    /// The item.
    pub key: ItemKey,
    /// The provider's words.
    pub why: String,
    /// When the value was read that an earlier snapshot has and this one keeps; `None` when there is none.
    pub value_of: Option<Timestamp>,
    /// Whether the item has changed since then, so that the kept value may be out of date.
    pub moved_since: bool,
    /// Whether the kept value is sealed to other recovery keys than those configured now, so that these do not open it.
    /// Nothing excuses that.
    pub sealed_to_others: bool,
}

/// Requests to the instance, re-tries included, token exchanges apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SpentRequests {
    /// Pages of lists, by listing; the first is the one before any reading.
    pub listing: Vec<u64>,
    /// Reads that the plan asked for, in the first round.
    pub reading: u64,
    /// Reads of items that had moved, in all later rounds.
    pub rereading: u64,
    /// Requests that asked whether an item that is not listed any more still exists.
    pub asking: u64,
    /// Requests that were sent again after a failure, contained in the figures above.
    pub retried: u64,
}

impl SpentRequests {
    /// Adds what another attempt cost.
    pub(super) fn add(&mut self, other: &Self) {
        self.listing.extend(&other.listing);
        self.reading += other.reading;
        self.rereading += other.rereading;
        self.asking += other.asking;
        self.retried += other.retried;
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.listing.iter().sum::<u64>() + self.reading + self.rereading + self.asking
    }
}

impl CaptureReport {
    /// What the run counts as, although it was recorded: partial when items could not be read or the snapshot is suspect,
    /// and when values were refused and nobody has accepted that.
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
