//! Decides whether a run must read everything because custodians made a snapshot void.

use std::collections::BTreeMap;

use crate::format::{Entry, Policy};
use crate::model::Digest;
use crate::repository::ledger::Ledger;

/// Returns why the first run of a key must be full, if the policy version in force made a snapshot void. The run then
/// reuses nothing from the time when that snapshot counted.
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

/// Returns true if a full snapshot was made under a version that makes the same entries void.
fn is_renewed(ledger: &Ledger, policy: &Policy, renewed: &[&Policy], key: &Digest, entries: &[&Entry]) -> bool {
    let end = |policy: &Policy| policy.key(key).and_then(|key| key.until.clone());
    // The same end makes the same entries void; check entry by entry only if the ends differ.
    entries.is_empty()
        || renewed.iter().any(|before| end(before) == end(policy))
        || entries.iter().all(|entry| renewed.iter().any(|before| is_void_under(ledger, before, entry)))
}

/// Returns true if a policy version ended the key of an entry before that entry.
fn is_void_under(ledger: &Ledger, policy: &Policy, entry: &Entry) -> bool {
    let until = policy.key(&entry.key).and_then(|key| key.until.as_ref());
    until.is_some_and(|until| {
        !until.iter().any(|end| end.digest == entry.digest || ledger.is_below(&entry.digest, &end.digest))
    })
}
