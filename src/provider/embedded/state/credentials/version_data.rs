//! Deletion of a version's data; its metadata stays.

use std::sync::Arc;

use super::super::kinds::iam_credentials;
use super::super::refusal::Refusal;
use super::super::tasks::TaskTrigger;
use super::super::{Answer, InstanceState};
use crate::model::Timestamp;
use crate::provider::embedded::state::secret_kind::SecretKind;

impl InstanceState {
    /// Deletes the credential of a version. For IAM credentials only the current version can be deleted; for custom
    /// credentials also the previous one, and the job gets a task for it.
    pub(in super::super) fn delete_version_data(
        &mut self,
        now: Timestamp,
        id: &str,
        version: &str,
    ) -> Result<Answer, Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        let deletable = match SecretKind::of(&secret.secret_type) {
            Some(SecretKind::IamCredentials) => index == 0,
            Some(SecretKind::CustomCredentials) => index <= 1,
            _ => return Err(Refusal::invalid("The data of a version of this secret type cannot be deleted.")),
        };
        if !deletable {
            return Err(Refusal::invalid("The data of this version cannot be deleted."));
        }
        let target = secret.versions.get(index).filter(|version| version.payload.is_some());
        let target = target.ok_or_else(|| Refusal::invalid(format!("Version {version} is not active.")))?;
        if !target.locks.is_empty() {
            return Err(Refusal::locked());
        }
        if secret.secret_type == "custom_credentials" {
            // The payload stays until the job has deleted the credential.
            let target = target.id.clone();
            self.enqueue_end(now, &mut secret, TaskTrigger::SecretVersionDataDeletion, &target);
            if !self.switches.tasks_move_updated_at {
                self.put_secret(secret);
                return Ok(Answer::no_content());
            }
        } else if secret.secret_type == "iam_credentials" && !iam_credentials::reuses_api_key(&secret.fields) {
            iam_credentials::drop_api_key(&mut secret);
        } else if let Some(target) = secret.versions.get_mut(index) {
            Arc::make_mut(target).payload = None;
        }
        secret.updated_at = now;
        self.put_secret(secret);
        Ok(Answer::no_content())
    }
}
