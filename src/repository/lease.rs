//! Leases: who of several daemons runs a job just now (`docs/scheduling.md`).
//!
//! A lease is a row of numbered objects, `<repository id>/<job>/<20-digit generation>.json`, each made by a create-only
//! write and never changed. Who makes the next generation after one that was released or has expired holds the lease;
//! renewing and releasing it are the next generations, too. The newest generation alone says who holds it.
//!
//! A lease makes a double run rare and is no lock: nothing of a repository relies on it, and a lost one stops no run.
//! It lies outside of every bucket that keeps what is written, and where create-only writes are not honoured
//! ([`Leases::probe`]) it is not used at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store::Created;
use super::{ObjectInfo, Store, StoreError};
use crate::model::{Clock, FailureKind, Timestamp};

/// How long past its end a lease is still respected, in milliseconds: a server's `Date` has whole seconds, and an
/// answer takes its time.
const MARGIN_MILLIS: i64 = 5_000;
/// No lease is believed longer than this after it was written, in milliseconds, whatever it says: one written by a wild
/// clock, or by somebody who means harm, must not stop the jobs for long.
const LONGEST_MILLIS: i64 = 60 * 60 * 1_000;
/// How far ahead of the clock a run that was done may lie, in milliseconds; what lies further was written by a clock
/// that was wrong.
const AHEAD_MILLIS: i64 = 5 * 60 * 1_000;
/// Generations that stay behind the newest. A daemon that is slow between looking and writing then meets an object,
/// instead of making one of a number that is long over.
const KEPT: u64 = 16;
/// The largest lease object that is read, in bytes.
const LARGEST: usize = 4096;
/// Number of retries if another daemon was faster.
const ROUNDS: usize = 4;
/// Writers side by side in the probe: some servers honour one create after the other, but not two at once.
const RACERS: usize = 8;

/// Why a lease could not be taken, renewed or given back. A job runs all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The store failed.
    #[error("the place of the leases failed")]
    Store(#[from] StoreError),
    /// Two daemons could both be told that they hold a lease.
    #[error(
        "leases cannot be kept in {place}: {why}; point daemon.lease_url at an unversioned, unlocked bucket of a server that \
         honours `If-None-Match: *`, or leave it out"
    )]
    Unfit {
        /// The store.
        place: String,
        /// Its action.
        why: &'static str,
    },
    /// Others were faster several times in a row.
    #[error("the lease {folder} changed hands while it was read, {ROUNDS} times in a row")]
    Contended {
        /// The folder of the lease.
        folder: String,
    },
    /// There is no next number.
    #[error("the lease {folder} holds a generation that no daemon wrote; delete it")]
    Spoiled {
        /// The folder of the lease.
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
    /// It is ours, until it is released or expires.
    Ours(Lease),
    /// Another holds it.
    Theirs {
        /// Who, as it calls itself.
        owner: String,
        /// Its end, unless it is renewed.
        until: Timestamp,
    },
}

/// A lease that we took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    folder: String,
    generation: u64,
    taken: Timestamp,
    expires: Timestamp,
    done: Option<Timestamp>,
}

impl Lease {
    /// Its number: a later holder has a higher one.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The newest run that was brought to its end under this lease, by whomever: when it was due. For jobs that leave
    /// no entry in the ledger, nothing else says so.
    #[must_use]
    pub fn done(&self) -> Option<Timestamp> {
        self.done
    }

