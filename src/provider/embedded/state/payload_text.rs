//! Payload serialization in a sandbox's data file: the exact text as a JSON string.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serializer};
use zeroize::Zeroizing;

use crate::model::Payload;

/// Serializes a payload's text.
pub(crate) fn serialize<S: Serializer>(payload: &Option<Arc<Payload>>, serializer: S) -> Result<S::Ok, S::Error> {
    match payload {
        Some(payload) => serializer.serialize_some(payload.expose()),
        None => serializer.serialize_none(),
    }
}

/// Deserializes a payload's text.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Payload>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| Arc::new(Payload::new(Zeroizing::new(text)))))
}
