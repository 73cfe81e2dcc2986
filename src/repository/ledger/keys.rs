//! Which key may do what, where in the ledger.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::graph::Graph;
use super::trust::check_sequence;
use super::{Why, rivals};
use crate::format::event::{KeyChange, KeyGrant};
use crate::format::{Entry, Event, Role};
use crate::model::Digest;

/// For every entry, which key entries are among its ancestors, and whether a hole is.
///
/// Key entries are few and entries are many: a bit for each key entry, handed on from parents to children, answers
/// every question about grants in one pass.
#[derive(Debug)]
pub(super) struct Reach {
    /// The first entry and all key entries, in order; the bit of each is its place here.
    candidates: Vec<usize>,
    /// The key entries among the ancestors of each entry, itself not included.
    bits: Vec<Rc<Vec<u64>>>,
    /// The highest sequence among an entry and its ancestors that names a parent that is not there.
    holes: Vec<Option<u64>>,
}

impl Reach {
    pub(super) fn of(graph: &Graph) -> Self {
        let candidates = candidates(graph);
        let bit_of: HashMap<usize, usize> = candidates.iter().enumerate().map(|(bit, at)| (*at, bit)).collect();
        let none = Rc::new(vec![0; candidates.len().div_ceil(64)]);
        let mut reach = Self { candidates, bits: Vec::new(), holes: Vec::new() };
        for (position, entry) in graph.entries.iter().enumerate() {
            let mut bits = Rc::clone(&none);
            let mut hole = graph.holed.get(position).filter(|holed| **holed).map(|_| entry.sequence);
            for (nth, parent) in graph.parents_of(position).iter().enumerate() {
                hole = hole.max(reach.hole(*parent));
                if let Some(of_parent) = reach.bits.get(*parent) {
                    bits = if nth == 0 { Rc::clone(of_parent) } else { union(&bits, of_parent) };
                }
                if let Some(bit) = bit_of.get(parent) {
                    set(Rc::<Vec<u64>>::make_mut(&mut bits), *bit);
                }
            }
            reach.bits.push(bits);
            reach.holes.push(hole);
        }
        reach
    }

    /// The highest sequence among an entry and its ancestors that names a parent that is not there.
    pub(super) fn hole(&self, position: usize) -> Option<u64> {
        self.holes.get(position).copied().flatten()
    }

    /// Whether a key entry is among the ancestors of an entry, or must be taken to be: behind a hole nobody can tell, and
    /// an older grant is believed, since that lets nobody sign who may not sign elsewhere.
    fn sees(&self, position: usize, grant: &Grant) -> bool {
        self.links(position, grant) || self.hole(position).is_some_and(|hole| grant.sequence < hole)
    }

    /// Whether the entry of a grant is among the ancestors of an entry.
    pub(super) fn links(&self, position: usize, grant: &Grant) -> bool {
        let bits = self.bits.get(position).map(|bits| bits.as_slice()).unwrap_or_default();
        let word = bits.get(grant.bit / 64).copied().unwrap_or(0);
        word & (1 << (grant.bit % 64)) != 0
    }
}

