//! Time-based answers of tasks: timeouts, and automatic answers if the switch is on.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::credentials::engine;
use super::super::data::Secret;
use super::super::text::ObjectText;
use super::answer::JobAnswer;
use super::retry::next_retry;
use super::task::{SecretTask, TaskError, TaskKind};
use crate::model::Timestamp;

impl InstanceState {
    /// Answers all due tasks. A secret may have several: each begins when the previous one was answered.
    pub(in super::super) fn sweep_tasks(&mut self, now: Timestamp) {
        for id in self.index.open_tasks() {
            while let Some((task, at, said)) = self.due_answer(now, &id) {
                // Fails only if the task did not exist, but it was found just now.
                if self.answer_task(at, &id, &task, said).is_err() {
                    break;
                }
            }
        }
    }

    /// Retries deletions that the job failed a day ago, one per secret at a time.
    pub(in super::super) fn retry_ends(&mut self, now: Timestamp) {
        for id in self.index.retries(now.millis()) {
            let Some(secret) = self.items.secrets.get(&id) else { continue };
            let Some(retry) = next_retry(secret) else { continue };
            let mut secret = (**secret).clone();
            self.enqueue_end(now, &mut secret, retry.trigger, &retry.version_id);
            if self.switches.tasks_move_updated_at {
                secret.updated_at = now;
            }
            self.put_secret(secret);
        }
    }

    /// Returns the task in progress of a secret if its answer is due, with the due time and the answer.
    fn due_answer(&mut self, now: Timestamp, id: &str) -> Option<(String, Timestamp, JobAnswer)> {
        let secret = Arc::clone(self.items.secrets.get(id)?);
        let task = Arc::clone(secret.processing_task()?);
        let since = |seconds: u64| Some(task.updated_at.plus_millis(i64::try_from(seconds).ok()?.checked_mul(1000)?));
        let timeout = since(engine::task_timeout(self.engine_of(&secret).as_deref()))?;
        let answered =
            since(u64::from(self.switches.task_answer_seconds)).filter(|_| self.switches.task_answer_seconds > 0);
        match answered.filter(|answered| *answered < timeout) {
            Some(at) if at <= now => Some((task.id.clone(), at, self.made_up(&secret, &task))),
            Some(_) => None,
            None if timeout <= now => {
                let description = "The job did not answer in time.".to_owned();
                let errors = vec![TaskError { code: "task_timeout".to_owned(), description }];
                Some((task.id.clone(), timeout, JobAnswer::Failed(errors)))
            }
            None => None,
        }
    }

    /// Returns the simulated answer of a job: credentials with every part in the schema.
    fn made_up(&mut self, secret: &Secret, task: &SecretTask) -> JobAnswer {
        if task.kind == TaskKind::DeleteCredentials {
            return JobAnswer::Deleted;
        }
        let mut content = ObjectText::new();
        for name in engine::credential_names(self.engine_of(secret).as_deref()) {
            let value: Zeroizing<String> = self.ids.api_key();
            content.str(&name, &value);
        }
        JobAnswer::Created { id: self.ids.uuid(), content: content.finish() }
    }
}
