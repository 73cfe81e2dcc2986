//! Deleting: each object is asked about once more, then deleted; the first real failure ends it, and no count is lost.

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::decide::SweepDecision;
use super::sweep_view::SeenObject;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::Timestamp;
use crate::repository::store::Hold;
use crate::repository::{Store, StoreError};

/// Objects that are asked about and deleted side by side.
const IN_FLIGHT: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// How many objects were deleted.
    pub(super) objects: u64,
    /// Their size together, in bytes.
    pub(super) bytes: u64,
    /// How many were gone by the time that they were asked about.
    pub(super) gone: u64,
    /// What the store keeps after all, and what holds it.
    pub(super) locked: Vec<(String, SeenObject, Hold)>,
    /// What was written again and is young now.
    pub(super) rewritten: u64,
    /// The first failure; nothing more was begun after it.
    pub(super) failed: Option<StoreError>,
    /// Whether it was interrupted.
    pub(super) interrupted: bool,
    /// What was not tried, because of a failure or an interruption.
    pub(super) left: u64,
}

/// What came of one object.
enum DeleteResult {
    Deleted(SeenObject),
    Gone,
    Locked(String, SeenObject, Hold),
    Rewritten,
}

/// Deletes what goes. Only what is dated before `before`.
pub(super) async fn delete(context: &Context, store: &Store, settled: &SweepDecision, before: Timestamp) -> Deleted {
    let stage = Stage::Apply;
    context.observer.observe(JobEvent::Begin { stage, total: Some(settled.going.len() as u64) });
    let mut deleted = Deleted::default();
    let mut waiting = settled.going.iter();
    let mut flying = FuturesUnordered::new();
    loop {
        deleted.interrupted |= context.cancel.is_cancelled();
        let go_on = deleted.failed.is_none() && !deleted.interrupted;
        while go_on
            && flying.len() < IN_FLIGHT
            && let Some((path, object)) = waiting.next()
        {
            flying.push(one(context, store, path, *object, before));
        }
        let Some(fate) = flying.next().await else { break };
        deleted.count(fate);
        context.observer.observe(JobEvent::Advance { stage, by: 1 });
    }
    deleted.left = waiting.count() as u64;
    context.observer.observe(JobEvent::End { stage });
    deleted
}

impl Deleted {
    fn count(&mut self, fate: Result<DeleteResult, StoreError>) {
        match fate {
            Ok(DeleteResult::Deleted(object)) => {
                self.objects += 1;
                self.bytes = self.bytes.saturating_add(object.size);
            }
            Ok(DeleteResult::Gone) => self.gone += 1,
            Ok(DeleteResult::Locked(path, object, hold)) => self.locked.push((path, object, hold)),
            Ok(DeleteResult::Rewritten) => self.rewritten += 1,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }
}

async fn one(
    context: &Context,
    store: &Store,
    path: &str,
    object: SeenObject,
    before: Timestamp,
) -> Result<DeleteResult, StoreError> {
    let Some(answer) = store.retention(path).await? else { return Ok(DeleteResult::Gone) };
    if answer.object.modified >= before {
        return Ok(DeleteResult::Rewritten);
    }
    let now = if store.shares_clock() { Some(context.clock.now()) } else { store.clock() };
    if let Some(hold) = answer.hold(now) {
        return Ok(DeleteResult::Locked(path.to_owned(), object, hold));
    }
    match store.delete(path).await {
        Ok(()) => Ok(DeleteResult::Deleted(object)),
        Err(StoreError::Held { hold, .. }) => Ok(DeleteResult::Locked(path.to_owned(), object, hold)),
        Err(error) => Err(error),
    }
}
