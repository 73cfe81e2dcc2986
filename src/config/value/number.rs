//! Numbers within bounds.

use std::fmt;
use std::path::Path;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{SettingType, TextValue, ValueError};
use crate::config::node::quoted;

/// The largest number of requests per second.
const FASTEST: f64 = 1_000.0;

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Whole<const LEAST: i64, const MOST: i64>(i64);

impl<const LEAST: i64, const MOST: i64> Whole<LEAST, MOST> {
    /// The number, in the type that its bounds fit into; else the least of that type.
    #[must_use]
    pub fn get<T: TryFrom<i64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}

impl<const LEAST: i64, const MOST: i64> SettingType for Whole<LEAST, MOST> {
    fn expected() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }
}

impl<const LEAST: i64, const MOST: i64> TextValue for Whole<LEAST, MOST> {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Self).ok_or_else(|| ValueError::Found(quoted(text)))
    }
}

impl<'de, const LEAST: i64, const MOST: i64> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor<const LEAST: i64, const MOST: i64>;
        impl<const LEAST: i64, const MOST: i64> Visitor<'_> for WholeVisitor<LEAST, MOST> {
            type Value = Whole<LEAST, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&Whole::<LEAST, MOST>::expected())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                let fits = (LEAST..=MOST).contains(&number);
                if fits { Ok(Whole(number)) } else { Err(E::invalid_value(Unexpected::Signed(number), &self)) }
            }
        }
        deserializer.deserialize_i64(WholeVisitor)
    }
}

/// Writes a number without a fraction as a whole one.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
#[expect(clippy::cast_possible_truncation, reason = "it is small and has no fraction")]
fn write_number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 { serializer.serialize_i64(*number as i64) } else { serializer.serialize_f64(*number) }
}

/// Requests per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate(#[serde(serialize_with = "write_number")] pub f64);

impl SettingType for Rate {
    fn expected() -> String {
        format!("a number above 0 and up to {FASTEST}")
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share(#[serde(serialize_with = "write_number")] pub f64);

impl SettingType for Share {
    fn expected() -> String {
        "a number from 0 to 1 or a percentage such as \"20%\"".to_owned()
    }
}

impl TextValue for Share {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
        let number = number.parse::<f64>().ok().filter(|number| (0.0..=whole).contains(number));
        number.map(|number| Self(number / whole)).ok_or_else(|| ValueError::Found(quoted(text)))
    }
}

/// Reads numbers of TOML, and texts where the type takes them.
struct NumberVisitor<T> {
    number: fn(f64) -> Option<T>,
    text: fn(&str) -> Option<T>,
}

impl<T: SettingType> Visitor<'_> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::expected())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.number)(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    #[expect(clippy::cast_precision_loss, reason = "what loses precision is out of bounds")]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        (self.number)(number as f64).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = |number: f64| (number > 0.0 && number <= FASTEST).then_some(Self(number));
        deserializer.deserialize_f64(NumberVisitor { number, text: |_| None })
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = |number: f64| (0.0..=1.0).contains(&number).then_some(Self(number));
        deserializer.deserialize_any(NumberVisitor { number, text: |text| Self::parse(text, Path::new("")).ok() })
    }
}
