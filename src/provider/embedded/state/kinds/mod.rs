//! The secret types: which members they take, what is payload, what is metadata. One file a type; the tables and the
//! ways into them are here.

mod arbitrary;
mod custom_credentials;
pub(in super::super) mod iam_credentials;
mod imported_cert;
mod kv;
mod private_cert;
mod public_cert;
mod service_credentials;
mod username_password;

use std::sync::Arc;

use chrono::{Days, Months, TimeDelta};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::InstanceState;
use super::data::{Secret, SecretState, SecretVersion};
use super::input::InputBody;
use super::refusal::Refusal;
use super::rules::{self, Rotation};
use super::text::ObjectText;
use crate::crypto::digest::sha256;
use crate::model::json::JsonObject;
use crate::model::{Digest, Payload, Timestamp};

/// A secret type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Arbitrary,
    Kv,
    UsernamePassword,
    ImportedCert,
    PublicCert,
    PrivateCert,
    IamCredentials,
    ServiceCredentials,
    CustomCredentials,
}

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
    /// Payload members; nothing when the version has none yet.
    pub(crate) payload: Option<Zeroizing<String>>,
    pub(crate) expiry: Expiry,
    /// All metadata members of the secret's type from now on; nothing when they stay as they are.
    pub(crate) secret_fields: Option<JsonObject>,
    pub(crate) version_fields: JsonObject,
    /// The secret's life from now on.
    pub(crate) life: SecretState,
    /// What the secret keeps to itself from now on, see [`Secret::inner`]; nothing when that stays as it is.
    pub(crate) inner: Option<Payload>,
}

impl Fresh {
    fn plain(payload: Zeroizing<String>) -> Self {
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

impl SecretKind {
    /// The kind of a `secret_type`; nothing for one that nobody has heard of.
    pub(crate) fn of(secret_type: &str) -> Option<Self> {
        Some(match secret_type {
            "arbitrary" => Self::Arbitrary,
            "kv" => Self::Kv,
            "username_password" => Self::UsernamePassword,
            "imported_cert" => Self::ImportedCert,
            "public_cert" => Self::PublicCert,
            "private_cert" => Self::PrivateCert,
            "iam_credentials" => Self::IamCredentials,
            "service_credentials" => Self::ServiceCredentials,
            "custom_credentials" => Self::CustomCredentials,
            _ => return None,
        })
    }

    /// The same for a request that makes a payload.
    pub(crate) fn parse(secret_type: &str) -> Result<Self, Refusal> {
        Self::of(secret_type).ok_or_else(|| Refusal::invalid("The field 'secret_type' is not one of the known types."))
    }

    /// Members of a create body beside the common ones.
    pub(crate) fn create_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::CREATE,
            Self::Kv => &kv::CREATE,
            Self::UsernamePassword => &username_password::CREATE,
            Self::ImportedCert => &imported_cert::CREATE,
            Self::PublicCert => &public_cert::CREATE,
            Self::PrivateCert => &private_cert::CREATE,
            Self::IamCredentials => &iam_credentials::CREATE,
            Self::ServiceCredentials => &service_credentials::CREATE,
            Self::CustomCredentials => &custom_credentials::CREATE,
        }
    }

    /// Members of a new version's body beside the common ones.
    pub(crate) fn version_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::VERSION,
            Self::Kv => &kv::VERSION,
            Self::UsernamePassword => &username_password::VERSION,
            Self::ImportedCert => &imported_cert::VERSION,
            Self::PublicCert => &public_cert::VERSION,
            Self::PrivateCert => &private_cert::VERSION,
            Self::IamCredentials => &iam_credentials::VERSION,
            Self::ServiceCredentials => &service_credentials::VERSION,
            Self::CustomCredentials => &custom_credentials::VERSION,
        }
    }

    /// Members of a metadata patch beside the common ones.
    pub(crate) fn patch_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::PATCH,
            Self::Kv => &kv::PATCH,
            Self::UsernamePassword => &username_password::PATCH,
            Self::ImportedCert => &imported_cert::PATCH,
            Self::PublicCert => &public_cert::PATCH,
            Self::PrivateCert => &private_cert::PATCH,
            Self::IamCredentials => &iam_credentials::PATCH,
            Self::ServiceCredentials => &service_credentials::PATCH,
            Self::CustomCredentials => &custom_credentials::PATCH,
        }
    }
}

