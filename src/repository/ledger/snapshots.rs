//! State of snapshots: live, forgotten or swept; held; suspect.
//!
//! Of two entries that did not know of each other, the one that keeps the snapshot wins, also if a missing entry hides
//! their order. A `forget` applies only to snapshots below it, and only if every `undo` of them is below it. A hold
//! ends only by a `release` above it. Only a sweep is final, since the objects that it names may already be deleted.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::graph::Graph;
use super::status::{EntryStatus, Hold, SnapshotState, Suspicion};
use crate::format::{Entry, EntryEvent, EntryRef, PolicyRef};
use crate::model::Digest;
use crate::repository::trust::Trust;

/// States of all snapshots that are not simply live and good.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    ended: HashMap<usize, SnapshotState>,
    holds: BTreeMap<Digest, Hold>,
    suspicions: HashMap<usize, Suspicion>,
    /// Positions of sweeps that name a snapshot without a forget below them that is older than the grace period.
    early: Vec<usize>,
}

/// Entries that count and name snapshots, by position, in order.
#[derive(Default)]
struct EntriesBySnapshot<'a> {
    forgotten: Vec<(usize, usize, &'a str)>,
    undone: HashMap<usize, Vec<usize>>,
    swept: Vec<(usize, usize)>,
    held: Vec<(usize, usize, &'a str)>,
    released: HashMap<usize, Vec<usize>>,
}

impl Snapshots {
    pub(super) fn of(graph: &Graph, statuses: &[EntryStatus], unproven: &[usize], trust: &Trust) -> Self {
        let said = EntriesBySnapshot::collect(graph, statuses);
        let mut found = Self::default();
        for (position, snapshot, rule) in &said.forgotten {
            let undos = said.undone.get(snapshot).map(Vec::as_slice).unwrap_or_default();
            if undos.iter().all(|undo| graph.is_below(*undo, *position))
                && let Some(by) = graph.entries.get(*position)
            {
                let state = SnapshotState::Forgotten { by: by.digest, rule: (*rule).to_owned() };
                found.ended.entry(*snapshot).or_insert(state);
            }
        }
        let mut swept = HashMap::new();
        for (position, snapshot) in &said.swept {
            if let Some(by) = graph.entries.get(*position) {
                swept.entry(*snapshot).or_insert(SnapshotState::Swept { by: by.digest });
            }
            if is_early(graph, trust, *position, *snapshot) && found.early.last() != Some(position) {
                found.early.push(*position);
            }
        }
        found.ended.extend(swept);
        found.hold(graph, trust, &said);
        found.suspect(graph, statuses, unproven, trust);
        found
    }

    pub(super) fn state(&self, position: usize) -> SnapshotState {
        self.ended.get(&position).cloned().unwrap_or(SnapshotState::Live)
    }

    pub(super) fn is_live(&self, position: usize) -> bool {
        !self.ended.contains_key(&position)
    }

    pub(super) fn is_swept(&self, position: usize) -> bool {
        matches!(self.ended.get(&position), Some(SnapshotState::Swept { .. }))
    }

    pub(super) fn holds(&self) -> &BTreeMap<Digest, Hold> {
        &self.holds
    }

    pub(super) fn suspicion(&self, position: usize) -> Option<&Suspicion> {
        self.suspicions.get(&position)
    }

    pub(super) fn early_sweeps(&self) -> &[usize] {
        &self.early
    }

    fn hold(&mut self, graph: &Graph, trust: &Trust, said: &EntriesBySnapshot<'_>) {
        for (position, snapshot, reason) in &said.held {
            let released = said.released.get(snapshot).map(Vec::as_slice).unwrap_or_default();
            if released.iter().any(|release| graph.is_below(*position, *release)) {
                continue;
            }
            if let (Some(by), Some(held)) = (graph.entries.get(*position), graph.entries.get(*snapshot)) {
                self.holds.insert(held.digest, Hold { by: Some(by.digest), reason: (*reason).to_owned() });
            }
        }
        let by_policy = graph.entries.iter().filter(|entry| trust.holds(&entry.digest));
        for entry in by_policy.filter(|entry| entry.snapshot().is_some()) {
            let reason = "held by the trust policy".to_owned();
            self.holds.entry(entry.digest).or_insert(Hold { by: None, reason });
        }
    }

    fn suspect(&mut self, graph: &Graph, statuses: &[EntryStatus], unproven: &[usize], trust: &Trust) {
        let sound = |position: usize| {
            statuses.get(position).is_some_and(EntryStatus::counts) || unproven.binary_search(&position).is_ok()
        };
        let bad_bases = bad_bases(graph, trust, sound);
        for (position, entry) in graph.entries.iter().enumerate() {
            let Some(event) = entry.snapshot() else { continue };
            let bad_base = bad_bases.get(&position).copied().flatten();
            let sealed_to_others = trust
                .get(&entry.policy)
                .filter(|_| trust.is_known(&entry.policy))
                .is_some_and(|policy| policy.recipients_digest() != event.recipients);
            let own = event.reasons.first().map(|reason| Suspicion::Own(reason.sentence()));
            let others = sealed_to_others.then_some(Suspicion::Recipients);
            if let Some(why) = others.or(bad_base.map(Suspicion::Base)).or(own) {
                self.suspicions.insert(position, why);
            }
        }
    }
}

impl<'a> EntriesBySnapshot<'a> {
    fn collect(graph: &'a Graph, statuses: &[EntryStatus]) -> Self {
        let counts = |position: usize| statuses.get(position).is_some_and(EntryStatus::counts);
        let mut said = Self::default();
        for (position, entry) in graph.entries.iter().enumerate().filter(|(position, _)| counts(*position)) {
            for snapshot in named(graph, entry).into_iter().filter(|snapshot| counts(*snapshot)) {
                match &entry.event {
                    EntryEvent::Forget(event) if graph.is_below(snapshot, position) => {
                        said.forgotten.push((position, snapshot, &event.rule));
                    }
                    EntryEvent::Undo(_) => said.undone.entry(snapshot).or_default().push(position),
                    EntryEvent::Sweep(_) => said.swept.push((position, snapshot)),
                    EntryEvent::Hold(event) => said.held.push((position, snapshot, &event.reason)),
                    EntryEvent::Release(_) => said.released.entry(snapshot).or_default().push(position),
                    _ => {}
                }
            }
        }
        said
    }
}

/// Returns for every snapshot the base that makes it suspect, directly or indirectly. A base can be at any position,
/// because only its digest links it to the snapshots that build on it.
fn bad_bases(graph: &Graph, trust: &Trust, sound: impl Fn(usize) -> bool) -> HashMap<usize, Option<Digest>> {
    let mut judged: HashMap<usize, Option<Digest>> = HashMap::new();
    let mut ends = Ends { graph, trust, named: HashMap::new() };
    for start in 0..graph.entries.len() {
        let (mut at, mut chain) = (start, Vec::new());
        let bad = loop {
            if let Some(known) = judged.get(&at) {
                break *known;
            }
            chain.push(at);
            let Some(event) = graph.entries.get(at).and_then(Entry::snapshot) else { break None };
            let Some(base) = event.base.filter(|base| !event.full && !trust.accepts(base)) else { break None };
            match graph.position(&base) {
                // The entry is missing, so only the keys show whether it may be one that does not count.
                None => break event.reuses.iter().any(|key| ends.may_exclude(key, &base)).then_some(base),
                Some(position) if !sound(position) => break Some(base),
                Some(position) => at = position,
            }
        };
        judged.extend(chain.into_iter().map(|position| (position, bad)));
    }
    judged
}

/// Returns the snapshots that an entry names.
fn named(graph: &Graph, entry: &Entry) -> Vec<usize> {
    let named = entry.event.named_snapshots().iter().filter_map(|digest| graph.position(digest));
    named.filter(|at| graph.entries.get(*at).is_some_and(|entry| entry.snapshot().is_some())).collect()
}

/// Entries named in and below the end of each ended key, present or missing; computed on first use.
struct Ends<'a> {
    graph: &'a Graph,
    trust: &'a Trust,
    named: HashMap<(PolicyRef, Digest), HashSet<Digest>>,
}

