//! The ledger: which entries there are, how they are linked, and which of them count (`docs/format.md`, *Trust*).
//!
//! Pure: [`Ledger::build`] takes the files of a ledger and the repository id and decides everything from them alone, the
//! same on every machine. It never fails on rubbish: what is wrong is named in [`Ledger::problems`], and the rest
//! counts as if the rubbish were not there.

mod files;
mod graph;
mod keys;
mod life;
mod problem;
mod rivals;
mod roll;
mod standing;
mod trust;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

pub use files::Reader;
pub use life::{Life, Pin};
pub use problem::{Problem, Severity};
pub use roll::{Ended, Holder};
pub use standing::{Standing, Why};

use self::graph::Graph;
use self::life::Lives;
use crate::crypto::PublicKey;
use crate::format::event::{InitEvent, Verdict};
use crate::format::{Entry, Event, RepositoryId, SourceName};
use crate::model::{Digest, Timestamp};

/// A ledger as its files and the repository id tell it.
#[derive(Debug)]
pub struct Ledger {
    pin: RepositoryId,
    graph: Graph,
    standings: Vec<Standing>,
    problems: Vec<Problem>,
    /// How many of the problems, from the first, are those of files.
    of_files: usize,
    aliases: HashMap<Digest, Digest>,
    missing: Vec<Missing>,
    accepted: BTreeSet<Digest>,
    lives: Lives,
}

/// An entry that is named as a parent and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its digest.
    pub digest: Digest,
    /// The entries that count and name it, by digest.
    pub named_by: Vec<Digest>,
    /// Whether an entry that counts has accepted the loss.
    pub accepted: bool,
}

impl Ledger {
    /// Reads a ledger from its files: each object's name under the repository's prefix, and its bytes.
    ///
    /// `pin` is the repository id, from the configuration or the recovery identity. Entries signed by a key of `trust`
    /// count whatever else stands against them ([`Standing::Overridden`]); for a restore after a loss, never for a
    /// writer.
    #[must_use]
    pub fn build(files: Vec<(String, Bytes)>, pin: RepositoryId, trust: &[PublicKey]) -> Self {
        let mut reader = Reader::new(pin, trust);
        for (file, bytes) in files {
            reader.push(file, &bytes);
        }
        reader.finish()
    }

    /// The ledger as built from the same files and one more, without reading those again: for a writer that wants to
    /// know what readers will make of its entry before it writes it. Nothing for a file that is no new entry, and for one
    /// that names a key, which may change what other files are worth: build it anew.
    #[must_use]
    pub fn with(self, file: &str, bytes: &[u8], trust: &[PublicKey]) -> Option<Self> {
        let Self { pin, graph, mut problems, of_files, aliases, .. } = self;
        problems.truncate(of_files);
        let mut entries = graph.entries;
        entries.push(files::read_one(file, bytes, &entries, pin, trust)?);
        Some(Self::of(files::Read { entries, problems, aliases }, pin, trust))
    }

    /// Links and judges what was read.
    fn of(read: files::Read, pin: RepositoryId, trust: &[PublicKey]) -> Self {
        let files::Read { entries, problems, aliases } = read;
        let graph = Graph::link(entries, &aliases, pin);
        let standings = trust::judge(&graph, trust);
        let mut ledger = Self {
            pin,
            graph,
            standings,
            of_files: problems.len(),
            problems,
            aliases,
            missing: Vec::new(),
            accepted: BTreeSet::new(),
            lives: Lives::default(),
        };
        ledger.collect_accepted();
        ledger.lives = Lives::of(&ledger.graph, &ledger.standings);
        ledger.collect_missing();
        ledger.collect_problems();
        ledger
    }

    /// The repository that this is the ledger of.
    #[must_use]
    pub fn id(&self) -> RepositoryId {
        self.pin
    }

    /// The first entry, if it is there.
    #[must_use]
    pub fn first(&self) -> Option<&Entry> {
        self.graph.root.and_then(|root| self.graph.entries.get(root))
    }

