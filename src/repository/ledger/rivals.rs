//! Which of two custodians who remove each other is believed.
//!
//! Links alone cannot say: whoever finds an old custodian key can sign a retirement that names an old entry as its parent
//! and so looks older than everything done since. But other keys' entries tell: a collector that runs every few minutes
//! names all heads it sees, and so builds upon the removal that was there first. Nobody can make those entries without
//! those keys.

use std::collections::HashSet;

use super::graph::Graph;
use super::keys::{Grant, Reach, Removal};
use crate::model::Digest;

/// Chooses the removal to take next: the first that no rival is believed before.
pub(super) fn choose<'a>(graph: &Graph, reach: &Reach, grants: &[Grant], open: &'a [Removal]) -> Option<&'a Removal> {
    let beaten = |one: &Removal| {
        open.iter().any(|rival| {
            are_rivals(graph, one, rival)
                && witnesses(graph, reach, grants, rival, one) > witnesses(graph, reach, grants, one, rival)
        })
    };
    open.iter().find(|one| !beaten(one)).or_else(|| open.first())
}

/// Whether each removes the other's signer, and neither knew of the other.
fn are_rivals(graph: &Graph, a: &Removal, b: &Removal) -> bool {
    let signer = |of: &Removal| graph.entries.get(of.position).map(|entry| entry.key);
    signer(a) == Some(b.key)
        && signer(b) == Some(a.key)
        && !graph.is_ancestor(a.position, b.position)
        && !graph.is_ancestor(b.position, a.position)
}

/// How many keys have built upon `one` and not upon `other`. Only keys that were granted below both are asked: whoever
/// adds keys beside the rest can sign with as many as he likes.
fn witnesses(graph: &Graph, reach: &Reach, grants: &[Grant], one: &Removal, other: &Removal) -> usize {
    let (above_one, above_other) = (above(graph, one.position), above(graph, other.position));
    let mut keys: HashSet<Digest> = HashSet::new();
    for ((entry, on_one), on_other) in graph.entries.iter().zip(&above_one).zip(&above_other) {
        if *on_one && !*on_other && entry.key != one.key && entry.key != other.key {
            keys.insert(entry.key);
        }
    }
    let below_both = |grant: &&Grant| reach.links(one.position, grant) && reach.links(other.position, grant);
    let known: HashSet<Digest> = grants.iter().filter(below_both).map(|grant| grant.key).collect();
    keys.intersection(&known).count()
}

/// For every entry, whether it descends from the one at a position.
fn above(graph: &Graph, position: usize) -> Vec<bool> {
    let mut marks = vec![false; graph.entries.len()];
    for at in position + 1..marks.len() {
        let descends =
            graph.parents_of(at).iter().any(|parent| *parent == position || marks.get(*parent) == Some(&true));
        if let Some(mark) = marks.get_mut(at) {
            *mark = descends;
        }
    }
    marks
}
