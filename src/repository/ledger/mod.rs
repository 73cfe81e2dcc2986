//! The ledger: its entries, their links, and which of them count (`docs/format.md`, *Trust*).
//!
//! Pure: the result depends only on the entries read and the judged policy, and is the same on every host. Invalid
//! files never cause a failure: they become [`Ledger::problems`] and are otherwise ignored.

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

/// A ledger and the policy that it is judged by.
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
    /// Policy versions in force, or carried by entries, that the bucket lacks or that lack signatures there.
    pub policies: Vec<PolicyRef>,
    /// Own entries, kept by this host, that the bucket once had or that other entries name.
    pub kept: Vec<EntryRef>,
    /// Entries whose current version in the bucket is missing or wrong, and that were read from an older version.
    pub superseded: Vec<EntryRef>,
}

/// A missing entry that is named as a parent by entries that count and whose loss is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// The missing entry.
    pub entry: EntryRef,
    /// The entries that count and name it, in order.
    pub named_by: Vec<Digest>,
}

/// Reason why an entry by a key would not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorised {
    /// The policy does not list the key.
    #[error("the trust policy does not list this key; a custodian must add it (`keyhaven keys add`)")]
    NotListed,
    /// The key has no role for this kind of entry.
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

    /// Returns the id of the repository.
    #[must_use]
    pub fn id(&self) -> RepositoryId {
        self.trust.id()
    }

    /// Returns the judged policy.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Returns the effective policy: the one in force; in a fork the newest one that all branches name.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.trust.policy()
    }

    /// Returns the instance that the repository belongs to.
    #[must_use]
    pub fn source(&self) -> Option<&SourceName> {
        self.policy().map(|policy| &policy.source)
    }

    /// Returns every entry, including those that do not count, sorted by sequence, then digest.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.graph.entries
    }

    /// Returns the entries that count, in the same order.
    pub fn counted(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.judged().filter(|(_, status)| status.counts()).map(|(entry, _)| entry)
    }

    /// Returns every entry with its status, in order.
    pub fn judged(&self) -> impl DoubleEndedIterator<Item = (&Entry, &EntryStatus)> {
        self.graph.entries.iter().zip(&self.statuses)
    }

    /// Returns the entries that count and are below no other entry that counts: the parents for a new entry.
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

    /// Returns the entry with this digest.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Entry> {
        self.graph.position(digest).and_then(|position| self.graph.entries.get(position))
    }

    /// Returns the status of an entry; `None` if it is missing.
    #[must_use]
    pub fn status(&self, digest: &Digest) -> Option<&EntryStatus> {
        self.statuses.get(self.graph.position(digest)?)
    }

    /// Returns true if one entry is below another, following parents through any entries.
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

    /// Returns the missing entries that are named as parents, in order.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// Returns the entries that only a later version of the format can read, signed by authorised keys; in order.
    #[must_use]
    pub fn later(&self) -> &[LaterEntry] {
        &self.later
    }

    /// Returns snapshots that count, or may count, and that a later version of the format wrote in a form unreadable
    /// here.
    pub fn unread_snapshots(&self) -> impl Iterator<Item = &Entry> {
        let may_count = |status: &EntryStatus| matches!(status, EntryStatus::Counts | EntryStatus::Pending(_));
        self.judged()
            .filter(move |(entry, status)| may_count(status) && !entry.event.is_known() && entry.kind() == "snapshot")
            .map(|(entry, _)| entry)
    }

    /// Returns entries of ended keys that might count if missing entries were present.
    pub fn unproven(&self) -> impl Iterator<Item = &Entry> {
        self.unproven.iter().filter_map(|position| self.graph.entries.get(*position))
    }

    /// Returns a problem for each entry that counts and whose time, or whose snapshot's time, is more than
    /// `tolerance_millis` in the future: its dates are unreliable.
    #[must_use]
    pub fn ahead_of(&self, present: Timestamp, tolerance_millis: i64) -> Vec<Problem> {
        let latest = |entry: &Entry| entry.snapshot().map_or(entry.time, |event| event.time.max(entry.time));
        self.counted()
            .map(|entry| (entry, latest(entry)))
            .filter(|(_, time)| time.millis_since(present) > tolerance_millis)
            .map(|(entry, time)| Problem::Ahead { entry: entry.name(), time, present })
            .collect()
    }

    /// Returns the snapshots that count, in order, including forgotten and swept ones.
    #[must_use]
    pub fn snapshots(&self) -> Vec<&Entry> {
        self.counted().filter(|entry| entry.snapshot().is_some()).collect()
    }

    /// Returns the live snapshots that count, in order.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| self.snapshots.is_live(position))
    }

    /// Returns the snapshots that count and whose objects should exist: live or forgotten, in order.
    pub fn unswept(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| !self.snapshots.is_swept(position))
    }

    /// Returns the state of a snapshot; `None` if there is no such snapshot, or it does not count.
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

    /// Returns the holds on snapshots, by digest, including forgotten and swept snapshots.
    #[must_use]
    pub fn holds(&self) -> &BTreeMap<Digest, Hold> {
        self.snapshots.holds()
    }

    /// Returns the newest live and good snapshot, regardless of pending ones. [`Ledger::pending_snapshots`] shows
    /// whether it is reliable.
    #[must_use]
    pub fn latest_good(&self) -> Option<&Entry> {
        self.live().rev().find(|entry| self.is_good(entry))
    }

    /// Returns the snapshots for which it is undecided whether they count; one may be newer than the latest.
    pub fn pending_snapshots(&self) -> impl Iterator<Item = &Entry> {
        self.judged()
            .filter(|(entry, status)| matches!(status, EntryStatus::Pending(_)) && entry.snapshot().is_some())
            .map(|(entry, _)| entry)
    }

    /// Returns true if a snapshot is good: nothing makes it suspect, or the custodians accept it.
    #[must_use]
    pub fn is_good(&self, entry: &Entry) -> bool {
        self.suspicion(entry).is_none()
    }

    /// Returns the reason why a snapshot is suspect; `None` if it is good or was accepted.
    #[must_use]
    pub fn suspicion(&self, entry: &Entry) -> Option<&Suspicion> {
        let position = self.graph.position(&entry.digest)?;
        self.snapshots.suspicion(position).filter(|_| !self.trust.accepts(&entry.digest))
    }

    /// Returns true if this snapshot is suspect and the custodians have accepted it.
    #[must_use]
    pub fn accepted(&self, digest: &Digest) -> bool {
        let suspect = self.graph.position(digest).and_then(|position| self.snapshots.suspicion(position));
        suspect.is_some() && self.trust.accepts(digest)
    }

    /// Returns true if packs of a snapshot may be reused: it and all snapshots whose packs it reuses count.
    #[must_use]
    pub fn may_build_on(&self, entry: &Entry) -> bool {
        let Some(position) = self.graph.position(&entry.digest) else { return false };
        let sound = !matches!(self.snapshots.suspicion(position), Some(Suspicion::Base(_) | Suspicion::Recipients));
        sound && self.statuses.get(position).is_some_and(EntryStatus::counts)
    }

    /// Returns the newest entry that counts by the key with this fingerprint.
    #[must_use]
    pub fn last_of(&self, key: &Digest) -> Option<&Entry> {
        self.counted().rev().find(|entry| entry.key == *key)
    }

    /// Checks that an entry by a key that requires `role` would count on top of the heads.
    ///
    /// # Errors
    /// [`NotAuthorised`] if it would not.
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

    /// Returns true if a key has no entry yet under the policy version for new entries. Its first one must carry that
    /// version.
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
