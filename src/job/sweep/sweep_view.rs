//! What a sweep saw, as plain data: everything that it decides follows from this alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Digest, Timestamp};
use crate::repository::ObjectInfo;

/// An object as the listings showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenObject {
    /// Its size in bytes.
    pub(super) size: u64,
    /// When the store says that it was written last.
    pub(super) modified: Timestamp,
}

/// Objects by path.
pub(super) type Objects = BTreeMap<String, SeenObject>;

/// One listing of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DirectoryListing {
    /// Where it began: it shows only paths that come after this one. Nothing: it began at the beginning.
    pub(super) after: Option<String>,
    /// What it showed.
    pub(super) objects: Objects,
}

impl DirectoryListing {
    /// A listing that began behind `after`. What it shows twice is the later of the two.
    #[must_use]
    pub(super) fn new(after: Option<String>, listed: Vec<ObjectInfo>) -> Self {
        let mut objects = Objects::new();
        for ObjectInfo { path, size, modified } in listed {
            let seen = objects.entry(path).or_insert(SeenObject { size, modified });
            if modified >= seen.modified {
                *seen = SeenObject { size, modified };
            }
        }
        Self { after, objects }
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        self.after.as_deref().is_none_or(|after| path > after)
    }
}

/// Whose clock dates the objects, and what it said when the sweep began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreTime {
    /// This host's: a folder.
    Shared,
    /// The store's own; `None` when no answer of its has a date.
    Own(Option<Timestamp>),
}

/// Whether a snapshot is kept. Those swept before are in no list: what they named is named by nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeepState {
    /// It is live, or pinned.
    Live,
    /// It does not count, or not yet, and its objects stay all the same: it is pending, unproven or a stranger's.
    Guarded,
    /// It was forgotten.
    Forgotten {
        /// When the store dated the entry that gave it up; `None` when no listing showed that entry.
        since: Option<Timestamp>,
        /// By which rule.
        rule: String,
    },
}

/// A snapshot that was not swept before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenSnapshot {
    /// Its entry.
    pub(super) entry: Digest,
    /// The sequence of its entry.
    pub(super) sequence: u64,
    /// Whether it may be relied upon.
    pub(super) good: bool,
    /// Whether it is kept.
    pub(super) kept: KeepState,
    /// Its parts and its list by path, with their sizes where the entry says them.
    pub(super) own: BTreeMap<String, Option<u64>>,
    /// Its packs by path, with their sizes; or why its list cannot be read.
    pub(super) packs: Result<BTreeMap<String, u64>, String>,
}

impl SeenSnapshot {
    /// Every path that it names, as far as its list can be read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.own.keys().chain(self.packs.iter().flatten().map(|(path, _)| path)).map(String::as_str)
    }

    /// Every path with the size that the ledger and the list say.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let own = self.own.iter().map(|(path, size)| (path.as_str(), *size));
        own.chain(self.packs.iter().flatten().map(|(path, size)| (path.as_str(), Some(*size))))
    }
}

/// What the ledger said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LedgerSeen {
    /// The paths of the entries that were read, whether they count or not.
    pub(super) entries: Vec<String>,
    /// What is wrong with it, for people: problems of the severity of an error.
    pub(super) problems: Vec<String>,
    /// Entries whose meaning this version does not know: name and kind.
    pub(super) unknown: Vec<String>,
    /// Heads that this host or the caller knew and that are not there or do not count.
    pub(super) lost_heads: Vec<String>,
    /// The snapshots that were not swept before.
    pub(super) snapshots: Vec<SeenSnapshot>,
    /// Undos that count: the entry, and the snapshots that it names.
    pub(super) undos: BTreeMap<Digest, Vec<Digest>>,
}

/// Everything that a sweep saw before it decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SweepView {
    /// This host's clock when the sweep began.
    pub(super) here: Timestamp,
    /// The store's clock at the same moment.
    pub(super) store: StoreTime,
    /// The same clock when the last listing was done.
    pub(super) listed: Option<Timestamp>,
    /// The longest run, in milliseconds, from the first entry.
    pub(super) longest_run: i64,
    /// The grace, in milliseconds, from the first entry.
    pub(super) grace: i64,
    /// The listings of each folder: the first from the beginning, the others from elsewhere.
    pub(super) folders: BTreeMap<String, Vec<DirectoryListing>>,
    /// What kept snapshots name and no listing showed, asked for by name; `None` where it is not there either.
    pub(super) by_name: BTreeMap<String, Option<SeenObject>>,
    /// The ledger.
    pub(super) ledger: LedgerSeen,
}

impl SweepView {
    /// The present by the clock that dates the objects, if it is known.
    #[must_use]
    pub(super) fn now(&self) -> Option<Timestamp> {
        match self.store {
            StoreTime::Shared => Some(self.here),
            StoreTime::Own(there) => there,
        }
    }

    /// Every object that any listing showed, each as the listing that dates it latest.
    #[must_use]
    pub(super) fn objects(&self) -> Objects {
        let mut all = Objects::new();
        for (path, object) in self.folders.values().flatten().flat_map(|view| &view.objects) {
            let seen = all.entry(path.clone()).or_insert(*object);
            if object.modified > seen.modified {
                *seen = *object;
            }
        }
        all
    }

    /// Paths that live snapshots name and no listing showed.
    pub(super) fn unlisted(&self) -> BTreeSet<String> {
        let shown = self.objects();
        let live = self.ledger.snapshots.iter().filter(|snapshot| snapshot.kept == KeepState::Live);
        live.flat_map(SeenSnapshot::paths).filter(|path| !shown.contains_key(*path)).map(str::to_owned).collect()
    }
}
