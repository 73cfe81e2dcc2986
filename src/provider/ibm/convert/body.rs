//! Selects the payload fields of a request without leaving copies of a secret in memory, and compares payloads.

use std::hint::black_box;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::model::json::{MAX_DEPTH, Members, raw};
use crate::model::{ItemKey, Payload};
use crate::provider::ConvertError;

/// Returns the named fields of a payload, each as exact text.
pub(super) fn pick(
    key: &ItemKey,
    payload: &Payload,
    names: &[&str],
    required: &[&str],
) -> Result<Payload, ConvertError> {
    let missing = |why: String| ConvertError { what: key.to_string(), why };
    let members = Members::parse(payload.expose()).map_err(|_| missing("its payload is no JSON object".to_owned()))?;
    // Allocate for the whole text, so that it never grows and leaves a copy in memory.
    let mut text = Zeroizing::new(String::with_capacity(payload.expose().len() + 64 * (names.len() + 1)));
    text.push('{');
    for name in names {
        match member(&members, name) {
            Some(value) => {
                if text.len() > 1 {
                    text.push(',');
                }
                text.push_str(raw(*name).get());
                text.push(':');
                text.push_str(value.get());
            }
            None if required.contains(name) => return Err(missing(format!("the backup holds no {name} of it"))),
            None => {}
        }
    }
    text.push('}');
    Ok(Payload::new(text))
}

/// Returns the last member of that name, unless it is `null`.
pub(super) fn member<'m>(members: &Members<'m>, name: &str) -> Option<&'m RawValue> {
    let (_, value) = members.0.iter().rev().find(|(n, _)| n == name)?;
    (value.get() != "null").then_some(*value)
}

/// Returns true if two payloads are equal in these fields: the same text, or equivalent JSON with the same digits in
/// every number.
pub(super) fn same_fields(one: &Payload, other: &Payload, names: &[&str]) -> bool {
    let (Ok(one), Ok(other)) = (Members::parse(one.expose()), Members::parse(other.expose())) else {
        return false;
    };
    // No early exit: every field is compared, so that the time does not reveal where they differ.
    names.iter().fold(true, |same, name| {
        let equal = match (member(&one, name), member(&other, name)) {
            (Some(one), Some(other)) => same_value(one.get(), other.get(), 0),
            (None, None) => true,
            _ => false,
        };
        same & equal
    })
}

/// Compares bytes in a time that depends only on their number.
fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && black_box(one.iter().zip(other).fold(0_u8, |all, (a, b)| all | (a ^ b))) == 0
}

fn same_value(one: &str, other: &str, depth: usize) -> bool {
    if same_bytes(one.as_bytes(), other.as_bytes()) {
        return true;
    }
    if depth > MAX_DEPTH {
        return false;
    }
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'"'), Some(b'"')) => {
            let text = |value: &str| serde_json::from_str::<String>(value).map(Zeroizing::new);
            matches!((text(one), text(other)), (Ok(a), Ok(b)) if same_bytes(a.as_bytes(), b.as_bytes()))
        }
        (Some(b'{'), Some(b'{')) => {
            let (Ok(mut one), Ok(mut other)) = (Members::parse(one), Members::parse(other)) else {
                return false;
            };
            // A stable sort keeps the order of repeated names.
            one.0.sort_by(|a, b| a.0.cmp(&b.0));
            other.0.sort_by(|a, b| a.0.cmp(&b.0));
            one.0.len() == other.0.len()
                && one
                    .0
                    .iter()
                    .zip(&other.0)
                    .fold(true, |same, (a, b)| same & (a.0 == b.0) & same_value(a.1.get(), b.1.get(), depth + 1))
        }
        (Some(b'['), Some(b'[')) => {
            let list = |value| serde_json::from_str::<Vec<&RawValue>>(value);
            let (Ok(one), Ok(other)) = (list(one), list(other)) else {
                return false;
            };
            one.len() == other.len()
                && one.iter().zip(&other).fold(true, |same, (a, b)| same & same_value(a.get(), b.get(), depth + 1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn every_digit_of_a_payload_is_kept_and_only_the_named_fields() {
        let value = payload(r#"{"data":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2},"extra":1}"#);
        let picked = pick(&"secret/1".parse().unwrap(), &value, &["data"], &["data"]).unwrap();
        assert_eq!(picked.expose(), r#"{"data":{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}}"#);
    }

    #[test]
    fn a_missing_field_is_named_and_no_value_is() {
        let value = payload(r#"{"username":"hunter2"}"#);
        let error = pick(&"secret/1".parse().unwrap(), &value, &["password"], &["password"]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn payloads_are_compared_by_meaning_but_for_numbers() {
        let same = |a: &str, b: &str| same_fields(&payload(a), &payload(b), &["data"]);
        assert!(same(r#"{"data":{"a":"\u0041","b":[1,2]}}"#, r#"{"data":{"b": [1, 2],"a":"A"},"id":"x"}"#));
        assert!(!same(r#"{"data":{"a":1.0}}"#, r#"{"data":{"a":1}}"#));
        assert!(!same(r#"{"data":{"k":1,"k":2}}"#, r#"{"data":{"k":2,"k":1}}"#));
        assert!(!same(r#"{"data":{}}"#, r#"{}"#));
        assert!(same(r#"{"data":null}"#, r#"{}"#));
    }
}
