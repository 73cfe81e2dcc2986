//! What shape the members of a request have to have.

use serde_json::value::RawValue;

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use crate::model::json::JsonObject;

/// The shape of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberShape {
    Text,
    Texts,
    Flag,
    /// A whole number, also a negative one.
    Number,
    Object,
}

/// Members with their shapes.
pub(crate) type MemberTable = &'static [(&'static str, MemberShape)];

/// The members of the table that a body has, as their exact text.
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

/// The names in tables, and some more.
pub(crate) fn names(tables: &[MemberTable], more: &[&'static str]) -> Vec<&'static str> {
    tables.iter().copied().flatten().map(|(name, _)| *name).chain(more.iter().copied()).collect()
}

fn number(name: &str, value: &RawValue) -> Result<i64, Refusal> {
    value.get().parse().map_err(|_| Refusal::invalid(format!("The field '{name}' must be a whole number.")))
}

/// A whole number among given members.
pub(crate) fn integer(object: &JsonObject, name: &str) -> Option<i64> {
    object.get(name).and_then(|value| value.get().parse().ok())
}

/// Whether a flag among given members is on; `otherwise` where it is not given.
pub(crate) fn flag(object: &JsonObject, name: &str, otherwise: bool) -> bool {
    object.bool(name).unwrap_or(otherwise)
}

/// Refuses a text that is none of those allowed.
pub(crate) fn one_of(object: &JsonObject, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
    match object.str(name) {
        Some(text) if !allowed.contains(&text.as_str()) => {
            Err(Refusal::invalid(format!("The field '{name}' has an unknown value.")))
        }
        _ => Ok(()),
    }
}
