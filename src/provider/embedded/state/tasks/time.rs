//! What time does to tasks: nobody answers, or the switch answers.

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
    /// Answers what is due. Several tasks of one secret may be: each begins when the one before was answered.
    pub(in super::super) fn sweep_tasks(&mut self, now: Timestamp) {
        for id in self.index.open_tasks() {
            while let Some((task, at, said)) = self.due_answer(now, &id) {
                // Refused only if the task were not there, and it was a moment ago.
                if self.answer_task(at, &id, &task, said).is_err() {
                    break;
                }
            }
        }
    }

    /// Asks again for the end of credentials where the job failed with it a day ago: one for each secret at a time.
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

    /// The processed task of a secret whose answer is due: when that was, and what it is.
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

    /// What a job would have said: credentials with every part that the schema names.
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
