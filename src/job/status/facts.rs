//! Status of a repository as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::format::PolicyRef;
use crate::model::{Digest, Timestamp};

/// The operator's objectives for the backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// Maximum age of the newest good recovery point. `None`: no objective; only a repository without one is stale.
    #[serde(rename = "rpo_seconds", serialize_with = "seconds")]
    pub rpo: Option<Duration>,
    /// Maximum age of the last verification that read every object (level `objects` or deeper).
    #[serde(rename = "verified_within_seconds", serialize_with = "seconds")]
    pub verified_within: Option<Duration>,
}

fn seconds<S: Serializer>(period: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match period {
        Some(period) => serializer.serialize_some(&period.as_secs()),
        None => serializer.serialize_none(),
    }
}

/// Status of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The repository id.
    pub repository: String,
    /// Full name of the source; `None` if no entry is available.
    pub source: Option<String>,
    /// Reference time of all ages.
    pub now: Timestamp,
    /// Objectives.
    pub objectives: Objectives,
    /// Missed objectives; empty if none.
    pub stale: Vec<Stale>,
    /// Snapshots.
    pub backups: Backups,
    /// Verification levels, shallowest first; only levels with an entry.
    pub levels: Vec<LevelStatus>,
    /// Newest passed verification that read every object and covered the newest good snapshot of its time.
    pub verified: Option<Verified>,
    /// Newest failed verification, until one at least as deep of the same objects passes.
    pub failed_check: Option<Check>,
    /// Heads of the ledger, normally one.
    pub heads: Vec<Digest>,
    /// Number of valid entries.
    pub entries: u64,
    /// Trust policy version in force; in a fork, the newest one that all branches share.
    pub policy: Option<PolicyRef>,
    /// Problems of the ledger.
    pub problems: Problems,
    /// Newest recorded restore.
    pub restored: Option<Restored>,
}

/// Snapshots of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backups {
    /// Newest snapshot, good or not.
    pub newest: Option<SnapshotFact>,
    /// Newest live, good snapshot.
    pub newest_good: Option<SnapshotFact>,
    /// Time of the oldest known good snapshot.
    pub first_good: Option<Timestamp>,
    /// Age of the newest good recovery point; `None` without one whose time can be believed.
    pub achieved_rpo_seconds: Option<u64>,
    /// Longest time without a new good recovery point in the last seven days, including the time until now; `None`
    /// without a good one.
    pub worst_gap_seconds: Option<u64>,
    /// Time since which every newer snapshot is suspect: that of the first one after the newest good one.
    pub suspect_since: Option<Timestamp>,
    /// Number of live, good snapshots.
    pub good: u64,
    /// Number of live, suspect snapshots.
    pub suspect: u64,
    /// Number of forgotten snapshots not swept yet.
    pub forgotten: u64,
    /// Number of swept snapshots.
    pub swept: u64,
    /// Number of held snapshots, which no policy forgets.
    pub held: u64,
    /// The last days in UTC, oldest first, ending today.
    pub days: Vec<Day>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SnapshotFact {
    /// Digest of its entry.
    pub digest: Digest,
    /// Sequence number.
    pub sequence: u64,
    /// Start of its cut by the provider's clock, or the time when the store received its entry if the former is
    /// implausible.
    pub time: Option<Timestamp>,
    /// True if its own time is implausible.
    pub mistimed: bool,
    /// `point_in_time` or `per_item`.
    pub cut: &'static str,
    /// Number of items.
    pub items: u64,
    /// Number of items by kind.
    pub counts: BTreeMap<String, u64>,
    /// Number of items by restorability class.
    pub classes: BTreeMap<String, u64>,
    /// Number of packs that it needs.
    pub packs: u64,
    /// Total sealed size of these packs, in bytes.
    pub sealed_bytes: u64,
    /// Reasons why it is suspect; empty if it is good.
    pub suspect: Vec<String>,
    /// Kinds that the collector was not allowed to list.
    pub hidden: Vec<String>,
}

/// Snapshots of one day, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Midnight at its start.
    pub from: Timestamp,
    /// Number of good snapshots.
    pub good: u64,
    /// Number of suspect snapshots.
    pub suspect: u64,
}

/// Status of one verification level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelStatus {
    /// `ledger`, `objects`, `catalogue`, `payload` or `drill`.
    pub level: String,
    /// Newest verification of exactly this level.
    pub last: Check,
    /// Newest passed verification that was not a slice.
    pub last_whole: Option<Check>,
    /// Progress of payload slices; `None` if there are none.
    pub slices: Option<Slices>,
}

