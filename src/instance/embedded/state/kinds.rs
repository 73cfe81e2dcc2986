//! The secret types that the instance makes: which members they take, what is payload, what is metadata.

use std::sync::Arc;

use chrono::{Days, Months};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::certificate::{self, Facts};
use super::data::Version;
use super::ids::Ids;
use super::input::Body;
use super::refusal::Refusal;
use super::rules::{self, Rotation};
use super::text::{self, ObjectText};
use crate::crypto::digest::sha256;
use crate::model::json::{Members, Object, as_str};
use crate::model::{Digest, Payload, Timestamp};

/// A secret type whose secrets can be created here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Arbitrary,
    Kv,
    UsernamePassword,
    ImportedCert,
}

/// What a new version brings with it.
pub(crate) struct Fresh {
    pub(crate) payload: Zeroizing<String>,
    pub(crate) expiration_date: Option<Timestamp>,
    /// Metadata members of the secret that the payload decides; nothing when it decides none.
    pub(crate) secret_fields: Option<Object>,
    pub(crate) version_fields: Object,
}

impl Fresh {
    fn plain(payload: Zeroizing<String>) -> Self {
        Self { payload, expiration_date: None, secret_fields: None, version_fields: Object::default() }
    }

    /// The version that it becomes.
    pub(crate) fn version(self, id: String, now: Timestamp) -> Version {
        Version {
            id,
            created_at: now,
            auto_rotated: false,
            downloaded: false,
            payload_digest: payload_digest(&self.payload),
            payload: Some(Arc::new(Payload::new(self.payload))),
            custom_metadata: None,
            expiration_date: self.expiration_date,
            fields: self.version_fields,
            locks: Vec::new(),
        }
    }
}

/// The digest by which logged states compare payloads.
pub(crate) fn payload_digest(payload: &str) -> Digest {
    sha256(payload.as_bytes())
}

impl Kind {
    /// The kind of a `secret_type` that can be created.
    pub(crate) fn parse(secret_type: &str) -> Result<Self, Refusal> {
        match secret_type {
            "arbitrary" => Ok(Self::Arbitrary),
            "kv" => Ok(Self::Kv),
            "username_password" => Ok(Self::UsernamePassword),
            "imported_cert" => Ok(Self::ImportedCert),
            "public_cert" | "private_cert" | "iam_credentials" | "service_credentials" | "custom_credentials" => {
                Err(Refusal::invalid(format!("The embedded instance does not issue secrets of type '{secret_type}'.")))
            }
            _ => Err(Refusal::invalid("The field 'secret_type' is not one of the known types.")),
        }
    }

    /// Members of a create body beside the common ones.
    pub(crate) fn create_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &["payload", "expiration_date"],
            Self::Kv => &["data"],
            Self::UsernamePassword => {
                &["username", "password", "expiration_date", "rotation", "password_generation_policy"]
            }
            Self::ImportedCert => &["certificate", "intermediate", "private_key", "managed_csr"],
        }
    }

    /// Members of a new version's body beside the common ones.
    pub(crate) fn version_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &["payload"],
            Self::Kv => &["data"],
            Self::UsernamePassword => &["password"],
            Self::ImportedCert => &["certificate", "intermediate", "private_key"],
        }
    }

    /// Members of a metadata patch beside the common ones.
    pub(crate) fn patch_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &["expiration_date"],
            Self::Kv => &[],
            Self::UsernamePassword => &["expiration_date", "rotation", "password_generation_policy"],
            Self::ImportedCert => &["managed_csr"],
        }
    }

    /// The payload of a first version.
    pub(crate) fn first(self, body: &Body<'_>, ids: &mut Ids) -> Result<Fresh, Refusal> {
        if self != Self::UsernamePassword {
            return self.plain(body);
        }
        let username = Zeroizing::new(body.required_string("username")?);
        rules::username(&username)?;
        let username = text::string(&username);
        let mut fresh = Fresh::plain(credentials(&username, body, body.object("password_generation_policy")?, ids)?);
        fresh.secret_fields = Some(user_fields(body)?);
        Ok(fresh)
    }

    /// The payload of a later version. The username is that of `current`: it never changes.
    pub(crate) fn next(
        self,
        body: &Body<'_>,
        current: &Payload,
        fields: &Object,
        ids: &mut Ids,
    ) -> Result<Fresh, Refusal> {
        if self != Self::UsernamePassword {
            return self.plain(body);
        }
        let members = Members::parse(current.expose()).map(|members| members.0).unwrap_or_default();
        let username = members.iter().find(|(name, _)| name == "username").map_or("\"\"", |(_, value)| value.get());
        let policy = fields.get("password_generation_policy").map(ToOwned::to_owned);
        Ok(Fresh::plain(credentials(username, body, policy, ids)?))
    }

    fn plain(self, body: &Body<'_>) -> Result<Fresh, Refusal> {
        match self {
            Self::Arbitrary => {
                let payload = Zeroizing::new(body.required_string("payload")?);
                rules::arbitrary_payload(&payload)?;
                Ok(Fresh::plain(take(body, &["payload"])))
            }
            Self::Kv => {
                let data = body.get("data").ok_or_else(|| Refusal::invalid("The field 'data' is required."))?;
                rules::key_value_payload(data)?;
                Ok(Fresh::plain(take(body, &["data"])))
            }
            Self::ImportedCert | Self::UsernamePassword => imported(body),
        }
    }
}

