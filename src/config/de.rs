//! Settings into types by serde, with messages that name the place, the key, what is right and what was found.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::error::ConfigError;
use super::keys;
use super::node::{Node, NodeValue, SECRET_AND_BASE, TEXT_AND_BASE, quoted, split_list};
use super::origin::SettingOrigin;
use crate::model::nearest::nearest;

/// Reads a value of the type that it should have. `path` is what messages call it; `entry` says that it is in a table
/// of entries such as `[[rules]]`, whose keys are not those of [`keys`].
pub(super) fn read<'de, T: Deserialize<'de>>(node: &'de Node, path: &str, entry: bool) -> Result<T, ConfigError> {
    let reader = NodeReader { node, path: path.to_owned(), entry, listed: false };
    T::deserialize(reader).map_err(|error| error.at(path, &node.origin))
}

/// An error before it is known where.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Config(ConfigError),
    #[error("must be {expected}, not {found}")]
    Wrong { expected: String, found: String },
    #[error("unknown key")]
    Unknown { expected: &'static [&'static str] },
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("{0}")]
    Problem(String),
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::Problem(problem.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_value(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => quoted(text),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            Unexpected::Bool(flag) => flag.to_string(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a table".to_owned(),
            Unexpected::Other(words) => words.to_owned(),
            _ => "that".to_owned(),
        };
        Self::Wrong { expected: expected.to_string(), found }
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown { expected }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

impl ReadError {
    /// The same error with its place, unless an inner one has been found.
    fn placed(self, path: &str, node: &Node) -> Self {
        Self::Config(self.at(path, &node.origin))
    }

    fn at(self, path: &str, place: &SettingOrigin) -> ConfigError {
        let (key, place) = (path.to_owned(), place.clone());
        match self {
            Self::Config(error) => error,
            Self::Wrong { expected, found } => ConfigError::WrongValue { place, key, expected, found },
            Self::Unknown { .. } => ConfigError::UnknownKey { place, key, nearest: None },
            Self::Missing(_) => ConfigError::Table { place, what: format!("`[[{key}]]`"), problem: self.to_string() },
            Self::Problem(problem) => ConfigError::Table { place, what: format!("`{key}`"), problem },
        }
    }
}

struct NodeReader<'de> {
    node: &'de Node,
    path: String,
    entry: bool,
    /// True if it is an element of a list.
    listed: bool,
}

impl<'de> NodeReader<'de> {
    fn wrong<T>(&self, expected: &str) -> Result<T, ReadError> {
        Err(ReadError::Wrong { expected: expected.to_owned(), found: self.node.describe() })
    }

    fn unexpected(&self) -> Unexpected<'de> {
        match &self.node.value {
            NodeValue::Untyped(text) | NodeValue::Text(text) => Unexpected::Str(text),
            NodeValue::Integer(number) => Unexpected::Signed(*number),
            NodeValue::Float(number) => Unexpected::Float(*number),
            NodeValue::Flag(flag) => Unexpected::Bool(*flag),
            NodeValue::Date(_) => Unexpected::Other("a date"),
            NodeValue::List(_) => Unexpected::Seq,
            NodeValue::Table(_) => Unexpected::Map,
        }
    }

    fn table<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let NodeValue::Table(members) = &self.node.value else {
            let (place, section) = (self.node.origin.clone(), self.path);
            return Err(ReadError::Config(ConfigError::Section { place, section }));
        };
        let members = Members { path: self.path.clone(), entry: self.entry, rest: members.iter(), value: None };
        visitor.visit_map(members)
    }
}

