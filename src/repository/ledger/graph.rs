//! Links between entries.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::format::{Entry, EntryRef};
use crate::model::Digest;

/// Entries sorted by sequence, then digest, and their links as positions in that order.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) entries: Vec<Entry>,
    /// The parents that exist; a parent always has a lower sequence.
    parents: Vec<Vec<usize>>,
    index: HashMap<Digest, usize>,
}

impl Graph {
    /// Links entries. Rejects an entry that names an existing parent with a wrong sequence, and also returns the names
    /// of the rejected ones.
    pub(super) fn link(mut entries: Vec<Entry>) -> (Self, Vec<String>) {
        let sequences: HashMap<Digest, u64> = entries.iter().map(|entry| (entry.digest, entry.sequence)).collect();
        let named_wrongly = |parent: &EntryRef| sequences.get(&parent.digest).is_some_and(|is| *is != parent.sequence);
        let (wrong, right): (Vec<Entry>, Vec<Entry>) =
            entries.drain(..).partition(|entry| entry.parents.iter().any(named_wrongly));
        let mut entries = right;
        entries.sort_by_key(|entry| (entry.sequence, entry.digest));
        let index: HashMap<Digest, usize> =
            entries.iter().enumerate().map(|(position, entry)| (entry.digest, position)).collect();
        let linked = |entry: &Entry| {
            let there = entry.parents.iter().filter_map(|parent| index.get(&parent.digest).copied());
            there.collect::<BTreeSet<usize>>().into_iter().collect()
        };
        let parents = entries.iter().map(linked).collect();
        (Self { entries, parents, index }, wrong.iter().map(Entry::name).collect())
    }

    /// Returns the position of the entry with a digest.
    pub(super) fn position(&self, digest: &Digest) -> Option<usize> {
        self.index.get(digest).copied()
    }

    /// Returns the positions of the parents of the entry at a position.
    pub(super) fn parents_of(&self, position: usize) -> &[usize] {
        self.parents.get(position).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns everything below the entries at these positions, through any entries. Does not include these themselves,
    /// unless one is below another.
    pub(super) fn below(&self, from: &[usize]) -> HashSet<usize> {
        self.below_down_to(from, 0)
    }

    /// As [`Graph::below`], down to position `lowest`.
    pub(super) fn below_down_to(&self, from: &[usize], lowest: usize) -> HashSet<usize> {
        let mut found = HashSet::new();
        let mut open = from.to_vec();
        while let Some(next) = open.pop() {
            let near = self.parents_of(next).iter().filter(|parent| **parent >= lowest);
            open.extend(near.filter(|parent| found.insert(**parent)));
        }
        found
    }

    /// Returns true if one entry is below another. Visits only entries above the lower one.
    pub(super) fn is_below(&self, low: usize, high: usize) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![high];
        while let Some(next) = open.pop() {
            for parent in self.parents_of(next) {
                if *parent == low {
                    return true;
                }
                // Positions rise with the sequence, so the lower entry is never below a lower position.
                if *parent > low && seen.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        false
    }

    /// Marks everything below an entry for which `top` returns true.
    pub(super) fn below_any(&self, top: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut covered = vec![false; self.entries.len()];
        for position in (0..self.entries.len()).rev() {
            if top(position) || covered.get(position) == Some(&true) {
                for parent in self.parents_of(position) {
                    if let Some(mark) = covered.get_mut(*parent) {
                        *mark = true;
                    }
                }
            }
        }
        covered
    }
}
