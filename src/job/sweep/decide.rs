//! Decides what is deleted and what is kept. Pure: maps a survey to a plan, or to reasons to stop.

use std::collections::{BTreeMap, BTreeSet};

use super::stop::SweepStop;
use super::sweep_view::{
    DirectoryListing, KeepState, LedgerSeen, Objects, SeenObject, SeenSnapshot, StoreTime, SweepView,
};
use crate::format::event::SNAPSHOTS_AN_ENTRY;
use crate::format::names;
use crate::model::{Digest, Timestamp};
use crate::repository::SKEW_MILLIS;
use crate::repository::store::{Hold, Retention};

/// A snapshot that was forgotten longer ago than the grace period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SweepCandidate {
    /// Digest of its entry.
    pub(super) entry: Digest,
    /// Sequence number of its entry.
    pub(super) sequence: u64,
    /// Rule by which it was forgotten.
    pub(super) rule: String,
    /// Time at which it was forgotten.
    pub(super) since: Timestamp,
    /// Paths that it names.
    pub(super) paths: BTreeSet<String>,
}

/// A forgotten snapshot that is not due yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WaitingForgotten {
    /// Digest of its entry.
    pub(super) entry: Digest,
    /// Sequence number of its entry.
    pub(super) sequence: u64,
    /// Rule by which it was forgotten.
    pub(super) rule: String,
    /// Time from which a sweep may delete it; `None` if the date of its forget entry is unknown.
    pub(super) goes_after: Option<Timestamp>,
}

/// Objects that may be deleted, before the store is queried about each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Current time by the clock that dates the objects.
    pub(super) now: Timestamp,
    /// Only objects dated before this time may be deleted: now minus the grace period.
    pub(super) before: Timestamp,
    /// Objects that no kept snapshot names and that are old enough.
    pub(super) candidates: Objects,
    /// Snapshots that are due.
    pub(super) due: Vec<SweepCandidate>,
    /// Forgotten snapshots that are not due.
    pub(super) waiting: Vec<WaitingForgotten>,
    /// Unreferenced objects that are too young: from a running backup, or from an aborted one.
    pub(super) young: Objects,
    /// Objects of due snapshots that a kept snapshot needs too.
    pub(super) shared: Objects,
    /// Number of live snapshots.
    pub(super) live: usize,
    /// Number of files with foreign names in the directories; they are never deleted.
    pub(super) foreign: usize,
}

/// Objects to delete, after the store was queried about each candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SweepDecision {
    /// Objects to delete.
    pub(super) going: Objects,
    /// Snapshots that lose objects by it, and so become unrestorable.
    pub(super) sweeping: Vec<SweepCandidate>,
    /// Objects that the store retains, with the retention.
    pub(super) locked: BTreeMap<String, (SeenObject, Hold)>,
    /// Objects rewritten since they were listed, and now too young.
    pub(super) rewritten: Objects,
    /// Number of objects already gone.
    pub(super) gone: usize,
    /// True if the bucket keeps older versions of deleted objects.
    pub(super) versioned: bool,
}

/// Decides which objects may be deleted.
///
/// # Errors
/// Every reason to delete nothing.
pub(super) fn decide(seen: &SweepView) -> Result<Plan, Vec<SweepStop>> {
    let mut stops = ledger_stops(&seen.ledger);
    let Some(now) = seen.now() else {
        stops.push(SweepStop::ClockUnknown);
        return Err(stops);
    };
    stops.extend(clock_stops(seen, now));
    stops.extend(seen.folders.iter().filter_map(|(folder, views)| differ(folder, views, now)));
    let before = now.plus_millis(-seen.grace);
    let (due, kept) = split(&seen.ledger.snapshots, before);
    let objects = seen.objects();
    stops.extend(missing(seen, &objects, before));
    stops.extend(unreadable(&kept));
    let plan = plan(seen, &objects, now, before, &due, &kept);
    // A new repository without snapshots has nothing to lose if there is nothing to delete.
    if !plan.candidates.is_empty() {
        stops.extend(no_good_left(&seen.ledger));
    }
    match stops.is_empty() {
        true => Ok(plan),
        false => Err(stops),
    }
}

/// Applies the store's response about each candidate.
#[must_use]
pub(super) fn settle(plan: &Plan, answers: &BTreeMap<String, Option<Retention>>, now: Timestamp) -> SweepDecision {
    let mut settled = SweepDecision::default();
    for (path, object) in &plan.candidates {
        let Some(Some(answer)) = answers.get(path) else {
            settled.gone += 1;
            continue;
        };
        settled.versioned |= answer.versioned;
        let there = SeenObject { size: answer.object.size, modified: answer.object.modified };
        if there.modified >= plan.before {
            settled.rewritten.insert(path.clone(), there);
        } else if let Some(hold) = answer.hold(Some(now)) {
            settled.locked.insert(path.clone(), (there, hold));
        } else {
            settled.going.insert(path.clone(), *object);
        }
    }
    let loses = |due: &&SweepCandidate| due.paths.iter().any(|path| settled.going.contains_key(path));
    settled.sweeping = plan.due.iter().filter(loses).cloned().collect();
    settled
}

