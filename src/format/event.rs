//! What an entry says happened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Role;
use super::statement::Subject;
use crate::crypto::PublicKey;
use crate::model::{Digest, Timestamp};

/// What happened. In an entry it is the member named after its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The repository was made. Only ever the first entry.
    Init(InitEvent),
    /// The instance was backed up.
    Snapshot(Box<SnapshotEvent>),
    /// The repository was checked.
    Verification(VerificationEvent),
    /// Something was restored from it.
    Restore(RestoreEvent),
    /// Somebody took note that entries are gone, and writers may go on.
    AcceptLoss(AcceptLossEvent),
    /// Somebody looked at a suspect snapshot and found it good.
    AcceptSuspect(AcceptSuspectEvent),
    /// A key came or went.
    Keys(KeyChange),
    /// Snapshots were given up, or taken back.
    Forget(ForgetChange),
    /// A snapshot is to be kept whatever the policy says, or no longer.
    Pin(PinChange),
    /// What only snapshots given up needed is about to be deleted.
    Sweep(SweepEvent),
    /// A kind, or a body, of a later minor version. Linked and checked like any other; its meaning is not used.
    Unknown {
        /// The kind it names.
        kind: String,
    },
}

/// A key and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGrant {
    /// The key.
    pub public_key: PublicKey,
    /// What it may do.
    pub roles: Vec<Role>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// The body of the first entry: who is trusted from the start, and the times that deletions keep to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitEvent {
    /// The first keys.
    pub keys: Vec<KeyGrant>,
    /// How long a run may take, in seconds; a longer one gives up.
    pub longest_run_seconds: u64,
    /// How long something stays after it was given up, in seconds.
    pub grace_seconds: u64,
    /// The digest of `RECOVER.md`.
    pub recover_md: Digest,
}

impl InitEvent {
    /// Six hours.
    pub const LONGEST_RUN_SECONDS: u64 = 21_600;
    /// Two days.
    pub const GRACE_SECONDS: u64 = 172_800;
}

/// Which of the two claims a snapshot makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Everything listed existed together at every moment between `from` and `to`.
    PointInTime,
    /// Each item is right on its own, at some moment between `from` and `to`.
    PerItem {
        /// How many items were still moving in the last round.
        moved: u64,
    },
}

/// Whether a snapshot may be relied upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing looked wrong.
    Good,
    /// Something looked wrong; passed over by everything that relies on a snapshot until a custodian accepts it.
    Suspect {
        /// Why, for people.
        reasons: Vec<String>,
    },
}

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Its name.
    pub digest: Digest,
    /// Its sealed size in bytes.
    pub size: u64,
    /// How many items it lists.
    pub items: u64,
}

/// Requests that a snapshot cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Pages of lists.
    pub listing: u64,
    /// Reads of items.
    pub reading: u64,
    /// Of all these, requests that were sent again after a failure.
    pub retried: u64,
}

/// The body of a snapshot entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// The claim.
    pub cut: Cut,
    /// Start of the interval that the claim speaks of, by the provider's clock.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The snapshot's time, from which the recovery point counts: the start of its cut by the provider's clock.
    pub time: Timestamp,
    /// How many rounds of listing it took, from 1.
    pub rounds: u32,
    /// Whether no earlier pack was trusted.
    pub full: bool,
    /// The snapshot that this one built upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// The parts of the catalogue, in key order.
    pub parts: Vec<PartRef>,
    /// The list of the packs it needs.
    pub list: Digest,
    /// Items by kind.
    pub counts: BTreeMap<String, u64>,
    /// Items by restorability.
    pub classes: BTreeMap<String, u64>,
    /// How many packs it needs.
    pub packs: u64,
    /// Their sealed size together, in bytes.
    pub sealed_bytes: u64,
    /// Whether it may be relied upon.
    pub verdict: Verdict,
    /// What it cost.
    pub requests: RequestCounts,
    /// What else to know about it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What its operator calls it; retention can keep by them ([`crate::model::tag`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Kinds of items that the collector was not allowed to list, so that none is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
    /// Whether the collector held a recovery key, against the advice.
    pub recovery_key_on_collector: bool,
}

impl SnapshotEvent {
    /// How many items its catalogue lists.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.items))
    }

    /// Whether its catalogue is the very same as `other`'s. Only digests say so: sizes and counts are what it claims.
    #[must_use]
    pub fn same_catalogue(&self, other: &Self) -> bool {
        let digests = |event: &Self| event.parts.iter().map(|part| part.digest).collect::<Vec<_>>();
        self.list == other.list && digests(self) == digests(other)
    }
}

/// The body of a verification entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationEvent {
    /// The level: `ledger`, `objects`, `catalogue`, `payload`, `drill`.
    pub level: String,
    /// Which part of the packs was opened (`3/30`); all of them without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Whether nothing was wrong.
    pub passed: bool,
    /// How many problems were found.
    pub problems: u64,
    /// The entries that were checked: the heads, or the snapshots.
    pub entries: Vec<Digest>,
    /// A signed test result in `evidence/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}

/// The body of a restore entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreEvent {
    /// The snapshot that was restored.
    pub snapshot: Digest,
    /// The instance that it went into.
    pub target: String,
    /// How many items were written or found as they should be.
    pub restored: u64,
    /// How many were not.
    pub failed: u64,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

/// The body of an entry that accepts a loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptLossEvent {
    /// The entries that are gone.
    pub entries: Vec<Digest>,
    /// Why it is accepted.
    pub reason: String,
}

