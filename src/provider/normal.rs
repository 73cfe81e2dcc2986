//! Comparison and change of metadata by merge patches (RFC 7396), with numbers kept as written.
//!
//! A merge patch can express neither `null` nor repeated names. So two values are equal if they do not differ in
//! anything else: `null` members are absent, the last member of each name counts, and member order and spacing are
//! ignored.

use serde_json::value::RawValue;

use crate::model::json::{JsonObject, MAX_DEPTH, as_array, as_str, raw};

/// Returns the normal form of a value: equal texts are equal values for a merge patch.
///
/// Below [`MAX_DEPTH`] levels the text is used unchanged.
#[must_use]
pub fn normal(value: &RawValue) -> String {
    let mut out = String::with_capacity(value.get().len());
    write(value, 0, &mut out);
    out
}

/// Returns the normal form of the named members of `settings`, one line each, sorted by name. Absent members are
/// omitted; `null` is kept at this level.
#[must_use]
pub fn normal_members<'a>(settings: &JsonObject, names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut out = String::new();
    for name in names {
        if let Some(value) = settings.get(name) {
            out.push_str(raw(name).get());
            out.push(':');
            write(value, 1, &mut out);
            out.push('\n');
        }
    }
    out
}

fn write(value: &RawValue, depth: usize, out: &mut String) {
    let text = value.get();
    let first = text.as_bytes().first();
    if depth < MAX_DEPTH {
        if let (Some(b'{'), Ok(object)) = (first, JsonObject::parse(text)) {
            out.push('{');
            for (name, value) in last_members(&object) {
                out.push_str(raw(name).get());
                out.push(':');
                write(value, depth + 1, out);
                out.push(',');
            }
            out.push('}');
            return;
        }
        if let (Some(b'['), Some(list)) = (first, as_array(value)) {
            out.push('[');
            for value in list {
                write(&value, depth + 1, out);
                out.push(',');
            }
            out.push(']');
            return;
        }
    }
    match as_str(value) {
        Some(string) => out.push_str(raw(string.as_str()).get()),
        None => out.push_str(text),
    }
}

/// Returns the members sorted by name, the last of each name, without those that are `null`.
fn last_members(object: &JsonObject) -> Vec<(&str, &RawValue)> {
    let mut members: Vec<(usize, &str, &RawValue)> =
        object.iter().enumerate().map(|(place, (name, value))| (place, name, value)).collect();
    members.sort_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(&a.0)));
    members.dedup_by(|later, kept| later.1 == kept.1);
    members.into_iter().filter(|(_, _, value)| value.get() != "null").map(|(_, name, value)| (name, value)).collect()
}

/// Returns the merge patch that changes `have` to `want`.
///
/// It contains every member of `want`, even unchanged ones, so that a server that replaces instead of merging gets the
/// same result. Members only in `have` are set to `null`.
#[must_use]
pub fn merge_patch(have: &JsonObject, want: &JsonObject) -> JsonObject {
    patch(have, want, 0)
}

fn patch(have: &JsonObject, want: &JsonObject, depth: usize) -> JsonObject {
    let mut out = want.clone();
    if depth >= MAX_DEPTH {
        return out;
    }
    for (name, value) in last_members(have) {
        match (want.get(name), JsonObject::parse(value.get())) {
            (None, _) => out.set(name, RawValue::NULL.to_owned()),
            (Some(wanted), Ok(inner_have)) => {
                if let Ok(inner_want) = JsonObject::parse(wanted.get()) {
                    out.set(name, patch(&inner_have, &inner_want, depth + 1).to_raw());
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> JsonObject {
        JsonObject::parse(text).unwrap()
    }

    #[test]
    fn equal_is_what_a_merge_patch_cannot_tell_apart() {
        let a = object(r#"{"b":[1,{"x":null,"y":1.0}],"k":1,"k":"\u0041"}"#).to_raw();
        let b = object(r#"{"k": "A", "b":[1,{"y":1.0}], "n":null}"#).to_raw();
        let c = object(r#"{"k":"A","b":[1,{"y":1}]}"#).to_raw();
        assert_eq!(normal(&a), normal(&b));
        assert_ne!(normal(&a), normal(&c), "1.0 and 1 are different texts");
    }

    #[test]
    fn a_patch_removes_what_should_not_be_there_at_every_depth() {
        let have = object(r#"{"a":1,"gone":2,"in":{"x":1,"old":true}}"#);
        let want = object(r#"{"a":12345678901234567890,"in":{"x":1,"y":1e400}}"#);
        let patch = merge_patch(&have, &want);
        assert_eq!(patch.to_raw().get(), r#"{"a":12345678901234567890,"in":{"x":1,"y":1e400,"old":null},"gone":null}"#);
    }

    #[test]
    fn only_the_named_members_count_and_null_says_cleared() {
        let have = object(r#"{"name":"n","policy":{"length":32},"ends":null}"#);
        let want = object(r#"{"ends":null,"name":"n"}"#);
        let names = || want.iter().map(|(name, _)| name);
        assert_eq!(normal_members(&have, names()), normal_members(&want, names()));
        let later = object(r#"{"name":"n","ends":"2030-01-01T00:00:00.000Z"}"#);
        assert_ne!(normal_members(&later, names()), normal_members(&want, names()));
    }
}
