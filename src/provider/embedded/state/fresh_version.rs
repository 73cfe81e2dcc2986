//! What a new version of a secret is made from, and what it brings with it.

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

/// What a first version is made for.
pub(crate) struct Making<'a> {
    pub(crate) now: Timestamp,
    /// The whole create body; its common members are checked.
    pub(crate) body: &'a InputBody<'a>,
    /// Id of its group.
    pub(crate) group: &'a str,
    pub(crate) name: &'a str,
}

/// When a version expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// When its secret does: the type has a date that users set.
    OfSecret,
    /// The version itself decides, as a certificate does.
    Own(Option<Timestamp>),
}

/// What a new version brings with it.
pub(crate) struct Fresh {
    /// Payload members; `None` when the version has none yet.
    pub(crate) payload: Option<Zeroizing<String>>,
    pub(crate) expiry: Expiry,
    /// All metadata members of the secret's type from now on; `None` when they stay as they are.
    pub(crate) secret_fields: Option<JsonObject>,
    pub(crate) version_fields: JsonObject,
    /// The secret's life from now on.
    pub(crate) life: SecretState,
    /// What the secret keeps to itself from now on, see [`Secret::inner`]; `None` when that stays as it is.
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

    /// The version that it becomes; `expiration` is what its expiry comes to.
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

/// The digest by which logged states compare payloads.
pub(crate) fn payload_digest(payload: &str) -> Digest {
    sha256(payload.as_bytes())
}

/// The named members of a body as an object, each value its exact text.
pub(super) fn take(body: &InputBody<'_>, names: &[&str]) -> Zeroizing<String> {
    let mut payload = ObjectText::new();
    for name in names {
        payload.opt_raw(name, body.get(name).map(RawValue::get));
    }
    payload.finish()
}

/// When a secret with these metadata members rotates next, counted from `from`.
pub(crate) fn next_rotation(fields: &JsonObject, from: Timestamp) -> Option<Timestamp> {
    let next = match rules::rotation_within(fields.get("rotation")?, &rules::ANY_ROTATION).ok()? {
        Rotation::Off => return None,
        Rotation::Hours(hours) => from.datetime().checked_add_signed(TimeDelta::hours(i64::from(hours)))?,
        Rotation::Days(days) => from.datetime().checked_add_days(Days::new(u64::from(days)))?,
        Rotation::Months(months) => from.datetime().checked_add_months(Months::new(months))?,
    };
    Some(next.into())
}
