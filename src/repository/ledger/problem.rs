//! Problems with a ledger and its policy.

use super::rubbish::Rubbish;
use crate::format::{EntryRef, PolicyRef};
use crate::model::{Digest, Timestamp};
use crate::repository::trust::Misfit;

/// Severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Informational; a check still passes.
    Warning,
    /// Something was removed, altered, or cannot be decided; a check fails.
    Error,
}

/// A problem with a ledger or its policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Two versions of the policy are in force, and neither names the other.
    #[error(
        "the trust policy is forked: {}; only what counts under all of these is counted, and nothing is swept; \
        custodians of both sides sign a version that names both, or `--policy` chooses one",
        list(branches)
    )]
    Fork {
        /// The branches.
        branches: Vec<PolicyRef>,
    },
    /// The version in force names a missing version.
    #[error("version {version} of the trust policy is gone; the version in force names it")]
    MissingVersion {
        /// The missing version.
        version: PolicyRef,
    },
    /// The store has versions that do not fit.
    #[error("{count} versions of the trust policy do not fit and are ignored; first {version}: {why}")]
    Misfits {
        /// Number of versions.
        count: u64,
        /// The first version in order.
        version: PolicyRef,
        /// Reason why it does not fit.
        why: Misfit,
    },
    /// Files that are not entries or policies.
    #[error("{} in `ledger/` and `trust/` that {} no entry or policy, ignored; first {}{}", files(.0.count), be(.0.count), first(.0),
        if .0.unread > 0 { "; a newer trust policy may be among those not read: delete what was put there" } else { "" })]
    Rubbish(Rubbish),
    /// Entries that only a later version of the format can read, signed by authorised keys.
    #[error("{} in the ledger {} written by a later version of keyhaven, and this one cannot read {}: {}; what {} may be the \
        newest snapshot, or keep what a sweep would delete, so nothing is swept; get a newer keyhaven, or revoke the key that \
        wrote {}", entries_of(files.len()), if files.len() == 1 { "was" } else { "were" }, it(files.len()), list(files),
        if files.len() == 1 { "it says" } else { "they say" }, it(files.len()))]
    Later {
        /// Their names.
        files: Vec<String>,
    },
    /// Snapshots that count, or may count, and that this version cannot read.
    #[error("{} {} of a later version of the format, and this one cannot read {}: {}; the latest snapshot here is the newest \
        of the others; get a newer keyhaven", snapshots_of(entries.len()), be(entries.len() as u64), it(entries.len()),
        list(entries))]
    UnreadSnapshots {
        /// Their names.
        entries: Vec<String>,
    },
    /// Entries of keys that the policy does not list.
    #[error("{count} of the ledger's entries are by keys that the trust policy does not list, and ignored; first {first}{}",
        if *newer { "; some name a newer policy version: make sure that this host has the newest (`--policy`)" } else { "" })]
    Strangers {
        /// Number of entries.
        count: u64,
        /// The first entry in order.
        first: String,
        /// True if one of them names an unknown policy version.
        newer: bool,
    },
    /// Entries of a key that do not count.
    #[error("{count} entries of the key {} ({}) do not count: {why}; first {first}", .name, .key.short())]
    Void {
        /// The fingerprint.
        key: Digest,
        /// Name of the key in the policy.
        name: String,
        /// Number of entries.
        count: u64,
        /// The first entry in order.
        first: String,
        /// The reason.
        why: String,
    },
    /// Snapshots for which it is not yet decided whether they count.
    #[error(
        "{} cannot be judged yet ({why}), so there is no latest snapshot; use one by name, or `--policy` with the \
        newest policy version",
        list(entries)
    )]
    PendingSnapshots {
        /// The snapshots.
        entries: Vec<String>,
        /// The reason.
        why: String,
    },
    /// Other entries for which it is not yet decided whether they count.
    #[error("{count} entries cannot be judged yet ({why}); first {first}")]
    Pending {
        /// Number of entries.
        count: u64,
        /// The first entry in order.
        first: String,
        /// The reason.
        why: String,
    },
    /// Entries of ended keys that might count if missing entries were present.
    #[error(
        "{count} entries of ended keys cannot be judged because of missing entries; they are kept, and never latest; \
        first {first}"
    )]
    Unproven {
        /// Number of entries.
        count: u64,
        /// The first entry in order.
        first: String,
    },
    /// A missing entry that others name as parent.
    #[error(
        "entry {parent} is gone; {} it as parent; put it back from a copy of the repository, or have custodians accept \
        the loss (`keyhaven ledger accept-loss`)",
        names(named_by)
    )]
    Hole {
        /// The missing entry.
        parent: EntryRef,
        /// The names of the entries that count and name it.
        named_by: Vec<String>,
    },
    /// A sweep that was signed before the grace period had passed.
    #[error(
        "{entry} is a sweep that was signed before the grace of what it deletes was over; revoke its key (`keyhaven \
        keys revoke`) to bring back what is still there"
    )]
    EarlySweep {
        /// Its name.
        entry: String,
    },
    /// A snapshot that, by its own entry, was sealed to other recipients than those of the policy.
    #[error("{snapshot} is not sealed to the recovery recipients of the policy version that it names")]
    Recipients {
        /// Its name.
        snapshot: String,
    },
    /// Snapshots that reuse packs of a snapshot that does not count.
    #[error("{count} snapshots reuse packs of snapshot {}, which does not count; they are suspect until a full backup, or \
        until the custodians accept them; first {first}", base.short())]
    Tainted {
        /// The snapshot that does not count.
        base: Digest,
        /// Number of snapshots.
        count: u64,
        /// The first snapshot in order.
        first: String,
    },
    /// Two entries of one key, neither of which is below the other.
    #[error("the key {} signed {one} and {other}, neither knowing of the other: a shared key, a restored host, or a thief", key.short())]
    TwoHeads {
        /// The fingerprint.
        key: Digest,
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// An entry that claims to be older than its parent.
    #[error("{entry} is mistimed: it claims to be older than its parent {parent}")]
    Mistimed {
        /// Its name.
        entry: String,
        /// The parent's name.
        parent: String,
    },
    /// An entry whose time is in the future.
    #[error(
        "{entry} is mistimed: its time {time} is after the present, {present}; where its date would count, that of the \
        store is taken"
    )]
    Ahead {
        /// Its name.
        entry: String,
        /// Its time.
        time: Timestamp,
        /// The current time, by the store's clock if it has one.
        present: Timestamp,
    },
}

impl Problem {
    /// Returns the severity of the problem.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Fork { .. }
            | Self::MissingVersion { .. }
            | Self::Later { .. }
            | Self::PendingSnapshots { .. }
            | Self::Hole { .. }
            | Self::EarlySweep { .. }
            | Self::Recipients { .. } => Severity::Error,
            Self::Rubbish(rubbish) if rubbish.unread > 0 => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// Number of items that a list names: an attacker can add any number of them.
const NAMED: usize = 5;

fn list<T: ToString>(items: &[T]) -> String {
    let named = items.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn entries_of(count: usize) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

fn snapshots_of(count: usize) -> String {
    if count == 1 { "1 snapshot".to_owned() } else { format!("{count} snapshots") }
}

fn it(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

fn be(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

fn first(rubbish: &Rubbish) -> String {
    rubbish.first.first().map(|(file, why)| format!("{file}: {why}")).unwrap_or_default()
}

fn names(named_by: &[String]) -> String {
    match named_by {
        [only] => format!("{only} names"),
        several => format!("{} name", list(several)),
    }
}