/// Decides, with the ledger as it is after the sweep's own entry, whether the deletion may proceed.
#[must_use]
pub(super) fn recheck(settled: &SweepDecision, before: &LedgerSeen, now: &LedgerSeen) -> Vec<SweepStop> {
    let mut stops = ledger_stops(now);
    stops.extend(no_good_left(now));
    let going = |path: &&str| settled.going.contains_key(*path);
    // An entry sweeps only valid snapshots: one that the trust policy voided is still forgotten, and is deleted as
    // decided.
    let goes = |snapshot: &&SeenSnapshot| {
        matches!(snapshot.kept, KeepState::Forgotten { .. })
            && settled.sweeping.iter().any(|due| due.entry == snapshot.entry)
    };
    for snapshot in now.snapshots.iter().filter(|snapshot| !goes(snapshot)) {
        if let Some(path) = snapshot.paths().find(going) {
            stops.push(SweepStop::Overtaken { snapshot: snapshot.sequence, path: path.to_owned() });
        }
    }
    let kept: Vec<&SeenSnapshot> = now.snapshots.iter().collect();
    stops.extend(unreadable(&kept));
    for taken in now.undos.iter().filter(|(undo, _)| !before.undos.contains_key(*undo)).flat_map(|(_, taken)| taken) {
        // An undo that this sweep's entry had seen came in time: then the snapshot is live, and was handled above.
        let in_time = now.snapshots.iter().any(|snapshot| snapshot.entry == *taken && snapshot.kept == KeepState::Live);
        let late = settled.sweeping.iter().find(|due| due.entry == *taken && !in_time);
        stops.extend(late.map(|due| SweepStop::Undone { snapshot: due.sequence }));
    }
    stops
}

fn ledger_stops(ledger: &LedgerSeen) -> Vec<SweepStop> {
    let problems = ledger.problems.iter().cloned().map(SweepStop::Ledger);
    let unknown = ledger.unknown.iter().cloned().map(SweepStop::Unknown);
    let heads = ledger.lost_heads.iter().cloned().map(SweepStop::HeadMissing);
    problems.chain(unknown).chain(heads).collect()
}

fn no_good_left(ledger: &LedgerSeen) -> Option<SweepStop> {
    let left = ledger.snapshots.iter().any(|snapshot| snapshot.good && snapshot.kept == KeepState::Live);
    (!left).then_some(SweepStop::NoGoodLeft)
}

fn clock_stops(seen: &SweepView, now: Timestamp) -> Vec<SweepStop> {
    let mut stops = Vec::new();
    if let StoreTime::Own(Some(there)) = seen.store
        && seen.here.millis_since(there).abs() > SKEW_MILLIS
    {
        stops.push(SweepStop::ClockSkewed { here: seen.here, there });
    }
    if seen.grace <= seen.longest_run {
        let (grace_seconds, run_seconds) = (seen.grace / 1_000, seen.longest_run / 1_000);
        stops.push(SweepStop::NoRoom { grace_seconds, run_seconds });
    }
    // Listing may take long; objects written meanwhile do not indicate a wrong clock.
    let now = seen.listed.map_or(now, |listed| listed.max(now));
    let ahead = |(_, object): &(&String, &SeenObject)| object.modified.millis_since(now) > SKEW_MILLIS;
    if let Some((path, object)) = seen.folders.values().flatten().flat_map(|view| &view.objects).find(ahead) {
        stops.push(SweepStop::FromTheFuture { path: path.clone(), modified: object.modified, now });
    }
    stops
}

/// Compares the listings of a directory. They may differ only in objects written around the start of the sweep: a
/// backup may be running. (Such objects are too young to be deleted, and an entry in any listing is read.)
fn differ(folder: &str, views: &[DirectoryListing], began: Timestamp) -> Option<SweepStop> {
    let new = |object: &SeenObject| began.millis_since(object.modified) <= SKEW_MILLIS;
    let mut odd = BTreeSet::new();
    for (at, one) in views.iter().enumerate() {
        for other in views.iter().skip(at + 1) {
            let both = |path: &&String| one.covers(path) && other.covers(path);
            for path in one.objects.keys().chain(other.objects.keys()).filter(both) {
                let (here, there) = (one.objects.get(path), other.objects.get(path));
                if here != there && !here.is_some_and(new) && !there.is_some_and(new) {
                    odd.insert(path);
                }
            }
        }
    }
    let example = odd.first().copied()?.clone();
    Some(SweepStop::ListingsDiffer { folder: folder.to_owned(), count: odd.len(), example })
}

