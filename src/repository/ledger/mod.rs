//! The ledger: which entries there are, how they are linked, and which of them count (`docs/format.md`, *Trust*).
//!
//! Pure: decides from the entries that were read and the judged policy alone, the same on every host. It never fails on
//! rubbish: what is wrong is named in [`Ledger::problems`], and the rest counts as if the rubbish were not there.

mod counting;
mod graph;
mod later;
mod problem;
mod problems;
mod read;
mod rubbish;
mod snapshots;
mod status;
mod unproven;

use std::collections::BTreeMap;

pub use later::LaterEntry;
pub use problem::{Problem, Severity};
pub use read::LedgerReader;
pub use rubbish::Rubbish;
pub use status::{EntryStatus, Hold, Pending, SnapshotState, Suspicion, Void};

use self::graph::Graph;
use self::snapshots::Snapshots;
use super::trust::Trust;
use crate::format::{Entry, EntryRef, Policy, PolicyRef, RepositoryId, SigningRole, SourceName};
use crate::model::{Digest, Timestamp, limits};

/// A ledger and the policy that it is read under.
#[derive(Debug)]
pub struct Ledger {
    trust: Trust,
    graph: Graph,
    statuses: Vec<EntryStatus>,
    snapshots: Snapshots,
    unproven: Vec<usize>,
    holes: Vec<Hole>,
    later: Vec<LaterEntry>,
    problems: Vec<Problem>,
    memory: HostMemory,
}

/// Objects that this host knew and the bucket lacks. Reported until the custodians accept the loss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// Heads that this host saw.
    pub heads: Vec<EntryRef>,
    /// Versions of the policy in force that the bucket lacks, or that lack signatures there; also those that entries
    /// carry.
    pub policies: Vec<PolicyRef>,
    /// Own entries that the bucket had, or that others name, and whose bytes this host kept.
    pub kept: Vec<EntryRef>,
    /// Entries whose current version in the bucket is gone or wrong, read from an older one.
    pub superseded: Vec<EntryRef>,
}

/// An entry that is named as a parent by entries that count, is not there, and is not accepted as lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The missing entry.
    pub entry: EntryRef,
    /// The entries that count and name it, in order.
    pub named_by: Vec<Digest>,
}

/// Why an entry by a key would not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorised {
    /// The policy does not list the key.
    #[error("the trust policy does not list this key; a custodian must add it (`keyhaven keys add`)")]
    NotListed,
    /// The key has no role for it.
    #[error("the trust policy does not give this key the role `{role}`; a role is another key, which a custodian adds (`keyhaven keys add`)", role = .0.as_str())]
    NoRole(SigningRole),
    /// The key has ended.
    #[error("the trust policy has ended this key; make a new one (`keyhaven keys host`) and have a custodian add it")]
    Ended,
}

impl Ledger {
    fn of(entries: Vec<Entry>, later: Vec<LaterEntry>, trust: Trust, mut rubbish: Rubbish) -> Self {
        let (graph, wrong) = Graph::link(entries);
        for file in wrong {
            rubbish.add(file, "it names a parent with another sequence than that has".to_owned());
        }
        let statuses = counting::judge(&graph, &trust);
        let unproven = unproven::unproven(&graph, &statuses, &trust);
        let snapshots = Snapshots::of(&graph, &statuses, &unproven, &trust);
        let mut ledger = Self {
            trust,
            graph,
            statuses,
            snapshots,
            unproven,
            holes: Vec::new(),
            later,
            problems: Vec::new(),
            memory: HostMemory::default(),
        };
        ledger.holes = ledger.find_holes();
        ledger.problems = problems::find(&ledger, rubbish);
        ledger
    }

    /// The repository that this is the ledger of.
    #[must_use]
    pub fn id(&self) -> RepositoryId {
        self.trust.id()
    }

