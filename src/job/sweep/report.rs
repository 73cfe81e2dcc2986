//! Report of a sweep: what is deleted, what is kept and why, and what the next sweep will delete.

use serde::Serialize;

use super::decide::{Plan, SweepCandidate, SweepDecision};
use super::delete::Deleted;
use super::stop::{SweepStop, worst};
use super::sweep_view::SeenObject;
use crate::job::{RunFacts, RunResult};
use crate::model::{Digest, FailureKind, Timestamp};
use crate::repository::store::Hold;
use crate::repository::{Repository, StoreError};

/// Number and total size of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectTotals {
    /// Number of objects.
    pub objects: u64,
    /// Total size, in bytes.
    pub bytes: u64,
}

impl ObjectTotals {
    fn of<'a>(objects: impl Iterator<Item = &'a SeenObject>) -> Self {
        objects.fold(Self::default(), |sum, object| Self {
            objects: sum.objects + 1,
            bytes: sum.bytes.saturating_add(object.size),
        })
    }
}

/// Objects that are kept until some date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RetainedObjects {
    /// Number and total size.
    #[serde(flatten)]
    pub amount: ObjectTotals,
    /// Earliest date at which one of them may be deleted; `None` if unknown.
    pub first: Option<Timestamp>,
    /// Date at which the last of them may be deleted; `None` if unknown.
    pub last: Option<Timestamp>,
}

impl RetainedObjects {
    fn of<'a>(objects: impl Iterator<Item = (&'a SeenObject, Option<Timestamp>)> + Clone) -> Self {
        let dates = objects.clone().filter_map(|(_, date)| date);
        let (first, last) = (dates.clone().min(), dates.max());
        Self { amount: ObjectTotals::of(objects.map(|(object, _)| object)), first, last }
    }
}

/// A snapshot that this sweep makes unrestorable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweptSnapshot {
    /// Digest of its entry.
    pub snapshot: Digest,
    /// Sequence number of its entry.
    pub sequence: u64,
    /// Rule by which it was forgotten.
    pub rule: String,
    /// Time at which it was forgotten, by the store's clock.
    pub since: Timestamp,
}

/// A forgotten snapshot that is not due yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingSnapshot {
    /// Digest of its entry.
    pub snapshot: Digest,
    /// Sequence number of its entry.
    pub sequence: u64,
    /// Rule by which it was forgotten.
    pub rule: String,
    /// Time from which a sweep may delete it; `None` if the date of its forget entry is unknown.
    pub goes_after: Option<Timestamp>,
}

/// A reason to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Fixed word for the reason.
    pub reason: &'static str,
    /// The reason, and what to do, for the operator.
    pub text: String,
}

/// Result of a sweep or of a dry run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// Repository id.
    pub repository: String,
    /// Location of the repository.
    pub place: String,
    /// True if the sweep was to delete; false for a dry run.
    pub applied: bool,
    /// Reasons why nothing was deleted; empty if there were none.
    pub stopped: Vec<Stopped>,
    /// Current time by the clock that dates the objects; `None` if unknown.
    pub now: Option<Timestamp>,
    /// Only objects dated before this time are deleted.
    pub before: Option<Timestamp>,
    /// Snapshots that become unrestorable.
    pub snapshots: Vec<SweptSnapshot>,
    /// Objects to delete.
    pub going: ObjectTotals,
    /// Of these, objects that no snapshot names, or ever named: from aborted runs and aborted sweeps.
    pub orphans: ObjectTotals,
    /// Objects deleted.
    pub deleted: ObjectTotals,
    /// Number of objects already gone when queried.
    pub gone: u64,
    /// Number of live snapshots.
    pub live: u64,
    /// Forgotten snapshots that are not due yet.
    pub waiting: Vec<WaitingSnapshot>,
    /// Unreferenced objects that are too young: from a running backup, or from an aborted one.
    pub young: RetainedObjects,
    /// Objects that the store retains until a date.
    pub locked: RetainedObjects,
    /// Objects that the store retains without a known end, such as under a legal hold.
    pub held: ObjectTotals,
    /// Objects of forgotten snapshots that a kept snapshot needs too.
    pub shared: ObjectTotals,
    /// Number of files with foreign names, which are never deleted.
    pub foreign: u64,
    /// Time at which the next sweep may find something; `None` if nothing waits for a date.
    pub next: Option<Timestamp>,
    /// True if the bucket keeps older versions of deleted objects.
    pub versioned: bool,
    /// Entry of the sweep, once written.
    pub entry: Option<Digest>,
    /// Number of objects not tried, because of a failure or an interruption.
    pub left: u64,
    /// Failure that ended the deletion, for the operator.
    pub failed: Option<String>,
    /// True if it was interrupted during the deletion.
    pub interrupted: bool,
    /// Warnings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(skip)]
    kind: Option<FailureKind>,
    #[serde(skip)]
    grace: i64,
    #[serde(skip)]
    failure: Option<StoreError>,
}