    /// What the first entry says, if it is there.
    #[must_use]
    pub fn init(&self) -> Option<&InitEvent> {
        match &self.first()?.event {
            Event::Init(event) => Some(event),
            _ => None,
        }
    }

    /// The instance that the repository belongs to; nothing when neither the first entry nor any other is there.
    #[must_use]
    pub fn source(&self) -> Option<&SourceName> {
        self.first().or_else(|| self.counted().next()).map(|entry| &entry.source)
    }

    /// Every linked entry, also those that do not count, in an order in which parents come first: by sequence, then by
    /// digest.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.graph.entries
    }

    /// The entries that count, in the same order.
    pub fn counted(&self) -> impl Iterator<Item = &Entry> {
        self.graph.entries.iter().zip(&self.standings).filter(|(_, standing)| standing.counts()).map(|(entry, _)| entry)
    }

    /// The entries that count and that no other entry that counts descends from: what a writer names as parents.
    #[must_use]
    pub fn heads(&self) -> Vec<&Entry> {
        let heads = self.graph.heads(&self.standings);
        heads.into_iter().filter_map(|index| self.graph.entries.get(index)).collect()
    }

    /// The entry with this digest, or the one that a file with this digest is a copy of.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&Entry> {
        self.index(digest).and_then(|index| self.graph.entries.get(index))
    }

    /// Whether an entry counts; nothing when it is not there.
    #[must_use]
    pub fn standing(&self, digest: &Digest) -> Option<&Standing> {
        self.standings.get(self.index(digest)?)
    }

    /// Whether `ancestor` is an ancestor of `entry` by links alone; an entry is none of its own.
    #[must_use]
    pub fn is_ancestor(&self, ancestor: &Digest, entry: &Digest) -> bool {
        match (self.index(ancestor), self.index(entry)) {
            (Some(ancestor), Some(entry)) => self.graph.is_ancestor(ancestor, entry),
            _ => false,
        }
    }

    /// What is wrong, in a stable order: files first, by name, then entries, parents first.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Entries that are named as parents by entries that count and are not there.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Entries whose time lies more than `tolerance_millis` ahead of the store's clock, with the problem to report.
    #[must_use]
    pub fn ahead_of(&self, clock: Timestamp, tolerance_millis: i64) -> Vec<Problem> {
        self.counted()
            .filter(|entry| entry.time.millis_since(clock) > tolerance_millis)
            .map(|entry| Problem::Ahead { entry: entry.name(), time: entry.time, clock })
            .collect()
    }

    /// The snapshots that count, oldest first by sequence; also those given up and those swept.
    #[must_use]
    pub fn snapshots(&self) -> Vec<&Entry> {
        self.counted().filter(|entry| entry.snapshot().is_some()).collect()
    }

    /// The snapshots that count and are kept, oldest first by sequence.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| self.lives.is_live(position))
    }

    /// The snapshots that count and whose objects are still expected: kept, or given up and not swept; oldest first by
    /// sequence.
    pub fn unswept(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.snapshots_where(|position| !self.lives.is_swept(position))
    }

    /// Whether a snapshot is kept; nothing when there is no such snapshot, or it does not count.
    #[must_use]
    pub fn life(&self, digest: &Digest) -> Option<Life> {
        let position = self.index(digest)?;
        let counts = self.standings.get(position).is_some_and(Standing::counts);
        let snapshot = self.graph.entries.get(position).and_then(Entry::snapshot);
        (counts && snapshot.is_some()).then(|| self.lives.life(position))
    }

    /// Whether a snapshot counts and is kept.
    #[must_use]
    pub fn is_live(&self, digest: &Digest) -> bool {
        self.life(digest) == Some(Life::Live)
    }

    /// The pins that hold, by the digest of the snapshot; also those of snapshots that were given up or swept.
    #[must_use]
    pub fn pins(&self) -> &BTreeMap<Digest, Pin> {
        self.lives.pins()
    }

    /// The newest snapshot, by sequence, that is kept and that is good or was accepted.
    #[must_use]
    pub fn latest_good(&self) -> Option<&Entry> {
        self.live().rev().find(|entry| self.is_good(entry))
    }

    /// Whether a snapshot may be relied upon: its verdict is good, or it was accepted.
    #[must_use]
    pub fn is_good(&self, entry: &Entry) -> bool {
        entry.snapshot().is_some_and(|event| event.verdict == Verdict::Good || self.accepted.contains(&entry.digest))
    }

    /// Whether a custodian has accepted this suspect snapshot.
    #[must_use]
    pub fn accepted(&self, digest: &Digest) -> bool {
        self.get(digest).is_some_and(|entry| self.accepted.contains(&entry.digest))
    }

    /// Whether a new entry with these parents may name the whole catalogue of `snapshot` again: only that of the newest
    /// snapshot among its ancestors, or of the newest good one.
    ///
    /// A writer asks this with the parents that it is about to name: another collector may have been faster.
    #[must_use]
    pub fn may_repeat(&self, parents: &[Digest], snapshot: &Digest) -> bool {
        let Some(repeated) = self.get(snapshot).and_then(Entry::snapshot) else { return false };
        let parents: Vec<usize> = parents.iter().filter_map(|parent| self.index(parent)).collect();
        let newest = trust::newest_snapshots(&self.graph, &self.standings, &self.accepted);
        trust::allowed_catalogues(&self.graph, &newest, &parents).iter().any(|event| event.same_catalogue(repeated))
    }

    /// The writer's own newest entry that counts, by the fingerprint of its key.
    #[must_use]
    pub fn last_of(&self, key: &Digest) -> Option<&Entry> {
        self.counted().filter(|entry| entry.key == *key).last()
    }

    fn snapshots_where(&self, wanted: impl Fn(usize) -> bool) -> impl DoubleEndedIterator<Item = &Entry> {
        let judged = self.graph.entries.iter().zip(&self.standings).enumerate();
        judged
            .filter(move |(position, (entry, standing))| {
                standing.counts() && entry.snapshot().is_some() && wanted(*position)
            })
            .map(|(_, (entry, _))| entry)
    }

    fn index(&self, digest: &Digest) -> Option<usize> {
        let name = self.aliases.get(digest).unwrap_or(digest);
        self.graph.index.get(name).copied()
    }

    fn collect_accepted(&mut self) {
        self.accepted = trust::accepted(&self.graph, &self.standings);
    }

    fn collect_missing(&mut self) {
        let accepted: BTreeSet<Digest> = self
            .counted()
            .filter_map(|entry| match &entry.event {
                Event::AcceptLoss(event) => Some(event.entries.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        let mut missing: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for entry in self.counted() {
            for parent in entry.parents.iter().filter(|parent| self.index(parent).is_none()) {
                missing.entry(*parent).or_default().push(entry.digest);
            }
        }
        let missing = missing.into_iter();
        self.missing = missing
            .map(|(digest, named_by)| Missing { digest, named_by, accepted: accepted.contains(&digest) })
            .collect();
        self.missing.sort_by_key(|missing| missing.digest);
    }

    fn collect_problems(&mut self) {
        let mut found = Vec::new();
        if self.graph.root.is_none() {
            found.push(Problem::NoFirst { id: self.pin });
        }
        for (entry, standing) in self.graph.entries.iter().zip(&self.standings) {
            if let Standing::Ignored { why } = standing {
                found.push(Problem::Ignored { entry: entry.name(), key: entry.key, why: why.clone() });
                continue;
            }
            if let Standing::Overridden { why } = standing {
                found.push(Problem::Overridden { entry: entry.name(), key: entry.key, why: why.clone() });
            }
            let late = entry.parents.iter().filter_map(|parent| self.get(parent));
            if let Some(parent) = late.filter(|parent| parent.time > entry.time).max_by_key(|parent| parent.time) {
                found.push(Problem::Mistimed { entry: entry.name(), parent: parent.name() });
            }
        }
        for missing in &self.missing {
            let named_by = missing.named_by.iter().filter_map(|digest| self.get(digest)).map(Entry::name).collect();
            found.push(Problem::Missing { parent: missing.digest, named_by, accepted: missing.accepted });
        }
        self.problems.append(&mut found);
    }
}