/// One verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Digest of its entry.
    pub entry: Digest,
    /// Level.
    pub level: String,
    /// Time when it was recorded.
    pub at: Timestamp,
    /// True if no problem was found.
    pub passed: bool,
    /// Number of problems found.
    pub problems: u64,
    /// Sequence of the newest snapshot that it covers; `None` if the snapshots that it names no longer exist.
    pub covers: Option<u64>,
    /// Part of the packs that was opened, if not all.
    pub slice: Option<String>,
}

/// Payload verification in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slices {
    /// Number of parts of the newest division.
    pub of: u64,
    /// Number of parts that passed within the verification objective, or at any time without one.
    pub done: u64,
    /// Time of the oldest of these passes: everything opened was opened at or after it.
    pub since: Option<Timestamp>,
}

/// Newest verification that covers every object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Digest of its entry.
    pub entry: Digest,
    /// Level.
    pub level: String,
    /// Time when it was recorded.
    pub at: Timestamp,
    /// Sequence of the newest snapshot that it covers.
    pub covers: u64,
}

/// Problems of a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// Number of problems that fail a verification.
    pub errors: u64,
    /// Number of problems that are only warnings.
    pub warnings: u64,
    /// The first few in words, most severe first.
    pub named: Vec<String>,
}

/// The newest restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Time when it was recorded.
    pub at: Timestamp,
    /// Instance that was restored into.
    pub target: String,
    /// Digest of the snapshot.
    pub snapshot: Digest,
    /// Sequence of the snapshot; `None` if it no longer exists.
    pub sequence: Option<u64>,
    /// Time of the snapshot.
    pub time: Option<Timestamp>,
    /// Number of items that match the snapshot.
    pub restored: u64,
    /// Number of items that do not.
    pub failed: u64,
    /// Number of newer good snapshots.
    pub behind: u64,
    /// Age difference to the newest good snapshot, in seconds.
    pub behind_seconds: u64,
}

/// Reason why the backups are stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Stale {
    /// There is no snapshot.
    NeverBackedUp,
    /// There are snapshots, but none is good.
    NoGoodSnapshot,
    /// The newest good recovery point is too old.
    RpoMissed {
        /// Age in seconds.
        achieved_seconds: u64,
        /// Objective in seconds.
        objective_seconds: u64,
    },
    /// No verification has read every object, and the first snapshot is older than the objective.
    NeverVerified {
        /// Objective in seconds.
        objective_seconds: u64,
    },
    /// The last verification that read every object is too old.
    VerifiedTooLongAgo {
        /// Age in seconds.
        age_seconds: u64,
        /// Objective in seconds.
        objective_seconds: u64,
    },
}

impl Stale {
    /// Every value of [`code`](Self::code).
    pub const CODES: [&str; 5] =
        ["never_backed_up", "no_good_snapshot", "rpo_missed", "never_verified", "verified_too_long_ago"];

    /// Returns a fixed word for programs, the same as in JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NeverBackedUp => "never_backed_up",
            Self::NoGoodSnapshot => "no_good_snapshot",
            Self::RpoMissed { .. } => "rpo_missed",
            Self::NeverVerified { .. } => "never_verified",
            Self::VerifiedTooLongAgo { .. } => "verified_too_long_ago",
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverBackedUp => f.write_str("there is no snapshot yet"),
            Self::NoGoodSnapshot => f.write_str("no snapshot may be relied upon"),
            Self::RpoMissed { achieved_seconds, objective_seconds } => {
                let (is, wanted) = (span(*achieved_seconds), span(*objective_seconds));
                write!(f, "the newest good recovery point is {is} old, the objective is {wanted}")
            }
            Self::NeverVerified { objective_seconds } => {
                write!(
                    f,
                    "no verification has read the objects yet, and it is wanted every {}",
                    span(*objective_seconds)
                )
            }
            Self::VerifiedTooLongAgo { age_seconds, objective_seconds } => {
                let (is, wanted) = (span(*age_seconds), span(*objective_seconds));
                write!(f, "the last verification that read the objects is {is} old, the objective is {wanted}")
            }
        }
    }
}

/// Formats a time span in its largest one or two units: `45 s`, `15 min`, `1 h 30 min`, `3 d 4 h`.
fn span(seconds: u64) -> String {
    let (whole, rest) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => return format!("{} min", seconds / 60),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3_600, "h")),
    };
    match rest.0 {
        0 => format!("{} {}", whole.0, whole.1),
        _ => format!("{} {} {} {}", whole.0, whole.1, rest.0, rest.1),
    }
}
