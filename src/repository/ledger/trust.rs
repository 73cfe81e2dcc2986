//! Which entries count: keys by ancestry, never by date (`docs/format.md`, *Trust*).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::graph::{Expected, Graph};
use super::keys::{Keyring, Reach};
use super::{Standing, Why};
use crate::crypto::PublicKey;
use crate::format::event::{SnapshotEvent, Verdict};
use crate::format::{Entry, Event};
use crate::model::Digest;

/// Judges every entry, in the order of the graph.
pub(super) fn judge(graph: &Graph, trust: &[PublicKey]) -> Vec<Standing> {
    let trusted: HashSet<Digest> = trust.iter().map(PublicKey::fingerprint).collect();
    let reach = Reach::of(graph);
    let keyring = Keyring::collect(graph, &reach);
    let mut standings = Vec::with_capacity(graph.entries.len());
    for (position, entry) in graph.entries.iter().enumerate() {
        let judged = check(graph, &reach, &keyring, &standings, position, entry);
        standings.push(standing(judged.err(), trusted.contains(&entry.key)));
    }
    let accepted = accepted(graph, &standings);
    ignore_old_catalogues(graph, &reach, &trusted, &accepted, &mut standings);
    ignore_empty_accepts(graph, &trusted, &mut standings);
    standings
}

fn standing(why: Option<Why>, trusted: bool) -> Standing {
    match why {
        None => Standing::Counts,
        Some(why) if trusted => Standing::Overridden { why },
        Some(why) => Standing::Ignored { why },
    }
}

fn check(
    graph: &Graph,
    reach: &Reach,
    keyring: &Keyring,
    before: &[Standing],
    position: usize,
    entry: &Entry,
) -> Result<(), Why> {
    if graph.root == Some(position) {
        return Ok(());
    }
    check_sequence(graph, position, entry)?;
    keyring.check(graph, reach, position)?;
    if let Event::AcceptSuspect(event) = &entry.event {
        let named = graph.index.get(&event.snapshot).copied();
        let fits = named.filter(|named| {
            graph.entries.get(*named).is_some_and(|entry| entry.snapshot().is_some())
                && before.get(*named).is_some_and(Standing::counts)
                && (graph.is_ancestor(*named, position) || reach.hole(position).is_some())
        });
        fits.ok_or(Why::NothingToAccept { snapshot: event.snapshot })?;
    }
    Ok(())
}

/// Whether the sequence follows from the parents.
pub(super) fn check_sequence(graph: &Graph, position: usize, entry: &Entry) -> Result<(), Why> {
    match graph.expected_sequence(position) {
        Expected::Exactly(expected) if entry.sequence != expected => Err(Why::Sequence { expected }),
        Expected::AtLeast(expected) if entry.sequence < expected => Err(Why::Sequence { expected }),
        _ => Ok(()),
    }
}

/// The suspect snapshots that an entry that counts accepts.
pub(super) fn accepted(graph: &Graph, standings: &[Standing]) -> BTreeSet<Digest> {
    let counted = graph.entries.iter().zip(standings).filter(|(_, standing)| standing.counts());
    counted
        .filter_map(|(entry, _)| match &entry.event {
            // By its name, however this entry names it: a copy means the same.
            Event::AcceptSuspect(event) => graph.entries.get(*graph.index.get(&event.snapshot)?),
            _ => None,
        })
        .map(|snapshot| snapshot.digest)
        .collect()
}

/// The newest snapshots among an entry's ancestors and itself: of all, and of the good ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Newest {
    any: Option<usize>,
    good: Option<usize>,
}

/// For every entry, the newest snapshots that count among its ancestors and itself. Newest is by sequence, then digest:
/// the order of positions.
pub(super) fn newest_snapshots(graph: &Graph, standings: &[Standing], accepted: &BTreeSet<Digest>) -> Vec<Newest> {
    let mut all = Vec::with_capacity(graph.entries.len());
    for (position, entry) in graph.entries.iter().enumerate() {
        let below = among(&all, graph.parents_of(position));
        let counts = standings.get(position).is_some_and(Standing::counts);
        all.push(if counts { below.with(position, entry, accepted) } else { below });
    }
    all
}

impl Newest {
    /// Also with an entry that counts, newer than these.
    fn with(mut self, position: usize, entry: &Entry, accepted: &BTreeSet<Digest>) -> Self {
        if let Some(event) = entry.snapshot() {
            self.any = Some(position);
            if event.verdict == Verdict::Good || accepted.contains(&entry.digest) {
                self.good = Some(position);
            }
        }
        self
    }
}

fn among(newest: &[Newest], parents: &[usize]) -> Newest {
    let of = parents.iter().filter_map(|parent| newest.get(*parent));
    of.fold(Newest::default(), |a, b| Newest { any: a.any.max(b.any), good: a.good.max(b.good) })
}

/// The snapshots whose catalogue an entry with these parents may name again.
pub(super) fn allowed_catalogues<'a>(graph: &'a Graph, newest: &[Newest], parents: &[usize]) -> Vec<&'a SnapshotEvent> {
    let Newest { any, good } = among(newest, parents);
    [any, good].into_iter().flatten().filter_map(|position| graph.entries.get(position)?.snapshot()).collect()
}

/// Ignores the snapshots that name the catalogue of an earlier one again and may not: an old state passed off as the
/// present. Behind a hole it cannot be known what the newest was, and none is blamed.
///
/// One by one in order, because what is ignored is no newest snapshot either: else the second copy of an old state
/// would be excused by the first.
fn ignore_old_catalogues(
    graph: &Graph,
    reach: &Reach,
    trusted: &HashSet<Digest>,
    accepted: &BTreeSet<Digest>,
    standings: &mut [Standing],
) {
    let mut newest: Vec<Newest> = Vec::with_capacity(graph.entries.len());
    let mut seen: HashMap<Digest, Vec<usize>> = HashMap::new();
    for ((position, entry), slot) in graph.entries.iter().enumerate().zip(standings) {
        let below = among(&newest, graph.parents_of(position));
        if let Some(event) = entry.snapshot().filter(|_| slot.counts()) {
            // Catalogues with the same list are few; only they can be the same.
            let alike = seen.entry(event.list).or_default();
            let earlier = |other: &usize| graph.entries.get(*other).and_then(Entry::snapshot);
            let repeats = alike.iter().rev().filter_map(earlier).any(|other| other.same_catalogue(event));
            let allowed = allowed_catalogues(graph, &newest, graph.parents_of(position));
            if repeats && !allowed.iter().any(|other| other.same_catalogue(event)) && reach.hole(position).is_none() {
                *slot = standing(Some(Why::OldCatalogue), trusted.contains(&entry.key));
            } else if !repeats {
                alike.push(position);
            }
        }
        newest.push(if slot.counts() { below.with(position, entry, accepted) } else { below });
    }
}

/// Ignores what accepts a snapshot that turned out not to count.
fn ignore_empty_accepts(graph: &Graph, trusted: &HashSet<Digest>, standings: &mut [Standing]) {
    for (position, entry) in graph.entries.iter().enumerate() {
        let Event::AcceptSuspect(event) = &entry.event else { continue };
        let named = graph.index.get(&event.snapshot).and_then(|named| standings.get(*named));
        if named.is_some_and(Standing::counts) {
            continue;
        }
        if let Some(slot) = standings.get_mut(position).filter(|slot| **slot == Standing::Counts) {
            let why = Why::NothingToAccept { snapshot: event.snapshot };
            *slot = standing(Some(why), trusted.contains(&entry.key));
        }
    }
}