impl<'de> de::Deserializer<'de> for NodeReader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            NodeValue::Table(_) => self.table(visitor),
            NodeValue::List(_) => self.deserialize_seq(visitor),
            NodeValue::Untyped(text) | NodeValue::Text(text) | NodeValue::Date(text) => visitor.visit_str(text),
            NodeValue::Integer(number) => visitor.visit_i64(*number),
            NodeValue::Float(number) => visitor.visit_f64(*number),
            NodeValue::Flag(flag) => visitor.visit_bool(*flag),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            NodeValue::Flag(flag) => visitor.visit_bool(*flag),
            NodeValue::Untyped(text) if text == "true" || text == "false" => visitor.visit_bool(text == "true"),
            _ => self.wrong("true or false"),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let NodeValue::Untyped(text) = &self.node.value
            && let Ok(number) = text.parse()
        {
            return visitor.visit_i64(number);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let NodeValue::Untyped(text) = &self.node.value
            && let Ok(number) = text.parse()
        {
            return visitor.visit_f64(number);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            // Keys of sections are left out rather than emptied; entries have checks of their own.
            NodeValue::Untyped(text) | NodeValue::Text(text) if self.entry || self.listed || !text.is_empty() => {
                visitor.visit_str(text)
            }
            _ if self.listed => {
                let found = format!("a list with {}", self.node.describe());
                Err(ReadError::Wrong { expected: "a list of texts".to_owned(), found })
            }
            _ => self.wrong("text"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let path = self.path.clone();
        match &self.node.value {
            NodeValue::List(list) => visitor.visit_seq(Elements { path, entry: self.entry, rest: list.iter() }),
            NodeValue::Untyped(text) if !text.is_empty() => {
                visitor.visit_seq(de::value::SeqDeserializer::new(split_list(text)))
            }
            _ => self.wrong("a list of texts"),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if ![TEXT_AND_BASE, SECRET_AND_BASE].contains(&name) {
            return visitor.visit_newtype_struct(self);
        }
        match &self.node.value {
            NodeValue::Untyped(text) | NodeValue::Text(text) => {
                let base = self.node.base.to_string_lossy();
                visitor.visit_seq(de::value::SeqDeserializer::new([base.as_ref(), text].into_iter()))
            }
            _ if name == SECRET_AND_BASE => {
                Err(ReadError::invalid_type(Unexpected::Other("something that is no text"), &visitor))
            }
            _ => Err(ReadError::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.table(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.table(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
        ignored_any
    }
}

struct Elements<'de> {
    path: String,
    entry: bool,
    rest: std::slice::Iter<'de, Node>,
}

impl<'de> de::SeqAccess<'de> for Elements<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        let reader = NodeReader { node, path: self.path.clone(), entry: self.entry, listed: true };
        seed.deserialize(reader).map(Some).map_err(|error| error.placed(&self.path, node))
    }
}

struct Members<'de> {
    path: String,
    entry: bool,
    rest: std::slice::Iter<'de, (String, Node)>,
    value: Option<(String, &'de Node)>,
}

impl<'de> de::MapAccess<'de> for Members<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((name, node)) = self.rest.next() else { return Ok(None) };
        let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
        self.value = Some((path.clone(), node));
        let key: StrDeserializer<'_, ReadError> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| match error {
            ReadError::Unknown { expected } if self.entry => {
                ReadError::Config(unknown_member(&self.path, name, expected, &node.origin))
            }
            ReadError::Unknown { .. } => ReadError::Config(keys::unknown(&path, &node.origin)),
            other => other,
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let Some((path, node)) = self.value.take() else { return Err(ReadError::custom("a member without a value")) };
        let reader = NodeReader { node, path: path.clone(), entry: self.entry, listed: false };
        seed.deserialize(reader).map_err(|error| error.placed(&path, node))
    }
}

/// The error for a member that an entry does not have.
pub(super) fn unknown_member(table: &str, name: &str, known: &[&'static str], place: &SettingOrigin) -> ConfigError {
    ConfigError::UnknownKey {
        place: place.clone(),
        key: format!("{table}.{name}"),
        nearest: nearest(name, known.iter().copied()).map(|known| format!("{table}.{known}")),
    }
}
