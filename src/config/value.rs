//! The types of settings: each reads itself and knows what messages call it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::node::quoted;
use super::node::{SECRET_AND_BASE, TEXT_AND_BASE};
use crate::schedule::Zone;

mod list;
mod number;
mod place;

pub use list::{PolicyPins, Tags};
pub use number::{Rate, Share, Whole};
pub(super) use place::is_loopback;
pub use place::{FilePath, HttpUrl, Location, SecretRef};

/// Days of the longest period: ten years.
const LONGEST_DAYS: u64 = 10 * 365;

/// The type of a setting.
pub trait SettingType {
    /// Description of a valid value in messages and in the reference.
    fn expected() -> String;
}

/// Why a text is no value of a type.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// The value found; never a long one, nor one that may be a secret.
    Found(String),
    /// Description of the problem, if that says more.
    Problem(String),
}

/// A type that is written as one text. Relative paths in it start at `base`.
pub trait TextValue: SettingType + Sized {
    /// Whether what is there in its place may be a secret, which no message repeats.
    const MAY_BE_SECRET: bool = false;

    /// Reads the text.
    ///
    /// # Errors
    /// When it is no value of this type.
    fn parse(text: &str, base: &Path) -> Result<Self, ValueError>;
}

/// Parses a command-line flag that overrides a setting.
///
/// # Errors
/// In words, when it is no value of that type.
pub fn parse_flag<T: TextValue>(text: &str) -> Result<T, String> {
    T::parse(text, Path::new("")).map_err(|error| match error {
        ValueError::Found(found) => format!("expected {}, not {found}", T::expected()),
        ValueError::Problem(problem) => problem,
    })
}

struct TextVisitor<T>(PhantomData<T>);

impl<'de, T: TextValue> Visitor<'de> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::expected())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut base_and_text: A) -> Result<T, A::Error> {
        let base = base_and_text.next_element::<String>()?.unwrap_or_default();
        let text = base_and_text.next_element::<String>()?.unwrap_or_default();
        T::parse(&text, Path::new(&base)).map_err(|error| match error {
            ValueError::Found(found) => A::Error::invalid_value(Unexpected::Other(&found), &self),
            ValueError::Problem(problem) => A::Error::custom(problem),
        })
    }
}

/// Reads a [`TextValue`] by serde.
pub(super) fn read_text<'de, T: TextValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let name = if T::MAY_BE_SECRET { SECRET_AND_BASE } else { TEXT_AND_BASE };
    deserializer.deserialize_newtype_struct(name, TextVisitor(PhantomData))
}

/// Serde and [`SettingType`] for types that are read by [`TextValue`] and written by `Display`.
macro_rules! text_value {
    // Only read.
    (read $($type:ty: $expected:expr;)+) => { $(
        impl crate::config::value::SettingType for $type {
            fn expected() -> String {
                $expected.into()
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::config::value::read_text(deserializer)
            }
        }
    )+ };
    ($($type:ty: $expected:expr;)+) => {
        crate::config::value::text_value! { read $($type: $expected;)+ }

        $(impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })+
    };
}
pub(super) use text_value;

/// An enumeration whose variants are words.
macro_rules! words {
    ($(#[$about:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them.
            $vis const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::config::value::TextValue for $name {
            fn parse(text: &str, _: &std::path::Path) -> Result<Self, crate::config::value::ValueError> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| {
                    let near = crate::model::nearest::did_you_mean(text, Self::ALL.iter().map(|one| one.as_str()));
                    crate::config::value::ValueError::Found(format!("{}{near}", crate::config::node::quoted(text)))
                })
            }
        }

        crate::config::value::text_value! { $name: crate::config::value::alternatives(&[$($word),+]); }
    };
}
pub(super) use words;

/// `"a", "b" or "c"`.
pub(super) fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A time span, written as a number with a unit. At least a second, at most ten years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Deref for Period {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl fmt::Display for Period {
    /// In the largest unit that gives a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
        let fits = units.iter().find(|(_, length)| seconds > 0 && seconds.is_multiple_of(*length));
        let (unit, length) = fits.unwrap_or(&("s", 1));
        write!(f, "{}{unit}", seconds / length)
    }
}