impl SecretKind {
    /// Whether the instance makes the payload out of nothing, so that a version needs none before it.
    pub(crate) fn mints(self) -> bool {
        matches!(self, Self::IamCredentials | Self::ServiceCredentials | Self::CustomCredentials)
    }

    /// Whether a new version has an end of its own, so that a rotation in time puts the end off.
    pub(crate) fn renews(self) -> bool {
        self.mints() || matches!(self, Self::PublicCert | Self::PrivateCert)
    }

    /// Whether a lock does not postpone its end.
    pub(crate) fn ends_when_locked(self) -> bool {
        matches!(self, Self::ImportedCert | Self::PublicCert | Self::PrivateCert)
    }
}

impl InstanceState {
    /// The first version of a new secret.
    pub(crate) fn first(&mut self, kind: SecretKind, making: &Making<'_>) -> Result<Fresh, Refusal> {
        match kind {
            SecretKind::Arbitrary => arbitrary::first(making.body),
            SecretKind::Kv => kv::make(making.body),
            SecretKind::UsernamePassword => username_password::first(making.body, &mut self.ids),
            SecretKind::ImportedCert => self.first_imported_cert(making.body),
            SecretKind::PublicCert => self.first_public_cert(making.body),
            SecretKind::PrivateCert => self.first_private_cert(making),
            SecretKind::IamCredentials => self.first_iam_credentials(making),
            SecretKind::ServiceCredentials => self.first_service_credentials(making),
            SecretKind::CustomCredentials => self.first_custom_credentials(making),
        }
    }

    /// A later version of a secret, by a request or, with an empty body, by a rotation of the instance itself.
    pub(crate) fn next(
        &mut self,
        kind: SecretKind,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &Secret,
    ) -> Result<Fresh, Refusal> {
        match kind {
            SecretKind::Arbitrary => arbitrary::next(body),
            SecretKind::Kv => kv::make(body),
            SecretKind::UsernamePassword => username_password::next(body, secret, &mut self.ids),
            SecretKind::ImportedCert => imported_cert::next(body, secret),
            // Never asked: their versions are ordered.
            SecretKind::PublicCert => Err(Refusal::invalid("A version of this secret type comes from an order.")),
            SecretKind::PrivateCert => self.next_private_cert(now, body, secret),
            SecretKind::IamCredentials => self.next_iam_credentials(now, body, secret),
            SecretKind::ServiceCredentials => Ok(self.next_service_credentials(now, secret)),
            // Never asked: their versions are ordered from a job.
            SecretKind::CustomCredentials => Err(Refusal::invalid("A version of this secret type comes from a task.")),
        }
    }

    /// The members of a metadata patch that only this kind has. Says whether rotation was patched and is on now.
    pub(crate) fn patch_kind(
        &mut self,
        kind: SecretKind,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        match kind {
            SecretKind::Kv => Ok(false),
            SecretKind::Arbitrary => self.patch_expiry(body, secret, now).map(|()| false),
            SecretKind::UsernamePassword => {
                self.patch_expiry(body, secret, now)?;
                self.patch_rotation(body, secret, now)
            }
            SecretKind::ImportedCert => self.patch_imported_cert(body, secret).map(|()| false),
            SecretKind::PublicCert => self.patch_public_cert(body, secret),
            SecretKind::PrivateCert => self.patch_private_cert(now, body, secret),
            SecretKind::IamCredentials => self.patch_iam_credentials(now, body, secret),
            SecretKind::ServiceCredentials => self.patch_service_credentials(now, body, secret),
            SecretKind::CustomCredentials => self.patch_custom_credentials(now, body, secret),
        }
    }
}

/// The named members of a body as an object, each value its exact text.
fn take(body: &InputBody<'_>, names: &[&str]) -> Zeroizing<String> {
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
