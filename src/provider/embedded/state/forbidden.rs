//! Secrets that tests plant without the API's checks, and payload reads that a backup must not make.

use serde::Serialize;

use crate::model::Payload;
use crate::model::json::JsonObject;

/// A secret of any type, added without the API's checks.
#[derive(Debug, Clone)]
pub struct Planted {
    /// Any type, even an unknown one.
    pub secret_type: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Type-specific metadata members (`reuse_api_key`, …), shown in every answer.
    pub fields: JsonObject,
    /// Payload members, shown when a payload is read.
    pub payload: Payload,
}

/// A payload read that a backup must not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForbiddenAct {
    /// Id of the secret.
    pub secret_id: String,
    /// Its type.
    pub secret_type: String,
    /// True if the real service would have deleted the valid key.
    pub destroys: bool,
}
