//! JSON kept as received: member order, repeated names and the digits of every number.
//!
//! A value is held as its text ([`RawValue`]) and parsed only one level at a time. Numbers are never converted to a
//! machine type and back, so `1e400`, `1.0` and a 20-digit integer survive.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Maximum nesting of arrays and objects that [`canonical`] accepts.
pub const MAX_DEPTH: usize = 100;

/// A JSON object as an ordered list of members, each value as its exact text.
///
/// Repeated names are kept. This is the owned form, for metadata; payloads are parsed as [`Members`], which borrow.
#[derive(Clone, Default)]
pub struct JsonObject {
    members: Vec<(String, Box<RawValue>)>,
}

impl JsonObject {
    /// Parses one JSON object.
    ///
    /// # Errors
    /// When `text` is not a JSON object, or has something after it.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the exact text of the last member called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.members.iter().rev().find(|(n, _)| n == name).map(|(_, v)| &**v)
    }

    /// Returns a member as a string, if it is a string.
    #[must_use]
    pub fn str(&self, name: &str) -> Option<String> {
        self.get(name).and_then(as_str)
    }

    /// Returns a member as a `u64`, if it is an integer that fits.
    #[must_use]
    pub fn u64(&self, name: &str) -> Option<u64> {
        self.get(name)?.get().parse().ok()
    }

    /// Returns a member as a boolean, if it is a boolean.
    #[must_use]
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)?.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns a member as an object, if it is an object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<JsonObject> {
        JsonObject::parse(self.get(name)?.get()).ok()
    }

    /// Returns a member as a list of values, if it is a list.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<Vec<Box<RawValue>>> {
        self.get(name).and_then(as_array)
    }

    /// Replaces the value of `name` in place, or appends it.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.members.iter_mut().rev().find(|(n, _)| n == name) {
            Some(member) => member.1 = value,
            None => self.members.push((name.to_owned(), value)),
        }
    }

    /// Removes every member called `name` and returns the last one.
    pub fn remove(&mut self, name: &str) -> Option<Box<RawValue>> {
        let mut found = None;
        let mut kept = Vec::with_capacity(self.members.len());
        for member in self.members.drain(..) {
            if member.0 == name {
                found = Some(member.1);
            } else {
                kept.push(member);
            }
        }
        self.members = kept;
        found
    }

    /// Iterates over the members in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.members.iter().map(|(n, v)| (n.as_str(), &**v))
    }

    /// Returns the number of members; repeated names count each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns true if there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns the object as one value: its members in order, without white space between them.
    #[must_use]
    pub fn to_raw(&self) -> Box<RawValue> {
        raw(self)
    }
}

impl fmt::Debug for JsonObject {
    /// Shows names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|(n, _)| n)).finish()
    }
}

impl FromIterator<(String, Box<RawValue>)> for JsonObject {
    fn from_iter<T: IntoIterator<Item = (String, Box<RawValue>)>>(iter: T) -> Self {
        Self { members: iter.into_iter().collect() }
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = JsonObject;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonObject, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push(member);
                }
                Ok(JsonObject { members })
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// The members of a JSON object, borrowed from the text, so that secrets are not copied.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Parses one JSON object without copying its values.
    ///
    /// # Errors
    /// When `text` is not a JSON object, or has something after it.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(n, _)| n)).finish()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

/// Serializes a plain value to its JSON text.
///
/// Only for values whose serialization cannot fail (maps with string keys, no foreign `Serialize`); a failure would
/// give `null`.
#[must_use]
pub fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Returns the value as a string, if it is a string.
#[must_use]
pub fn as_str(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Returns the elements of a JSON list, each as its exact text.
#[must_use]
pub fn as_array(value: &RawValue) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(value.get()).ok()
}

/// Returns the value with the members of every object sorted by name and no white space outside strings.
///
/// Two answers that differ only in member order or spacing give the same text. Numbers are not changed. Members with
/// the same name keep their order.
///
/// # Errors
/// When the text is not JSON or nests deeper than [`MAX_DEPTH`].
pub fn canonical(value: &RawValue) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(value.get().len());
    write_canonical(value.get(), 0, &mut out)?;
    Ok(out)
}

fn write_canonical(text: &str, depth: usize, out: &mut String) -> Result<(), serde_json::Error> {
    if depth > MAX_DEPTH {
        return Err(de::Error::custom("nested too deep"));
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let mut members = Members::parse(text)?.0;
            members.sort_by(|a, b| a.0.cmp(&b.0));
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(name)?);
                out.push(':');
                write_canonical(value.get(), depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(value.get(), depth + 1, out)?;
            }
            out.push(']');
        }
        Some(b'"') => {
            let string: String = serde_json::from_str(text)?;
            out.push_str(&serde_json::to_string(&string)?);
        }
        _ => out.push_str(text),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_order_and_repeated_names_survive() {
        let text = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;
        let object = JsonObject::parse(text).unwrap();
        assert_eq!(object.to_raw().get(), text);
        assert_eq!(object.len(), 5);
        assert_eq!(object.get("k").unwrap().get(), "2");
    }

    #[test]
    fn canonical_ignores_member_order_and_spacing_only() {
        let a = JsonObject::parse(r#"{"b":[1, {"y":1.0,"x":"\u0041"}],"a":null}"#).unwrap().to_raw();
        let b = JsonObject::parse(r#"{ "a":null, "b":[1,{"x":"A","y":1.0}] }"#).unwrap().to_raw();
        let c = JsonObject::parse(r#"{"a":null,"b":[1,{"x":"A","y":1}]}"#).unwrap().to_raw();
        assert_eq!(canonical(&a).unwrap(), canonical(&b).unwrap());
        assert_ne!(canonical(&a).unwrap(), canonical(&c).unwrap());
    }

    #[test]
    fn too_deep_is_an_error_and_no_crash() {
        let text = format!("{}{}", "[".repeat(120), "]".repeat(120));
        let value: Box<RawValue> = serde_json::from_str(&text).unwrap();
        assert!(canonical(&value).is_err());
    }

    #[test]
    fn set_keeps_the_place_of_a_member() {
        let mut object = JsonObject::parse(r#"{"a":1,"b":2}"#).unwrap();
        object.set("a", raw(&3));
        object.set("c", raw("x"));
        assert_eq!(object.to_raw().get(), r#"{"a":3,"b":2,"c":"x"}"#);
        assert_eq!(object.remove("b").unwrap().get(), "2");
        assert_eq!(object.to_raw().get(), r#"{"a":3,"c":"x"}"#);
    }
}
