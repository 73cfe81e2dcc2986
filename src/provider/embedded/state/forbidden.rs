//! What tests plant past the rules of the API, and the reads that no backup may do.

use serde::Serialize;

use crate::model::Payload;
use crate::model::json::JsonObject;

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
    pub fields: JsonObject,
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
