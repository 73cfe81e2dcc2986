//! References to entries and to versions of the trust policy in documents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names;
use crate::model::Digest;

/// Reference to an entry: its sequence and the digest of its payload. Written `000000042017-<digest>`, ordered as that
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryRef {
    /// The sequence, from 1 to 999,999,999,999.
    pub sequence: u64,
    /// The digest of the payload.
    pub digest: Digest,
}

/// Reference to a version of the trust policy: its number and the digest of its payload. Written `000002-<digest>`,
/// ordered as that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// The number, from 1 to 999,999.
    pub version: u64,
    /// The digest of the payload.
    pub digest: Digest,
}

/// The text is not a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The text is not a reference to an entry.
    #[error("a reference to an entry is 12 digits, a hyphen and 64 lower-case hexadecimal digits")]
    Entry,
    /// The text is not a reference to a policy version.
    #[error("a reference to a policy is 6 digits, a hyphen and 64 lower-case hexadecimal digits")]
    Policy,
}

/// Returns number and digest, if the text is exactly `digits` digits, a hyphen and a digest, and the number is
/// positive.
fn parse(text: &str, digits: usize) -> Option<(u64, Digest)> {
    let (number, digest) = text.split_once('-')?;
    let exact = number.len() == digits && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|number| exact && *number > 0)?;
    Some((number, digest.parse().ok()?))
}

impl FromStr for EntryRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (sequence, digest) = parse(text, names::SEQUENCE_DIGITS).ok_or(ReferenceError::Entry)?;
        Ok(Self { sequence, digest })
    }
}

impl FromStr for PolicyRef {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (version, digest) = parse(text, names::VERSION_DIGITS).ok_or(ReferenceError::Policy)?;
        Ok(Self { version, digest })
    }
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}-{}", self.sequence, self.digest, width = names::SEQUENCE_DIGITS)
    }
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}-{}", self.version, self.digest, width = names::VERSION_DIGITS)
    }
}

impl Serialize for EntryRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for PolicyRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for PolicyRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::digest::sha256;

    #[test]
    fn a_reference_has_one_spelling_and_the_order_of_its_text() {
        let digest = sha256(b"x");
        let entry = EntryRef { sequence: 42_017, digest };
        assert_eq!(entry.to_string(), format!("000000042017-{digest}"));
        assert_eq!(entry.to_string().parse(), Ok(entry));
        let policy = PolicyRef { version: 2, digest };
        assert_eq!(policy.to_string(), format!("000002-{digest}"));
        assert_eq!(policy.to_string().parse(), Ok(policy));
        for text in [
            format!("42017-{digest}"),
            format!("+00000042017-{digest}"),
            format!("000000000000-{digest}"),
            format!("1000000000000-{digest}"),
            format!("000000042017-{}", digest.to_string().to_uppercase()),
            format!("000000042017{digest}"),
        ] {
            assert_eq!(text.parse::<EntryRef>(), Err(ReferenceError::Entry), "{text}");
        }
        assert_eq!("000000-".parse::<PolicyRef>(), Err(ReferenceError::Policy));
        assert!(EntryRef { sequence: 9, digest } < EntryRef { sequence: 10, digest });
    }
}
