//! Effect of a task's answer on its secret.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::credentials::Ttl;
use super::super::data::{Secret, SecretState, SecretVersion};
use super::super::refusal::Refusal;
use super::super::text::ObjectText;
use super::queue::settle;
use super::task::{SecretTask, TaskError, TaskKind, TaskStatus, TaskTrigger};
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};
use crate::provider::embedded::state::fresh_version::payload_digest;
use crate::provider::embedded::state::rules::check_room;

/// Answer of a job.
pub(super) enum JobAnswer {
    /// New credentials: their id at the job, and an object with their parts.
    Created { id: String, content: Zeroizing<String> },
    /// The credentials were deleted.
    Deleted,
    /// The job failed.
    Failed(Vec<TaskError>),
}

impl JobAnswer {
    fn status(&self) -> TaskStatus {
        match self {
            Self::Created { .. } => TaskStatus::CredentialsCreated,
            Self::Deleted => TaskStatus::CredentialsDeleted,
            Self::Failed(_) => TaskStatus::Failed,
        }
    }
}

impl InstanceState {
    /// Applies an answer. May delete the secret: a secret marked for deletion disappears with its last credentials.
    pub(super) fn answer_task(
        &mut self,
        now: Timestamp,
        secret_id: &str,
        task_id: &str,
        said: JobAnswer,
    ) -> Result<Arc<SecretTask>, Refusal> {
        let mut secret = (**self.secret(secret_id)?).clone();
        let index = secret.tasks.iter().position(|task| task.id == task_id);
        let task =
            index.and_then(|index| secret.tasks.get(index)).ok_or_else(|| Refusal::missing("The secret task"))?;
        if task.status != TaskStatus::Processing {
            return Err(Refusal::invalid("The secret task is not being processed."));
        }
        let fits = match (&said, task.kind) {
            (JobAnswer::Failed(_), _) => true,
            (JobAnswer::Created { .. }, kind) => kind == TaskKind::CreateCredentials,
            (JobAnswer::Deleted, kind) => kind == TaskKind::DeleteCredentials,
        };
        if !fits {
            return Err(Refusal::invalid("The field 'status' does not fit the type of the secret task."));
        }
        let first = secret.versions.iter().any(|version| version.id == task.version_id);
        if matches!(said, JobAnswer::Created { .. }) && !first {
            // A lock may have been set since the order.
            check_room(&secret)?;
        }
        let moves = !matches!(said, JobAnswer::Failed(_)) || self.switches.tasks_move_updated_at;
        let mut changed = (**task).clone();
        changed.status = said.status();
        changed.updated_at = now;
        if let JobAnswer::Failed(errors) = &said {
            changed.errors.clone_from(errors);
        }
        let answered = Arc::new(changed);
        if let Some(task) = index.and_then(|index| secret.tasks.get_mut(index)) {
            *task = Arc::clone(&answered);
        }
        match said {
            JobAnswer::Created { id, content } => self.keep_credentials(now, &mut secret, &answered, &id, &content),
            JobAnswer::Deleted => end_version(&mut secret, &answered.version_id),
            JobAnswer::Failed(_) => {}
        }
        settle(now, &mut secret);
        if moves {
            secret.updated_at = now;
        }
        let over = secret.life == SecretState::Deactivated && !secret.tasks.iter().any(|task| task.is_open());
        if over && secret.versions.iter().all(|version| version.payload.is_none()) {
            self.drop_secret(secret_id);
        } else {
            self.put_secret(secret);
        }
        Ok(answered)
    }

    /// Stores new credentials as the payload of the first version or as a new version.
    fn keep_credentials(&mut self, now: Timestamp, secret: &mut Secret, task: &SecretTask, id: &str, content: &str) {
        let mut payload = ObjectText::new();
        payload.raw("credentials_content", content);
        let payload = payload.finish();
        let end = Ttl::of(&secret.fields).and_then(|ttl| ttl.end(now));
        let fields: JsonObject = [("credentials_id".to_owned(), raw(id))].into_iter().collect();
        let digest = payload_digest(&payload);
        let payload = Some(Arc::new(Payload::new(payload)));
        if secret.life == SecretState::PreActivation {
            secret.life = SecretState::Active;
        }
        let first = secret.versions.iter_mut().find(|version| version.id == task.version_id);
        if let Some(version) = first.map(Arc::make_mut) {
            version.payload = payload;
            version.payload_digest = digest;
            version.fields = fields;
            version.expiration_date = end;
            secret.expiration_date = end;
            return;
        }
        // The version that is pushed out loses its payload here; the next task deletes its credentials.
        let ended = secret.previous().filter(|version| version.payload.is_some()).map(|version| version.id.clone());
        let version = SecretVersion {
            id: task.version_id.clone(),
            created_at: now,
            auto_rotated: task.trigger == TaskTrigger::AutomaticSecretRotation,
            downloaded: false,
            payload,
            payload_digest: digest,
            custom_metadata: task.version_custom_metadata.clone(),
            expiration_date: end,
            fields,
            locks: Vec::new(),
        };
        let rotates = secret.next_rotation_date;
        self.push(secret, version, now);
        // Rotation counts from the order, not from its answer.
        secret.next_rotation_date = rotates;
        if let Some(ended) = ended {
            self.enqueue_end(now, secret, task.trigger, &ended);
        }
    }
}

fn end_version(secret: &mut Secret, version_id: &str) {
    let version = secret.versions.iter_mut().find(|version| version.id == version_id);
    if let Some(version) = version.filter(|version| version.payload.is_some()) {
        Arc::make_mut(version).payload = None;
    }
}
