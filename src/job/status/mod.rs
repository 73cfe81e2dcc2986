//! Status of a repository: last backup, last verification, achieved recovery point, stale objectives.
//!
//! | module | what |
//! |---|---|
//! | `facts` | the status as plain data |
//! | `times` | which time of a snapshot is believed |
//! | `backups` | snapshots: the newest, gaps, counts per day |
//! | `checks` | verifications: per level, slices |
//! | `expiring` | expiring items, from the catalogue |
//!
//! [`status`] is pure: it takes a ledger, objectives and a time. [`measure`] queries the store for facts that the
//! ledger lacks, and only if they are needed. Neither needs a key.

mod backups;
mod checks;
mod expiring;
mod facts;
#[cfg(test)]
mod kit;
mod times;

pub use expiring::{Expiring, InventorySummary, expiring, inventory};
pub use facts::{
    Backups, Check, Day, LevelStatus, Objectives, Problems, Restored, Slices, SnapshotFact, Stale, Status, Verified,
};
pub use times::StoreTimes;

use crate::format::{EntryEvent, names};
use crate::model::Timestamp;
use crate::repository::ledger::{Ledger, Severity};
use crate::repository::{Repository, RepositoryError, SKEW_MILLIS};

/// Maximum number of ledger problems reported in words; the rest is only counted.
const PROBLEMS_NAMED: usize = 5;

/// Returns the status of a ledger's repository at the time `now`.
///
/// A mistimed snapshot is as old as it claims. One dated after `now` is ignored, because only the store knows its real
/// time ([`measure`]).
#[must_use]
pub fn status(ledger: &Ledger, objectives: &Objectives, now: Timestamp) -> Status {
    status_with(ledger, objectives, now, &StoreTimes::default())
}

/// Like [`status`], but uses the store's time of an entry whose own time is implausible.
#[must_use]
pub fn status_with(ledger: &Ledger, objectives: &Objectives, now: Timestamp, stored: &StoreTimes) -> Status {
    let snapshots = backups::dated(ledger, now, stored);
    let backups = backups::backups(ledger, &snapshots, now);
    let levels = checks::levels(ledger, objectives, now, stored);
    let verified = checks::verified(ledger, now, stored);
    let mut status = Status {
        repository: ledger.id().to_string(),
        source: ledger.source().map(|source| source.instance.clone()),
        now,
        objectives: *objectives,
        stale: Vec::new(),
        backups,
        levels,
        verified,
        failed_check: checks::failed(ledger, now, stored),
        heads: ledger.heads().iter().map(|entry| entry.digest).collect(),
        entries: ledger.counted().count() as u64,
        policy: ledger.trust().writes_under().map(|(version, _)| version),
        problems: problems(ledger, now),
        restored: restored(ledger, &snapshots, now, stored),
    };
    status.stale = stale(&status);
    status
}

/// Like [`status`], but queries the store for the times of entries if one is implausible.
///
/// # Errors
/// Errors of the store.
pub async fn measure(
    repository: &Repository,
    ledger: &Ledger,
    objectives: &Objectives,
    now: Timestamp,
) -> Result<Status, RepositoryError> {
    let stored = match times::any_mistimed(ledger, now) {
        true => StoreTimes::ask(repository).await?,
        false => StoreTimes::default(),
    };
    Ok(status_with(ledger, objectives, now, &stored))
}

