//! Metrics of a repository and of its newest inventory.

use std::collections::{BTreeMap, BTreeSet};

use super::definition as metric;
use super::jobs::{count, last_backup};
use super::page::{Labels, MetricsPage};
use super::{flag, of_instance, seconds};
use crate::daemon::daemon_state::{InstanceView, RepositoryView};
use crate::job::status::{Expiring, InventorySummary, LevelStatus, Restored, Stale, Status};
use crate::model::{Restorability, Timestamp};

/// Verification levels, shallowest first. Each includes those before it.
const LEVELS: [&str; 5] = ["ledger", "objects", "catalogue", "payload", "drill"];
/// Index of the first level that reads every object, even if it opens only some of the packs.
const OBJECTS: usize = 1;
/// Maximum number of items with a series of their own: each name is a label value.
const NAMED: usize = 200;

/// Adds the metrics of an instance's repository. Before it was read, the mandatory ones have the value for "never": 0
/// or infinity.
pub(super) fn add(page: &mut MetricsPage, instance: &InstanceView, now: Timestamp) {
    let view = instance.repository.as_deref();
    let status = view.map(|view| &view.status);
    let labels = || of_instance(instance);
    page.gauge(&metric::REPOSITORY_READ, labels(), seconds(status.map(|status| status.now)));

    let cut = status.and_then(|status| status.backups.newest_good.as_ref()).and_then(|newest| newest.time);
    page.gauge(&metric::BACKUP_LAST_SUCCESS, labels(), seconds(last_backup(instance).max(cut)));
    page.gauge(&metric::LAST_GOOD_CUT, labels(), seconds(cut));
    // The age is computed now, not when the repository was read: a frozen age would never miss an objective.
    let age = cut.map_or(f64::INFINITY, |cut| count(now.millis_since(cut).max(0).unsigned_abs()) / 1000.0);
    page.gauge(&metric::RPO, labels(), age);
    for (level, name) in LEVELS.iter().enumerate() {
        let at = status.and_then(|status| verified(status, level));
        let mut labels = labels();
        labels.push(("level", (*name).to_owned()));
        page.gauge(&metric::VERIFIED, labels, seconds(at));
    }
    if let Some(view) = view {
        ledger(page, &labels, view);
        snapshots(page, &labels, &view.status);
        if let Some(restored) = &view.status.restored {
            standby(page, &labels, restored);
        }
        if let Some(inventory) = &view.inventory {
            self::inventory(page, &labels, inventory, now, instance.names);
        }
    }
}

/// Returns when a level was last passed: by a whole check of that level or a deeper one. A deeper slice reads every
/// object, so it counts up to level `objects`. Slices of the level itself count once complete, from the oldest of them.
fn verified(status: &Status, level: usize) -> Option<Timestamp> {
    let depth = |found: &LevelStatus| LEVELS.iter().position(|name| *name == found.level);
    let of = |found: &LevelStatus| {
        let depth = depth(found).filter(|depth| *depth >= level)?;
        let whole = found.last_whole.as_ref().map(|check| check.at);
        let slice = (depth > level && level <= OBJECTS && found.last.passed).then_some(found.last.at);
        let slices = found.slices.as_ref().filter(|slices| slices.done == slices.of).and_then(|slices| slices.since);
        whole.max(slice).max(slices)
    };
    status.levels.iter().filter_map(of).max()
}

fn ledger(page: &mut MetricsPage, labels: &impl Fn() -> Labels, view: &RepositoryView) {
    let status = &view.status;
    page.gauge(&metric::LEDGER_HEADS, labels(), count(status.heads.len().try_into().unwrap_or(u64::MAX)));
    page.gauge(&metric::LEDGER_SEQUENCE, labels(), count(view.sequence));
    page.gauge(&metric::LEDGER_ENTRIES, labels(), count(status.entries));
    if let Some(policy) = status.policy {
        page.gauge(&metric::POLICY_VERSION, labels(), count(policy.version));
    }
    for (severity, problems) in [("error", status.problems.errors), ("warning", status.problems.warnings)] {
        let mut labels = labels();
        labels.push(("severity", severity.to_owned()));
        page.gauge(&metric::LEDGER_PROBLEMS, labels, count(problems));
    }
    page.gauge(&metric::VERIFICATION_FAILED, labels(), flag(status.failed_check.is_some()));
    for reason in Stale::CODES {
        let mut labels = labels();
        labels.push(("reason", reason.to_owned()));
        page.gauge(&metric::STALE, labels, flag(status.stale.iter().any(|stale| stale.code() == reason)));
    }
    if let Some(rpo) = status.objectives.rpo {
        page.gauge(&metric::RPO_OBJECTIVE, labels(), rpo.as_secs_f64());
    }
    if let Some(within) = status.objectives.verified_within {
        page.gauge(&metric::VERIFIED_OBJECTIVE, labels(), within.as_secs_f64());
    }
}

