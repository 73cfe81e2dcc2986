//! Digests of the list rows of an item.

use serde_json::value::RawValue;

use crate::crypto::digest::sha256;
use crate::model::Revision;
use crate::model::json::{MAX_DEPTH, Members};

/// Members that our own reads change.
const MOVED_BY_READS: [&str; 2] = ["retrieved_at", "downloaded"];
/// Member that some instances change on a read.
const PERHAPS_MOVED: &str = "updated_at";
/// Members with user-defined content, which reads do not change.
const USERS_OWN: [&str; 3] = ["custom_metadata", "version_custom_metadata", "attributes"];

/// The two digests of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revisions {
    /// Digest of everything except members that our own reads change.
    pub(super) whole: Revision,
    /// The same digest without `updated_at`.
    pub(super) settled: Revision,
}

/// Computes the digests of rows, each under its name, independent of member order and white space. Numbers are compared
/// as written.
///
/// Returns `None` if a row is not JSON or nests deeper than [`MAX_DEPTH`].
pub(super) fn revisions(rows: &[(&str, &RawValue)]) -> Option<Revisions> {
    let mut text = String::with_capacity(rows.iter().map(|(name, row)| name.len() + row.get().len() + 2).sum());
    let mut moments = String::new();
    for (name, row) in rows {
        text.push_str(name);
        text.push(' ');
        write(row.get(), 0, false, &mut text, &mut moments)?;
        text.push('\n');
    }
    let settled = sha256(text.as_bytes());
    text.push_str(&moments);
    Some(Revisions { whole: sha256(text.as_bytes()), settled })
}

/// Writes a value with sorted members and without white space. Each `updated_at` is written to `moments` instead.
fn write(value: &str, depth: usize, users: bool, out: &mut String, moments: &mut String) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value.as_bytes().first()? {
        b'{' => {
            let mut members = Members::parse(value).ok()?.0;
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (name, value) in &members {
                if !users && MOVED_BY_READS.contains(&name.as_str()) {
                    continue;
                }
                if !users && name == PERHAPS_MOVED {
                    moments.push_str(value.get());
                    moments.push('\n');
                    continue;
                }
                out.push_str(&serde_json::to_string(name).ok()?);
                out.push(':');
                write(value.get(), depth + 1, users || USERS_OWN.contains(&name.as_str()), out, moments)?;
                out.push(',');
            }
            out.push('}');
        }
        b'[' => {
            let list: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            out.push('[');
            for value in list {
                write(value.get(), depth + 1, users, out, moments)?;
                out.push(',');
            }
            out.push(']');
        }
        b'"' => {
            let string: String = serde_json::from_str(value).ok()?;
            out.push_str(&serde_json::to_string(&string).ok()?);
        }
        _ => out.push_str(value),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: &str) -> Revisions {
        let row: &RawValue = serde_json::from_str(row).unwrap();
        revisions(&[("row", row)]).unwrap()
    }

    #[test]
    fn order_and_spacing_do_not_count_but_digits_do() {
        assert_eq!(of(r#"{"a":1.0,"b":["x"]}"#), of("{ \"b\": [ \"\\u0078\" ],\n\"a\":1.0}"));
        assert_ne!(of(r#"{"a":1.0}"#), of(r#"{"a":1}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
        assert_ne!(of(r#"{"a":[1],"b":2}"#), of(r#"{"a":[1,2],"b":2}"#));
    }

    #[test]
    fn what_reads_change_does_not_count() {
        let before = of(r#"{"a":1,"downloaded":false,"retrieved_at":"x","v":[{"downloaded":false}]}"#);
        assert_eq!(before, of(r#"{"a":1,"downloaded":true,"v":[{"downloaded":true}]}"#));
    }

    #[test]
    fn members_of_the_users_count_whatever_their_name() {
        let (a, b) = (r#"{"custom_metadata":{"downloaded":1}}"#, r#"{"custom_metadata":{"downloaded":2}}"#);
        assert_ne!(of(a), of(b));
        let (a, b) = (r#"{"attributes":{"x":{"updated_at":1}}}"#, r#"{"attributes":{"x":{"updated_at":2}}}"#);
        assert_ne!(of(a).settled, of(b).settled);
    }

    #[test]
    fn updated_at_counts_in_one_of_the_two() {
        let (a, b) = (of(r#"{"a":1,"updated_at":"x"}"#), of(r#"{"a":1,"updated_at":"y"}"#));
        assert_ne!(a.whole, b.whole);
        assert_eq!(a.settled, b.settled);
        assert_ne!(a.settled, of(r#"{"a":2,"updated_at":"x"}"#).settled);
    }

    #[test]
    fn a_row_that_moves_to_another_list_is_another_state() {
        let row: &RawValue = serde_json::from_str("{}").unwrap();
        assert_ne!(revisions(&[("row", row)]), revisions(&[("locks_row", row)]));
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(revisions(&[("row", serde_json::from_str(&deep).unwrap())]), None);
    }
}
