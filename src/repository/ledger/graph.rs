//! Links between entries.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Standing;
use crate::format::{Entry, RepositoryId};
use crate::model::Digest;

/// Entries in an order in which parents come first, and their links as positions in that order.
#[derive(Debug)]
pub(super) struct Graph {
    /// By sequence, then digest.
    pub(super) entries: Vec<Entry>,
    /// The parents that are there and have a lower sequence; each once.
    pub(super) parents: Vec<Vec<usize>>,
    /// Whether a parent that an entry names is not there.
    pub(super) holed: Vec<bool>,
    /// Where the entry with a digest stands, also with that of a copy of it.
    pub(super) index: HashMap<Digest, usize>,
    /// By position: the highest sequence of its parents that are there, linked or not; 0 without any.
    highest: Vec<u64>,
    /// The first entry.
    pub(super) root: Option<usize>,
}

impl Graph {
    /// Links entries. A link to an entry of the same or a higher sequence is none: links only ever go back, so there are
    /// no circles, and an entry that names such a parent has a wrong sequence in any case.
    pub(super) fn link(mut entries: Vec<Entry>, aliases: &HashMap<Digest, Digest>, pin: RepositoryId) -> Self {
        entries.sort_by_key(|entry| (entry.sequence, entry.digest));
        let mut index: HashMap<Digest, usize> =
            entries.iter().enumerate().map(|(position, entry)| (entry.digest, position)).collect();
        for (copy, name) in aliases {
            if let Some(position) = index.get(name).copied() {
                index.insert(*copy, position);
            }
        }
        let find = |digest: &Digest| index.get(digest).copied();
        let mut parents = Vec::with_capacity(entries.len());
        let mut holed = Vec::with_capacity(entries.len());
        let mut highest = Vec::with_capacity(entries.len());
        for entry in &entries {
            let there = entry.parents.iter().filter_map(find);
            holed.push(there.clone().count() < entry.parents.len());
            let sequences = there.filter_map(|parent| entries.get(parent)).map(|parent| parent.sequence);
            highest.push(sequences.max().unwrap_or(0));
            let lower = |parent: &usize| entries.get(*parent).is_some_and(|other| other.sequence < entry.sequence);
            let linked: BTreeSet<usize> = entry.parents.iter().filter_map(find).filter(lower).collect();
            parents.push(linked.into_iter().collect());
        }
        let root = index.get(&pin.0).copied();
        Self { entries, parents, holed, highest, index, root }
    }

    /// The positions of the parents of the entry at a position.
    pub(super) fn parents_of(&self, position: usize) -> &[usize] {
        self.parents.get(position).map(Vec::as_slice).unwrap_or_default()
    }

    /// The sequence that an entry should have; nothing when a parent is not there, and it cannot be known.
    ///
    /// With a parent missing, it must still lie above those that are there, which is returned as the least.
    pub(super) fn expected_sequence(&self, position: usize) -> Expected {
        let next = self.highest.get(position).copied().unwrap_or(0) + 1;
        match self.holed.get(position) {
            Some(true) => Expected::AtLeast(next),
            _ => Expected::Exactly(next),
        }
    }

    /// All ancestors of an entry, as positions, itself not included.
    pub(super) fn ancestors(&self, position: usize) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut open: Vec<usize> = self.parents_of(position).to_vec();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.parents_of(next));
            }
        }
        found
    }

    /// The ancestors of an entry that stand at `lowest` or behind it, itself not included.
    pub(super) fn ancestors_down_to(&self, position: usize, lowest: usize) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut open = vec![position];
        while let Some(next) = open.pop() {
            let near = self.parents_of(next).iter().filter(|parent| **parent >= lowest);
            open.extend(near.filter(|parent| found.insert(**parent)));
        }
        found
    }

    /// Whether one entry is an ancestor of another. Looks only at entries above the one looked for.
    pub(super) fn is_ancestor(&self, ancestor: usize, entry: usize) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![entry];
        while let Some(next) = open.pop() {
            for parent in self.parents_of(next) {
                if *parent == ancestor {
                    return true;
                }
                // Positions rise with the sequence: below the one looked for, it cannot be found.
                if *parent > ancestor && seen.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        false
    }

    /// The entries that count and that no other entry that counts descends from, also not through one that does not.
    pub(super) fn heads(&self, standings: &[Standing]) -> Vec<usize> {
        let counts = |position: usize| standings.get(position).is_some_and(Standing::counts);
        let mut covered = vec![false; self.entries.len()];
        for position in (0..self.entries.len()).rev() {
            if counts(position) || covered.get(position) == Some(&true) {
                for parent in self.parents_of(position) {
                    if let Some(mark) = covered.get_mut(*parent) {
                        *mark = true;
                    }
                }
            }
        }
        (0..self.entries.len()).filter(|position| counts(*position) && covered.get(*position) == Some(&false)).collect()
    }
}

/// What the sequence of an entry must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// All parents are known.
    Exactly(u64),
    /// A parent is missing.
    AtLeast(u64),
}
