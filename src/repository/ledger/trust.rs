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
    for position in old_catalogues(graph, &reach, &standings, &accepted) {
        if let (Some(slot), Some(entry)) = (standings.get_mut(position), graph.entries.get(position)) {
            *slot = standing(Some(Why::OldCatalogue), trusted.contains(&entry.key));
        }
    }
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
            Event::AcceptSuspect(event) => Some(event.snapshot),
            _ => None,
        })
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
        let mut newest = among(&all, graph.parents_of(position));
        if let Some(event) = entry.snapshot()
            && standings.get(position).is_some_and(Standing::counts)
        {
            newest.any = Some(position);
            if event.verdict == Verdict::Good || accepted.contains(&entry.digest) {
                newest.good = Some(position);
            }
        }
        all.push(newest);
    }
    all
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

/// The snapshots that name the catalogue of an earlier one again and may not: an old state passed off as the present.
/// Behind a hole it cannot be known what the newest was, and none is blamed.
fn old_catalogues(graph: &Graph, reach: &Reach, standings: &[Standing], accepted: &BTreeSet<Digest>) -> Vec<usize> {
    let newest = newest_snapshots(graph, standings, accepted);
    let mut seen: HashMap<Digest, Vec<usize>> = HashMap::new();
    let mut old = Vec::new();
    for (position, entry) in graph.entries.iter().enumerate() {
        let Some(event) = entry.snapshot().filter(|_| standings.get(position).is_some_and(Standing::counts)) else {
            continue;
        };
        // Catalogues with the same list are few; only they can be the same.
        let alike = seen.entry(event.list).or_default();
        let earlier = |other: &usize| graph.entries.get(*other).and_then(Entry::snapshot);
        let repeats = alike.iter().rev().filter_map(earlier).any(|other| other.same_catalogue(event));
        let allowed = allowed_catalogues(graph, &newest, graph.parents_of(position));
        if repeats && !allowed.iter().any(|other| other.same_catalogue(event)) && reach.hole(position).is_none() {
            old.push(position);
        } else if !repeats {
            alike.push(position);
        }
    }
    old
}
