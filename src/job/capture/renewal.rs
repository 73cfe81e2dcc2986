//! Whether a run must read everything because the custodians made a snapshot void.

use std::collections::BTreeMap;

use crate::format::{Entry, Policy};
use crate::model::Digest;
use crate::repository::ledger::Ledger;

/// Why the first run of a key must be full, under a policy version that made a snapshot void: it is judged and built afresh,
/// on nothing from the time when that snapshot counted.
pub(super) fn why_full(ledger: &Ledger, signer: &Digest) -> Option<String> {
    let (version, policy) = ledger.trust().writes_under()?;
    let mut void: BTreeMap<Digest, Vec<&Entry>> = BTreeMap::new();
    for (entry, status) in ledger.judged().filter(|(entry, _)| entry.snapshot().is_some()) {
        if !status.counts() && is_void_under(ledger, policy, entry) {
            void.entry(entry.key).or_default().push(entry);
        }
    }
    for unproven in ledger.unproven() {
        void.entry(unproven.key).and_modify(|entries| entries.retain(|entry| entry.digest != unproven.digest));
    }
    let full = |entry: &&Entry| entry.key == *signer && entry.snapshot().is_some_and(|event| event.full);
    let renewed: Vec<&Policy> =
        ledger.counted().rev().filter(full).filter_map(|entry| ledger.trust().get(&entry.policy)).collect();
    let (key, entries) = void.into_iter().find(|(key, entries)| !is_renewed(ledger, policy, &renewed, key, entries))?;
    let name = policy.key(&key).map(|key| key.name.as_str()).unwrap_or_default();
    Some(format!(
        "version {} of the trust policy made {} of the key {name} ({}) void, and this key has made no full snapshot under it",
        version.version,
        if entries.len() == 1 { "a snapshot".to_owned() } else { format!("{} snapshots", entries.len()) },
        key.short()
    ))
}

/// Whether a full snapshot was made under a version that made the same void.
fn is_renewed(ledger: &Ledger, policy: &Policy, renewed: &[&Policy], key: &Digest, entries: &[&Entry]) -> bool {
    let end = |policy: &Policy| policy.key(key).and_then(|key| key.until.clone());
    // The same end makes the same void; only another one must be looked at entry by entry.
    entries.is_empty()
        || renewed.iter().any(|before| end(before) == end(policy))
        || entries.iter().all(|entry| renewed.iter().any(|before| is_void_under(ledger, before, entry)))
}

/// Whether a version ends the key of an entry below it.
fn is_void_under(ledger: &Ledger, policy: &Policy, entry: &Entry) -> bool {
    let until = policy.key(&entry.key).and_then(|key| key.until.as_ref());
    until.is_some_and(|until| {
        !until.iter().any(|end| end.digest == entry.digest || ledger.is_below(&entry.digest, &end.digest))
    })
}
