//! The plain data of an instance. Every item is behind an [`Arc`], so that a logged state shares what did not change.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::tasks::{SecretTask, TaskStatus};
use crate::model::json::JsonObject;
use crate::model::{Digest, Payload, Timestamp};

/// The id of the group that every instance has.
pub const DEFAULT_GROUP: &str = "default";

/// Life of a secret, by the provider's numbers (NIST SP 800-57).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// Ordered, or waiting for a signature: there is no payload yet.
    PreActivation,
    /// In use.
    Active,
    /// Taken back, deleted and not gone yet, or an order that failed.
    Deactivated,
    /// Expired: the payloads are gone.
    Destroyed,
}

impl SecretState {
    /// The provider's number.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::PreActivation => 0,
            Self::Active => 1,
            Self::Deactivated => 3,
            Self::Destroyed => 5,
        }
    }

    /// The provider's word.
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
    /// Name, unique with the type.
    pub name: String,
    /// Description, if it has one.
    pub description: Option<String>,
    /// Labels.
    pub labels: Vec<String>,
    /// The exact text given.
    pub custom_metadata: Option<Box<RawValue>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When a payload was read last.
    pub retrieved_at: Option<Timestamp>,
    /// Whether a payload was ever read.
    pub downloaded: bool,
    /// Active or destroyed.
    pub life: SecretState,
    /// When it expires.
    pub expiration_date: Option<Timestamp>,
    /// When it rotates next by itself.
    pub next_rotation_date: Option<Timestamp>,
    /// When the instance has to look at it by itself, beside expiry and rotation: an order is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// Metadata members of its type, in the order of the answers.
    pub fields: JsonObject,
    /// A JSON object of what the instance keeps to itself and no answer shows: keys, inputs of an order.
    #[serde(default, with = "super::payload_text", skip_serializing_if = "Option::is_none")]
    pub inner: Option<Arc<Payload>>,
    /// Newest first, at most 50; the first is `current`, the second `previous`.
    #[serde(with = "super::shared")]
    pub versions: Vec<Arc<SecretVersion>>,
    /// What its job was asked to do, oldest first, at most 100 answered ones.
    #[serde(default, with = "super::shared", skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<Arc<SecretTask>>,
}

impl Secret {
    /// The current version.
    #[must_use]
    pub fn current(&self) -> Option<&Arc<SecretVersion>> {
        self.versions.first()
    }

    /// The version before the current one.
    #[must_use]
    pub fn previous(&self) -> Option<&Arc<SecretVersion>> {
        self.versions.get(1)
    }

    /// The task that its job is at.
    #[must_use]
    pub fn processing_task(&self) -> Option<&Arc<SecretTask>> {
        self.tasks.iter().find(|task| task.status == TaskStatus::Processing)
    }

    /// Locks of all versions together.
    #[must_use]
    pub fn locks_total(&self) -> usize {
        self.versions.iter().map(|version| version.locks.len()).sum()
    }

    /// Index of a version by id or alias.
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
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether the instance made it by itself.
    pub auto_rotated: bool,
    /// Whether its payload was ever read.
    pub downloaded: bool,
    /// The payload fields; nothing once it is neither current nor previous, deleted or destroyed.
    #[serde(with = "super::payload_text")]
    pub payload: Option<Arc<Payload>>,
    /// SHA-256 of the payload's text, for comparing logged states; stays when the payload goes.
    pub payload_digest: Digest,
    /// The exact text given.
    pub custom_metadata: Option<Box<RawValue>>,
    /// When it expires.
    pub expiration_date: Option<Timestamp>,
    /// Metadata members of its type.
    pub fields: JsonObject,
    /// Sorted by name.
    #[serde(with = "super::shared")]
    pub locks: Vec<Arc<Lock>>,
}

/// A lock on a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lock {
    /// Unique on its version.
    pub name: String,
    /// Description, if it has one.
    pub description: Option<String>,
    /// The exact text given.
    pub attributes: Option<Box<RawValue>>,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was replaced last.
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
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A configuration of an engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Configuration {
    /// Unique with its type.
    pub name: String,
    /// The provider's `config_type`.
    pub config_type: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Members that metadata answers show.
    pub fields: JsonObject,
    /// Members that only a GET by name shows.
    #[serde(with = "super::payload_text")]
    pub value: Option<Arc<Payload>>,
    /// A JSON object of what the instance keeps to itself and no answer shows: keys, serial numbers revoked.
    #[serde(default, with = "super::payload_text", skip_serializing_if = "Option::is_none")]
    pub inner: Option<Arc<Payload>>,
}

/// The registration with the notification service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// CRN of the notification instance; all that the API gives back.
    pub instance_crn: String,
    /// Name given; never given back.
    pub source_name: String,
    /// Description given; never given back.
    pub source_description: Option<String>,
}
