//! One task as plain data.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::Timestamp;

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// New credentials.
    CreateCredentials,
    /// The end of credentials that were made before.
    DeleteCredentials,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Another task of the secret comes first.
    Queued,
    /// The job is at it.
    Processing,
    /// Answered with credentials.
    CredentialsCreated,
    /// Answered: they are gone.
    CredentialsDeleted,
    /// Answered with errors, or not in time.
    Failed,
}

/// What led to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskTrigger {
    /// A new secret.
    SecretCreation,
    /// A request for a new version.
    ManualSecretRotation,
    /// The rotation policy.
    AutomaticSecretRotation,
    /// A request to delete the data of a version, or the secret: the provider has no word of its own for that.
    SecretVersionDataDeletion,
    /// The end of the lifetime.
    SecretVersionExpiration,
}

macro_rules! word {
    ($type:ty { $($value:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The provider's word.
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

/// Why a task failed, in the words of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// A short code.
    pub code: String,
    /// A sentence.
    pub description: String,
}

/// A task of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretTask {
    /// `sm-task-` and a UUID.
    pub id: String,
    /// What it asks for.
    pub kind: TaskKind,
    /// How far it has come.
    pub status: TaskStatus,
    /// What led to it.
    pub trigger: TaskTrigger,
    /// The version that it is about: one that is there, or the id that a new one will have.
    pub version_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last: once it is processed, when that began.
    pub updated_at: Timestamp,
    /// Why it failed.
    pub errors: Vec<TaskError>,
    /// What the new version gets as its metadata.
    pub version_custom_metadata: Option<Box<RawValue>>,
}

impl SecretTask {
    /// Whether it waits for an answer.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, TaskStatus::Queued | TaskStatus::Processing)
    }

    /// Whether a rotation made it.
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
