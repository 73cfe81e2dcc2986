//! RFC 7396 merge patches over JSON kept as text.

use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::model::json::{JsonObject, MAX_DEPTH};

/// Merges `patch` into `target`: `null` removes, objects merge, anything else replaces.
///
/// # Errors
/// 400 when the patch nests deeper than [`MAX_DEPTH`].
pub(crate) fn merge(target: Option<&RawValue>, patch: &RawValue) -> Result<Box<RawValue>, Refusal> {
    merge_at(target, patch, 0)
}

fn merge_at(target: Option<&RawValue>, patch: &RawValue, depth: usize) -> Result<Box<RawValue>, Refusal> {
    if depth > MAX_DEPTH {
        return Err(Refusal::invalid("The request body nests too deep."));
    }
    let Ok(patch_members) = JsonObject::parse(patch.get()) else { return Ok(patch.to_owned()) };
    let mut merged = target.and_then(|target| JsonObject::parse(target.get()).ok()).unwrap_or_default();
    for (name, value) in patch_members.iter() {
        if value.get() == "null" {
            merged.remove(name);
        } else {
            let value = merge_at(merged.get(name), value, depth + 1)?;
            merged.set(name, value);
        }
    }
    Ok(merged.to_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn null_clears_objects_merge_the_rest_replaces() {
        let target = raw(r#"{"a":1.0,"b":{"x":1e400,"y":2},"c":[1,2]}"#);
        let patch = raw(r#"{"a":null,"b":{"y":null,"z":12345678901234567890},"c":[3],"d":{"e":null,"f":1}}"#);
        let merged = merge(Some(&target), &patch).unwrap();
        assert_eq!(merged.get(), r#"{"b":{"x":1e400,"z":12345678901234567890},"c":[3],"d":{"f":1}}"#);
    }

    #[test]
    fn a_scalar_gives_way_to_an_object() {
        assert_eq!(merge(Some(&raw("1")), &raw(r#"{"a":1}"#)).unwrap().get(), r#"{"a":1}"#);
        assert_eq!(merge(None, &raw(r#"{"a":1}"#)).unwrap().get(), r#"{"a":1}"#);
    }

    #[test]
    fn too_deep_is_refused() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(150), "}".repeat(150));
        // Deeper than serde_json's limit or ours: an error, never a crash.
        if let Ok(patch) = serde_json::from_str::<Box<RawValue>>(&deep) {
            assert_eq!(merge(None, &patch).unwrap_err().status, 400);
        }
    }
}