/// The first entry and the key entries that could be adopted at all: signed by a key that the first entry, or one of
/// them, lets change keys.
///
/// Whoever can write into the bucket can sign key entries with a key of his own, as many as he likes, and a bit for each
/// of them in every entry would fill the memory. Links and removals are not looked at here: they only take away.
fn candidates(graph: &Graph) -> Vec<usize> {
    let Some(root) = graph.root else { return Vec::new() };
    let mut by_key: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (position, entry) in graph.entries.iter().enumerate() {
        if matches!(entry.event, Event::Keys(_)) {
            by_key.entry(entry.key).or_default().push(position);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(entry) = found.get(at).and_then(|position| graph.entries.get(*position)) {
        at += 1;
        let grants = match &entry.event {
            Event::Init(init) => init.keys.as_slice(),
            Event::Keys(KeyChange::Add { grant, .. }) => std::slice::from_ref(grant),
            _ => &[],
        };
        for grant in grants.iter().filter(|grant| grant.roles.iter().any(|role| role.may_sign("keys"))) {
            found.extend(by_key.remove(&grant.public_key.fingerprint()).unwrap_or_default());
        }
    }
    found.sort_unstable();
    found
}

fn union(a: &Rc<Vec<u64>>, b: &Rc<Vec<u64>>) -> Rc<Vec<u64>> {
    if Rc::ptr_eq(a, b) || a == b {
        return Rc::clone(a);
    }
    Rc::new(a.iter().zip(b.iter()).map(|(a, b)| a | b).collect())
}

fn set(bits: &mut [u64], bit: usize) {
    if let Some(word) = bits.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

/// A key and its roles, from the entry with this bit.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) key: Digest,
    roles: Vec<Role>,
    bit: usize,
    sequence: u64,
}

impl Grant {
    fn new(grant: &KeyGrant, bit: usize, sequence: u64) -> Self {
        Self { key: grant.public_key.fingerprint(), roles: grant.roles.clone(), bit, sequence }
    }
}

/// A key that was retired or revoked.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    /// The key.
    pub(super) key: Digest,
    /// The entry that says so.
    pub(super) position: usize,
    by: Digest,
    revoked: bool,
    /// The entries that may still count: the ancestors of the retirement, or the last good entry and its ancestors.
    kept: Rc<HashSet<usize>>,
}

/// The key entries that were adopted.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    grants: Vec<Grant>,
    removals: Vec<Removal>,
    adopted: HashSet<usize>,
}

impl Keyring {
    /// Decides which key entries are adopted.
    ///
    /// They are taken by sequence, then digest. A retirement or revocation holds for all entries, also for key entries
    /// before it in that order, and what they brought falls with them. One that would take away its own signer's right is
    /// not adopted; one that fell stays out. Of two custodians who remove each other, the one is believed upon whose entry
    /// more other keys have built ([`rivals`]), else the lower.
    pub(super) fn collect(graph: &Graph, reach: &Reach) -> Self {
        let mut refused = HashSet::new();
        // With no removal in force everything that ever had a right has it: nothing else needs to be looked at.
        let all = Self::replay(graph, reach, Vec::new(), &refused);
        let authorised = reach.candidates.iter().filter(|position| all.adopted.contains(position));
        let candidates: Vec<Removal> = authorised.filter_map(|position| removal(graph, *position)).collect();
        let mut removals: Vec<Removal> = Vec::new();
        loop {
            let ring = Self::replay(graph, reach, removals.clone(), &refused);
            if let Some(fallen) = removals.iter().position(|removal| !ring.adopted.contains(&removal.position)) {
                refused.insert(removals.remove(fallen).position);
                continue;
            }
            let is_open = |one: &&Removal| {
                ring.adopted.contains(&one.position) && removals.iter().all(|known| known.position != one.position)
            };
            let open: Vec<Removal> = candidates.iter().filter(is_open).cloned().collect();
            let Some(next) = rivals::choose(graph, reach, &ring.grants, &open) else { return ring };
            let trial: Vec<Removal> = removals.iter().chain([next]).cloned().collect();
            if Self::replay(graph, reach, trial.clone(), &refused).adopted.contains(&next.position) {
                removals = trial;
            } else {
                refused.insert(next.position);
            }
        }
    }

    /// Takes the key entries in order, with these removals in force from the start.
    fn replay(graph: &Graph, reach: &Reach, removals: Vec<Removal>, refused: &HashSet<usize>) -> Self {
        let mut ring = Self { removals, ..Self::default() };
        for (bit, position) in reach.candidates.iter().enumerate() {
            let Some(entry) = graph.entries.get(*position) else { continue };
            let root = graph.root == Some(*position);
            let allowed = !refused.contains(position)
                && check_sequence(graph, *position, entry).is_ok()
                && ring.check_key(reach, *position, entry).is_ok();
            if !root && !allowed {
                continue;
            }
            ring.adopted.insert(*position);
            match &entry.event {
                Event::Init(init) => {
                    ring.grants.extend(init.keys.iter().map(|grant| Grant::new(grant, bit, entry.sequence)));
                }
                Event::Keys(KeyChange::Add { grant, .. }) => ring.grants.push(Grant::new(grant, bit, entry.sequence)),
                _ => {}
            }
        }
        ring
    }