    /// When it ends unless it is renewed, by the store's clock.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// One generation as it is stored.
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
    /// Leases in `store` for a daemon that calls itself `owner`, each for `term` at a time (at most an hour). `clock`
    /// is used where the store has none of its own: in a folder.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, owner: &str, term: Duration) -> Self {
        Self { store, clock, owner: owner.to_owned(), term }
    }

    /// Returns the duration of a lease without renewal.
    #[must_use]
    pub fn term(&self) -> Duration {
        self.term
    }

    /// Tries whether the place is fit for leases: of several create-only writes of one name, at once and after each
    /// other, one may succeed, and what was made can be deleted.
    ///
    /// Tried with real servers: versioned buckets of Ceph overwrite, its newest release when the writes are
    /// simultaneous; others ignore the condition or check before they write.
    ///
    /// # Errors
    /// [`LeaseError::Unfit`], or what the store answers.
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
        // No winner at all is an answer that was lost on the way; what is kept must be the winner's otherwise.
        match winners.first().and_then(|at| texts.get(*at)) {
            Some(text) if kept != text.as_bytes() => Err(self.unfit("it overwrote what it had just refused to")),
            _ => Ok(()),
        }
    }

    fn unfit(&self, why: &'static str) -> LeaseError {
        LeaseError::Unfit { place: self.store.place(), why }
    }

    /// Takes the lease of a job, unless another holds it.
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
            // Nobody has done what is not due yet; believed, it would keep the job from being run until then.
            let done = done.filter(|done| *done <= now.plus_millis(AHEAD_MILLIS));
            let lease = Lease { folder: folder.clone(), generation: before, taken: now, expires: now, done };
            if let Some(lease) = self.next(&lease, now, false).await? {
                return Ok(LeaseAnswer::Ours(lease));
            }
        }
        Err(LeaseError::Contended { folder })
    }

    /// Holds a lease for another term. `false`: another has taken it since it expired, and it is ours no more.
    ///
    /// # Errors
    /// As [`Leases::take`]; the lease is then as it was.
    pub async fn renew(&self, lease: &mut Lease) -> Result<bool, LeaseError> {
        // Asked for its clock as much as for anything: the last answer may be long ago.
        self.store.head(&path(&lease.folder, lease.generation)).await?;
        match self.next(lease, self.now(), false).await? {
            Some(next) => *lease = next,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Gives a lease back, so that others need not wait for its end; `done` is the run that was brought to its end, if
    /// one was. A lease that another has taken by now is left alone.
    ///
    /// # Errors
    /// As [`Leases::take`]; it then ends by itself.
    pub async fn release(&self, lease: &Lease, done: Option<Timestamp>) -> Result<(), LeaseError> {
        let lease = Lease { done: lease.done.max(done), ..lease.clone() };
        self.next(&lease, self.now(), true).await.map(drop)
    }

    /// Makes the generation after `lease`. `None` when another did.
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
        // Generations that are over are deleted: a number may be free again that others are past already.
        let there = self.generations(folder).await?;
        if there.last().is_some_and(|(newest, _)| *newest > generation) {
            return Ok(None);
        }
        for (old, _) in there.iter().filter(|(old, _)| old.saturating_add(KEPT) < generation) {
            // Only tidiness; the next daemon tries again. That deleting works at all was probed.
            drop(self.store.delete(&path(folder, *old)).await);
        }
        Ok(Some(Lease { generation, expires: record.expires, ..lease.clone() }))
    }

    /// Returns true if exactly this record is stored under that name now.
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
        // A write whose answer was lost is sent again and finds itself: only the content shows whose it is.
        match (self.store.get(path, LARGEST).await, refused) {
            (Ok(bytes), _) => Ok(serde_json::from_slice::<Record>(&bytes).is_ok_and(|kept| kept.nonce == record.nonce)),
            (Err(StoreError::NotFound { .. }), Some(refused)) => Err(refused.into()),
            (Err(StoreError::NotFound { .. } | StoreError::TooLarge { .. }), _) => Ok(false),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The newest generation and what it says.
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
        // Nobody knows what it was meant to say: it holds for as long as one of ours would.
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

    /// The generations of a lease, oldest first.
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
    /// It was listed and gone when it was read.
    Moved,
}

fn path(folder: &str, generation: u64) -> String {
    format!("{folder}/{generation:020}.json")
}

/// The name of a job as one segment of a path.
fn spelled(job: &str) -> String {
    let spell = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("={other:02x}"),
    };
    job.bytes().map(spell).collect()
}

#[cfg(test)]
mod tests;
