//! Data of a survey: every decision of a sweep follows from it alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Digest, Timestamp};
use crate::repository::ObjectInfo;

/// An object as listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenObject {
    /// Size in bytes.
    pub(super) size: u64,
    /// Time of the last write, according to the store.
    pub(super) modified: Timestamp,
}

/// Objects by path.
pub(super) type Objects = BTreeMap<String, SeenObject>;

/// One listing of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DirectoryListing {
    /// Start: only paths after this one are listed. `None`: from the beginning.
    pub(super) after: Option<String>,
    /// Listed objects.
    pub(super) objects: Objects,
}

impl DirectoryListing {
    /// Creates a listing that starts after `after`. Of an object listed twice, the later one counts.
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

/// The clock that dates the objects, with its time when the sweep began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreTime {
    /// This host's clock, because the store is a directory.
    Shared,
    /// The store's own clock; `None` if its responses have no date.
    Own(Option<Timestamp>),
}

/// Whether a snapshot is kept. Snapshots swept before are not included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeepState {
    /// It is live or held.
    Live,
    /// It does not count, or not yet, but its objects are kept: it is pending, unproven or a stranger's.
    Guarded,
    /// It was forgotten.
    Forgotten {
        /// Store's date of its forget entry; `None` if no listing shows that entry.
        since: Option<Timestamp>,
        /// Rule by which it was forgotten.
        rule: String,
    },
}

/// A snapshot that was not swept before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenSnapshot {
    /// Digest of its entry.
    pub(super) entry: Digest,
    /// Sequence number of its entry.
    pub(super) sequence: u64,
    /// True if it is good.
    pub(super) good: bool,
    /// Whether it is kept.
    pub(super) kept: KeepState,
    /// Its parts and its pack list by path, with sizes if the entry has them.
    pub(super) own: BTreeMap<String, Option<u64>>,
    /// Its packs by path, with sizes; or the reason why its list cannot be read.
    pub(super) packs: Result<BTreeMap<String, u64>, String>,
}

impl SeenSnapshot {
    /// Returns every path that it names, as far as its list can be read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.own.keys().chain(self.packs.iter().flatten().map(|(path, _)| path)).map(String::as_str)
    }

    /// Returns every path with its size from the ledger and the list.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        let own = self.own.iter().map(|(path, size)| (path.as_str(), *size));
        own.chain(self.packs.iter().flatten().map(|(path, size)| (path.as_str(), Some(*size))))
    }
}

/// Content of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LedgerSeen {
    /// Paths of all entries read, valid or not.
    pub(super) entries: Vec<String>,
    /// Problems with the severity of an error, as text.
    pub(super) problems: Vec<String>,
    /// Entries that this version does not understand: name and kind.
    pub(super) unknown: Vec<String>,
    /// Heads known to this host or the caller that are missing or do not count.
    pub(super) lost_heads: Vec<String>,
    /// Snapshots that were not swept before.
    pub(super) snapshots: Vec<SeenSnapshot>,
    /// Valid undos: the entry, and the snapshots that it names.
    pub(super) undos: BTreeMap<Digest, Vec<Digest>>,
}

/// Everything that a sweep decides from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SweepView {
    /// Time of this host's clock when the sweep began.
    pub(super) here: Timestamp,
    /// Time of the store's clock at the same moment.
    pub(super) store: StoreTime,
    /// Time of the same clock after the last listing.
    pub(super) listed: Option<Timestamp>,
    /// Longest run in milliseconds, from the first entry.
    pub(super) longest_run: i64,
    /// Grace period in milliseconds, from the first entry.
    pub(super) grace: i64,
    /// Listings of each directory: the first from the beginning, the others from elsewhere.
    pub(super) folders: BTreeMap<String, Vec<DirectoryListing>>,
    /// Unlisted objects that kept snapshots name, queried by name; `None` if missing.
    pub(super) by_name: BTreeMap<String, Option<SeenObject>>,
    /// The ledger.
    pub(super) ledger: LedgerSeen,
}

impl SweepView {
    /// Returns the current time by the clock that dates the objects, if known.
    #[must_use]
    pub(super) fn now(&self) -> Option<Timestamp> {
        match self.store {
            StoreTime::Shared => Some(self.here),
            StoreTime::Own(there) => there,
        }
    }

    /// Returns every object in any listing, with the latest date.
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

    /// Returns paths that live snapshots name and no listing shows.
    pub(super) fn unlisted(&self) -> BTreeSet<String> {
        let shown = self.objects();
        let live = self.ledger.snapshots.iter().filter(|snapshot| snapshot.kept == KeepState::Live);
        live.flat_map(SeenSnapshot::paths).filter(|path| !shown.contains_key(*path)).map(str::to_owned).collect()
    }
}