impl Ends<'_> {
    /// Returns true if a missing entry would not count if it is by this key: a branch of the policy has ended the key,
    /// and nothing in or below the end names the entry. An entry named there counts, even if it was deleted.
    fn may_exclude(&mut self, key: &Digest, gone: &Digest) -> bool {
        let (graph, trust) = (self.graph, self.trust);
        trust.branches().any(|(version, policy)| {
            let Some(until) = policy.key(key).and_then(|key| key.until.as_ref()) else { return false };
            let named = self.named.entry((version, *key)).or_insert_with(|| named_by_end(graph, until));
            !named.contains(gone)
        })
    }
}

fn named_by_end(graph: &Graph, until: &[EntryRef]) -> HashSet<Digest> {
    let at: Vec<usize> = until.iter().filter_map(|entry| graph.position(&entry.digest)).collect();
    let mut below = graph.below(&at);
    below.extend(at);
    let parents = below.into_iter().filter_map(|position| graph.entries.get(position)).flat_map(|entry| &entry.parents);
    until.iter().chain(parents).map(|entry| entry.digest).collect()
}

/// Returns true if no `forget` of the snapshot below the sweep is older than the grace period of the policy version
/// that the sweep names.
fn is_early(graph: &Graph, trust: &Trust, sweep: usize, snapshot: usize) -> bool {
    let (Some(entry), Some(named)) = (graph.entries.get(sweep), graph.entries.get(snapshot)) else { return false };
    let Some(policy) = trust.get(&entry.policy) else { return false };
    let grace = i64::try_from(policy.settings.grace_seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    let below = graph.below_down_to(&[sweep], snapshot);
    let forgets = below
        .iter()
        .filter_map(|at| graph.entries.get(*at))
        .filter(|below| matches!(&below.event, EntryEvent::Forget(event) if event.snapshots.contains(&named.digest)));
    !forgets.into_iter().any(|forget| entry.time.millis_since(forget.time) >= grace)
}
