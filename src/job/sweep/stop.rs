//! Reasons why a sweep deletes nothing, and what to do about each.

use crate::model::{FailureKind, Timestamp};
use crate::repository::SKEW_MILLIS;

/// A reason to stop. The message says what was found and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepStop {
    /// The ledger has a problem of the severity of an error.
    #[error("the ledger is incomplete or damaged: {0}; run `keyhaven verify --level ledger`, fix it, then sweep again")]
    Ledger(String),
    /// This version does not know the meaning of an entry.
    #[error("{0} says something that this version of keyhaven does not know; sweep with a newer one")]
    Unknown(String),
    /// A known head is missing.
    #[error(
        "{0} was a head and is missing or no longer valid: history was removed or the store was rolled back; restore \
         it before sweeping"
    )]
    HeadMissing(String),
    /// An object that a snapshot needs is missing.
    #[error(
        "snapshot {snapshot} needs {path}, which is {found}; run `keyhaven verify`, restore the object from a copy \
         of the repository or forget the snapshot, then sweep again"
    )]
    ObjectMissing {
        /// Sequence number of the snapshot.
        snapshot: u64,
        /// Path of the object.
        path: String,
        /// Description of what was found instead.
        found: String,
    },
    /// The pack list of a snapshot cannot be read, so the packs that it needs are unknown.
    #[error(
        "nothing says which packs snapshot {snapshot} needs: {why}; bring its list back from a copy of the \
         repository or \
         give the snapshot up, then sweep again"
    )]
    ListUnreadable {
        /// Sequence number of the snapshot.
        snapshot: u64,
        /// Reason.
        why: String,
    },
    /// A listing lacks an old object that exists.
    #[error(
        "the store's listing lacks {path}, an old object that exists: listings are incomplete; wait or ask the \
         store's operator, then sweep again"
    )]
    ListingPartial {
        /// Path of the object.
        path: String,
    },
    /// Two listings of one directory differ.
    #[error(
        "two listings of {folder}/ differ in {count} object(s), {example} among them: another sweep is running, or the \
         listings of the store are not whole; sweep again later"
    )]
    ListingsDiffer {
        /// Directory.
        folder: String,
        /// Number of objects that differ.
        count: usize,
        /// Path of one of them.
        example: String,
    },
    /// No good snapshot would remain.
    #[error(
        "no good snapshot is live, so nothing is deleted: back up, `keyhaven snapshots accept` a suspect one, or \
         take one \
         back with `keyhaven forget --undo …`"
    )]
    NoGoodLeft,
    /// The store has a clock but does not show it.
    #[error("the answers of the store have no date, so the age of its objects is not known; ask who runs the store")]
    ClockUnknown,
    /// The clocks differ too much.
    #[error(
        "this host's clock says {here}, the store's {there}, more than {} minutes apart; set the clock that is wrong",
        SKEW_MILLIS / 60_000
    )]
    ClockSkewed {
        /// This host's clock.
        here: Timestamp,
        /// The store's clock.
        there: Timestamp,
    },
    /// An object is dated in the future.
    #[error(
        "{path} is dated {modified}, which lies ahead of the clock ({now}): one of the two is wrong; set the clock"
    )]
    FromTheFuture {
        /// Path of the object.
        path: String,
        /// Date of the object.
        modified: Timestamp,
        /// Current time by the clock that dates the objects.
        now: Timestamp,
    },
    /// The grace period is not longer than the longest run.
    #[error(
        "the first entry gives a grace of {grace_seconds} s and a longest run of {run_seconds} s: no sweep is safe \
         unless \
         the grace is the longer one; keep this repository as it is, or make a new one with other times"
    )]
    NoRoom {
        /// Grace period, in seconds.
        grace_seconds: i64,
        /// Longest run, in seconds.
        run_seconds: i64,
    },
    /// Since the survey, a snapshot that needs objects to be deleted was recorded or undone in time.
    #[error(
        "snapshot {snapshot} was recorded meanwhile, or its forgetting undone in time, and needs {path}, which was \
         to go; \
         nothing was deleted; the next sweep decides anew"
    )]
    Overtaken {
        /// Sequence number of the snapshot.
        snapshot: u64,
        /// Path of the object.
        path: String,
    },
    /// Since the survey, the forgetting of a snapshot to be swept was undone, too late.
    #[error(
        "undo of snapshot {snapshot} came too late: the sweep's entry already names it. Nothing was deleted yet, but \
         the next sweep will delete it: copy what you need now"
    )]
    Undone {
        /// Sequence number of the snapshot.
        snapshot: u64,
    },
}

impl SweepStop {
    /// Returns the kind of failure: integrity for signs of tampering, partial if no good snapshot remains, failed for
    /// anything that resolves itself or by setting a clock.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Ledger(_) | Self::HeadMissing(_) | Self::ObjectMissing { .. } | Self::ListUnreadable { .. } => {
                FailureKind::Integrity
            }
            Self::NoGoodLeft => FailureKind::Partial,
            Self::Undone { .. } => FailureKind::Moved,
            Self::Unknown(_)
            | Self::ListingPartial { .. }
            | Self::ListingsDiffer { .. }
            | Self::ClockUnknown
            | Self::ClockSkewed { .. }
            | Self::FromTheFuture { .. }
            | Self::NoRoom { .. }
            | Self::Overtaken { .. } => FailureKind::Failed,
        }
    }

    /// Returns a fixed word for scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::Unknown(_) => "unknown_entry",
            Self::HeadMissing(_) => "head_missing",
            Self::ObjectMissing { .. } => "object_missing",
            Self::ListUnreadable { .. } => "list_unreadable",
            Self::ListingPartial { .. } => "listing_partial",
            Self::ListingsDiffer { .. } => "listings_differ",
            Self::NoGoodLeft => "no_good_left",
            Self::ClockUnknown => "clock_unknown",
            Self::ClockSkewed { .. } => "clock_skewed",
            Self::FromTheFuture { .. } => "from_the_future",
            Self::NoRoom { .. } => "no_room",
            Self::Overtaken { .. } => "overtaken",
            Self::Undone { .. } => "undone",
        }
    }
}

/// Returns the kind that determines the exit code: integrity first, a plain failure last.
#[must_use]
pub(super) fn worst(stops: &[SweepStop]) -> Option<FailureKind> {
    let rank = |kind: &FailureKind| match kind {
        FailureKind::Integrity => 3,
        FailureKind::Moved => 2,
        FailureKind::Partial => 1,
        _ => 0,
    };
    stops.iter().map(SweepStop::kind).max_by_key(rank)
}
