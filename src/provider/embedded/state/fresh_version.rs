//! Inputs and contents of a new version of a secret.

use std::sync::Arc;

use chrono::{Days, Months, TimeDelta};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::data::{SecretState, SecretVersion};
use super::input::InputBody;
use super::rules::{self, Rotation};
use super::text::ObjectText;
use crate::crypto::digest::sha256;
use crate::model::json::JsonObject;
use crate::model::{Digest, Payload, Timestamp};

/// Inputs of a first version.
pub(crate) struct Making<'a> {
    pub(crate) now: Timestamp,
    /// The whole create body; its common members are already checked.
    pub(crate) body: &'a InputBody<'a>,
    /// Id of its group.
    pub(crate) group: &'a str,
    pub(crate) name: &'a str,
}

/// Expiry of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Expires with its secret: users set the date for this type.
    OfSecret,
    /// Has its own expiry, as a certificate has.
    Own(Option<Timestamp>),
}

/// Contents of a new version.
pub(crate) struct Fresh {
    /// Payload members; `None` if the version has none yet.
    pub(crate) payload: Option<Zeroizing<String>>,
    pub(crate) expiry: Expiry,
    /// All type-specific metadata members of the secret; `None` keeps them unchanged.
    pub(crate) secret_fields: Option<JsonObject>,
    pub(crate) version_fields: JsonObject,
    /// New state of the secret.
    pub(crate) life: SecretState,
    /// New internal data of the secret, see [`Secret::inner`]; `None` keeps it unchanged.
    pub(crate) inner: Option<Payload>,
}

impl Fresh {
    pub(super) fn plain(payload: Zeroizing<String>) -> Self {
        Self {
            payload: Some(payload),
            expiry: Expiry::OfSecret,
            secret_fields: None,
            version_fields: JsonObject::default(),
            life: SecretState::Active,
            inner: None,
        }
    }

    /// Creates the version; `expiration` is its resolved expiry.
    pub(crate) fn version(self, id: String, now: Timestamp, expiration: Option<Timestamp>) -> SecretVersion {
        SecretVersion {
            id,
            created_at: now,
            auto_rotated: false,
            downloaded: false,
            payload_digest: payload_digest(self.payload.as_deref().map_or("", String::as_str)),
            payload: self.payload.map(|payload| Arc::new(Payload::new(payload))),
            custom_metadata: None,
            expiration_date: expiration,
            fields: self.version_fields,
            locks: Vec::new(),
        }
    }
}

/// Returns the digest by which logged states compare payloads.
pub(crate) fn payload_digest(payload: &str) -> Digest {
    sha256(payload.as_bytes())
}

/// Copies the named members of a body to an object, each value with its exact text.
pub(super) fn take(body: &InputBody<'_>, names: &[&str]) -> Zeroizing<String> {
    let mut payload = ObjectText::new();
    for name in names {
        payload.opt_raw(name, body.get(name).map(RawValue::get));
    }
    payload.finish()
}

/// Returns the next rotation of a secret with these metadata members, counted from `from`.
pub(crate) fn next_rotation(fields: &JsonObject, from: Timestamp) -> Option<Timestamp> {
    let next = match rules::rotation_within(fields.get("rotation")?, &rules::ANY_ROTATION).ok()? {
        Rotation::Off => return None,
        Rotation::Hours(hours) => from.datetime().checked_add_signed(TimeDelta::hours(i64::from(hours)))?,
        Rotation::Days(days) => from.datetime().checked_add_days(Days::new(u64::from(days)))?,
        Rotation::Months(months) => from.datetime().checked_add_months(Months::new(months))?,
    };
    Some(next.into())
}