/// The named members of a body as an object, each value its exact text.
fn take(body: &Body<'_>, names: &[&str]) -> Zeroizing<String> {
    let mut payload = ObjectText::new();
    for name in names {
        payload.opt_raw(name, body.get(name).map(RawValue::get));
    }
    payload.finish()
}

fn credentials(
    username: &str,
    body: &Body<'_>,
    policy: Option<Box<RawValue>>,
    ids: &mut Ids,
) -> Result<Zeroizing<String>, Refusal> {
    let mut payload = ObjectText::new();
    payload.raw("username", username);
    match body.get("password") {
        Some(raw) => {
            let password =
                Zeroizing::new(as_str(raw).ok_or_else(|| Refusal::invalid("The field 'password' must be a string."))?);
            rules::password(&password)?;
            payload.raw("password", raw.get());
        }
        None => {
            let policy = policy.and_then(|policy| Object::parse(policy.get()).ok());
            payload.str("password", &ids.password(policy.as_ref()));
        }
    }
    Ok(payload.finish())
}

fn user_fields(body: &Body<'_>) -> Result<Object, Refusal> {
    let mut fields = Object::default();
    let rotation = body.object("rotation")?;
    if let Some(rotation) = &rotation {
        rules::rotation(rotation)?;
    }
    let off = || crate::model::json::raw(&std::collections::BTreeMap::from([("auto_rotate", false)]));
    fields.set("rotation", rotation.unwrap_or_else(off));
    if let Some(policy) = body.object("password_generation_policy")? {
        fields.set("password_generation_policy", policy);
    }
    Ok(fields)
}

fn imported(body: &Body<'_>) -> Result<Fresh, Refusal> {
    if body.get("managed_csr").is_some() {
        return Err(Refusal::invalid("The embedded instance does not make managed certificate signing requests."));
    }
    let certificate = body.required_string("certificate")?;
    let intermediate = body.string("intermediate")?;
    let private_key = body.string("private_key")?.map(Zeroizing::new);
    rules::pem("certificate", &certificate)?;
    intermediate.as_deref().map_or(Ok(()), |pem| rules::pem("intermediate", pem))?;
    private_key.as_deref().map_or(Ok(()), |pem| rules::pem("private_key", pem))?;
    let facts =
        certificate::inspect(&certificate, intermediate.as_deref(), private_key.as_deref().map(String::as_str))?;
    Ok(Fresh {
        payload: take(body, &["certificate", "intermediate", "private_key"]),
        expiration_date: Some(facts.not_after),
        version_fields: facts.version_fields(),
        secret_fields: Some(secret_fields(&facts, intermediate.is_some(), private_key.is_some())),
    })
}

fn secret_fields(facts: &Facts, intermediate: bool, private_key: bool) -> Object {
    let mut fields = facts.secret_fields();
    fields.set("intermediate_included", crate::model::json::raw(&intermediate));
    fields.set("private_key_included", crate::model::json::raw(&private_key));
    fields
}

/// When a secret with these metadata members rotates next, counted from `from`.
pub(crate) fn next_rotation(fields: &Object, from: Timestamp) -> Option<Timestamp> {
    let next = match rules::rotation(fields.get("rotation")?).ok()? {
        Rotation::Off => return None,
        Rotation::Days(days) => from.datetime().checked_add_days(Days::new(u64::from(days)))?,
        Rotation::Months(months) => from.datetime().checked_add_months(Months::new(months))?,
    };
    Some(next.into())
}