/// The body of an entry that accepts a suspect snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptSuspectEvent {
    /// The snapshot.
    pub snapshot: Digest,
    /// Why it is accepted.
    pub reason: String,
}

/// The body of a keys entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum KeyChange {
    /// A key is trusted from here on.
    Add {
        /// The key and its roles.
        grant: KeyGrant,
        /// Why.
        reason: String,
    },
    /// A key is done: what it signed before this entry counts, nothing else does.
    Retire {
        /// Its fingerprint.
        key: Digest,
        /// Why.
        reason: String,
    },
    /// A key is in wrong hands: only what it signed up to `last_good` counts.
    Revoke {
        /// Its fingerprint.
        key: Digest,
        /// The last entry of the key that is to be trusted; none: nothing of it.
        #[serde(default)]
        last_good: Option<Digest>,
        /// Why.
        reason: String,
    },
    /// A change of a later minor version; its meaning is not used.
    #[serde(other)]
    Unknown,
}

/// Snapshots that one entry gives up or takes back at most: what fits into the size of an entry, with room.
pub const SNAPSHOTS_AN_ENTRY: usize = 2_000;

/// The body of a forget entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ForgetChange {
    /// Nothing builds upon these any more, and a sweep may delete what only they need once the grace is over.
    GiveUp {
        /// The snapshots, at most [`SNAPSHOTS_AN_ENTRY`] by our writer.
        snapshots: Vec<Digest>,
        /// By which rule, for people.
        rule: String,
    },
    /// These are wanted after all. Holds against every give-up that had not seen it; comes too late after a sweep.
    Undo {
        /// The snapshots.
        snapshots: Vec<Digest>,
        /// Why.
        reason: String,
    },
    /// A change of a later minor version; its meaning is not used, and whatever deletes stops at it.
    #[serde(other)]
    Unknown,
}

/// The body of a pin entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum PinChange {
    /// The snapshot is kept, whatever the policy says.
    Set {
        /// The snapshot.
        snapshot: Digest,
        /// Why.
        reason: String,
    },
    /// The policy decides again. Ends the pins that it had seen.
    Release {
        /// The snapshot.
        snapshot: Digest,
        /// Why.
        reason: String,
    },
    /// A change of a later minor version; its meaning is not used, and whatever deletes stops at it.
    #[serde(other)]
    Unknown,
}

/// The body of a sweep entry. It is written before the first object is deleted: from then on these snapshots are gone
/// for good, whether or not the sweep gets to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepEvent {
    /// The snapshots that are gone.
    pub snapshots: Vec<Digest>,
    /// How many objects are to be deleted.
    pub objects: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
    /// Only what the store had dated before this moment is touched: its clock less the grace.
    pub before: Timestamp,
}

impl Event {
    /// The kind, as entries spell it.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Init(_) => "init",
            Self::Snapshot(_) => "snapshot",
            Self::Verification(_) => "verification",
            Self::Restore(_) => "restore",
            Self::AcceptLoss(_) => "accept_loss",
            Self::AcceptSuspect(_) => "accept_suspect",
            Self::Keys(_) => "keys",
            Self::Forget(_) => "forget",
            Self::Pin(_) => "pin",
            Self::Sweep(_) => "sweep",
            Self::Unknown { kind } => kind,
        }
    }

    /// The snapshot, if it is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&SnapshotEvent> {
        match self {
            Self::Snapshot(event) => Some(event),
            _ => None,
        }
    }

    /// Whether the meaning of all of it is known here. Whatever deletes stops at an entry of which it is not.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        !matches!(
            self,
            Self::Unknown { .. }
                | Self::Keys(KeyChange::Unknown)
                | Self::Forget(ForgetChange::Unknown)
                | Self::Pin(PinChange::Unknown)
        )
    }

    /// What the statement is about: every one of these stands among its subjects.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        match self {
            Self::Init(event) => vec![Subject::recover_md(event.recover_md)],
            Self::Snapshot(event) => {
                let parts = event.parts.iter().map(|part| Subject::part(part.digest));
                parts.chain([Subject::list(event.list)]).collect()
            }
            Self::Verification(event) => {
                let entries = event.entries.iter().copied().map(Subject::entry);
                entries.chain(event.evidence.map(Subject::evidence)).collect()
            }
            Self::Restore(event) => vec![Subject::entry(event.snapshot)],
            Self::AcceptLoss(event) => event.entries.iter().copied().map(Subject::entry).collect(),
            Self::AcceptSuspect(event) => vec![Subject::entry(event.snapshot)],
            Self::Keys(KeyChange::Add { grant, .. }) => vec![Subject::key(grant.public_key.fingerprint())],
            Self::Keys(KeyChange::Retire { key, .. } | KeyChange::Revoke { key, .. }) => vec![Subject::key(*key)],
            Self::Forget(ForgetChange::GiveUp { snapshots, .. } | ForgetChange::Undo { snapshots, .. })
            | Self::Sweep(SweepEvent { snapshots, .. }) => snapshots.iter().copied().map(Subject::entry).collect(),
            Self::Pin(PinChange::Set { snapshot, .. } | PinChange::Release { snapshot, .. }) => {
                vec![Subject::entry(*snapshot)]
            }
            Self::Keys(KeyChange::Unknown)
            | Self::Forget(ForgetChange::Unknown)
            | Self::Pin(PinChange::Unknown)
            | Self::Unknown { .. } => Vec::new(),
        }
    }
}
