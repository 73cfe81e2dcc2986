//! Facts about verifications: the last result per level, slices, and the newest one that covers every object.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Check, LevelStatus, Objectives, Slices, Verified};
use super::times::{self, StoreTimes, seconds_between};
use crate::format::event::{Slice, VerificationEvent};
use crate::format::{Entry, EntryEvent};
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::Ledger;

/// Levels, shallowest first. Each includes the previous ones.
const LEVELS: [&str; 5] = ["ledger", "objects", "catalogue", "payload", "drill"];
/// Index of the first level that reads every object.
const OBJECTS: usize = 1;
/// Index of the deepest level that a slice checks completely.
const UNDIVIDED: usize = 2;

/// Returns the valid verifications, newest first by sequence.
fn checks(ledger: &Ledger) -> Vec<(&Entry, &VerificationEvent)> {
    let mut found: Vec<_> = ledger
        .counted()
        .filter_map(|entry| match &entry.event {
            EntryEvent::Verification(event) => Some((entry, event)),
            _ => None,
        })
        .collect();
    found.reverse();
    found
}

fn check(ledger: &Ledger, entry: &Entry, event: &VerificationEvent, now: Timestamp, stored: &StoreTimes) -> Check {
    Check {
        entry: entry.digest,
        level: event.level.clone(),
        at: times::of_entry(ledger, entry, now, stored),
        passed: event.passed,
        problems: event.problems,
        covers: newest_covered(ledger, event).map(|entry| entry.sequence),
        slice: event.slice.as_ref().map(|slice| format!("{}/{}", slice.part, slice.of)),
    }
}

/// Returns the newest good snapshot that a verification covers: one that it names, or an ancestor of one.
fn newest_covered<'a>(ledger: &'a Ledger, event: &VerificationEvent) -> Option<&'a Entry> {
    let covered =
        |snapshot: &Digest| event.entries.iter().any(|named| named == snapshot || ledger.is_below(snapshot, named));
    ledger.snapshots().into_iter().rev().find(|entry| ledger.is_good(entry) && covered(&entry.digest))
}

/// Returns the status of each level, shallowest first.
pub(super) fn levels(
    ledger: &Ledger,
    objectives: &Objectives,
    now: Timestamp,
    stored: &StoreTimes,
) -> Vec<LevelStatus> {
    let checks = checks(ledger);
    let level = |name: &&str| {
        let of: Vec<_> = checks.iter().filter(|(_, event)| event.level == *name).copied().collect();
        let (entry, event) = of.first()?;
        let whole = of.iter().find(|(_, event)| event.passed && event.slice.is_none());
        Some(LevelStatus {
            level: (*name).to_owned(),
            last: check(ledger, entry, event, now, stored),
            last_whole: whole.map(|(entry, event)| check(ledger, entry, event, now, stored)),
            slices: slices(&of, objectives, now, |entry| times::of_entry(ledger, entry, now, stored)),
        })
    };
    LEVELS.iter().filter_map(level).collect()
}

/// Returns the progress of the newest slicing: parts that passed within the objective. A complete verification counts
/// for all parts.
fn slices(
    newest_first: &[(&Entry, &VerificationEvent)],
    objectives: &Objectives,
    now: Timestamp,
    time: impl Fn(&Entry) -> Timestamp,
) -> Option<Slices> {
    let (_, of) = newest_first.iter().find_map(|(_, event)| parts(event.slice.as_ref()?))?;
    let mut passed: BTreeMap<u64, Timestamp> = BTreeMap::new();
    for (entry, event) in newest_first.iter().filter(|(_, event)| event.passed) {
        let at = time(entry);
        let old = |within: std::time::Duration| seconds_between(at, now) > within.as_secs();
        if objectives.verified_within.is_some_and(old) {
            continue;
        }
        match event.slice.as_ref().map(parts) {
            None => (1..=of).for_each(|part| {
                passed.entry(part).or_insert(at);
            }),
            Some(Some((part, into))) if into == of => {
                passed.entry(part).or_insert(at);
            }
            Some(_) => {}
        }
    }
    Some(Slices { of, done: passed.len() as u64, since: passed.values().min().copied() })
}