impl TextValue for Period {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        let found = |limit: &str| Err(ValueError::Found(format!("{}{limit}", quoted(text))));
        match seconds(text) {
            Some(0) => found("; the shortest is \"1s\", which is as good as none"),
            Some(seconds) if seconds <= LONGEST_DAYS * 86_400 => Ok(Self(Duration::from_secs(seconds))),
            Some(_) => found(&format!("; the longest is \"{LONGEST_DAYS}d\"")),
            None => found(""),
        }
    }
}

fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let length = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?.trim_end();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(length)
}

/// The one word `accepted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted;

impl TextValue for Accepted {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        if text == "accepted" { Ok(Self) } else { Err(ValueError::Found(quoted(text))) }
    }
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("accepted")
    }
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneName(pub Zone);

impl TextValue for ZoneName {
    fn parse(text: &str, _: &Path) -> Result<Self, ValueError> {
        Zone::new(text).map(Self).map_err(|error| ValueError::Problem(error.to_string()))
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

text_value! {
    Period: "a time with a unit, such as \"90s\", \"15m\", \"12h\" or \"7d\"";
    Accepted: "\"accepted\", or left out";
    ZoneName: "an IANA time zone";
}

/// [`SettingType`] for types of others.
macro_rules! setting_types {
    ($($type:ty: $expected:literal;)+) => { $(
        impl SettingType for $type {
            fn expected() -> String {
                $expected.to_owned()
            }
        }
    )+ };
}

setting_types! {
    bool: "true or false";
    String: "text";
    Vec<String>: "a list of texts";
    Tags: "a list of texts";
    PolicyPins: "a list of pins (a reference, or a reference and its bytes), or one of them";
}

impl<T: SettingType> SettingType for Option<T> {
    fn expected() -> String {
        T::expected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: TextValue + fmt::Display>(text: &str) -> Result<String, ValueError> {
        T::parse(text, Path::new("/etc/keyhaven")).map(|value| value.to_string())
    }

    #[test]
    fn periods_need_a_unit_and_print_back() {
        for (text, back) in [("7d", "7d"), ("90s", "90s"), ("48h", "2d"), ("1s", "1s"), ("3650d", "3650d")] {
            assert_eq!(read::<Period>(text), Ok(back.to_owned()));
        }
        for wrong in ["7", "d", "-1d", "1.5h", "0s", "0m", "7 days", "99999999999999999999d", "1w", "9d9d", "3651d"] {
            assert!(read::<Period>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        for text in ["20%", "0.2", "20 %"] {
            assert_eq!(parse_flag::<Share>(text).map(|share| share.0), Ok(0.2));
        }
        for wrong in ["20", "101%", "-1%", "NaN", "inf", "%"] {
            assert!(parse_flag::<Share>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn locations_are_folders_or_buckets() {
        for (text, place) in [
            ("repo", "/etc/keyhaven/repo"),
            ("./a//repo/", "/etc/keyhaven/a/repo"),
            ("../repo", "/etc/keyhaven/../repo"),
            ("file:///srv/repo", "/srv/repo"),
            ("s3://b/p/q/", "s3://b/p/q"),
        ] {
            assert_eq!(read::<Location>(text), Ok(place.to_owned()));
        }
        for wrong in ["", "s3://", "https://x/y", "s3://key:secret@bucket/p", "s3://b/p?x=1"] {
            assert!(read::<Location>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_named_by_a_scheme_and_never_repeated() {
        for (text, back) in [
            ("file:key", "file:/etc/keyhaven/key"),
            ("file:/run/key", "file:/run/key"),
            ("file:///run/key", "file:/run/key"),
            ("env:API_KEY", "env:API_KEY"),
            ("credential:source-api-key", "credential:source-api-key"),
        ] {
            assert_eq!(read::<SecretRef>(text), Ok(back.to_owned()));
        }
        for wrong in
            ["", "hunter2", "file:", "file://hunter2/k", "env:", "env:hunter2!", "credential:a/hunter2", "x:hunter2"]
        {
            let refused = parse_flag::<SecretRef>(wrong).unwrap_err();
            assert!(!refused.contains("hunter2") && refused.contains("\"file:PATH\""), "{refused}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_not_repeated() {
        assert!(!parse_flag::<HttpUrl>("https://user:hunter2@sm.example").unwrap_err().contains("hunter2"));
        assert!(read::<HttpUrl>("sm.example").is_err() && read::<HttpUrl>("ftp://sm.example").is_err());
    }
}
