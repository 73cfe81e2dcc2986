//! Which snapshots are kept, given up, or gone (`docs/format.md`, *Life of a snapshot*).
//!
//! Of two entries that did not know of each other the one that keeps wins: a give-up holds only for snapshots among its
//! ancestors and only against takings-back that it had seen, and a pin ends only by a release that had seen it. A sweep
//! alone is final, since what it names may be deleted already; but it takes only what was given up among its own
//! ancestors, whatever it names.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::Standing;
use super::graph::Graph;
use crate::format::event::{ForgetChange, PinChange};
use crate::format::{Entry, Event};
use crate::model::Digest;

/// Whether a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It is kept.
    Live,
    /// It was given up: nothing builds upon it, and it can be taken back until it is swept.
    Forgotten {
        /// The entry that gave it up: of those that hold, the first in order.
        by: Digest,
        /// By which rule.
        rule: String,
    },
    /// It is gone for good, as far as the bucket let it be deleted.
    Swept {
        /// The sweep.
        by: Digest,
        /// The entry among its ancestors that had given it up; nothing where a hole hides it.
        given_up: Option<Digest>,
    },
}

/// Why a snapshot is kept whatever the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The entry that pinned it: of those that hold, the last in order.
    pub by: Digest,
    /// What it says.
    pub reason: String,
}

/// The lives of all snapshots that are not simply live, and the pins.
#[derive(Debug, Default)]
pub(super) struct Lives {
    ended: HashMap<usize, Life>,
    pins: BTreeMap<Digest, Pin>,
}

impl Lives {
    /// Reads them from the entries that count.
    pub(super) fn of(graph: &Graph, standings: &[Standing]) -> Self {
        let told = Told::collect(graph, standings);
        let mut lives = Self::default();
        let mut known = HashMap::new();
        for given_up in told.given_up.iter().filter(|given_up| given_up.counts) {
            let Some(by) = graph.entries.get(given_up.position).map(|entry| entry.digest) else { continue };
            let reached = told.reached(graph, given_up);
            for (snapshot, _) in reached.iter().filter(|(_, unseen)| unseen.is_empty()) {
                let life = Life::Forgotten { by, rule: given_up.rule.to_owned() };
                lives.ended.entry(*snapshot).or_insert(life);
            }
            known.insert(given_up.position, reached);
        }
        let mut swept = HashMap::new();
        for (position, snapshots) in &told.swept {
            told.sweep(graph, *position, snapshots, &mut known, &mut swept);
        }
        lives.ended.extend(swept);
        for (position, snapshot, reason) in told.pinned {
            let released = told.released.get(&snapshot).map(Vec::as_slice).unwrap_or_default();
            if released.iter().any(|release| graph.is_ancestor(position, *release)) {
                continue;
            }
            if let (Some(pin), Some(pinned)) = (graph.entries.get(position), graph.entries.get(snapshot)) {
                lives.pins.insert(pinned.digest, Pin { by: pin.digest, reason: reason.to_owned() });
            }
        }
        lives
    }

    /// The life of the snapshot at a position.
    pub(super) fn life(&self, position: usize) -> Life {
        self.ended.get(&position).cloned().unwrap_or(Life::Live)
    }

    pub(super) fn is_live(&self, position: usize) -> bool {
        !self.ended.contains_key(&position)
    }

    pub(super) fn is_swept(&self, position: usize) -> bool {
        matches!(self.ended.get(&position), Some(Life::Swept { .. }))
    }

    pub(super) fn pins(&self) -> &BTreeMap<Digest, Pin> {
        &self.pins
    }
}

/// An entry that gives snapshots up.
struct GivenUp<'a> {
    position: usize,
    snapshots: Vec<usize>,
    rule: &'a str,
    counts: bool,
}

/// Snapshots that a give-up names and that are below it, each with the takings-back that the give-up had not seen.
type Reached = Vec<(usize, Vec<usize>)>;

/// What the entries that count say about lives, by position, in order.
#[derive(Default)]
struct Told<'a> {
    /// Also those that do not count: a sweep that had seen one may have deleted by it before its key was revoked.
    given_up: Vec<GivenUp<'a>>,
    undone: HashMap<usize, Vec<usize>>,
    swept: Vec<(usize, Vec<usize>)>,
    pinned: Vec<(usize, usize, &'a str)>,
    released: HashMap<usize, Vec<usize>>,
}

