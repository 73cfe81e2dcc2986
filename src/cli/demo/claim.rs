//! Checks a snapshot's claim of one point in time: its catalogue against the instance's own log.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;

use super::story::ConsistencyClaim;
use crate::cli::failure::Failure;
use crate::crypto::Identities;
use crate::format::event::SnapshotEvent;
use crate::model::json::{self, JsonObject};
use crate::model::{ItemKind, Timestamp};
use crate::provider::embedded::History;
use crate::repository::Repository;

/// Fields that a backup's own reads change.
const MOVED_BY_READS: [&str; 2] = ["retrieved_at", "downloaded"];

impl ConsistencyClaim {
    /// The finding in words.
    pub(super) fn words(&self) -> String {
        match self.holds {
            Some(true) => format!("holds that state: one of {} within the interval", self.states),
            Some(false) => format!("holds no such state among the {} within the interval", self.states),
            None => "not asked: the snapshot claims no single moment".to_owned(),
        }
    }
}

/// Compares the secrets of a snapshot with every state that the instance was in within the claimed interval.
pub(super) async fn check(
    repository: &Repository,
    snapshot: &SnapshotEvent,
    catalogue_key: &Arc<Identities>,
    cut: &str,
    history: &History,
) -> Result<ConsistencyClaim, Failure> {
    if cut != "point_in_time" {
        return Ok(ConsistencyClaim { cut: cut.to_owned(), states: 0, holds: None });
    }
    let mut rows = BTreeMap::new();
    let mut items = repository.open_snapshot(snapshot, catalogue_key);
    while let Some(item) = items.try_next().await? {
        if item.key.kind() == ItemKind::Secret {
            let shown = ["row", "locks_row"].map(|name| item.docs.get(name).map(|row| comparable(row.get())));
            rows.insert(item.key.id().to_owned(), shown);
        }
    }
    // The provider's clock shows whole seconds: the end of the interval lies up to one later.
    let end: Timestamp = snapshot.to.plus_millis(999);
    let states = history.between(snapshot.from, end);
    let count = states.clone().count();
    let holds = states.into_iter().any(|index| {
        history.state(index).is_some_and(|state| {
            state.items.secrets.len() == rows.len()
                && rows.iter().all(|(id, shown)| {
                    let own = [state.secret_row(id), state.locks_row(id)];
                    own.map(|row| row.map(|row| comparable(&row))) == *shown
                })
        })
    });
    Ok(ConsistencyClaim { cut: cut.to_owned(), states: count as u64, holds: Some(holds) })
}

fn comparable(row: &str) -> String {
    let mut object = JsonObject::parse(row).unwrap_or_default();
    for name in MOVED_BY_READS {
        drop(object.remove(name));
    }
    json::canonical(&object.to_raw()).unwrap_or_default()
}
