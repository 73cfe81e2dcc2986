//! Which entries of an ended key are valid.

use std::collections::{BTreeMap, HashSet};

use crate::format::{Entry, EntryRef, Policy};
use crate::model::Digest;
use crate::repository::ledger::{EntryStatus, Ledger, Void};

/// These entries and everything below them that is there.
pub(in crate::cli) fn at_or_below(ledger: &Ledger, entries: &[EntryRef]) -> HashSet<Digest> {
    let mut found = HashSet::new();
    cover(ledger, entries.iter().map(|entry| entry.digest).collect(), &mut found);
    found
}

/// The last entries of a key: those of its entries that count and that none of its others is above.
pub(in crate::cli) fn last_entries(ledger: &Ledger, key: &Digest) -> Vec<EntryRef> {
    let mut covered = HashSet::new();
    let mut last = Vec::new();
    for entry in ledger.counted().rev().filter(|entry| entry.key == *key) {
        if !covered.contains(&entry.digest) {
            last.push(entry.reference());
            cover(ledger, vec![entry.digest], &mut covered);
        }
    }
    last.sort_unstable();
    last
}

fn cover(ledger: &Ledger, mut open: Vec<Digest>, covered: &mut HashSet<Digest>) {
    while let Some(digest) = open.pop() {
        if covered.insert(digest)
            && let Some(entry) = ledger.get(&digest)
        {
            open.extend(entry.parents.iter().map(|parent| parent.digest));
        }
    }
}

/// Entries of one key that a version changes: they count now and would not, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(in crate::cli) struct Entries {
    /// Name of the key in the policy.
    pub(in crate::cli) name: String,
    /// Its fingerprint.
    pub(in crate::cli) key: Digest,
    /// Number of entries.
    pub(in crate::cli) entries: u64,
    /// Number of snapshots among them.
    pub(in crate::cli) snapshots: u64,
    /// The first of them.
    pub(in crate::cli) first: EntryRef,
}

/// Returns the entries that are valid now and would become invalid, by key.
pub(in crate::cli) fn no_longer_counts(ledger: &Ledger, after: &Policy) -> Vec<Entries> {
    let ended = covered(ledger, after);
    let lost = |entry: &&Entry| ended.get(&entry.key).is_some_and(|counts| !counts.contains(&entry.digest));
    by_key(ledger.counted().filter(lost), after)
}

/// Returns the entries that are invalid now because their key has ended, and would become valid, by key.
pub(in crate::cli) fn counts_again(ledger: &Ledger, after: &Policy) -> Vec<Entries> {
    let ended = covered(ledger, after);
    let void = ledger.judged().filter(|(_, status)| **status == EntryStatus::Void(Void::Ended));
    let gained = |entry: &&Entry| ended.get(&entry.key).is_some_and(|counts| counts.contains(&entry.digest));
    by_key(void.map(|(entry, _)| entry).filter(gained), after)
}

/// The ended keys of a policy, each with what counts of it.
fn covered(ledger: &Ledger, after: &Policy) -> BTreeMap<Digest, HashSet<Digest>> {
    let ended = after.keys.iter().filter_map(|key| Some((key, key.until.as_ref()?)));
    ended.map(|(key, until)| (key.public_key.fingerprint(), at_or_below(ledger, until))).collect()
}

fn by_key<'a>(entries: impl Iterator<Item = &'a Entry>, after: &Policy) -> Vec<Entries> {
    let mut all: BTreeMap<Digest, Entries> = BTreeMap::new();
    for entry in entries {
        let of_key = all.entry(entry.key).or_insert_with(|| Entries {
            name: after.key(&entry.key).map(|key| key.name.clone()).unwrap_or_default(),
            key: entry.key,
            entries: 0,
            snapshots: 0,
            first: entry.reference(),
        });
        of_key.entries += 1;
        of_key.snapshots += u64::from(entry.snapshot().is_some());
    }
    all.into_values().collect()
}

/// Returns true if a good, live snapshot that counts now would still count under another version.
pub(in crate::cli) fn leaves_a_snapshot(ledger: &Ledger, after: &Policy) -> bool {
    let mut good = ledger.live().filter(|entry| ledger.is_good(entry)).peekable();
    let counts = |entry: &Entry| match after.key(&entry.key).map(|key| &key.until) {
        None => false,
        Some(None) => true,
        Some(Some(until)) => at_or_below(ledger, until).contains(&entry.digest),
    };
    good.peek().is_none() || good.any(counts)
}
