//! Which snapshots a policy keeps, and why. Pure.
//!
//! Never forgotten, whatever the policy: the newest good one, the newest good one that was verified, what is pinned.
//! Suspect ones count for nothing, so that they push out no good one.
//!
//! A writer's clock says when its snapshot was made, and a writer may lie: so every rule of the calendar is applied
//! twice, by the times that snapshots claim and by those that the store gives where the two do not fit, and what either
//! keeps is kept. A hundred snapshots of one hour that claim to be of a hundred days push out nothing of those days; and
//! a repository that was copied, so that the store dates all of it alike, loses nothing either.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::policy::{Period, Policy, days};
use crate::model::{Digest, Timestamp};

/// A snapshot that is kept so far, as the policy sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its entry.
    pub digest: Digest,
    /// The sequence of its entry.
    pub sequence: u64,
    /// When it was made, as far as can be told: as it claims, or as the store dates it where the claim cannot be.
    pub time: Timestamp,
    /// The same by the store where that dates it otherwise, else as `time`.
    pub stored: Timestamp,
    /// Whether it is good or was accepted.
    pub good: bool,
    /// Whether a verification that counts and passed covers it, at the level `objects` or deeper; only the newest matters.
    pub verified: bool,
    /// Why it is pinned.
    pub pinned: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// Nothing newer is good.
    NewestGood,
    /// Nothing newer is good and verified.
    LastVerified,
    /// It is held, for this reason.
    Pinned(String),
    /// It is the `nth` of the last `of`.
    Last {
        /// From 1 for the newest.
        nth: u32,
        /// As many as are kept.
        of: u32,
    },
    /// It is the last of a period.
    Of {
        /// Which kind.
        period: Period,
        /// Its name.
        name: String,
        /// Whether by the store's time only.
        stored: bool,
    },
    /// It is young enough.
    Within(Duration),
    /// It carries this tag.
    Tag(String),
    /// It is suspect and not old enough to go.
    SuspectFor(Duration),
    /// It is suspect, and there is no newer good one that was verified.
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

/// Why each snapshot is kept, in the order of `candidates`, which is that of the ledger, oldest first. Nothing: it is
/// forgotten.
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

/// Why each is never forgotten, by a policy or by hand; nothing where it may be.
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

/// The times that one of the two passes goes by, of the good ones, newest first; of equal times, the later entry first.
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
    // From the newest, not from now: when backups stop, what there is must not run out.
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