    /// The judged policy.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The policy to go by: the one in force, in a fork the newest one that all branches name.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.trust.policy()
    }

    /// The instance that the repository belongs to.
    #[must_use]
    pub fn source(&self) -> Option<&SourceName> {
        self.policy().map(|policy| &policy.source)
    }

    /// Every entry, also those that do not count, by sequence, then digest.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.graph.entries
    }

    /// The entries that count, in the same order.
    pub fn counted(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.judged().filter(|(_, status)| status.counts()).map(|(entry, _)| entry)
    }

    /// Every entry with its status, in order.
    pub fn judged(&self) -> impl DoubleEndedIterator<Item = (&Entry, &EntryStatus)> {
        self.graph.entries.iter().zip(&self.statuses)
    }

    /// The entries that count and that are below none that counts: what a writer names as parents.
    #[must_use]
    pub fn heads(&self) -> Vec<&Entry> {
        let counts = |position: usize| self.statuses.get(position).is_some_and(EntryStatus::counts);
        let covered = self.graph.below_any(counts);
        let entries = self.graph.entries.iter().enumerate();
        let heads = entries.filter(|(position, _)| counts(*position) && covered.get(*position) == Some(&false));
        heads.map(|(_, entry)| entry).collect()
    }

    /// Returns the parents of a new entry: all heads; of more than 1,000 the two highest of each key, then the highest.
    #[must_use]
    pub fn parents(&self) -> Vec<EntryRef> {
        let mut heads = self.heads();
        heads.reverse();
        let mut of_key: BTreeMap<Digest, usize> = BTreeMap::new();
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for head in heads {
            let seen = of_key.entry(head.key).or_default();
            *seen += 1;
            if *seen <= 2 { first.push(head.reference()) } else { others.push(head.reference()) }
        }
        first.extend(others);
        first.truncate(limits::HEADS);
        first.sort_unstable();
        first
    }

    /// The entry with this digest.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Entry> {
        self.graph.position(digest).and_then(|position| self.graph.entries.get(position))
    }

    /// Returns the status of an entry; `None` if it is missing.
    #[must_use]
    pub fn status(&self, digest: &Digest) -> Option<&EntryStatus> {
        self.statuses.get(self.graph.position(digest)?)
    }

    /// Returns true if one entry is below another, by parents through any entries.
    #[must_use]
    pub fn is_below(&self, low: &Digest, high: &Digest) -> bool {
        match (self.graph.position(low), self.graph.position(high)) {
            (Some(low), Some(high)) => self.graph.is_below(low, high),
            _ => false,
        }
    }

    /// Returns the problems, in a stable order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the objects that this host knew and the bucket lacks.
    #[must_use]
    pub fn memory(&self) -> &HostMemory {
        &self.memory
    }

    pub(super) fn set_memory(&mut self, memory: HostMemory) {
        self.memory = memory;
    }

    /// Entries that are named as parents and are not there, in order.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// Entries that only a later version of the format can read, by keys that may speak; in order.
    #[must_use]
    pub fn later(&self) -> &[LaterEntry] {
        &self.later
    }

    /// Snapshots that count, or may, and that a later version of the format wrote in a way that this one cannot read.
    pub fn unread_snapshots(&self) -> impl Iterator<Item = &Entry> {
        let may_count = |status: &EntryStatus| matches!(status, EntryStatus::Counts | EntryStatus::Pending(_));
        self.judged()
            .filter(move |(entry, status)| may_count(status) && !entry.event.is_known() && entry.kind() == "snapshot")
            .map(|(entry, _)| entry)
    }

    /// Entries of ended keys that may count, if what is missing were there.
    pub fn unproven(&self) -> impl Iterator<Item = &Entry> {
        self.unproven.iter().filter_map(|position| self.graph.entries.get(*position))
    }

    /// Entries that count and whose time, or whose snapshot's, is more than `tolerance_millis` after the present, with
    /// the problem to report: their dates say nothing.
    #[must_use]
    pub fn ahead_of(&self, present: Timestamp, tolerance_millis: i64) -> Vec<Problem> {
        let latest = |entry: &Entry| entry.snapshot().map_or(entry.time, |event| event.time.max(entry.time));
        self.counted()
            .map(|entry| (entry, latest(entry)))
            .filter(|(_, time)| time.millis_since(present) > tolerance_millis)
            .map(|(entry, time)| Problem::Ahead { entry: entry.name(), time, present })
            .collect()
    }

    /// The snapshots that count, in order; also those forgotten and swept.
    #[must_use]
    pub fn snapshots(&self) -> Vec<&Entry> {
        self.counted().filter(|entry| entry.snapshot().is_some()).collect()
    }

    /// The snapshots that count and are live, in order.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| self.snapshots.is_live(position))
    }

    /// The snapshots that count and whose objects are expected to be there: live or forgotten, in order.
    pub fn unswept(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| !self.snapshots.is_swept(position))
    }

    /// The state of a snapshot; `None` when there is no such snapshot, or it does not count.
    #[must_use]
    pub fn state(&self, digest: &Digest) -> Option<SnapshotState> {
        let position = self.graph.position(digest)?;
        let counts = self.statuses.get(position).is_some_and(EntryStatus::counts);
        let snapshot = self.graph.entries.get(position).and_then(Entry::snapshot);
        (counts && snapshot.is_some()).then(|| self.snapshots.state(position))
    }

    /// Returns true if a snapshot counts and is live.
    #[must_use]
    pub fn is_live(&self, digest: &Digest) -> bool {
        self.state(digest) == Some(SnapshotState::Live)
    }

    /// Returns the holders of held snapshots, by digest; also of those forgotten or swept.
    #[must_use]
    pub fn holds(&self) -> &BTreeMap<Digest, Hold> {
        self.snapshots.holds()
    }

    /// The newest snapshot that is live and good, whatever is pending. [`Ledger::pending_snapshots`] says whether that
    /// can be relied upon.
    #[must_use]
    pub fn latest_good(&self) -> Option<&Entry> {
        self.live().rev().find(|entry| self.is_good(entry))
    }

    /// Snapshots that may be newer than the latest, and of which it cannot be said whether they count.
    pub fn pending_snapshots(&self) -> impl Iterator<Item = &Entry> {
        self.judged()
            .filter(|(entry, status)| matches!(status, EntryStatus::Pending(_)) && entry.snapshot().is_some())
            .map(|(entry, _)| entry)
    }

    /// Whether a snapshot is good: nothing makes it suspect, or the custodians accept it.
    #[must_use]
    pub fn is_good(&self, entry: &Entry) -> bool {
        self.suspicion(entry).is_none()
    }

    /// Why a snapshot is suspect; `None` when it is good or was accepted.
    #[must_use]
    pub fn suspicion(&self, entry: &Entry) -> Option<&Suspicion> {
        let position = self.graph.position(&entry.digest)?;
        self.snapshots.suspicion(position).filter(|_| !self.trust.accepts(&entry.digest))
    }

    /// Returns true if the custodians have accepted this suspect snapshot.
    #[must_use]
    pub fn accepted(&self, digest: &Digest) -> bool {
        let suspect = self.graph.position(digest).and_then(|position| self.snapshots.suspicion(position));
        suspect.is_some() && self.trust.accepts(digest)
    }

    /// Returns true if packs of a snapshot may be reused: it counts, and so does everything that it reuses packs of.
    #[must_use]
    pub fn may_build_on(&self, entry: &Entry) -> bool {
        let Some(position) = self.graph.position(&entry.digest) else { return false };
        let sound = !matches!(self.snapshots.suspicion(position), Some(Suspicion::Base(_) | Suspicion::Recipients));
        sound && self.statuses.get(position).is_some_and(EntryStatus::counts)
    }

    /// The writer's own newest entry that counts, by the fingerprint of its key.
    #[must_use]
    pub fn last_of(&self, key: &Digest) -> Option<&Entry> {
        self.counted().rev().find(|entry| entry.key == *key)
    }

    /// Checks that an entry of `kind` by a key, on top of the heads, would count.
    ///
    /// # Errors
    /// [`NotAuthorised`] when it would not.
    pub fn check_signer(&self, key: &Digest, role: SigningRole) -> Result<(), NotAuthorised> {
        for (_, policy) in self.trust.branches() {
            let listed = policy.key(key).ok_or(NotAuthorised::NotListed)?;
            if !listed.has(role) {
                return Err(NotAuthorised::NoRole(role));
            }
            if listed.until.is_some() {
                return Err(NotAuthorised::Ended);
            }
        }
        Ok(())
    }

    /// Returns true if the first entry of a key under the version that a writer writes under is still to come: then it
    /// carries the version.
    #[must_use]
    pub fn must_carry(&self, key: &Digest) -> bool {
        let Some((version, _)) = self.trust.writes_under() else { return false };
        !self.counted().any(|entry| entry.key == *key && entry.policy == version && entry.carries)
    }

    fn snapshots_where(&self, wanted: impl Fn(usize) -> bool) -> impl DoubleEndedIterator<Item = &Entry> {
        let judged = self.graph.entries.iter().zip(&self.statuses).enumerate();
        judged
            .filter(move |(position, (entry, status))| {
                status.counts() && entry.snapshot().is_some() && wanted(*position)
            })
            .map(|(_, (entry, _))| entry)
    }

    fn find_holes(&self) -> Vec<Hole> {
        let mut holes: BTreeMap<EntryRef, Vec<Digest>> = BTreeMap::new();
        for entry in self.counted() {
            let missing = entry.parents.iter().filter(|parent| self.graph.position(&parent.digest).is_none());
            for parent in missing.filter(|parent| !self.trust.accepts_loss_of(&parent.digest)) {
                holes.entry(*parent).or_default().push(entry.digest);
            }
        }
        holes.into_iter().map(|(entry, named_by)| Hole { entry, named_by }).collect()
    }
}