fn problems(ledger: &Ledger, now: Timestamp) -> Problems {
    // The dates below are those of entries, so entries from the future are problems.
    let ahead = ledger.ahead_of(now, SKEW_MILLIS);
    let mut named: Vec<_> = ledger.problems().iter().chain(&ahead).collect();
    let of = |severity| named.iter().filter(|problem| problem.severity() == severity).count() as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    named.sort_by_key(|problem| std::cmp::Reverse(problem.severity()));
    // Entries that this host saw and the bucket lacks come first: nothing in the bucket can show them.
    let memory = ledger.memory();
    let gone = memory.heads.iter().map(names::entry).chain(memory.policies.iter().map(names::policy));
    let superseded = memory.superseded.iter().map(names::entry);
    let superseded =
        superseded.map(|path| format!("{path} was deleted or overwritten; an older version in the bucket is whole"));
    let gone: Vec<String> =
        gone.map(|path| format!("{path} is gone, which this host saw or knows of")).chain(superseded).collect();
    let outdated = sealed_to_others(ledger);
    Problems {
        errors: errors + gone.len() as u64,
        warnings: warnings + u64::from(outdated.is_some()),
        named: gone
            .into_iter()
            .chain(named.into_iter().map(ToString::to_string))
            .chain(outdated)
            .take(PROBLEMS_NAMED)
            .collect(),
    }
}

/// Returns a problem if the newest snapshot is sealed to other recovery recipients than those in force: an added
/// recovery key opens nothing yet, and a removed one still opens everything.
fn sealed_to_others(ledger: &Ledger) -> Option<String> {
    let (newest, policy) = (ledger.live().next_back()?, ledger.policy()?);
    let event = newest.snapshot()?;
    (event.recipients != policy.recipients_digest()).then(|| {
        format!(
            "the newest snapshot, {}, is sealed to other recovery recipients than the trust policy has now; the next backup \
             seals everything to these",
            newest.sequence
        )
    })
}

/// Returns the newest restore into a standby, and how far it lags behind.
fn restored(
    ledger: &Ledger,
    snapshots: &[backups::Dated<'_>],
    now: Timestamp,
    stored: &StoreTimes,
) -> Option<Restored> {
    let (entry, event) = ledger
        .counted()
        .filter_map(|entry| match &entry.event {
            EntryEvent::Restore(event) => Some((entry, event)),
            _ => None,
        })
        .next_back()?;
    let snapshot = snapshots.iter().find(|one| one.entry.digest == event.snapshot);
    let newer = |one: &&backups::Dated<'_>| {
        one.good && snapshot.is_some_and(|snapshot| one.entry.sequence > snapshot.entry.sequence)
    };
    let newest = snapshots.iter().rfind(newer);
    Some(Restored {
        at: times::of_entry(ledger, entry, now, stored),
        target: event.target.clone(),
        snapshot: event.snapshot,
        sequence: snapshot.map(|one| one.entry.sequence),
        time: snapshot.and_then(|one| one.time),
        restored: event.restored,
        failed: event.failed,
        behind: snapshots.iter().filter(newer).count() as u64,
        behind_seconds: match (snapshot.and_then(|one| one.time), newest.and_then(|one| one.time)) {
            (Some(held), Some(newest)) => times::seconds_between(held, newest),
            _ => 0,
        },
    })
}

fn stale(status: &Status) -> Vec<Stale> {
    let mut stale = Vec::new();
    let backups = &status.backups;
    let Some(achieved_seconds) = backups.achieved_rpo_seconds else {
        stale.push(if backups.newest.is_none() { Stale::NeverBackedUp } else { Stale::NoGoodSnapshot });
        return stale;
    };
    if let Some(rpo) = status.objectives.rpo
        && achieved_seconds > rpo.as_secs()
    {
        stale.push(Stale::RpoMissed { achieved_seconds, objective_seconds: rpo.as_secs() });
    }
    if let Some(within) = status.objectives.verified_within {
        let objective_seconds = within.as_secs();
        let age = status.verified.as_ref().map(|verified| times::seconds_between(verified.at, status.now));
        // A new repository has the same time until its first verification is due.
        let since = age.or(backups.first_good.map(|first| times::seconds_between(first, status.now)));
        match (age, since) {
            (Some(age_seconds), _) if age_seconds > objective_seconds => {
                stale.push(Stale::VerifiedTooLongAgo { age_seconds, objective_seconds });
            }
            (None, Some(waiting)) if waiting > objective_seconds => {
                stale.push(Stale::NeverVerified { objective_seconds });
            }
            _ => {}
        }
    }
    stale
}

#[cfg(test)]
mod tests;
