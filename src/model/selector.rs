//! Selectors: globs over names and labels, or over one field.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Selects items: `group:GLOB`, `type:GLOB`, `label:GLOB`, `name:GLOB`, or a bare glob over names and labels.
///
/// `*` matches any characters, `?` one character. Bare or with `name:`, the glob is also matched against `GROUP/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    field: SelectorField,
    glob: String,
}

/// The fields of an item that a selector matches.
#[derive(Debug, Clone, Copy)]
pub struct SelectorSubject<'a> {
    /// The name.
    pub name: &'a str,
    /// The provider's type.
    pub item_type: &'a str,
    /// The name of the group, for secrets.
    pub group: Option<&'a str>,
    /// The labels.
    pub labels: &'a [String],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SelectorField {
    Any,
    Name,
    Group,
    Type,
    Label,
}

const FIELDS: [(&str, SelectorField); 4] = [
    ("name:", SelectorField::Name),
    ("group:", SelectorField::Group),
    ("type:", SelectorField::Type),
    ("label:", SelectorField::Label),
];

/// The selector is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a selector is a glob over names, or group:GLOB, type:GLOB, label:GLOB, name:GLOB; this one is empty")]
pub struct SelectorError;

impl Selector {
    /// Returns true if an item with these properties is selected.
    #[must_use]
    pub fn matches(&self, subject: &SelectorSubject<'_>) -> bool {
        let SelectorSubject { name, item_type, group, labels } = *subject;
        let matches = |text: &str| glob(self.glob.as_bytes(), text.as_bytes());
        let named = || matches(name) || group.is_some_and(|group| matches(&format!("{group}/{name}")));
        let labelled = || labels.iter().any(|label| matches(label));
        match self.field {
            SelectorField::Any => named() || labelled(),
            SelectorField::Name => named(),
            SelectorField::Group => group.is_some_and(matches),
            SelectorField::Type => matches(item_type),
            SelectorField::Label => labelled(),
        }
    }

    /// Returns the glob over types, if this selects by type.
    #[must_use]
    pub fn of_type(&self) -> Option<&str> {
        (self.field == SelectorField::Type).then_some(self.glob.as_str())
    }

    /// Returns true if a group itself is selected, in addition to the groups of selected secrets.
    #[must_use]
    pub fn selects_group(&self, name: &str) -> bool {
        self.field == SelectorField::Group && glob(self.glob.as_bytes(), name.as_bytes())
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (field, glob) = FIELDS
            .iter()
            .find_map(|(prefix, field)| text.strip_prefix(prefix).map(|glob| (*field, glob)))
            .unwrap_or((SelectorField::Any, text));
        if glob.is_empty() {
            return Err(SelectorError);
        }
        Ok(Self { field, glob: glob.to_owned() })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = FIELDS.iter().find(|(_, field)| *field == self.field).map_or("", |(prefix, _)| prefix);
        write!(f, "{prefix}{}", self.glob)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Matches bytes against a glob. Takes time proportional to the product of both lengths for every pattern.
#[must_use]
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Backtracking position: the last star, and the first byte that it has not yet consumed.
    let mut back: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(&wanted) if wanted == byte => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    (p, t) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let yes =
            [("*", ""), ("a*c", "abbc"), ("a*b*c", "aXbYbZc"), ("db-?", "db-1"), ("exact", "exact"), ("*a", "aa")];
        let no = [("a*c", "abbd"), ("db-?", "db-"), ("exact", "exact2"), ("", "x"), ("a", "")];
        assert!(yes.iter().all(|(p, t)| glob(p.as_bytes(), t.as_bytes())));
        assert!(no.iter().all(|(p, t)| !glob(p.as_bytes(), t.as_bytes())));
        assert!(!glob("*a".repeat(40).as_bytes(), "b".repeat(4_000).as_bytes()), "no pattern may take for ever");
    }

    #[test]
    fn selectors_keep_their_spelling() {
        for text in ["prod-*", "label:tier-1", "group:payments", "type:kv", "name:a"] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
        assert_eq!("label:".parse::<Selector>(), Err(SelectorError));
    }
}
