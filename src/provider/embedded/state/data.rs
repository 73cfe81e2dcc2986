//! Plain data of an instance. Every item is behind an [`Arc`], so that logged states share unchanged items.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::tasks::{SecretTask, TaskStatus};
use crate::model::json::JsonObject;
use crate::model::{Digest, Payload, Timestamp};

/// Id of the group that every instance has.
pub const DEFAULT_GROUP: &str = "default";

/// State of a secret, with the provider's numbers (NIST SP 800-57).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// Ordered or waiting for a signature; no payload yet.
    PreActivation,
    /// In use.
    Active,
    /// Revoked, marked for deletion, or a failed order.
    Deactivated,
    /// Expired; the payloads are deleted.
    Destroyed,
}

impl SecretState {
    /// Returns the provider's number.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::PreActivation => 0,
            Self::Active => 1,
            Self::Deactivated => 3,
            Self::Destroyed => 5,
        }
    }

    /// Returns the provider's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::PreActivation => "pre_activation",
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A secret with its versions and their locks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// UUID.
    pub id: String,
    /// Id of its group.
    pub group: String,
    /// `arbitrary`, `kv`, …
    pub secret_type: String,
    /// Name, unique within its type.
    pub name: String,
    /// Description, if any.
    pub description: Option<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// Exact text as given.
    pub custom_metadata: Option<Box<RawValue>>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Time of the last payload read.
    pub retrieved_at: Option<Timestamp>,
    /// True if a payload was ever read.
    pub downloaded: bool,
    /// State.
    pub life: SecretState,
    /// Expiry.
    pub expiration_date: Option<Timestamp>,
    /// Time of the next automatic rotation.
    pub next_rotation_date: Option<Timestamp>,
    /// Time of the next automatic action other than expiry and rotation: an order is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// Type-specific metadata members, in answer order.
    pub fields: JsonObject,
    /// Internal JSON object that no answer shows: keys, inputs of an order.
    #[serde(default, with = "super::payload_text", skip_serializing_if = "Option::is_none")]
    pub inner: Option<Arc<Payload>>,
    /// Newest first, at most 50. The first is `current`, the second `previous`.
    #[serde(with = "super::shared")]
    pub versions: Vec<Arc<SecretVersion>>,
    /// Tasks of its job, oldest first; at most 100 answered ones.
    #[serde(default, with = "super::shared", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Arc<SecretTask>>,
}

impl Secret {
    /// Returns the current version.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<SecretVersion>> {
        self.versions.first()
    }

    /// Returns the previous version.
    #[must_use]
    pub fn previous(&self) -> Option<&Arc<SecretVersion>> {
        self.versions.get(1)
    }

    /// Returns the task in progress.
    #[must_use]
    pub fn processing_task(&self) -> Option<&Arc<SecretTask>> {
        self.tasks.iter().find(|task| task.status == TaskStatus::Processing)
    }

    /// Returns the number of locks on all versions.
    #[must_use]
    pub fn locks_total(&self) -> usize {
        self.versions.iter().map(|version| version.locks.len()).sum()
    }

    /// Returns the index of a version by id or alias.
    #[must_use]
    pub fn position(&self, id_or_alias: &str) -> Option<usize> {
        let index = match id_or_alias {
            "current" => 0,
            "previous" => 1,
            id => self.versions.iter().position(|version| version.id == id)?,
        };
        (index < self.versions.len()).then_some(index)
    }
}

/// One version of a secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretVersion {
    /// UUID.
    pub id: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// True if it was created by automatic rotation.
    pub auto_rotated: bool,
    /// True if its payload was ever read.
    pub downloaded: bool,
    /// Payload members; `None` if it is neither current nor previous, or was deleted or destroyed.
    #[serde(with = "super::payload_text")]
    pub payload: Option<Arc<Payload>>,
    /// SHA-256 of the payload text, for comparing logged states; kept when the payload is deleted.
    pub payload_digest: Digest,
    /// Exact text as given.
    pub custom_metadata: Option<Box<RawValue>>,
    /// Expiry.
    pub expiration_date: Option<Timestamp>,
    /// Type-specific metadata members.
    pub fields: JsonObject,
    /// Sorted by name.
    #[serde(with = "super::shared")]
    pub locks: Vec<Arc<Lock>>,
}

/// A lock on a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lock {
    /// Unique within its version.
    pub name: String,
    /// Description, if any.
    pub description: Option<String>,
    /// Exact text as given.
    pub attributes: Option<Box<RawValue>>,
    /// Time of the first creation.
    pub created_at: Timestamp,
    /// Time of the last replacement.
    pub updated_at: Timestamp,
}

/// A secret group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// UUID, or `default`.
    pub id: String,
    /// Unique.
    pub name: String,
    /// May be empty.
    pub description: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Configuration of an engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Configuration {
    /// Unique within its type.
    pub name: String,
    /// The provider's `config_type`.
    pub config_type: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Members shown in metadata answers.
    pub fields: JsonObject,
    /// Members shown only by a GET by name.
    #[serde(with = "super::payload_text")]
    pub value: Option<Arc<Payload>>,
    /// Internal JSON object that no answer shows: keys, revoked serial numbers.
    #[serde(default, with = "super::payload_text", skip_serializing_if = "Option::is_none")]
    pub inner: Option<Arc<Payload>>,
}

/// Registration with the notification service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// CRN of the notification instance; the only member that the API returns.
    pub instance_crn: String,
    /// Source name; never returned.
    pub source_name: String,
    /// Source description; never returned.
    pub source_description: Option<String>,
}
