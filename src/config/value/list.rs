//! Lists with rules of their own.

use std::fmt;

use serde::de::{self, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use super::SettingType;
use crate::config::node::split_list;
use crate::model::tag::{TagError, check_tag};

/// Tags of snapshots, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tags(pub Vec<String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tags = Vec::<String>::deserialize(deserializer)?;
        if let Some(at) = tags.iter().position(|tag| check_tag(tag).is_err()) {
            return Err(D::Error::custom(format!("entry {}: {TagError}", at + 1)));
        }
        tags.sort();
        tags.dedup();
        Ok(Self(tags))
    }
}

/// Pins of the trust policy: a list, or one of them. Not parsed here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PolicyPins(pub Vec<String>);

impl<'de> Deserialize<'de> for PolicyPins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PinsVisitor;
        impl<'de> Visitor<'de> for PinsVisitor {
            type Value = PolicyPins;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&PolicyPins::expected())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PolicyPins, E> {
                if text.is_empty() {
                    return Err(E::invalid_value(Unexpected::Str(text), &self));
                }
                Ok(PolicyPins(split_list(text).map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<PolicyPins, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(PolicyPins)
            }
        }
        deserializer.deserialize_any(PinsVisitor)
    }
}
