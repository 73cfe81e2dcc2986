//! Canonical JSON: RFC 8785 within a subset on which all implementations agree (`docs/format.md`, *Canonical JSON*).
//!
//! A signature covers bytes. If one statement had two spellings, two readers could see two ledgers. So a document that
//! differs from its canonical form in any byte is refused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FormatError;

/// Maximum nesting of arrays and objects.
pub const NESTING: usize = 32;
/// The largest integer: 2^53 - 1, which every JSON library represents exactly.
pub const LARGEST_NUMBER: u64 = (1 << 53) - 1;

/// Writes a value in canonical form.
///
/// # Errors
/// [`FormatError::Malformed`] if the value is outside the subset.
pub fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, FormatError> {
    let value = serde_json::to_value(value).map_err(|error| FormatError::json(what, &error))?;
    let mut bytes = Vec::new();
    write(what, &value, 1, &mut bytes)?;
    Ok(bytes)
}

/// Checks that bytes are a canonical document.
///
/// # Errors
/// [`FormatError::Malformed`] if they are not.
pub fn check(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::malformed(what, "not UTF-8"))?;
    // serde_json itself limits recursion to 128 levels.
    let value: Value = serde_json::from_str(text).map_err(|error| FormatError::json(what, &error))?;
    let mut canonical = Vec::with_capacity(bytes.len());
    write(what, &value, 1, &mut canonical)?;
    match canonical == bytes {
        true => Ok(()),
        false => {
            Err(FormatError::malformed(what, "not in canonical form (order, white space, repetition or spelling)"))
        }
    }
}

/// Reads a document. Derived readers also accept an array of member values in place of an object; this one does not.
///
/// # Errors
/// [`FormatError::Malformed`] if it does not match `T`.
pub fn read<'a, T: Serialize + Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, FormatError> {
    let failed = |error: serde_json::Error| FormatError::json(what, &error);
    let read: T = serde_json::from_slice(bytes).map_err(failed)?;
    let wanted = serde_json::to_value(&read).map_err(failed)?;
    match takes_objects_from_objects(&wanted, &serde_json::from_slice(bytes).map_err(failed)?) {
        true => Ok(read),
        false => Err(FormatError::malformed(what, "an array where an object is wanted")),
    }
}

fn takes_objects_from_objects(wanted: &Value, given: &Value) -> bool {
    match (wanted, given) {
        (Value::Object(wanted), Value::Object(given)) => wanted
            .iter()
            .all(|(name, wanted)| given.get(name).is_none_or(|given| takes_objects_from_objects(wanted, given))),
        (Value::Array(wanted), Value::Array(given)) => {
            wanted.iter().zip(given).all(|(wanted, given)| takes_objects_from_objects(wanted, given))
        }
        (Value::Object(_), Value::Array(_)) => false,
        _ => true,
    }
}

fn write(what: &'static str, value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let outside = |problem: &str| Err(FormatError::malformed(what, problem));
    if depth > NESTING && (value.is_array() || value.is_object()) {
        return outside("nested deeper than 32");
    }
    match value {
        Value::Null => outside("`null` is not canonical"),
        Value::Bool(flag) => {
            out.extend_from_slice(if *flag { b"true" } else { b"false" });
            Ok(())
        }
        Value::Number(number) => match number.as_u64().filter(|number| *number <= LARGEST_NUMBER) {
            Some(number) => {
                out.extend_from_slice(number.to_string().as_bytes());
                Ok(())
            }
            None => outside("a number is not an integer from 0 to 2^53 - 1"),
        },
        Value::String(text) => write_text(what, text, out),
        Value::Array(list) => {
            out.push(b'[');
            for (at, element) in list.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(what, element, depth + 1, out)?;
            }
            out.push(b']');
            Ok(())
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push(b'{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if !name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    return outside("a member name is not printable ASCII");
                }
                if at > 0 {
                    out.push(b',');
                }
                write_text(what, name, out)?;
                out.push(b':');
                write(what, value, depth + 1, out)?;
            }
            out.push(b'}');
            Ok(())
        }
    }
}

fn write_text(what: &'static str, text: &str, out: &mut Vec<u8>) -> Result<(), FormatError> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(FormatError::malformed(what, "a string holds a control character"));
    }
    // Without control characters, only the quote and the backslash are escaped, and every library does that alike.
    out.push(b'"');
    for piece in text.split_inclusive(['"', '\\']) {
        let plain = piece.strip_suffix(['"', '\\']).unwrap_or(piece);
        out.extend_from_slice(plain.as_bytes());
        if let Some(escaped) = piece.as_bytes().get(plain.len()) {
            out.extend_from_slice(&[b'\\', *escaped]);
        }
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str) -> bool {
        check("test", text.as_bytes()).is_ok()
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Inner {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        a: Option<u64>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Outer {
        list: Vec<Inner>,
    }

    #[test]
    fn an_object_is_not_taken_from_an_array() {
        for good in [r#"{"list":[{"a":1}],"other":[1]}"#, r#"{"list":[{},{"b":[2]}]}"#] {
            assert!(read::<Outer>("test", good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [r#"[[{"a":1}]]"#, r#"{"list":[{"a":1},[2]]}"#, r#"{"list":[[]]}"#] {
            assert!(read::<Outer>("test", bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_value_has_one_spelling() {
        assert!(fits(r#"{"A":[],"a":{"b":"ä\"\\/é😀"},"b":[0,9007199254740991,true,false]}"#));
        for other in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1} "#,
            "{\"a\":1}\n",
            r#"{"a": 1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-0}"#,
            r#"{"a":-1}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":null}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\n"}"#,
            "{\"a\":\"\u{7f}\"}",
            r#"{"a":"\u007f"}"#,
            r#"{"ä":1}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":01}"#,
            "",
            "{",
        ] {
            assert!(!fits(other), "{other}");
        }
        assert!(check("test", b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(fits(&nested(32)) && !fits(&nested(33)));
        assert!(!fits(&nested(100_000)), "and is no crash");
    }

    #[test]
    fn what_is_written_is_canonical() {
        let value = serde_json::json!({"z": 1, "a": {"y": [true], "b": "x\"y"}});
        let bytes = encode("test", &value).unwrap();
        assert_eq!(bytes, br#"{"a":{"b":"x\"y","y":[true]},"z":1}"#);
        check("test", &bytes).unwrap();
        assert!(encode("test", &serde_json::json!({"a": -1})).is_err());
        assert!(encode("test", &"a\nb").is_err());
    }
}
