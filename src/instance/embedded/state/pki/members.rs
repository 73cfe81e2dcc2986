//! What shape the members of a request have to have.

use serde_json::value::RawValue;

use super::super::input::Body;
use super::super::refusal::Refusal;
use crate::model::json::Object;

/// The shape of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Texts,
    Flag,
    /// A whole number, also a negative one.
    Number,
    Object,
}

/// Members with their shapes.
pub(crate) type Table = &'static [(&'static str, Shape)];

/// The members of the table that a body has, as their exact text.
pub(crate) fn given(body: &Body<'_>, tables: &[Table]) -> Result<Object, Refusal> {
    let mut object = Object::default();
    for (name, shape) in tables.iter().copied().flatten() {
        let Some(value) = body.get(name) else { continue };
        match shape {
            Shape::Text => drop(body.string(name)?),
            Shape::Texts => drop(body.strings(name)?),
            Shape::Flag => drop(body.bool(name)?),
            Shape::Object => drop(body.object(name)?),
            Shape::Number => drop(number(name, value)?),
        }
        object.set(name, value.to_owned());
    }
    Ok(object)
}

/// The names in tables, and some more.
pub(crate) fn names(tables: &[Table], more: &[&'static str]) -> Vec<&'static str> {
    tables.iter().copied().flatten().map(|(name, _)| *name).chain(more.iter().copied()).collect()
}

fn number(name: &str, value: &RawValue) -> Result<i64, Refusal> {
    value.get().parse().map_err(|_| Refusal::invalid(format!("The field '{name}' must be a whole number.")))
}

/// A whole number among given members.
pub(crate) fn integer(object: &Object, name: &str) -> Option<i64> {
    object.get(name).and_then(|value| value.get().parse().ok())
}

/// Whether a flag among given members is on; `otherwise` where it is not given.
pub(crate) fn flag(object: &Object, name: &str, otherwise: bool) -> bool {
    object.bool(name).unwrap_or(otherwise)
}

/// Refuses a text that is none of those allowed.
pub(crate) fn one_of(object: &Object, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
    match object.str(name) {
        Some(text) if !allowed.contains(&text.as_str()) => {
            Err(Refusal::invalid(format!("The field '{name}' has an unknown value.")))
        }
        _ => Ok(()),
    }
}
