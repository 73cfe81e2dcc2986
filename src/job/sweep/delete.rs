//! Deletes objects: queries each once more, then deletes it. The first real failure ends it, and no count is lost.

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::decide::SweepDecision;
use super::sweep_view::SeenObject;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::Timestamp;
use crate::repository::store::Hold;
use crate::repository::{Store, StoreError};

/// Number of objects queried and deleted in parallel.
const IN_FLIGHT: usize = 8;

/// Result of the deletion.
#[derive(Debug, Default)]
pub(super) struct Deleted {
    /// Number of objects deleted.
    pub(super) objects: u64,
    /// Their total size, in bytes.
    pub(super) bytes: u64,
    /// Number of objects already gone when queried.
    pub(super) gone: u64,
    /// Objects that the store retains after all, with the retention.
    pub(super) locked: Vec<(String, SeenObject, Hold)>,
    /// Number of objects rewritten and now too young.
    pub(super) rewritten: u64,
    /// First failure; no further deletion was started after it.
    pub(super) failed: Option<StoreError>,
    /// True if it was interrupted.
    pub(super) interrupted: bool,
    /// Number of objects not tried, because of a failure or an interruption.
    pub(super) left: u64,
}

/// Result for one object.
enum DeleteResult {
    Deleted(SeenObject),
    Gone,
    Locked(String, SeenObject, Hold),
    Rewritten,
}

/// Deletes the decided objects, and only if they are dated before `before`.
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