impl<'a> Told<'a> {
    fn collect(graph: &'a Graph, standings: &[Standing]) -> Self {
        // By the name an entry uses, which may be that of a copy: a copy means the same.
        let snapshot = |digest: &Digest| {
            let position = *graph.index.get(digest)?;
            let counts = standings.get(position).is_some_and(Standing::counts);
            (counts && graph.entries.get(position).and_then(Entry::snapshot).is_some()).then_some(position)
        };
        let mut told = Self::default();
        for (position, (entry, standing)) in graph.entries.iter().zip(standings).enumerate() {
            let counts = standing.counts();
            match &entry.event {
                Event::Forget(ForgetChange::GiveUp { snapshots, rule }) => {
                    let snapshots = snapshots.iter().filter_map(snapshot).collect();
                    told.given_up.push(GivenUp { position, snapshots, rule, counts });
                }
                _ if !counts => {}
                Event::Forget(ForgetChange::Undo { snapshots, .. }) => {
                    for named in snapshots.iter().filter_map(snapshot) {
                        told.undone.entry(named).or_default().push(position);
                    }
                }
                Event::Sweep(event) => {
                    told.swept.push((position, event.snapshots.iter().filter_map(snapshot).collect()));
                }
                Event::Pin(PinChange::Set { snapshot: named, reason }) => {
                    told.pinned.extend(snapshot(named).map(|named| (position, named, reason.as_str())));
                }
                Event::Pin(PinChange::Release { snapshot: named, .. }) => {
                    if let Some(named) = snapshot(named) {
                        told.released.entry(named).or_default().push(position);
                    }
                }
                _ => {}
            }
        }
        told
    }

    fn undone(&self, snapshot: usize) -> &[usize] {
        self.undone.get(&snapshot).map(Vec::as_slice).unwrap_or_default()
    }

    fn reached(&self, graph: &Graph, given_up: &GivenUp<'_>) -> Reached {
        let undos = given_up.snapshots.iter().flat_map(|snapshot| self.undone(*snapshot));
        let Some(lowest) = given_up.snapshots.iter().chain(undos).min() else { return Reached::new() };
        let seen = graph.ancestors_down_to(given_up.position, *lowest);
        let unseen = |snapshot| self.undone(snapshot).iter().filter(|undo| !seen.contains(undo)).copied().collect();
        let below = given_up.snapshots.iter().filter(|snapshot| seen.contains(snapshot));
        below.map(|snapshot| (*snapshot, unseen(*snapshot))).collect()
    }

    /// Marks what the sweep at a position takes: of what it names, what was given up as far as its own ancestors tell.
    /// A hole may hide the entry that gave a snapshot up; then the sweep is believed, since the objects may be gone.
    fn sweep(
        &self,
        graph: &Graph,
        position: usize,
        named: &[usize],
        known: &mut HashMap<usize, Reached>,
        swept: &mut HashMap<usize, Life>,
    ) {
        let mut open: HashSet<usize> = named.iter().copied().filter(|snapshot| !swept.contains_key(snapshot)).collect();
        let (Some(lowest), Some(by)) = (open.iter().min(), graph.entries.get(position)) else { return };
        let by = by.digest;
        let seen = graph.ancestors_down_to(position, *lowest);
        for given_up in self.given_up.iter().filter(|given_up| seen.contains(&given_up.position)) {
            if !given_up.snapshots.iter().any(|snapshot| open.contains(snapshot)) {
                continue;
            }
            let reached = match known.entry(given_up.position) {
                Slot::Occupied(slot) => slot.into_mut(),
                Slot::Vacant(slot) => slot.insert(self.reached(graph, given_up)),
            };
            let rests = graph.entries.get(given_up.position).map(|entry| entry.digest);
            for (snapshot, unseen) in reached.iter() {
                if !unseen.iter().any(|undo| seen.contains(undo)) && open.remove(snapshot) {
                    swept.insert(*snapshot, Life::Swept { by, given_up: rests });
                }
            }
        }
        let holed = |at: &usize| graph.holed.get(*at) == Some(&true);
        let hole = seen.iter().copied().chain([position]).filter(holed).max();
        for snapshot in open.into_iter().filter(|snapshot| hole.is_some_and(|hole| hole > *snapshot)) {
            swept.insert(snapshot, Life::Swept { by, given_up: None });
        }
    }
}