impl SweepReport {
    pub(super) fn new(repository: &Repository, applied: bool, now: Option<Timestamp>, grace: i64) -> Self {
        Self {
            repository: repository.id().to_string(),
            place: repository.store().place(),
            applied,
            stopped: Vec::new(),
            now,
            before: None,
            snapshots: Vec::new(),
            going: ObjectTotals::default(),
            orphans: ObjectTotals::default(),
            deleted: ObjectTotals::default(),
            gone: 0,
            live: 0,
            waiting: Vec::new(),
            young: RetainedObjects::default(),
            locked: RetainedObjects::default(),
            held: ObjectTotals::default(),
            shared: ObjectTotals::default(),
            foreign: 0,
            next: None,
            versioned: false,
            entry: None,
            left: 0,
            failed: None,
            interrupted: false,
            warnings: Vec::new(),
            kind: None,
            grace,
            failure: None,
        }
    }

    /// Returns the kind of failure; `None` if everything that may be deleted was deleted. Locked objects are no
    /// failure.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        match (&self.failure, self.interrupted) {
            (Some(error), _) => Some(error.kind()),
            (None, true) => Some(FailureKind::Interrupted),
            (None, false) => self.kind,
        }
    }

    /// Returns the store failure that ended the deletion.
    #[must_use]
    pub fn store_failure(&self) -> Option<&StoreError> {
        self.failure.as_ref()
    }

    pub(super) fn stop(&mut self, stops: &[SweepStop]) {
        self.kind = worst(stops);
        self.stopped = stops.iter().map(|stop| Stopped { reason: stop.word(), text: stop.to_string() }).collect();
    }

    pub(super) fn planned(&mut self, plan: &Plan, settled: &SweepDecision) {
        self.before = Some(plan.before);
        self.snapshots = settled.sweeping.iter().map(swept).collect();
        self.going = ObjectTotals::of(settled.going.values());
        let of_snapshots = |path: &String| settled.sweeping.iter().any(|due| due.paths.contains(path));
        self.orphans =
            ObjectTotals::of(settled.going.iter().filter(|(path, _)| !of_snapshots(path)).map(|(_, object)| object));
        self.gone = settled.gone as u64;
        self.live = plan.live as u64;
        let waiting = plan.waiting.iter().map(|waiting| WaitingSnapshot {
            snapshot: waiting.entry,
            sequence: waiting.sequence,
            rule: waiting.rule.clone(),
            goes_after: waiting.goes_after,
        });
        self.waiting = waiting.collect();
        let young = plan.young.values().chain(settled.rewritten.values());
        self.young = RetainedObjects::of(young.map(|object| (object, Some(object.modified.plus_millis(self.grace)))));
        self.lock(settled.locked.values().map(|(object, hold)| (*object, *hold)));
        self.shared = ObjectTotals::of(plan.shared.values());
        self.foreign = plan.foreign as u64;
        self.versioned = settled.versioned;
        self.look_ahead();
    }

    pub(super) fn done(&mut self, settled: &SweepDecision, deleted: Deleted) {
        self.deleted = ObjectTotals { objects: deleted.objects, bytes: deleted.bytes };
        self.gone += deleted.gone;
        let late = deleted.locked.iter().map(|(_, object, hold)| (*object, *hold));
        self.lock(settled.locked.values().map(|(object, hold)| (*object, *hold)).chain(late));
        self.left = deleted.left;
        self.interrupted = deleted.interrupted;
        self.failed = deleted.failed.as_ref().map(ToString::to_string);
        self.failure = deleted.failed;
        self.look_ahead();
    }

    fn lock(&mut self, locked: impl Iterator<Item = (SeenObject, Hold)>) {
        let (mut dated, mut open) = (Vec::new(), Vec::new());
        for (object, hold) in locked {
            match hold {
                Hold::Until(date) => dated.push((object, date)),
                Hold::Open => open.push(object),
            }
        }
        self.locked = RetainedObjects::of(dated.iter().map(|(object, date)| (object, Some(*date))));
        self.held = ObjectTotals::of(open.iter());
    }

    fn look_ahead(&mut self) {
        let snapshots = self.waiting.iter().filter_map(|waiting| waiting.goes_after);
        self.next = snapshots.chain(self.young.first).chain(self.locked.first).min();
    }
}

fn swept(due: &SweepCandidate) -> SweptSnapshot {
    SweptSnapshot { snapshot: due.entry, sequence: due.sequence, rule: due.rule.clone(), since: due.since }
}

impl RunResult for SweepReport {
    fn facts(&self) -> RunFacts {
        RunFacts::default()
    }
}