fn snapshots(page: &mut MetricsPage, labels: &impl Fn() -> Labels, status: &Status) {
    let backups = &status.backups;
    page.gauge(&metric::RPO_WORST, labels(), backups.worst_gap_seconds.map_or(f64::INFINITY, count));
    page.gauge(&metric::SUSPECT_SINCE, labels(), seconds(backups.suspect_since));
    for (state, number) in [
        ("good", backups.good),
        ("suspect", backups.suspect),
        ("forgotten", backups.forgotten),
        ("swept", backups.swept),
        ("held", backups.held),
    ] {
        let mut labels = labels();
        labels.push(("state", state.to_owned()));
        page.gauge(&metric::SNAPSHOTS, labels, count(number));
    }
    let newest = backups.newest_good.as_ref();
    page.gauge(&metric::SNAPSHOT_ITEMS, labels(), newest.map_or(0.0, |newest| count(newest.items)));
    page.gauge(&metric::SNAPSHOT_PACKS, labels(), newest.map_or(0.0, |newest| count(newest.packs)));
    page.gauge(&metric::SNAPSHOT_BYTES, labels(), newest.map_or(0.0, |newest| count(newest.sealed_bytes)));
    for (kind, number) in newest.into_iter().flat_map(|newest| &newest.counts) {
        let mut labels = labels();
        labels.push(("kind", kind.clone()));
        page.gauge(&metric::ITEMS, labels, count(*number));
    }
    for class in Restorability::ALL.map(Restorability::as_str) {
        let number = newest.and_then(|newest| newest.classes.get(class)).copied().unwrap_or(0);
        let mut labels = labels();
        labels.push(("restorability", class.to_owned()));
        page.gauge(&metric::ITEMS_BY_CLASS, labels, count(number));
    }
}

fn standby(page: &mut MetricsPage, labels: &impl Fn() -> Labels, restored: &Restored) {
    page.gauge(&metric::STANDBY_RESTORED, labels(), seconds(Some(restored.at)));
    page.gauge(&metric::STANDBY_BEHIND, labels(), count(restored.behind));
    page.gauge(&metric::STANDBY_BEHIND_SECONDS, labels(), count(restored.behind_seconds));
    page.gauge(&metric::STANDBY_FAILED, labels(), count(restored.failed));
}

fn inventory(
    page: &mut MetricsPage,
    labels: &impl Fn() -> Labels,
    inventory: &InventorySummary,
    now: Timestamp,
    names: bool,
) {
    for ((item_type, class), number) in &inventory.types {
        let mut labels = labels();
        labels.extend([("type", item_type.clone()), ("restorability", class.as_str().to_owned())]);
        page.gauge(&metric::ITEMS_BY_TYPE, labels, count(*number));
    }
    let mut soonest: BTreeMap<(&str, bool), Option<Timestamp>> = BTreeMap::new();
    let mut expired: BTreeMap<(&str, bool), u64> = BTreeMap::new();
    for one in &inventory.expiring {
        let key = (one.item_type.as_str(), one.renews);
        *expired.entry(key).or_default() += u64::from(one.at <= now);
        let soonest = soonest.entry(key).or_default();
        if one.at > now {
            // An expired item must not hide the next expiry.
            *soonest = Some(soonest.map_or(one.at, |at| at.min(one.at)));
        }
    }
    let of = |(item_type, renews): (&str, bool)| {
        let mut labels = labels();
        labels.extend([("type", item_type.to_owned()), ("renews", renews.to_string())]);
        labels
    };
    for (key, at) in soonest {
        if at.is_some() {
            page.gauge(&metric::EXPIRY, of(key), seconds(at));
        }
    }
    for (key, number) in expired {
        page.gauge(&metric::EXPIRED, of(key), count(number));
    }
    if names {
        named(page, labels, &inventory.expiring, now);
    }
}

/// Adds the items that expire next, by name.
fn named(page: &mut MetricsPage, labels: &impl Fn() -> Labels, expiring: &[Expiring], now: Timestamp) {
    // Prometheus rejects the whole page if two series have the same labels.
    let mut seen = BTreeSet::new();
    for one in expiring.iter().filter(|one| one.at > now) {
        let name = (one.item_type.clone(), one.group.clone().unwrap_or_default(), one.name.clone());
        if seen.len() == NAMED || !seen.insert(name.clone()) {
            continue;
        }
        let (item_type, group, name) = name;
        let mut labels = labels();
        labels.extend([("type", item_type), ("group", group), ("name", name), ("renews", one.renews.to_string())]);
        page.gauge(&metric::ITEM_EXPIRY, labels, seconds(Some(one.at)));
    }
}
