//! Collects the problems of a ledger, grouped by cause and counted.

use std::collections::{BTreeMap, HashMap};

use super::{EntryStatus, Ledger, Pending, Problem, Rubbish, Suspicion, Void};
use crate::format::{Entry, names};
use crate::model::Digest;

/// Returns all problems, those of the policy first.
pub(super) fn find(ledger: &Ledger, rubbish: Rubbish) -> Vec<Problem> {
    let trust = &ledger.trust;
    let mut found = Vec::new();
    if trust.is_fork() {
        found.push(Problem::Fork { branches: trust.branches().map(|(version, _)| version).collect() });
    }
    found.extend(trust.missing().into_iter().map(|version| Problem::MissingVersion { version }));
    if let Some((version, why)) = trust.misfits().first().cloned() {
        found.push(Problem::Misfits { count: trust.misfits().len() as u64, version, why });
    }
    if !ledger.later.is_empty() {
        let files = ledger.later.iter().map(|later| names::entry(&later.entry)).collect();
        found.push(Problem::Later { files });
    }
    let unread: Vec<String> = ledger.unread_snapshots().map(Entry::name).collect();
    if !unread.is_empty() {
        found.push(Problem::UnreadSnapshots { entries: unread });
    }
    if rubbish.count > 0 {
        found.push(Problem::Rubbish(rubbish));
    }
    statuses(ledger, &mut found);
    holes(ledger, &mut found);
    suspicions(ledger, &mut found);
    let early = ledger.snapshots.early_sweeps().iter().filter_map(|position| ledger.graph.entries.get(*position));
    found.extend(early.map(|entry| Problem::EarlySweep { entry: entry.name() }));
    found.extend(two_heads(ledger));
    for entry in ledger.counted() {
        let parents = entry.parents.iter().filter_map(|parent| ledger.get(&parent.digest));
        if let Some(parent) = parents.filter(|parent| parent.time > entry.time).max_by_key(|parent| parent.time) {
            found.push(Problem::Mistimed { entry: entry.name(), parent: parent.name() });
        }
    }
    found
}

/// Adds the entries that do not count, one problem per reason.
fn statuses(ledger: &Ledger, found: &mut Vec<Problem>) {
    let mut strangers: Vec<&Entry> = Vec::new();
    let mut void: BTreeMap<(Digest, Void), Vec<&Entry>> = BTreeMap::new();
    let mut pending: BTreeMap<(bool, Pending), Vec<&Entry>> = BTreeMap::new();
    for (entry, status) in ledger.judged() {
        match status {
            EntryStatus::Counts => {}
            EntryStatus::Stranger => strangers.push(entry),
            EntryStatus::Void(why) => void.entry((entry.key, *why)).or_default().push(entry),
            EntryStatus::Pending(why) => {
                pending.entry((entry.snapshot().is_none(), *why)).or_default().push(entry);
            }
        }
    }
    let count = |entries: &[&Entry]| entries.len() as u64;
    let first = |entries: &[&Entry]| entries.first().map(|entry| entry.name()).unwrap_or_default();
    for ((other, why), entries) in &pending {
        let why = why.to_string();
        found.push(match other {
            false => Problem::PendingSnapshots { entries: entries.iter().map(|entry| entry.name()).collect(), why },
            true => Problem::Pending { count: count(entries), first: first(entries), why },
        });
    }
    for ((key, why), entries) in &void {
        let name = ledger.trust.branches().find_map(|(_, policy)| Some(policy.key(key)?.name.clone()));
        let (count, first, why) = (count(entries), first(entries), why.to_string());
        found.push(Problem::Void { key: *key, name: name.unwrap_or_default(), count, first, why });
    }
    if !strangers.is_empty() {
        let newer = strangers.iter().any(|entry| !ledger.trust.is_known(&entry.policy));
        found.push(Problem::Strangers { count: count(&strangers), first: first(&strangers), newer });
    }
    let unproven: Vec<&Entry> = ledger.unproven().collect();
    if !unproven.is_empty() {
        found.push(Problem::Unproven { count: count(&unproven), first: first(&unproven) });
    }
}

fn holes(ledger: &Ledger, found: &mut Vec<Problem>) {
    for hole in &ledger.holes {
        let named_by = hole.named_by.iter().filter_map(|digest| ledger.get(digest)).map(Entry::name).collect();
        found.push(Problem::Hole { parent: hole.entry, named_by });
    }
}

fn suspicions(ledger: &Ledger, found: &mut Vec<Problem>) {
    let mut tainted: BTreeMap<Digest, Vec<&Entry>> = BTreeMap::new();
    for entry in ledger.unswept() {
        match ledger.suspicion(entry) {
            Some(Suspicion::Recipients) => found.push(Problem::Recipients { snapshot: entry.name() }),
            Some(Suspicion::Base(base)) => tainted.entry(*base).or_default().push(entry),
            Some(Suspicion::Own(_)) | None => {}
        }
    }
    for (base, entries) in tainted {
        let first = entries.first().map(|entry| entry.name()).unwrap_or_default();
        found.push(Problem::Tainted { base, count: entries.len() as u64, first });
    }
}

/// Returns for each key the first two entries, neither of which is below the other. Comparing neighbours is enough: an
/// entry below the next one of its key is also below all later ones above that.
fn two_heads(ledger: &Ledger) -> Vec<Problem> {
    let mut last: HashMap<Digest, &Entry> = HashMap::new();
    let mut found: BTreeMap<Digest, Problem> = BTreeMap::new();
    for entry in ledger.counted() {
        if let Some(before) = last.insert(entry.key, entry)
            && !found.contains_key(&entry.key)
            && !ledger.is_below(&before.digest, &entry.digest)
            && !is_hidden(ledger, before, entry)
        {
            let problem = Problem::TwoHeads { key: entry.key, one: before.name(), other: entry.name() };
            found.insert(entry.key, problem);
        }
    }
    found.into_values().collect()
}

/// Returns true if missing entries may be the path from an entry down to an earlier one of its key. Then nothing proves
/// a second head, and the missing entry is already reported, or its loss is accepted.
fn is_hidden(ledger: &Ledger, before: &Entry, entry: &Entry) -> bool {
    let graph = &ledger.graph;
    let (Some(low), Some(high)) = (graph.position(&before.digest), graph.position(&entry.digest)) else { return false };
    let below = graph.below_down_to(&[high], low);
    let named = below.into_iter().chain([high]).filter_map(|at| graph.entries.get(at)).flat_map(|entry| &entry.parents);
    named.filter(|parent| parent.sequence > before.sequence).any(|parent| graph.position(&parent.digest).is_none())
}
