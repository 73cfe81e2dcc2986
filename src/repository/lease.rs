//! Leases: decide which of several daemons runs a job at a time (`docs/scheduling.md`).
//!
//! A lease is a series of numbered objects, `<repository id>/<job>/<20-digit generation>.json`, each made by a
//! create-only write and never changed. The client that creates the generation after a released or expired one holds
//! the lease. Renewal and release create the next generations, too. Only the newest generation determines the holder.
//!
//! A lease makes duplicate runs rare. It is not a lock: the repository does not depend on it, and losing it does not
//! stop a run. Leases are outside every bucket that retains objects, and are not used if create-only writes are not
//! honoured ([`Leases::probe`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store::Created;
use super::{ObjectInfo, Store, StoreError};
use crate::model::{Clock, FailureKind, Timestamp};

/// Time after its end for which a lease is still respected, in milliseconds: a server's `Date` has whole seconds, and a
/// response takes time.
const MARGIN_MILLIS: i64 = 5_000;
/// Maximum time after its write for which a lease is respected, in milliseconds, whatever its end. A wrong clock or an
/// attacker must not stop the jobs for long.
const LONGEST_MILLIS: i64 = 60 * 60 * 1_000;
/// Maximum time that a completed run may be ahead of the clock, in milliseconds. A later one comes from a wrong clock.
const AHEAD_MILLIS: i64 = 5 * 60 * 1_000;
/// Number of older generations that are kept. A daemon that is slow between reading and writing then hits an existing
/// object, instead of creating an outdated generation.
const KEPT: u64 = 16;
/// Maximum size of a lease object, in bytes.
const LARGEST: usize = 4096;
/// Number of retries if another daemon was faster.
const ROUNDS: usize = 4;
/// Number of concurrent writers in the probe: some servers honour sequential but not concurrent create-only writes.
const RACERS: usize = 8;

/// A lease could not be taken, renewed or released. The job runs anyway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The store failed.
    #[error("the place of the leases failed")]
    Store(#[from] StoreError),
    /// Two daemons could both hold the same lease.
    #[error(
        "leases cannot be kept in {place}: {why}; point daemon.lease_url at an unversioned, unlocked bucket of a server that \
         honours `If-None-Match: *`, or leave it out"
    )]
    Unfit {
        /// The store.
        place: String,
        /// Observed behaviour.
        why: &'static str,
    },
    /// Other clients were faster several times in a row.
    #[error("the lease {folder} changed hands while it was read, {ROUNDS} times in a row")]
    Contended {
        /// The directory of the lease.
        folder: String,
    },
    /// There is no next generation number.
    #[error("the lease {folder} holds a generation that no daemon wrote; delete it")]
    Spoiled {
        /// The directory of the lease.
        folder: String,
    },
}

impl LeaseError {
    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Unfit { .. } => FailureKind::Usage,
            Self::Contended { .. } | Self::Spoiled { .. } => FailureKind::Failed,
        }
    }
}

/// Result of a request for a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// We hold it, until it is released or expires.
    Ours(Lease),
    /// Another client holds it.
    Theirs {
        /// The name of the holder.
        owner: String,
        /// End of the lease, unless it is renewed.
        until: Timestamp,
    },
}

/// A lease that we hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    folder: String,
    generation: u64,
    taken: Timestamp,
    expires: Timestamp,
    done: Option<Timestamp>,
}

impl Lease {
    /// Returns its generation: a later holder has a higher one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the due time of the newest run that any daemon completed under this lease. Only this records the runs of
    /// jobs that write no ledger entry.
    #[must_use]
    pub fn done(&self) -> Option<Timestamp> {
        self.done
    }

    /// Returns its end, unless it is renewed, by the store's clock.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// One generation as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    owner: String,
    nonce: String,
    taken: Timestamp,
    expires: Timestamp,
    released: bool,
    #[serde(default)]
    done: Option<Timestamp>,
}

/// Takes leases for one daemon.
#[derive(Debug, Clone)]
pub struct Leases {
    store: Store,
    clock: Arc<dyn Clock>,
    owner: String,
    term: Duration,
}

