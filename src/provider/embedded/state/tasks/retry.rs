//! Retries of deleting credentials.

use std::collections::BTreeMap;

use super::task::{SecretTask, TaskKind, TaskStatus, TaskTrigger};
use crate::model::Timestamp;
use crate::provider::embedded::state::data::Secret;

/// Maximum number of attempts to delete credentials, one per day.
const ATTEMPTS: usize = 10;
const DAY: i64 = 86_400_000;

/// A retry of deleting credentials.
pub(in super::super) struct EndRetry {
    pub(in super::super) at: Timestamp,
    pub(super) version_id: String,
    pub(super) trigger: TaskTrigger,
}

/// Returns the next retry of a secret: for a version whose last attempt failed and was not the tenth.
pub(in super::super) fn next_retry(secret: &Secret) -> Option<EndRetry> {
    let mut attempts: BTreeMap<&str, (usize, &SecretTask)> = BTreeMap::new();
    for task in secret.tasks.iter().filter(|task| task.kind == TaskKind::DeleteCredentials) {
        let (count, last) = attempts.entry(&task.version_id).or_insert((0, task));
        (*count, *last) = (*count + 1, task);
    }
    let failed = attempts.values().filter(|(count, last)| last.status == TaskStatus::Failed && *count < ATTEMPTS);
    let retries = failed.map(|(_, last)| EndRetry {
        at: last.updated_at.plus_millis(DAY),
        version_id: last.version_id.clone(),
        trigger: last.trigger,
    });
    retries.min_by_key(|retry| retry.at)
}
