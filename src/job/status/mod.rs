//! How a repository stands: last backup, last verification, achieved recovery point, what is stale.
//!
//! | module | what |
//! |---|---|
//! | `facts` | what is told, as plain data |
//! | `times` | which moment of a snapshot is believed |
//! | `backups` | snapshots: the newest, the gaps between them, days |
//! | `checks` | verifications: per level, slices |
//! | `expiring` | what in the inventory ends, from the catalogue |
//!
//! [`status`] is pure: a ledger, objectives and a moment go in. [`measure`] asks the store for what the ledger alone does
//! not tell, and only where it is needed. Neither needs a key.

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

/// Problems of a ledger that are told in words; the rest is counted.
const PROBLEMS_NAMED: usize = 5;

/// How the repository of this ledger stands at the moment `now`.
///
/// A mistimed snapshot is taken to be as old as it says, and one whose time lies ahead of `now` counts for nothing: only
/// the store knows better ([`measure`]).
#[must_use]
pub fn status(ledger: &Ledger, objectives: &Objectives, now: Timestamp) -> Status {
    status_with(ledger, objectives, now, &StoreTimes::default())
}

/// As [`status`], going by when the store says that an entry was written where the entry's own time is not to be believed.
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

/// As [`status`], asking the store when the entries were written if the time of one cannot be believed.
///
/// # Errors
/// What the store answers when it is asked.
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
    // The dates below are those of entries: one that lies in the future is no date.
    let ahead = ledger.ahead_of(now, SKEW_MILLIS);
    let mut named: Vec<_> = ledger.problems().iter().chain(&ahead).collect();
    let of = |severity| named.iter().filter(|problem| problem.severity() == severity).count() as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    named.sort_by_key(|problem| std::cmp::Reverse(problem.severity()));
    // What this host saw and the bucket lacks comes first: nothing in the bucket can show it.
    let memory = ledger.memory();
    let gone = memory.heads.iter().map(names::entry).chain(memory.policies.iter().map(names::policy));
    let gone: Vec<String> = gone.map(|path| format!("{path} is gone, which this host saw or knows of")).collect();
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

/// Said while the newest snapshot is sealed to other recovery recipients than those in force: a recovery key that was added
/// opens nothing yet, and one that was removed still opens everything.
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

/// The newest restore into a standby, and how far it lies behind.
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
        // A new repository has as long as every other until its first verification is due.
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
