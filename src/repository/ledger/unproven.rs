//! Entries of ended keys that may count: what is missing could show that they are at or below the end of their key.

use std::collections::BTreeMap;

use super::graph::Graph;
use super::status::EntryStatus;
use crate::format::EntryRef;
use crate::model::Digest;
use crate::repository::trust::Trust;

/// The positions of unproven entries, in order. In a fork only what every branch leaves unproven.
pub(super) fn unproven(graph: &Graph, statuses: &[EntryStatus], trust: &Trust) -> Vec<usize> {
    let branches: Vec<BTreeMap<Digest, u64>> =
        trust.branches().map(|(_, policy)| highest_missing(graph, policy)).collect();
    let entries = graph.entries.iter().enumerate();
    let unproven = entries.filter(|(position, entry)| {
        let counts = statuses.get(*position).is_some_and(EntryStatus::counts);
        let open = branches.iter().all(|keys| keys.get(&entry.key).is_some_and(|missing| entry.sequence < *missing));
        entry.checked && !counts && open
    });
    unproven.map(|(position, _)| position).collect()
}

/// For every ended key, the highest sequence that is missing at or below its end and not accepted as lost.
fn highest_missing(graph: &Graph, policy: &crate::format::Policy) -> BTreeMap<Digest, u64> {
    let accepted = |entry: &EntryRef| policy.lost.entries.iter().any(|lost| lost.digest == entry.digest);
    let missing = |entry: &&EntryRef| graph.position(&entry.digest).is_none() && !accepted(entry);
    let ended = policy.keys.iter().filter_map(|key| Some((key, key.until.as_ref()?)));
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
