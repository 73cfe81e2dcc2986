//! `kv`: a JSON object.

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::rules;
use crate::provider::embedded::state::fresh_version::{Fresh, take};

pub(super) const CREATE: [&str; 1] = ["data"];
pub(super) const VERSION: [&str; 1] = ["data"];
pub(super) const PATCH: [&str; 0] = [];

pub(super) fn make(body: &InputBody<'_>) -> Result<Fresh, Refusal> {
    let data = body.get("data").ok_or_else(|| Refusal::invalid("The field 'data' is required."))?;
    rules::key_value_payload(data)?;
    Ok(Fresh::plain(take(body, &["data"])))
}