impl Leases {
    /// Creates leases in `store` for a daemon named `owner`, each for `term` at a time (at most an hour). `clock` is
    /// used if the store has no clock of its own, as with a directory.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, owner: &str, term: Duration) -> Self {
        Self { store, clock, owner: owner.to_owned(), term }
    }

    /// Returns the duration of a lease without renewal.
    #[must_use]
    pub fn term(&self) -> Duration {
        self.term
    }

    /// Checks that the place is suitable for leases: of several create-only writes of one name, concurrent or
    /// sequential, at most one may succeed, and the object can be deleted.
    ///
    /// Tested with real servers: versioned buckets of Ceph overwrite (its newest release only for concurrent writes);
    /// others ignore the condition or check it before they write.
    ///
    /// # Errors
    /// [`LeaseError::Unfit`], or errors of the store.
    pub async fn probe(&self) -> Result<(), LeaseError> {
        let path = format!("probe/{}.json", Uuid::new_v4());
        let result = self.race(&path).await;
        let deleted = self.store.delete(&path).await;
        result?;
        if deleted.is_err() || self.store.head(&path).await?.is_some() {
            return Err(self.unfit("what was written there cannot be deleted"));
        }
        Ok(())
    }

    async fn race(&self, path: &str) -> Result<(), LeaseError> {
        let texts: Vec<String> = (0..RACERS).map(|_| Uuid::new_v4().to_string()).collect();
        let writes = texts.iter().map(|text| self.store.put_new(path, Bytes::from(text.clone())));
        let written = join_all(writes).await;
        let late = self.store.put_new(path, Bytes::from_static(b"late")).await?;
        let kept = self.store.get(path, LARGEST).await?;
        let told = |at: usize| matches!(written.get(at), Some(Ok(Created::New)));
        let winners: Vec<usize> = (0..RACERS).filter(|at| told(*at)).collect();
        if late == Created::New || winners.len() > 1 {
            return Err(self.unfit("it lets several writers make one and the same object"));
        }
        // No winner at all means that an answer was lost. Otherwise the stored object must be the winner's.
        match winners.first().and_then(|at| texts.get(*at)) {
            Some(text) if kept != text.as_bytes() => Err(self.unfit("it overwrote what it had just refused to")),
            _ => Ok(()),
        }
    }

    fn unfit(&self, why: &'static str) -> LeaseError {
        LeaseError::Unfit { place: self.store.place(), why }
    }

    /// Takes the lease of a job, unless another client holds it.
    ///
    /// # Errors
    /// Errors of the store; [`LeaseError::Contended`], [`LeaseError::Spoiled`].
    pub async fn take(&self, repository: &str, job: &str) -> Result<LeaseAnswer, LeaseError> {
        let folder = format!("{repository}/{}", spelled(job));
        for _ in 0..ROUNDS {
            let newest = match self.newest(&folder).await? {
                LeaseRecord::Is(newest) => newest,
                LeaseRecord::Moved => continue,
            };
            let now = self.now();
            if let Some((_, record)) = &newest
                && !record.released
                && now < record.expires.plus_millis(MARGIN_MILLIS)
            {
                return Ok(LeaseAnswer::Theirs { owner: record.owner.clone(), until: record.expires });
            }
            let (before, done) = newest.map_or((0, None), |(generation, record)| (generation, record.done));
            // A run that is not due yet cannot be completed. Believing it would stop the job until then.
            let done = done.filter(|done| *done <= now.plus_millis(AHEAD_MILLIS));
            let lease = Lease { folder: folder.clone(), generation: before, taken: now, expires: now, done };
            if let Some(lease) = self.next(&lease, now, false).await? {
                return Ok(LeaseAnswer::Ours(lease));
            }
        }
        Err(LeaseError::Contended { folder })
    }

    /// Renews a lease for another term. Returns `false` if it expired and another client has taken it.
    ///
    /// # Errors
    /// As [`Leases::take`]; the lease is then unchanged.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, LeaseError> {
        // This request updates the store's clock: the last answer may be long ago.
        self.store.head(&path(&lease.folder, lease.generation)).await?;
        match self.next(lease, self.now(), false).await? {
            Some(next) => *lease = next,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Releases a lease, so that others need not wait for its end; `done` is the completed run, if any. Has no effect
    /// on a lease that another client has taken.
    ///
    /// # Errors
    /// As [`Leases::take`]; the lease then expires.
    pub async fn release(&self, lease: &Lease, done: Option<Timestamp>) -> Result<(), LeaseError> {
        let lease = Lease { done: lease.done.max(done), ..lease.clone() };
        self.next(&lease, self.now(), true).await.map(drop)
    }

    /// Creates the generation after `lease`. Returns `None` if another client did.
    async fn next(&self, lease: &Lease, now: Timestamp, released: bool) -> Result<Option<Lease>, LeaseError> {
        let folder = &lease.folder;
        let spoiled = || LeaseError::Spoiled { folder: folder.clone() };
        let generation = lease.generation.checked_add(1).ok_or_else(spoiled)?;
        let term = i64::try_from(self.term.as_millis()).unwrap_or(LONGEST_MILLIS).min(LONGEST_MILLIS);
        let record = Record {
            owner: self.owner.clone(),
            nonce: Uuid::new_v4().to_string(),
            taken: lease.taken,
            expires: now.plus_millis(term),
            released,
            done: lease.done,
        };
        if !self.create(&path(folder, generation), &record).await? {
            return Ok(None);
        }
        // Old generations are deleted, so a number may be free again although others are past it.
        let there = self.generations(folder).await?;
        if there.last().is_some_and(|(newest, _)| *newest > generation) {
            return Ok(None);
        }
        for (old, _) in there.iter().filter(|(old, _)| old.saturating_add(KEPT) < generation) {
            // Cleanup only; the next daemon tries again. The probe has shown that deletes work.
            drop(self.store.delete(&path(folder, *old)).await);
        }
        Ok(Some(Lease { generation, expires: record.expires, ..lease.clone() }))
    }

    /// Returns true if exactly this record is stored under that name.
    async fn create(&self, path: &str, record: &Record) -> Result<bool, LeaseError> {
        let bytes = serde_json::to_vec(record).map_err(|error| StoreError::Other {
            what: format!("write {path}"),
            place: self.store.place(),
            source: super::store::Cause::new(&error.to_string()),
        })?;
        let refused = match self.store.put_new(path, bytes.into()).await {
            Ok(Created::New) => return Ok(true),
            Ok(Created::Present) => None,
            Err(error @ (StoreError::Unreachable { .. } | StoreError::Other { .. })) => Some(error),
            Err(error) => return Err(error.into()),
        };
        // A write whose answer was lost is retried and finds its own object. Only the content shows whose it is.
        match (self.store.get(path, LARGEST).await, refused) {
            (Ok(bytes), _) => Ok(serde_json::from_slice::<Record>(&bytes).is_ok_and(|kept| kept.nonce == record.nonce)),
            (Err(StoreError::NotFound { .. }), Some(refused)) => Err(refused.into()),
            (Err(StoreError::NotFound { .. } | StoreError::TooLarge { .. }), _) => Ok(false),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Reads the newest generation.
    async fn newest(&self, folder: &str) -> Result<LeaseRecord, LeaseError> {
        let there = self.generations(folder).await?;
        let Some((generation, object)) = there.last() else { return Ok(LeaseRecord::Is(None)) };
        let longest = object.modified.plus_millis(LONGEST_MILLIS);
        let mut record = match self.store.get(&object.path, LARGEST).await {
            Ok(bytes) => serde_json::from_slice::<Record>(&bytes).ok(),
            Err(StoreError::NotFound { .. }) => return Ok(LeaseRecord::Moved),
            Err(StoreError::TooLarge { .. }) => None,
            Err(error) => return Err(error.into()),
        }
        // Unreadable: assume the term of one of our own leases.
        .unwrap_or_else(|| Record {
            owner: "an unreadable lease".to_owned(),
            nonce: String::new(),
            taken: object.modified,
            expires: object.modified.plus_millis(i64::try_from(self.term.as_millis()).unwrap_or(LONGEST_MILLIS)),
            released: false,
            done: None,
        });
        record.expires = record.expires.min(longest);
        Ok(LeaseRecord::Is(Some((*generation, record))))
    }

    /// Returns the generations of a lease, oldest first.
    async fn generations(&self, folder: &str) -> Result<Vec<(u64, ObjectInfo)>, LeaseError> {
        let listed = self.store.list(folder).await?;
        let number = |object: &ObjectInfo| {
            let digits = object.path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json")?;
            (digits.len() == 20).then(|| digits.parse::<u64>().ok())?
        };
        let mut there: Vec<_> =
            listed.into_iter().filter_map(|object| number(&object).map(|number| (number, object))).collect();
        there.sort_by_key(|(number, _)| *number);
        Ok(there)
    }

    fn now(&self) -> Timestamp {
        self.store.clock().unwrap_or_else(|| self.clock.now())
    }
}

/// Result of reading a lease.
enum LeaseRecord {
    /// Its newest generation, if there is one.
    Is(Option<(u64, Record)>),
    /// It was deleted between listing and reading.
    Moved,
}

fn path(folder: &str, generation: u64) -> String {
    format!("{folder}/{generation:020}.json")
}

/// Encodes the name of a job as one path segment.
fn spelled(job: &str) -> String {
    let spell = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("={other:02x}"),
    };
    job.bytes().map(spell).collect()
}

#[cfg(test)]
mod tests;
