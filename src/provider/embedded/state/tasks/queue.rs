//! Task queue of a secret: one task is processed while the others wait; the last hundred are kept.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::InstanceState;
use super::super::data::{Secret, SecretState};
use super::super::refusal::Refusal;
use super::task::{SecretTask, TaskError, TaskKind, TaskStatus, TaskTrigger};
use crate::model::Timestamp;
use crate::model::json::raw;

/// Maximum number of tasks kept per secret.
const HISTORY: usize = 100;

impl InstanceState {
    /// Appends a task to a secret's queue.
    pub(in super::super) fn enqueue(
        &mut self,
        now: Timestamp,
        secret: &mut Secret,
        kind: TaskKind,
        trigger: TaskTrigger,
        version_id: String,
        version_custom_metadata: Option<Box<RawValue>>,
    ) {
        let task = SecretTask {
            id: format!("sm-task-{}", self.ids.uuid()),
            kind,
            status: TaskStatus::Queued,
            trigger,
            version_id,
            created_at: now,
            updated_at: now,
            errors: Vec::new(),
            version_custom_metadata,
        };
        secret.tasks.push(Arc::new(task));
        settle(now, secret);
    }

    /// Appends a deletion task, unless one for this version is already open.
    pub(in super::super) fn enqueue_end(
        &mut self,
        now: Timestamp,
        secret: &mut Secret,
        trigger: TaskTrigger,
        version_id: &str,
    ) {
        let same = |task: &Arc<SecretTask>| {
            task.is_open() && task.kind == TaskKind::DeleteCredentials && task.version_id == version_id
        };
        if !secret.tasks.iter().any(same) {
            self.enqueue(now, secret, TaskKind::DeleteCredentials, trigger, version_id.to_owned(), None);
        }
    }

    /// Ends the credentials of an expired secret: cancels open creation tasks, and asks the job to delete the existing
    /// credentials.
    pub(in super::super) fn end_credentials(&mut self, now: Timestamp, secret: &mut Secret, versions: &[String]) {
        for task in secret.tasks.iter_mut().filter(|task| task.is_open() && task.kind == TaskKind::CreateCredentials) {
            let task = Arc::make_mut(task);
            task.status = TaskStatus::Failed;
            task.updated_at = now;
            let description = "The secret has ended.".to_owned();
            task.errors = vec![TaskError { code: "secret_ended".to_owned(), description }];
        }
        for version in versions {
            self.enqueue_end(now, secret, TaskTrigger::SecretVersionExpiration, version);
        }
        settle(now, secret);
    }

    /// Marks a secret for deletion and asks its job to delete the credentials; the secret disappears with the last
    /// answer. Returns `false` if the secret can be deleted at once.
    pub(in super::super) fn end_with_credentials(&mut self, now: Timestamp, id: &str) -> Result<bool, Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let live = secret.versions.iter().filter(|version| version.payload.is_some());
        let live: Vec<String> = live.map(|version| version.id.clone()).collect();
        let waits = self.switches.custom_deletion_waits && secret.secret_type == "custom_credentials";
        if !waits || live.is_empty() {
            return Ok(false);
        }
        secret.life = SecretState::Deactivated;
        secret.next_rotation_date = None;
        secret.expiration_date = None;
        secret.updated_at = now;
        secret.tasks.retain(|task| !(task.is_open() && task.kind == TaskKind::CreateCredentials));
        for version in &live {
            self.enqueue_end(now, &mut secret, TaskTrigger::SecretVersionDataDeletion, version);
        }
        settle(now, &mut secret);
        self.put_secret(secret);
        Ok(true)
    }
}

/// Starts the first queued task if none is in progress, removes the oldest answered tasks above the limit, and updates
/// the counts in the metadata.
pub(super) fn settle(now: Timestamp, secret: &mut Secret) {
    let busy = secret.processing_task().is_some();
    let mut waiting = secret.tasks.iter_mut().filter(|task| task.status == TaskStatus::Queued);
    let next = waiting.next().map(Arc::make_mut);
    if !busy && let Some(next) = next {
        next.status = TaskStatus::Processing;
        next.updated_at = now;
    }
    while secret.tasks.len() > HISTORY {
        let Some(oldest) = secret.tasks.iter().position(|task| !task.is_open()) else { break };
        secret.tasks.remove(oldest);
    }
    let queued = secret.tasks.iter().filter(|task| task.status == TaskStatus::Queued).count();
    let processing = secret.processing_task().map(|task| task.id.clone());
    let failed = secret.tasks.iter().rev().find(|task| task.status == TaskStatus::Failed).map(|task| task.id.clone());
    let mut rotations = secret
        .tasks
        .iter()
        .rev()
        .filter(|task| task.is_rotation() && task.kind == TaskKind::CreateCredentials && !task.is_open());
    let rotation_failed = rotations.next().is_some_and(|task| task.status == TaskStatus::Failed);
    let fields = &mut secret.fields;
    fields.set("task_count", raw(&secret.tasks.len()));
    fields.set("queued_task_count", raw(&queued));
    for (name, id) in [("processing_task_id", processing), ("last_failed_task_id", failed)] {
        match id {
            Some(id) => fields.set(name, raw(&id)),
            None => drop(fields.remove(name)),
        }
    }
    fields.set("last_rotation_failed", raw(&rotation_failed));
}
