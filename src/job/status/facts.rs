//! What is told of a repository, as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::format::PolicyRef;
use crate::model::{Digest, Timestamp};

/// What an operator wants of the backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Objectives {
    /// How old the newest good recovery point may become; nothing: no objective, only a repository without any is stale.
    #[serde(rename = "rpo_seconds", serialize_with = "seconds")]
    pub rpo: Option<Duration>,
    /// How long ago the last verification may be that read every object (level `objects` or deeper).
    #[serde(rename = "verified_within_seconds", serialize_with = "seconds")]
    pub verified_within: Option<Duration>,
}

fn seconds<S: Serializer>(period: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match period {
        Some(period) => serializer.serialize_some(&period.as_secs()),
        None => serializer.serialize_none(),
    }
}

/// How a repository stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The repository id.
    pub repository: String,
    /// The full name of the source; `None` when neither the first entry nor any other is there.
    pub source: Option<String>,
    /// The moment that all ages here are measured to.
    pub now: Timestamp,
    /// What is wanted.
    pub objectives: Objectives,
    /// What is missed; empty when nothing is.
    pub stale: Vec<Stale>,
    /// The snapshots.
    pub backups: Backups,
    /// What was verified, level by level, shallowest first; only levels that an entry speaks of.
    pub levels: Vec<LevelStatus>,
    /// The newest passed verification that read every object and that spoke of the newest good snapshot of its time.
    pub verified: Option<Verified>,
    /// The newest verification that found something wrong, until one as deep that looks at the same passes.
    pub failed_check: Option<Check>,
    /// The heads of the ledger; normally one.
    pub heads: Vec<Digest>,
    /// Entries that count.
    pub entries: u64,
    /// The version of the trust policy in force; in a fork the newest that all branches name.
    pub policy: Option<PolicyRef>,
    /// What is wrong with the ledger.
    pub problems: Problems,
    /// The newest restore that was recorded.
    pub restored: Option<Restored>,
}

/// The snapshots of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backups {
    /// The newest snapshot, good or not.
    pub newest: Option<SnapshotFact>,
    /// The newest one that is kept and may be relied upon.
    pub newest_good: Option<SnapshotFact>,
    /// The time of the oldest good one that is known.
    pub first_good: Option<Timestamp>,
    /// How long ago the newest good recovery point was; nothing without one whose time can be believed.
    pub achieved_rpo_seconds: Option<u64>,
    /// The longest time without a new good recovery point in the last seven days, the time until now included; nothing
    /// without a good one.
    pub worst_gap_seconds: Option<u64>,
    /// Since when every newer snapshot is suspect: the time of the first one after the newest good one.
    pub suspect_since: Option<Timestamp>,
    /// Snapshots that are kept and may be relied upon.
    pub good: u64,
    /// Snapshots that are kept and are suspect.
    pub suspect: u64,
    /// Snapshots that were forgotten and are not swept yet.
    pub forgotten: u64,
    /// Snapshots that were swept.
    pub swept: u64,
    /// Snapshots that are kept whatever the policy says.
    pub held: u64,
    /// The last days, oldest first, the present one last; days are UTC.
    pub days: Vec<Day>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SnapshotFact {
    /// The digest of its entry.
    pub digest: Digest,
    /// Its sequence.
    pub sequence: u64,
    /// The start of its cut by the provider's clock; when the store got its entry, where that is not to be believed.
    pub time: Option<Timestamp>,
    /// Whether its own time is not to be believed.
    pub mistimed: bool,
    /// `point_in_time` or `per_item`.
    pub cut: &'static str,
    /// Items in it.
    pub items: u64,
    /// Items by kind.
    pub counts: BTreeMap<String, u64>,
    /// Items by restorability.
    pub classes: BTreeMap<String, u64>,
    /// Packs that it needs.
    pub packs: u64,
    /// Their sealed size together, in bytes.
    pub sealed_bytes: u64,
    /// Why it is suspect; empty when it is good.
    pub suspect: Vec<String>,
    /// Kinds of items that the collector was not allowed to list.
    pub hidden: Vec<String>,
}

/// One day of backups, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Its midnight.
    pub from: Timestamp,
    /// Good snapshots of that day.
    pub good: u64,
    /// Suspect ones.
    pub suspect: u64,
}

/// What was checked at one level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LevelStatus {
    /// `ledger`, `objects`, `catalogue`, `payload` or `drill`.
    pub level: String,
    /// The newest check of exactly this level.
    pub last: Check,
    /// The newest passed one that was no slice.
    pub last_whole: Option<Check>,
    /// How much of the payloads was opened in slices; `None` where none was.
    pub slices: Option<Slices>,
}

/// One verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The digest of its entry.
    pub entry: Digest,
    /// Its level.
    pub level: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// Whether nothing was wrong.
    pub passed: bool,
    /// Problems that it found.
    pub problems: u64,
    /// The newest snapshot that it speaks of, by sequence; `None` when what it names is no longer there.
    pub covers: Option<u64>,
    /// Which part of the packs was opened, if not all.
    pub slice: Option<String>,
}

/// Payload verification in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slices {
    /// Into how many parts the newest one divides.
    pub of: u64,
    /// How many of them passed within the objective for verification, or ever where there is none.
    pub done: u64,
    /// The oldest of these passes: everything that was opened is at least that fresh.
    pub since: Option<Timestamp>,
}

/// The newest verification that proves every object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The digest of its entry.
    pub entry: Digest,
    /// Its level.
    pub level: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// The newest snapshot that it proved, by sequence.
    pub covers: u64,
}

/// What is wrong with a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// Problems for which a check fails.
    pub errors: u64,
    /// Problems that are only to be known.
    pub warnings: u64,
    /// The first few in words, the gravest first.
    pub named: Vec<String>,
}

/// The newest restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When it was recorded.
    pub at: Timestamp,
    /// The instance that it went into.
    pub target: String,
    /// The digest of the snapshot.
    pub snapshot: Digest,
    /// Its sequence; `None` when it is not there any more.
    pub sequence: Option<u64>,
    /// Its time.
    pub time: Option<Timestamp>,
    /// Items that are as the snapshot has them.
    pub restored: u64,
    /// Items that are not.
    pub failed: u64,
    /// Good snapshots that are newer.
    pub behind: u64,
    /// How much older it is than the newest good one, in seconds.
    pub behind_seconds: u64,
}

/// Why the backups are stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Stale {
    /// There is no snapshot at all.
    NeverBackedUp,
    /// There are snapshots, and none may be relied upon.
    NoGoodSnapshot,
    /// The newest good recovery point is too old.
    RpoMissed {
        /// Its age.
        achieved_seconds: u64,
        /// What is wanted.
        objective_seconds: u64,
    },
    /// No verification read every object, and the first snapshot is older than one may be.
    NeverVerified {
        /// What is wanted.
        objective_seconds: u64,
    },
    /// The last verification that read every object is too old.
    VerifiedTooLongAgo {
        /// Its age.
        age_seconds: u64,
        /// What is wanted.
        objective_seconds: u64,
    },
}

impl Stale {
    /// Every fixed word that [`code`](Self::code) gives.
    pub const CODES: [&str; 5] =
        ["never_backed_up", "no_good_snapshot", "rpo_missed", "never_verified", "verified_too_long_ago"];

    /// A fixed word for programs, the same as in JSON.
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

/// A time span in its largest unit, or two: `45 s`, `15 min`, `1 h 30 min`, `3 d 4 h`.
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
