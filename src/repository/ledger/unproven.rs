//! Entries of ended keys that might count: missing entries could show that they are at or below the end of their key.

use std::collections::{BTreeMap, HashSet};

use super::graph::Graph;
use super::status::EntryStatus;
use crate::format::EntryRef;
use crate::model::Digest;
use crate::repository::trust::Trust;

/// Returns the positions of unproven entries, in order. In a fork, only those that are unproven in every branch.
pub(super) fn unproven(graph: &Graph, statuses: &[EntryStatus], trust: &Trust) -> Vec<usize> {
    let entries = graph.entries.iter().zip(statuses).enumerate();
    let asked = entries.filter(|(_, (entry, status))| entry.checked && !status.counts());
    let mut unproven: Vec<usize> = asked.map(|(position, _)| position).collect();
    let key = |position: &usize| graph.entries.get(*position).map(|entry| entry.key);
    let signers: HashSet<Digest> = unproven.iter().filter_map(key).collect();
    for (_, policy) in trust.branches() {
        let keys = highest_missing(graph, policy, &signers);
        unproven.retain(|position| {
            let entry = graph.entries.get(*position);
            entry.is_some_and(|entry| keys.get(&entry.key).is_some_and(|missing| entry.sequence < *missing))
        });
    }
    unproven
}

/// Returns for every ended key among `signers` the highest sequence that is missing at or below its end and whose loss
/// is not accepted.
fn highest_missing(graph: &Graph, policy: &crate::format::Policy, signers: &HashSet<Digest>) -> BTreeMap<Digest, u64> {
    let accepted = |entry: &EntryRef| policy.lost.entries.iter().any(|lost| lost.digest == entry.digest);
    let missing = |entry: &&EntryRef| graph.position(&entry.digest).is_none() && !accepted(entry);
    let asked = policy.keys.iter().filter(|key| signers.contains(&key.public_key.fingerprint()));
    let ended = asked.filter_map(|key| Some((key, key.until.as_ref()?)));
    let highest = ended.filter_map(|(key, until)| {
        let at: Vec<usize> = until.iter().filter_map(|entry| graph.position(&entry.digest)).collect();
        let mut below = graph.below(&at);
        below.extend(at);
        let parents = below.iter().filter_map(|position| graph.entries.get(*position)).flat_map(|entry| &entry.parents);
        let highest = parents.chain(until).filter(missing).map(|entry| entry.sequence).max()?;
        Some((key.public_key.fingerprint(), highest))
    });
    highest.collect()
}
