//! Secrets of types that cannot be created through the API, planted by tests, and what must never be done to them.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::State;
use super::data::{Life, Secret, Version};
use super::kinds::{Kind, payload_digest};
use super::secrets::reuses_api_key;
use crate::model::json::Object;
use crate::model::{Payload, Timestamp};

/// A secret of any type, put into the instance past its rules.
#[derive(Debug, Clone)]
pub struct Planted {
    /// Any type, also one that nobody has heard of.
    pub secret_type: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Metadata members of its type (`reuse_api_key`, …), shown in every answer.
    pub fields: Object,
    /// Payload members, shown when a payload is read.
    pub payload: Payload,
}

/// A payload read that no backup may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForbiddenAct {
    /// The secret that was read.
    pub secret_id: String,
    /// Its type.
    pub secret_type: String,
    /// Whether the real service would have deleted the live key.
    pub destroys: bool,
}

impl ForbiddenAct {
    /// What reading the payload of this secret is; nothing when it is harmless.
    pub(crate) fn of_reading(secret: &Secret) -> Option<Self> {
        let destroys = secret.secret_type == "iam_credentials" && !reuses_api_key(secret);
        let known = ["public_cert", "private_cert", "iam_credentials", "service_credentials", "custom_credentials"];
        let unheard_of = Kind::parse(&secret.secret_type).is_err() && !known.contains(&secret.secret_type.as_str());
        (destroys || unheard_of).then(|| Self {
            secret_id: secret.id.clone(),
            secret_type: secret.secret_type.clone(),
            destroys,
        })
    }
}

impl State {
    /// Puts a secret in and returns its id.
    pub(crate) fn plant(&mut self, now: Timestamp, planted: &Planted) -> String {
        let id = self.ids.uuid();
        let version = Version {
            id: self.ids.uuid(),
            created_at: now,
            auto_rotated: false,
            downloaded: false,
            payload_digest: payload_digest(planted.payload.expose()),
            payload: Some(Arc::new(Payload::new(Zeroizing::new(planted.payload.expose().to_owned())))),
            custom_metadata: None,
            expiration_date: None,
            fields: Object::default(),
            locks: Vec::new(),
        };
        self.put_secret(Secret {
            id: id.clone(),
            group: planted.group.clone(),
            secret_type: planted.secret_type.clone(),
            name: planted.name.clone(),
            description: None,
            labels: Vec::new(),
            custom_metadata: None,
            created_at: now,
            updated_at: now,
            retrieved_at: None,
            downloaded: false,
            life: Life::Active,
            expiration_date: None,
            next_rotation_date: None,
            fields: planted.fields.clone(),
            versions: vec![Arc::new(version)],
        });
        id
    }
}
