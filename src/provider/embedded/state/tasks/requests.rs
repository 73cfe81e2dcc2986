//! Task requests: list, get, answer, delete.

use std::sync::Arc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::text::{ObjectText, list};
use super::super::{Answer, InstanceState};
use super::answer::JobAnswer;
use super::queue::settle;
use super::task::{SecretTask, TaskError};
use crate::model::Timestamp;
use crate::model::json::{JsonObject, as_str};

/// Allowed number of errors in one answer.
const ERRORS: std::ops::RangeInclusive<usize> = 1..=10;

impl InstanceState {
    /// Lists the tasks of a secret, newest first; empty for types without a job.
    pub(in super::super) fn list_tasks(&self, id: &str) -> Result<Answer, Refusal> {
        let secret = self.secret(id)?;
        let mut body = ObjectText::new();
        body.raw("tasks", &list(secret.tasks.iter().rev().map(|task| self.renderer.task(id, task))));
        Ok(Answer::ok(body.finish()))
    }

    fn task(&self, id: &str, task: &str) -> Result<&Arc<SecretTask>, Refusal> {
        let found = self.secret(id)?.tasks.iter().find(|found| found.id == task);
        found.ok_or_else(|| Refusal::missing("The secret task"))
    }

    pub(in super::super) fn get_task(&self, id: &str, task: &str) -> Result<Answer, Refusal> {
        Ok(Answer::ok(self.renderer.task(id, self.task(id, task)?)))
    }

    pub(in super::super) fn put_task(
        &mut self,
        now: Timestamp,
        id: &str,
        task: &str,
        text: &str,
    ) -> Result<Answer, Refusal> {
        self.task(id, task)?;
        let task = self.answer_task(now, id, task, said(&InputBody::parse(text)?)?)?;
        Ok(Answer::ok(self.renderer.task(id, &task)))
    }

    /// Deletes a task, answered or not; the next one is then processed.
    pub(in super::super) fn delete_task(&mut self, now: Timestamp, id: &str, task: &str) -> Result<Answer, Refusal> {
        self.task(id, task)?;
        let mut secret = (**self.secret(id)?).clone();
        secret.tasks.retain(|found| found.id != task);
        settle(now, &mut secret);
        if self.switches.tasks_move_updated_at {
            secret.updated_at = now;
        }
        self.put_secret(secret);
        Ok(Answer::no_content())
    }
}

/// Parses an answer, which has one of three forms.
fn said(body: &InputBody<'_>) -> Result<JobAnswer, Refusal> {
    match body.required_string("status")?.as_str() {
        "credentials_created" => {
            body.only(&["status", "credentials"])?;
            let credentials = body.object("credentials")?;
            let text = credentials.ok_or_else(|| Refusal::invalid("The field 'credentials' is required."))?;
            let credentials = InputBody::parse(text.get())?;
            credentials.only(&["id", "payload"])?;
            let id = credentials.required_string("id")?;
            let content = credentials.object("payload")?;
            let content =
                content.filter(|content| JsonObject::parse(content.get()).is_ok_and(|content| !content.is_empty()));
            let content = content.ok_or_else(|| Refusal::invalid("The field 'credentials.payload' is required."))?;
            Ok(JobAnswer::Created { id, content: Zeroizing::new(content.get().to_owned()) })
        }
        "credentials_deleted" => body.only(&["status"]).map(|()| JobAnswer::Deleted),
        "failed" => {
            body.only(&["status", "errors"])?;
            let errors = body.array("errors")?.unwrap_or_default();
            if !ERRORS.contains(&errors.len()) {
                return Err(Refusal::invalid("The field 'errors' must have 1 to 10 items."));
            }
            Ok(JobAnswer::Failed(errors.iter().map(|error| task_error(error)).collect::<Result<_, _>>()?))
        }
        _ => Err(Refusal::invalid("The field 'status' has an unknown value.")),
    }
}

fn task_error(text: &RawValue) -> Result<TaskError, Refusal> {
    let wrong = || Refusal::invalid("An item of 'errors' must have a 'code' and a 'description'.");
    let error = JsonObject::parse(text.get()).map_err(|_| wrong())?;
    let member = |name: &str| error.get(name).and_then(as_str).ok_or_else(wrong);
    Ok(TaskError { code: member("code")?, description: member("description")? })
}
