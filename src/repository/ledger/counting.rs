//! Decides which entries count: by the policy in force, independent of dates and order.

use std::collections::{HashMap, HashSet};

use super::graph::Graph;
use super::status::{EntryStatus, Pending, Void};
use crate::format::{Entry, Policy};
use crate::model::Digest;
use crate::repository::trust::Trust;

/// Maximum distance of a sequence from the highest lower entry in reach. Otherwise one entry could use up all
/// sequences.
const REACH: u64 = 10_000;

/// Judges every entry, in the order of the graph.
pub(super) fn judge(graph: &Graph, trust: &Trust) -> Vec<EntryStatus> {
    let rights = rights(graph, trust);
    let reach = reach(graph, trust, &rights);
    let judged = graph.entries.iter().zip(rights).enumerate().map(|(position, (entry, right))| {
        match right > Right::NotListed && !entry.checked {
            true => EntryStatus::Void(Void::Unchecked),
            false => status(right, reach.contains(&position), trust.is_known(&entry.policy)),
        }
    });
    judged.collect()
}

/// Returns the rights on which all branches agree. Processes one branch at a time, because a fork can have thousands.
fn rights(graph: &Graph, trust: &Trust) -> Vec<Right> {
    let signers: HashSet<Digest> = graph.entries.iter().map(|entry| entry.key).collect();
    let mut least: Vec<Option<Right>> = vec![None; graph.entries.len()];
    for (_, policy) in trust.branches() {
        let branch = Branch::new(graph, policy, &signers);
        for (position, (entry, least)) in graph.entries.iter().zip(&mut least).enumerate() {
            let right = branch.right(position, entry);
            *least = Some(least.map_or(right, |least| least.min(right)));
        }
    }
    least.into_iter().map(|right| right.unwrap_or(Right::NotListed)).collect()
}

/// A policy's verdict on a key and an entry, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    /// The key is not listed.
    NotListed,
    /// The key has no role for this kind.
    NoRole,
    /// The key has ended, and the entry is above the end.
    Ended,
    /// The key has ended, and the entry is at or below the end.
    BelowEnd,
    /// The key has not ended.
    Active,
}

fn status(right: Right, in_reach: bool, known: bool) -> EntryStatus {
    match right {
        Right::NotListed => EntryStatus::Stranger,
        Right::NoRole => EntryStatus::Void(Void::NoRole),
        Right::Ended => EntryStatus::Void(Void::Ended),
        Right::Active if !known => EntryStatus::Pending(Pending::UnknownPolicy),
        Right::Active if !in_reach => EntryStatus::Pending(Pending::OutOfReach),
        Right::BelowEnd if !known || !in_reach => EntryStatus::Void(Void::Unplaced),
        Right::BelowEnd | Right::Active => EntryStatus::Counts,
    }
}

/// The keys of one branch that have signed anything, and the entries at or below the end of those that have ended.
struct Branch<'a> {
    keys: HashMap<Digest, &'a crate::format::policy::PolicyKey>,
    ends: HashMap<Digest, HashSet<usize>>,
}

impl<'a> Branch<'a> {
    fn new(graph: &Graph, policy: &'a Policy, signers: &HashSet<Digest>) -> Self {
        let keys = policy.keys.iter().map(|key| (key.public_key.fingerprint(), key));
        let keys: HashMap<_, _> = keys.filter(|(fingerprint, _)| signers.contains(fingerprint)).collect();
        let ends = keys.iter().filter_map(|(fingerprint, key)| {
            let until = key.until.as_ref()?;
            let at: Vec<usize> = until.iter().filter_map(|entry| graph.position(&entry.digest)).collect();
            let mut below = graph.below(&at);
            below.extend(at);
            Some((*fingerprint, below))
        });
        Self { ends: ends.collect(), keys }
    }

    fn right(&self, position: usize, entry: &Entry) -> Right {
        let Some(key) = self.keys.get(&entry.key) else { return Right::NotListed };
        match self.ends.get(&entry.key) {
            _ if !key.may_sign(entry.kind()) => Right::NoRole,
            None => Right::Active,
            Some(below) if below.contains(&position) => Right::BelowEnd,
            Some(_) => Right::Ended,
        }
    }
}

/// Returns the entries in reach. Ended keys are included, otherwise entries on top of a long chain of a revoked key's
/// entries would be out of reach.
fn reach(graph: &Graph, trust: &Trust, rights: &[Right]) -> HashSet<usize> {
    let mut found = HashSet::new();
    // The highest sequence in reach, and the highest below the current sequence.
    let (mut highest, mut lower): (Option<u64>, Option<u64>) = (None, None);
    for (position, (entry, right)) in graph.entries.iter().zip(rights).enumerate() {
        if highest.is_some_and(|highest| highest < entry.sequence) {
            lower = highest;
        }
        if !entry.checked || *right == Right::NotListed {
            continue;
        }
        let parent_in_reach = entry.parents.last().is_some_and(|parent| {
            trust.accepts_loss_of(&parent.digest)
                || graph.position(&parent.digest).is_some_and(|parent| found.contains(&parent))
        });
        let near = lower.is_none_or(|lower| entry.sequence.saturating_sub(lower) <= REACH);
        if parent_in_reach || near {
            found.insert(position);
            highest = Some(entry.sequence);
        }
    }
    found
}
