//! What a sweep says: what goes, what stays and why, and what the next one will take.

use serde::Serialize;

use super::decide::{Plan, SweepCandidate, SweepDecision};
use super::delete::Deleted;
use super::stop::{SweepStop, worst};
use super::sweep_view::SeenObject;
use crate::job::{RunFacts, RunResult};
use crate::model::{Digest, FailureKind, Timestamp};
use crate::repository::store::Hold;
use crate::repository::{Repository, StoreError};

/// Objects and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectTotals {
    /// How many.
    pub objects: u64,
    /// Their size together, in bytes.
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

/// Objects that stay until some date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RetainedObjects {
    /// How many, and their size.
    #[serde(flatten)]
    pub amount: ObjectTotals,
    /// When the first of them may go; `None` when no date is known.
    pub first: Option<Timestamp>,
    /// When the last of them may go; `None` when no date is known.
    pub last: Option<Timestamp>,
}

impl RetainedObjects {
    fn of<'a>(objects: impl Iterator<Item = (&'a SeenObject, Option<Timestamp>)> + Clone) -> Self {
        let dates = objects.clone().filter_map(|(_, date)| date);
        let (first, last) = (dates.clone().min(), dates.max());
        Self { amount: ObjectTotals::of(objects.map(|(object, _)| object)), first, last }
    }
}

/// A snapshot that is gone for good with this sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweptSnapshot {
    /// Its entry.
    pub snapshot: Digest,
    /// The sequence of its entry.
    pub sequence: u64,
    /// By which rule it was forgotten.
    pub rule: String,
    /// When it was forgotten, by the store's clock.
    pub since: Timestamp,
}

/// A snapshot that was forgotten and stays for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingSnapshot {
    /// Its entry.
    pub snapshot: Digest,
    /// The sequence of its entry.
    pub sequence: u64,
    /// By which rule it was forgotten.
    pub rule: String,
    /// From when a sweep may take it; `None` when the date of the entry that gave it up is not known yet.
    pub goes_after: Option<Timestamp>,
}

/// A reason to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// The reason in a word.
    pub reason: &'static str,
    /// The reason, and what to do, for people.
    pub text: String,
}

/// The result of a sweep, or of looking what one would do.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct SweepReport {
    /// The repository.
    pub repository: String,
    /// Where it lies.
    pub place: String,
    /// Whether it was to delete; otherwise it only looked.
    pub applied: bool,
    /// Why nothing was deleted; empty when nothing stood against it.
    pub stopped: Vec<Stopped>,
    /// The present by the clock that dates the objects; `None` when it is not known.
    pub now: Option<Timestamp>,
    /// Only what is dated before this moment goes.
    pub before: Option<Timestamp>,
    /// The snapshots that are gone for good with it.
    pub snapshots: Vec<SweptSnapshot>,
    /// What goes.
    pub going: ObjectTotals,
    /// How much of that no snapshot ever named or names any more: of runs that died, and of sweeps that did.
    pub orphans: ObjectTotals,
    /// What was deleted.
    pub deleted: ObjectTotals,
    /// What was gone already when it was asked about.
    pub gone: u64,
    /// How many snapshots are live.
    pub live: u64,
    /// Snapshots that were forgotten and stay for now.
    pub waiting: Vec<WaitingSnapshot>,
    /// What no snapshot needs and is too young: of a running backup, or of one that died.
    pub young: RetainedObjects,
    /// What the store keeps until a date.
    pub locked: RetainedObjects,
    /// What the store keeps with no end that is known, such as a legal hold.
    pub held: ObjectTotals,
    /// Objects of given-up snapshots that a kept one needs, too.
    pub shared: ObjectTotals,
    /// Files that are none of ours, left alone.
    pub foreign: u64,
    /// When the next sweep may find something; `None` when nothing waits for a date.
    pub next: Option<Timestamp>,
    /// Whether the bucket keeps older versions of what is deleted.
    pub versioned: bool,
    /// The entry of the sweep, once it is written.
    pub entry: Option<Digest>,
    /// What was not tried, because of a failure or an interruption.
    pub left: u64,
    /// The failure that ended the deleting, for people.
    pub failed: Option<String>,
    /// Whether it was interrupted while it deleted.
    pub interrupted: bool,
    /// What went wrong beside it.
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

    /// Why it ended otherwise than well; `None` when what could go went, whatever is locked.
    #[must_use]
    pub fn failure(&self) -> Option<FailureKind> {
        match (&self.failure, self.interrupted) {
            (Some(error), _) => Some(error.kind()),
            (None, true) => Some(FailureKind::Interrupted),
            (None, false) => self.kind,
        }
    }

    /// The failure of the store that ended the deleting.
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
