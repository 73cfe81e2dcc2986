//! `arbitrary`: a single text.

use zeroize::Zeroizing;

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::rules;
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh, take};

pub(super) const CREATE: [&str; 2] = ["payload", "expiration_date"];
pub(super) const VERSION: [&str; 1] = ["payload"];
pub(super) const PATCH: [&str; 1] = ["expiration_date"];

pub(super) fn first(body: &InputBody<'_>) -> Result<Fresh, Refusal> {
    Ok(Fresh { expiry: Expiry::Own(body.date("expiration_date")?), ..next(body)? })
}

pub(super) fn next(body: &InputBody<'_>) -> Result<Fresh, Refusal> {
    let payload = Zeroizing::new(body.required_string("payload")?);
    rules::arbitrary_payload(&payload)?;
    Ok(Fresh::plain(take(body, &["payload"])))
}
