//! Decides which snapshots a policy keeps, and why. Pure.
//!
//! Never forgotten under any policy: the newest good snapshot, the newest good verified one, and held ones. Suspect
//! snapshots do not count against any limit, so they displace no good one.
//!
//! A writer's clock dates its snapshots, and a writer may lie. Calendar rules are therefore applied twice: by claimed
//! times, and by the store's times where the two conflict. A snapshot kept by either pass is kept. A hundred snapshots
//! of one hour that claim a hundred different days displace nothing of those days. A copied repository, which the store
//! dates to a single moment, loses nothing either.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::policy::{Period, Policy, days};
use crate::model::{Digest, Timestamp};

/// A live snapshot, as the policy sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Digest of its entry.
    pub digest: Digest,
    /// Sequence number of its entry.
    pub sequence: u64,
    /// Best known time: the claimed one, or the store's if the claim is implausible.
    pub time: Timestamp,
    /// Time according to the store if it conflicts with the claim, otherwise equal to `time`.
    pub stored: Timestamp,
    /// True if it is good or was accepted.
    pub good: bool,
    /// True if a valid, passed verification at level `objects` or deeper covers it; only set for the newest.
    pub verified: bool,
    /// Reason of its hold, if any.
    pub pinned: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Reason why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// It is the newest good one.
    NewestGood,
    /// It is the newest good and verified one.
    LastVerified,
    /// It is held, for this reason.
    Pinned(String),
    /// It is one of the last good ones.
    Last {
        /// Position, from 1 for the newest.
        nth: u32,
        /// Number of snapshots that the rule keeps.
        of: u32,
    },
    /// It is the last one of a period.
    Of {
        /// Kind of period.
        period: Period,
        /// Name of the period.
        name: String,
        /// True if only by the store's time.
        stored: bool,
    },
    /// It is recent enough.
    Within(Duration),
    /// It has this tag.
    Tag(String),
    /// It is suspect and too recent to be forgotten.
    SuspectFor(Duration),
    /// It is suspect, and no newer good snapshot was verified.
    SuspectUnreplaced,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestGood => f.write_str("newest good"),
            Self::LastVerified => f.write_str("last verified"),
            Self::Pinned(reason) => write!(f, "held: {reason}"),
            Self::Last { nth, of } => write!(f, "last {nth} of {of}"),
            Self::Of { period, name, stored: false } => write!(f, "{} {name}", period.as_str()),
            Self::Of { period, name, stored: true } => write!(f, "{} {name} by the store", period.as_str()),
            Self::Within(within) => write!(f, "within {}", days(*within)),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::SuspectFor(age) => write!(f, "suspect: kept for {}", days(*age)),
            Self::SuspectUnreplaced => f.write_str("suspect: nothing newer is good and verified"),
        }
    }
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Returns the reasons to keep each snapshot, in the order of `candidates` (ledger order, oldest first). A snapshot
/// without reasons is forgotten.
#[must_use]
pub fn judge(policy: &Policy, candidates: &[Candidate], now: Timestamp) -> Vec<Vec<KeepReason>> {
    let mut kept = guarded(candidates);
    keep_last(policy, candidates, &mut kept);
    for stored in [false, true] {
        keep_periods(policy, candidates, stored, &mut kept);
        keep_within(policy, candidates, now, stored, &mut kept);
    }
    for (candidate, reasons) in candidates.iter().zip(&mut kept) {
        let tag = policy.tags.iter().find(|tag| candidate.tags.contains(tag));
        reasons.extend(tag.map(|tag| KeepReason::Tag(tag.clone())));
    }
    keep_suspect(policy, candidates, now, &mut kept);
    kept
}

/// Returns the reasons why each snapshot must never be forgotten, by policy or by hand; empty if it may be.
#[must_use]
pub fn guarded(candidates: &[Candidate]) -> Vec<Vec<KeepReason>> {
    let mut kept: Vec<Vec<KeepReason>> =
        candidates.iter().map(|one| one.pinned.iter().cloned().map(KeepReason::Pinned).collect()).collect();
    let newest = |wanted: fn(&Candidate) -> bool| candidates.iter().rposition(wanted);
    add(&mut kept, newest(|one| one.good && one.verified), KeepReason::LastVerified);
    add(&mut kept, newest(|one| one.good), KeepReason::NewestGood);
    kept
}

fn add(kept: &mut [Vec<KeepReason>], at: Option<usize>, reason: KeepReason) {
    if let Some(reasons) = at.and_then(|at| kept.get_mut(at)) {
        reasons.insert(0, reason);
    }
}

fn keep_last(policy: &Policy, candidates: &[Candidate], kept: &mut [Vec<KeepReason>]) {
    let newest_first = candidates.iter().zip(kept).rev().filter(|(candidate, _)| candidate.good);
    for (nth, (_, reasons)) in (1..=policy.last).zip(newest_first) {
        reasons.push(KeepReason::Last { nth, of: policy.last });
    }
}

/// Returns the times of good snapshots for one of the two passes, newest first; for equal times, the later entry first.
fn by_time(candidates: &[Candidate], stored: bool) -> Vec<(Timestamp, usize)> {
    let good = candidates.iter().enumerate().filter(|(_, candidate)| candidate.good);
    let time = |candidate: &Candidate| if stored { candidate.stored } else { candidate.time };
    let mut times: Vec<_> = good.map(|(at, candidate)| (time(candidate), at)).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
}

fn keep_periods(policy: &Policy, candidates: &[Candidate], stored: bool, kept: &mut [Vec<KeepReason>]) {
    let times = by_time(candidates, stored);
    for (period, count) in &policy.every {
        let mut seen = BTreeSet::new();
        for (time, at) in &times {
            let name = period.name_of(policy.zone.local(*time));
            if seen.contains(&name) {
                continue;
            }
            if seen.len() >= *count as usize {
                break;
            }
            if let Some(reasons) = kept.get_mut(*at) {
                let known =
                    |reason: &KeepReason| matches!(reason, KeepReason::Of { period: other, .. } if other == period);
                if !reasons.iter().any(known) {
                    reasons.push(KeepReason::Of { period: *period, name: name.clone(), stored });
                }
            }
            seen.insert(name);
        }
    }
}

fn keep_within(policy: &Policy, candidates: &[Candidate], now: Timestamp, stored: bool, kept: &mut [Vec<KeepReason>]) {
    let Some(within) = policy.within else { return };
    let times = by_time(candidates, stored);
    // Measured from the newest snapshot, not from now: if backups stop, the existing ones must not expire.
    let Some((newest, _)) = times.first() else { return };
    let newest = (*newest).min(now);
    for (_, at) in times.iter().filter(|(time, _)| newest.millis_since(*time) <= millis(within)) {
        if let Some(reasons) = kept.get_mut(*at).filter(|reasons| !reasons.contains(&KeepReason::Within(within))) {
            reasons.push(KeepReason::Within(within));
        }
    }
}

fn keep_suspect(policy: &Policy, candidates: &[Candidate], now: Timestamp, kept: &mut [Vec<KeepReason>]) {
    let replaced = candidates.iter().rposition(|one| one.good && one.verified);
    for (at, (candidate, reasons)) in candidates.iter().zip(kept).enumerate().filter(|(_, (one, _))| !one.good) {
        if now.millis_since(candidate.time.max(candidate.stored)) <= millis(policy.suspect) {
            reasons.push(KeepReason::SuspectFor(policy.suspect));
        } else if replaced.is_none_or(|replaced| replaced < at) {
            reasons.push(KeepReason::SuspectUnreplaced);
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
