//! Tasks as plain data.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::Timestamp;

/// Kind of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Create credentials.
    CreateCredentials,
    /// Delete existing credentials.
    DeleteCredentials,
}

/// Status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waiting for another task of the secret.
    Queued,
    /// The job is processing it.
    Processing,
    /// The job created the credentials.
    CredentialsCreated,
    /// The job deleted the credentials.
    CredentialsDeleted,
    /// The job reported errors or timed out.
    Failed,
}

/// Cause of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskTrigger {
    /// A new secret.
    SecretCreation,
    /// A request for a new version.
    ManualSecretRotation,
    /// The rotation policy.
    AutomaticSecretRotation,
    /// A request to delete the data of a version, or the secret, for which the provider has no separate word.
    SecretVersionDataDeletion,
    /// The end of the lifetime.
    SecretVersionExpiration,
}

macro_rules! word {
    ($type:ty { $($value:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Returns the provider's word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }
    };
}

word!(TaskKind { CreateCredentials => "create_credentials", DeleteCredentials => "delete_credentials" });
word!(TaskStatus {
    Queued => "queued",
    Processing => "processing",
    CredentialsCreated => "credentials_created",
    CredentialsDeleted => "credentials_deleted",
    Failed => "failed",
});
word!(TaskTrigger {
    SecretCreation => "secret_creation",
    ManualSecretRotation => "manual_secret_rotation",
    AutomaticSecretRotation => "automatic_secret_rotation",
    SecretVersionDataDeletion => "secret_version_data_deletion",
    SecretVersionExpiration => "secret_version_expiration",
});

/// Error of a failed task, in the words of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Short code.
    pub code: String,
    /// Description.
    pub description: String,
}

/// A task of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretTask {
    /// `sm-task-` and a UUID.
    pub id: String,
    /// Kind.
    pub kind: TaskKind,
    /// Status.
    pub status: TaskStatus,
    /// Cause.
    pub trigger: TaskTrigger,
    /// Id of the version: an existing one, or the future id of a new one.
    pub version_id: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change; while it is processed, the time when that began.
    pub updated_at: Timestamp,
    /// Errors, if it failed.
    pub errors: Vec<TaskError>,
    /// Metadata for the new version.
    pub version_custom_metadata: Option<Box<RawValue>>,
}

impl SecretTask {
    /// True if it waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, TaskStatus::Queued | TaskStatus::Processing)
    }

    /// True if it was caused by a rotation.
    #[must_use]
    pub fn is_rotation(&self) -> bool {
        matches!(self.trigger, TaskTrigger::ManualSecretRotation | TaskTrigger::AutomaticSecretRotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored<T: Serialize>(value: T) -> String {
        serde_json::to_string(&value).unwrap()
    }

    #[test]
    fn words_are_those_that_are_stored() {
        for status in [TaskStatus::Queued, TaskStatus::CredentialsCreated, TaskStatus::Failed] {
            assert_eq!(stored(status), format!("\"{}\"", status.word()));
        }
        assert_eq!(stored(TaskKind::DeleteCredentials), format!("\"{}\"", TaskKind::DeleteCredentials.word()));
        let trigger = TaskTrigger::SecretVersionDataDeletion;
        assert_eq!(stored(trigger), format!("\"{}\"", trigger.word()));
    }
}