/// Returns part and number of parts; `None` for an invalid slice. The bound keeps a malicious entry from exhausting
/// memory.
fn parts(slice: &Slice) -> Option<(u64, u64)> {
    let Slice { part, of, .. } = *slice;
    ((1..=of).contains(&part) && of <= MOST_PARTS).then_some((part, of))
}

/// Maximum number of parts accepted from an entry.
const MOST_PARTS: u64 = 100_000;

/// Returns the newest passed verification that read every object existing at the time.
pub(super) fn verified(ledger: &Ledger, now: Timestamp, stored: &StoreTimes) -> Option<Verified> {
    let deep = |event: &VerificationEvent| {
        LEVELS.iter().position(|level| *level == event.level).is_some_and(|level| level >= OBJECTS)
    };
    let candidates = checks(ledger).into_iter().filter(|(_, event)| event.passed && deep(event));
    let snapshots = ledger.snapshots();
    for (entry, event) in candidates {
        let before = |snapshot: &&&Entry| ledger.is_good(snapshot) && ledger.is_below(&snapshot.digest, &entry.digest);
        // A verification of only an old snapshot does not prove the newest one of its time.
        let Some(newest) = snapshots.iter().rev().find(before) else { continue };
        if event.entries.iter().any(|named| *named == newest.digest || ledger.is_below(&newest.digest, named)) {
            return Some(Verified {
                entry: entry.digest,
                level: event.level.clone(),
                at: times::of_entry(ledger, entry, now, stored),
                covers: newest.sequence,
            });
        }
    }
    None
}

/// Returns the newest failed verification that no later one has resolved. A later pass resolves it only if it is at
/// least as deep and covers the same objects.
pub(super) fn failed(ledger: &Ledger, now: Timestamp, stored: &StoreTimes) -> Option<Check> {
    let checks = checks(ledger);
    let open = |at: usize, failed: &VerificationEvent| {
        let later = checks.get(..at).unwrap_or_default().iter().rev().map(|(_, event)| *event);
        !made_good(ledger, failed, later)
    };
    let (_, (entry, event)) = checks.iter().enumerate().find(|(at, (_, event))| !event.passed && open(*at, event))?;
    Some(check(ledger, entry, event, now, stored))
}

/// Returns true if later verifications, oldest first, passed for everything that the failed one covered. A failed slice
/// is resolved by the same slice, or by all parts of a complete division.
fn made_good<'a>(
    ledger: &Ledger,
    failed: &VerificationEvent,
    later: impl Iterator<Item = &'a VerificationEvent>,
) -> bool {
    let level = |event: &VerificationEvent| LEVELS.iter().position(|level| *level == event.level);
    // A lost entry whose loss was accepted can no longer be checked.
    let looked_at = |event: &VerificationEvent, old: &Digest| {
        ledger.get(old).is_none() || event.entries.iter().any(|named| named == old || ledger.is_below(old, named))
    };
    let mut since: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for event in later.filter(|event| event.passed) {
        if !failed.entries.iter().all(|old| looked_at(event, old)) {
            continue;
        }
        let (same, slice) = (event.level == failed.level, event.slice.as_ref());
        // Levels that are not sliced are checked completely by every slice.
        let whole = level(event).map(|level| if slice.is_none() { level } else { level.min(UNDIVIDED) });
        let deeper = matches!((level(failed), whole), (Some(failed), Some(whole)) if failed <= whole);
        if deeper || (same && (slice.is_none() || slice == failed.slice.as_ref())) {
            return true;
        }
        if let Some((part, of)) = slice.filter(|_| same).and_then(parts) {
            let done = since.entry(of).or_default();
            done.insert(part);
            if done.len() as u64 == of {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_part_of_a_whole_is_a_slice() {
        let slice = |part, of| parts(&Slice { part, of, seed: None });
        assert_eq!(slice(3, 30), Some((3, 30)));
        assert_eq!(slice(30, 30), Some((30, 30)));
        for (part, of) in [(0, 30), (31, 30), (1, 0), (1, 99_999_999_999)] {
            assert_eq!(slice(part, of), None, "{part}/{of}");
        }
    }
}