/// Splits snapshots into due ones, at most as many as one entry may name, and all others.
fn split(snapshots: &[SeenSnapshot], before: Timestamp) -> (Vec<&SeenSnapshot>, Vec<&SeenSnapshot>) {
    let is_due = |snapshot: &SeenSnapshot| match snapshot.kept {
        KeepState::Live | KeepState::Guarded => false,
        KeepState::Forgotten { since, .. } => since.is_some_and(|since| since < before),
    };
    let (mut due, mut kept): (Vec<&SeenSnapshot>, Vec<&SeenSnapshot>) =
        snapshots.iter().partition(|snapshot| is_due(snapshot));
    due.sort_by_key(|snapshot| snapshot.sequence);
    kept.extend(due.drain(due.len().min(SNAPSHOTS_AN_ENTRY)..));
    (due, kept)
}

/// Returns a stop for every live snapshot with a missing object, and for every listing that lacks an existing object.
fn missing(seen: &SweepView, objects: &Objects, before: Timestamp) -> Vec<SweepStop> {
    let mut stops = Vec::new();
    for snapshot in seen.ledger.snapshots.iter().filter(|snapshot| snapshot.kept == KeepState::Live) {
        for (path, size) in snapshot.sizes() {
            let found = match (objects.get(path), seen.by_name.get(path)) {
                (Some(listed), _) => Some(*listed),
                (None, Some(Some(named))) if named.modified < before => {
                    stops.push(SweepStop::ListingPartial { path: path.to_owned() });
                    continue;
                }
                (None, named) => named.copied().flatten(),
            };
            let found = match found {
                None => "not there".to_owned(),
                Some(found) if size.is_some_and(|size| size != found.size) => {
                    format!("{} bytes long instead of {}", found.size, size.unwrap_or_default())
                }
                Some(_) => continue,
            };
            stops.push(SweepStop::ObjectMissing { snapshot: snapshot.sequence, path: path.to_owned(), found });
            // One object per snapshot is enough.
            break;
        }
    }
    stops
}

fn unreadable(kept: &[&SeenSnapshot]) -> Vec<SweepStop> {
    // Guarded snapshots keep what they name. A list of theirs that cannot be read does not affect any other snapshot.
    let of_ours = kept.iter().filter(|snapshot| snapshot.kept != KeepState::Guarded);
    let why = |snapshot: &&SeenSnapshot| {
        let why = snapshot.packs.as_ref().err()?.clone();
        Some(SweepStop::ListUnreadable { snapshot: snapshot.sequence, why })
    };
    of_ours.filter_map(why).collect()
}

fn plan(
    seen: &SweepView,
    objects: &Objects,
    now: Timestamp,
    before: Timestamp,
    due: &[&SeenSnapshot],
    kept: &[&SeenSnapshot],
) -> Plan {
    let named: BTreeSet<&str> = kept.iter().flat_map(|snapshot| snapshot.paths()).collect();
    let mut plan = Plan {
        now,
        before,
        candidates: Objects::new(),
        due: due.iter().filter_map(|snapshot| as_due(snapshot)).collect(),
        waiting: kept.iter().filter_map(|snapshot| as_waiting(snapshot, seen.grace)).collect(),
        young: Objects::new(),
        shared: Objects::new(),
        live: kept.iter().filter(|snapshot| snapshot.kept == KeepState::Live).count(),
        foreign: 0,
    };
    plan.waiting.sort_by_key(|waiting| waiting.sequence);
    let of_due: BTreeSet<&str> = due.iter().flat_map(|snapshot| snapshot.paths()).collect();
    for (path, object) in objects {
        let inside = |directory: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        if inside(names::LEDGER) || inside(names::TRUST) {
            continue;
        }
        let into = match () {
            () if !is_ours(path) => {
                plan.foreign += 1;
                continue;
            }
            () if named.contains(path.as_str()) && of_due.contains(path.as_str()) => &mut plan.shared,
            () if named.contains(path.as_str()) => continue,
            () if object.modified < before => &mut plan.candidates,
            () => &mut plan.young,
        };
        into.insert(path.clone(), *object);
    }
    plan
}

/// Returns true if a name is that of a pack, a part or a list: nothing else is ever deleted.
fn is_ours(path: &str) -> bool {
    names::parse_pack(path).or_else(|| names::parse_catalogue(path)).or_else(|| names::parse_list(path)).is_some()
}

fn as_due(snapshot: &SeenSnapshot) -> Option<SweepCandidate> {
    let KeepState::Forgotten { since: Some(since), rule } = &snapshot.kept else { return None };
    Some(SweepCandidate {
        entry: snapshot.entry,
        sequence: snapshot.sequence,
        rule: rule.clone(),
        since: *since,
        paths: snapshot.paths().map(str::to_owned).collect(),
    })
}

fn as_waiting(snapshot: &SeenSnapshot, grace: i64) -> Option<WaitingForgotten> {
    let KeepState::Forgotten { since, rule } = &snapshot.kept else { return None };
    let goes_after = since.map(|since| since.plus_millis(grace));
    Some(WaitingForgotten { entry: snapshot.entry, sequence: snapshot.sequence, rule: rule.clone(), goes_after })
}

#[cfg(test)]
mod tests;
