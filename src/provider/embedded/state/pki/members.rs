//! Types of request members.

use serde_json::value::RawValue;

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use crate::model::json::JsonObject;

/// Type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberShape {
    Text,
    Texts,
    Flag,
    /// An integer, possibly negative.
    Number,
    Object,
}

/// Members with their types.
pub(crate) type MemberTable = &'static [(&'static str, MemberShape)];

/// Returns the members of a body that are in the tables, as exact text.
pub(crate) fn given(body: &InputBody<'_>, tables: &[MemberTable]) -> Result<JsonObject, Refusal> {
    let mut object = JsonObject::default();
    for (name, shape) in tables.iter().copied().flatten() {
        let Some(value) = body.get(name) else { continue };
        match shape {
            MemberShape::Text => drop(body.string(name)?),
            MemberShape::Texts => drop(body.strings(name)?),
            MemberShape::Flag => drop(body.bool(name)?),
            MemberShape::Object => drop(body.object(name)?),
            MemberShape::Number => drop(number(name, value)?),
        }
        object.set(name, value.to_owned());
    }
    Ok(object)
}

/// Returns the names in the tables, plus `more`.
pub(crate) fn names(tables: &[MemberTable], more: &[&'static str]) -> Vec<&'static str> {
    tables.iter().copied().flatten().map(|(name, _)| *name).chain(more.iter().copied()).collect()
}

fn number(name: &str, value: &RawValue) -> Result<i64, Refusal> {
    value.get().parse().map_err(|_| Refusal::invalid(format!("The field '{name}' must be a whole number.")))
}

/// Returns an integer member.
pub(crate) fn integer(object: &JsonObject, name: &str) -> Option<i64> {
    object.get(name).and_then(|value| value.get().parse().ok())
}

/// Returns a boolean member, or `otherwise` if it is absent.
pub(crate) fn flag(object: &JsonObject, name: &str, otherwise: bool) -> bool {
    object.bool(name).unwrap_or(otherwise)
}

/// Rejects a text that is not one of `allowed`.
pub(crate) fn one_of(object: &JsonObject, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
    match object.str(name) {
        Some(text) if !allowed.contains(&text.as_str()) => {
            Err(Refusal::invalid(format!("The field '{name}' has an unknown value.")))
        }
        _ => Ok(()),
    }
}
