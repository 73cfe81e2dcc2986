//! Which snapshots are kept, given up, or gone (`docs/format.md`, *Life of a snapshot*).
//!
//! Of two entries that did not know of each other the one that keeps wins: a give-up holds only for snapshots among its
//! ancestors and only against takings-back that it had seen, and a pin ends only by a release that had seen it. A sweep
//! alone is final, since what it names may be deleted already.

use std::collections::{BTreeMap, HashMap};

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
        for (position, snapshots, rule) in &told.given_up {
            let Some(by) = graph.entries.get(*position).map(|entry| entry.digest) else { continue };
            let undone = |snapshot: &usize| told.undone.get(snapshot).map(Vec::as_slice).unwrap_or_default();
            let lowest = snapshots.iter().chain(snapshots.iter().flat_map(undone)).min();
            let Some(lowest) = lowest else { continue };
            let seen = graph.ancestors_down_to(*position, *lowest);
            let holds =
                |snapshot: &&usize| seen.contains(*snapshot) && undone(snapshot).iter().all(|u| seen.contains(u));
            for snapshot in snapshots.iter().filter(holds) {
                let life = Life::Forgotten { by, rule: (*rule).to_owned() };
                lives.ended.entry(*snapshot).or_insert(life);
            }
        }
        for (snapshot, by) in told.swept {
            lives.ended.insert(snapshot, Life::Swept { by });
        }
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

/// What the entries that count say about lives, by position, in order.
#[derive(Default)]
struct Told<'a> {
    given_up: Vec<(usize, Vec<usize>, &'a str)>,
    undone: HashMap<usize, Vec<usize>>,
    swept: HashMap<usize, Digest>,
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
        let counted = graph.entries.iter().zip(standings).enumerate().filter(|(_, (_, standing))| standing.counts());
        for (position, (entry, _)) in counted {
            match &entry.event {
                Event::Forget(ForgetChange::GiveUp { snapshots, rule }) => {
                    told.given_up.push((position, snapshots.iter().filter_map(snapshot).collect(), rule.as_str()));
                }
                Event::Forget(ForgetChange::Undo { snapshots, .. }) => {
                    for named in snapshots.iter().filter_map(snapshot) {
                        told.undone.entry(named).or_default().push(position);
                    }
                }
                Event::Sweep(event) => {
                    for named in event.snapshots.iter().filter_map(snapshot) {
                        told.swept.entry(named).or_insert(entry.digest);
                    }
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
}
