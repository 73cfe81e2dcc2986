//! Checks that a capture can be trusted: clock skew and lost items.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::CaptureError;
use super::base::{BaseSnapshot, keys_of};
use super::collect::{Collected, ask_for_some};
use super::keys::KeyTable;
use super::round::VanishedItem;
use super::shrink::{PastSnapshot, baseline, sample, too_few};
use crate::crypto::Identities;
use crate::format::Entry;
use crate::format::snapshot::Finding;
use crate::model::{FailureKind, ItemKey, Timestamp};
use crate::provider::Source;
use crate::repository::Repository;
use crate::repository::ledger::{Ledger, SnapshotState};

/// Maximum difference between this host's clock and the provider's for signing, in milliseconds.
const SKEW: i64 = 5 * 60 * 1_000;

/// Compares this host's clock with the provider's, if known.
///
/// # Errors
/// [`CaptureError::ClockSkew`] if they differ by more than five minutes.
pub(super) fn check_clock(here: Timestamp, there: Option<Timestamp>) -> Result<(), CaptureError> {
    match there {
        Some(there) if here.millis_since(there).abs() > SKEW => Err(CaptureError::ClockSkew { here, there }),
        _ => Ok(()),
    }
}

/// Inputs of the shrink check.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShrinkGuard<'a> {
    pub(super) repository: &'a Repository,
    /// Ledger of the repository.
    pub(super) ledger: &'a Ledger,
    /// Identities that open catalogues on this host.
    pub(super) keys: &'a Arc<Identities>,
    /// Base snapshot of the run.
    pub(super) base: &'a BaseSnapshot,
    pub(super) source: &'a dyn Source,
    /// Share of missing items above which the snapshot is suspect.
    pub(super) max_shrink: f64,
    /// Current time.
    pub(super) now: Timestamp,
}

impl ShrinkGuard<'_> {
    /// Returns the reasons why the snapshot is suspect; empty if it is good. Names no items, because entries are not
    /// encrypted.
    ///
    /// # Errors
    /// If the catalogue of an earlier snapshot cannot be reached, or if items that vanished since then are hidden.
    pub(super) async fn reasons(
        &self,
        collected: &mut Collected,
        unread: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Finding>, CaptureError> {
        let mut reasons = Vec::new();
        if let Some(before) = self.measure() {
            let (missing, of) = self.missing(before, collected, &mut reasons, warnings).await?;
            if too_few(missing, of, self.max_shrink) {
                let (time, name) = (before.snapshot().map_or(before.time, |event| event.time), before.digest.short());
                let text = format!("{missing} of the {of} items of snapshot {name} ({time}) are no longer listed");
                reasons.push(finding("gone", missing, of, text));
            }
        }
        let listed = collected.compared.inventory.keys.len();
        let (unread, all) = (unread.try_into().unwrap_or(u64::MAX), listed.try_into().unwrap_or(u64::MAX));
        if too_few(unread, all, self.max_shrink) {
            reasons.push(finding("unread", unread, all, format!("{unread} of {all} items could not be read")));
        }
        Ok(reasons)
    }

    /// Returns the snapshot that the listing is compared with.
    fn measure(&self) -> Option<&Entry> {
        let snapshots = self.ledger.snapshots();
        let past: Vec<PastSnapshot> = snapshots
            .iter()
            .filter_map(|entry| {
                let event = entry.snapshot()?;
                let accepted = self.ledger.accepted(&entry.digest);
                let good = !accepted && self.ledger.is_good(entry);
                let swept = matches!(self.ledger.state(&entry.digest), Some(SnapshotState::Swept { .. }));
                Some(PastSnapshot { time: event.time, items: event.items(), good, accepted, swept })
            })
            .collect();
        baseline(&past, self.now).and_then(|at| snapshots.get(at).copied())
    }

    /// Returns the number of items of a snapshot that are missing now, and its total number of items.
    async fn missing(
        &self,
        before: &Entry,
        collected: &mut Collected,
        reasons: &mut Vec<Finding>,
        warnings: &mut Vec<String>,
    ) -> Result<(u64, u64), CaptureError> {
        let Some(event) = before.snapshot() else { return Ok((0, 0)) };
        if self.base.snapshot == Some(before.digest) {
            return Ok((count(missing_from(&self.base.index.keys, collected)), event.items()));
        }
        match keys_of(self.repository, self.keys, &event.parts).await {
            Ok(keys) => {
                for kind in collected.compared.hidden.keys() {
                    let lost = missing_from(&keys, collected).find(|key| key.kind() == *kind);
                    lost.map_or(Ok(()), |key| Err(CaptureError::SightLost { key }))?;
                }
                if self.base.index.keys.len() == 0 {
                    // There was no base, so no vanished item has been requested yet: request a sample.
                    let all = missing_from(&keys, collected).count();
                    let places: BTreeSet<usize> = sample(all).collect();
                    let missing = missing_from(&keys, collected).enumerate();
                    let some = missing
                        .filter(|(place, _)| places.contains(place))
                        .map(|(_, key)| (key, VanishedItem::default()));
                    let some: BTreeMap<ItemKey, VanishedItem> = some.collect();
                    ask_for_some(self.source, &some, &mut collected.spent).await?;
                }
                Ok((count(missing_from(&keys, collected)), event.items()))
            }
            Err(error) if matches!(error.kind(), FailureKind::Key | FailureKind::Integrity) => {
                warnings.push(format!(
                    "cannot open snapshot {} to see which of its items are missing, so only their number is compared: \
                     {error}",
                    before.digest.short()
                ));
                // The entry itself has counts per kind: enough to detect that a whole kind can no longer be listed.
                for kind in
                    collected.compared.hidden.keys().filter(|kind| event.counts.kinds.contains_key(kind.as_str()))
                {
                    let text = format!(
                        "items of the kind `{kind}` may not be listed any more, and snapshot {} has some",
                        before.digest.short()
                    );
                    let of = event.counts.kinds.get(kind.as_str()).and_then(|counts| counts.items).unwrap_or(0);
                    reasons.push(finding("hidden", of, of, text));
                }
                let listed = u64::try_from(collected.compared.inventory.keys.len()).unwrap_or(u64::MAX);
                Ok((event.items().saturating_sub(listed), event.items()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn finding(code: &str, count: u64, of: u64, text: String) -> Finding {
    let share = count.saturating_mul(100).checked_div(of);
    Finding { code: code.to_owned(), count, of: Some(of), share, text: Some(text) }
}

fn missing_from<'a>(keys: &'a KeyTable, collected: &'a Collected) -> impl Iterator<Item = ItemKey> + 'a {
    let Collected { compared, still_there, gone, .. } = collected;
    let there = |key: &ItemKey| match compared.inventory.keys.find(key) {
        Some(_) => !gone.contains(key),
        None => still_there.contains_key(key),
    };
    (0..keys.len()).filter_map(|at| keys.key(at)).filter(move |key| !there(key))
}

fn count(items: impl Iterator) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_either_way_are_signed_and_more_is_not() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        for skew in [-300_000, 0, 300_000] {
            assert!(check_clock(at, Some(at.plus_millis(skew))).is_ok());
        }
        for skew in [-300_001, 300_001] {
            assert!(check_clock(at, Some(at.plus_millis(skew))).is_err());
        }
        assert!(check_clock(at, None).is_ok());
    }
}
