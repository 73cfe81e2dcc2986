//! `username_password`: an immutable user name and a password, given or generated.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::data::Secret;
use super::super::ids::Ids;
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::rules;
use super::super::text::{self, ObjectText};
use crate::model::json::{JsonObject, Members, as_str, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh};

pub(super) const CREATE: [&str; 5] =
    ["username", "password", "expiration_date", "rotation", "password_generation_policy"];
pub(super) const VERSION: [&str; 1] = ["password"];
pub(super) const PATCH: [&str; 3] = ["expiration_date", "rotation", "password_generation_policy"];

pub(super) fn first(body: &InputBody<'_>, ids: &mut Ids) -> Result<Fresh, Refusal> {
    let username = Zeroizing::new(body.required_string("username")?);
    rules::username(&username)?;
    let username = text::string(&username);
    let mut fresh = Fresh::plain(credentials(&username, body, body.object("password_generation_policy")?, ids)?);
    fresh.secret_fields = Some(fields(body)?);
    fresh.expiry = Expiry::Own(body.date("expiration_date")?);
    Ok(fresh)
}

/// Creates a later version with the user name of the current version, which never changes.
pub(super) fn next(body: &InputBody<'_>, secret: &Secret, ids: &mut Ids) -> Result<Fresh, Refusal> {
    let current = secret.current().and_then(|version| version.payload.as_deref());
    let members = current.and_then(|payload| Members::parse(payload.expose()).ok()).map(|members| members.0);
    let members = members.unwrap_or_default();
    let username = members.iter().find(|(name, _)| name == "username").map_or("\"\"", |(_, value)| value.get());
    let policy = secret.fields.get("password_generation_policy").map(ToOwned::to_owned);
    Ok(Fresh::plain(credentials(username, body, policy, ids)?))
}

fn credentials(
    username: &str,
    body: &InputBody<'_>,
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
            let policy = policy.and_then(|policy| JsonObject::parse(policy.get()).ok());
            payload.str("password", &ids.password(policy.as_ref()));
        }
    }
    Ok(payload.finish())
}

fn fields(body: &InputBody<'_>) -> Result<JsonObject, Refusal> {
    let mut fields = JsonObject::default();
    let rotation = body.object("rotation")?;
    if let Some(rotation) = &rotation {
        rules::rotation(rotation)?;
    }
    let off = || raw(&std::collections::BTreeMap::from([("auto_rotate", false)]));
    fields.set("rotation", rotation.unwrap_or_else(off));
    if let Some(policy) = body.object("password_generation_policy")? {
        fields.set("password_generation_policy", policy);
    }
    Ok(fields)
}