    /// Whether the key of an entry could sign it where it stands.
    pub(super) fn check(&self, graph: &Graph, reach: &Reach, position: usize) -> Result<(), Why> {
        let Some(entry) = graph.entries.get(position) else { return Ok(()) };
        self.check_key(reach, position, entry)?;
        if matches!(entry.event, Event::Keys(_)) && !self.adopted.contains(&position) {
            return Err(Why::Undone);
        }
        Ok(())
    }

    fn check_key(&self, reach: &Reach, position: usize, entry: &Entry) -> Result<(), Why> {
        for removal in self.removals.iter().filter(|removal| removal.key == entry.key) {
            if removal.position != position && !removal.kept.contains(&position) {
                let by = removal.by;
                return Err(if removal.revoked { Why::Revoked { by } } else { Why::Retired { by } });
            }
        }
        let mut grants = self.grants.iter().filter(|grant| grant.key == entry.key);
        let kind = entry.kind();
        if grants.any(|grant| grant.roles.iter().any(|role| role.may_sign(kind)) && reach.sees(position, grant)) {
            Ok(())
        } else {
            Err(Why::NoRole { kind: kind.to_owned() })
        }
    }
}

/// What the entry at a position takes away, if it does.
fn removal(graph: &Graph, position: usize) -> Option<Removal> {
    let entry = graph.entries.get(position)?;
    let (key, revoked, kept) = match &entry.event {
        Event::Keys(KeyChange::Retire { key, .. }) => (*key, false, graph.ancestors(position)),
        Event::Keys(KeyChange::Revoke { key, last_good, .. }) => {
            let last = last_good.as_ref().and_then(|last| graph.index.get(last)).copied();
            let mut kept = last.map(|last| graph.ancestors(last)).unwrap_or_default();
            kept.extend(last);
            (*key, true, kept)
        }
        _ => return None,
    };
    Some(Removal { key, position, by: entry.digest, revoked, kept: Rc::new(kept) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SigningKey;
    use crate::crypto::digest::sha256;
    use crate::format::event::InitEvent;
    use crate::format::{Draft, Place, RepositoryId, SourceName};
    use crate::model::Timestamp;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn grant(seed: u8) -> KeyGrant {
        KeyGrant { public_key: key(seed).public(), roles: vec![Role::Custodian], name: String::new() }
    }

    #[test]
    fn strangers_cannot_make_key_entries_that_anything_is_kept_for() {
        let source = SourceName { crn: "crn:v1:source".to_owned(), region: "eu-de".to_owned() };
        let sign = |place: &Place, seed: u8, event: Event| {
            let draft = Draft { time: Timestamp::from_millis(1_790_000_000_000), tool: "test".to_owned(), event };
            draft.sign(place, &key(seed)).unwrap().0
        };
        let init = InitEvent {
            keys: vec![grant(1)],
            longest_run_seconds: InitEvent::LONGEST_RUN_SECONDS,
            grace_seconds: InitEvent::GRACE_SECONDS,
            recover_md: sha256(b"RECOVER.md"),
        };
        let first = sign(&Place::first(source.clone()), 1, Event::Init(init));
        let pin = RepositoryId(first.digest);
        let mut entries = vec![first.clone()];
        // The first custodian adds a second; that one a third; strangers add themselves and each other.
        for (seed, added) in [(1, 2), (2, 3), (8, 8), (8, 9), (9, 8)] {
            let place = Place {
                due: None,
                repository: Some(pin),
                source: source.clone(),
                sequence: 2,
                parents: vec![first.digest],
                previous: None,
            };
            let change = KeyChange::Add { grant: grant(added), reason: "test".to_owned() };
            entries.push(sign(&place, seed, Event::Keys(change)));
        }
        let graph = Graph::link(entries, &HashMap::new(), pin);
        let signers: HashSet<Digest> = candidates(&graph).into_iter().map(|at| graph.entries[at].key).collect();
        assert_eq!(signers, HashSet::from([key(1).public().fingerprint(), key(2).public().fingerprint()]));
        assert_eq!(candidates(&graph).len(), 3, "the first entry and two more");
    }
}
