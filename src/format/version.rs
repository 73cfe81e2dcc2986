//! Versions of the format: `1.n`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FormatError;

/// Major and minor are below this.
const LIMIT: u32 = 1_000_000;

/// A version of the format. A reader accepts every minor version of its major version, and keeps or ignores unknown
/// members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormatVersion {
    /// A reader refuses every other major version.
    pub major: u32,
    /// A higher minor version may have more members and kinds.
    pub minor: u32,
}

impl FormatVersion {
    /// The version that this program writes.
    pub const CURRENT: Self = Self { major: 1, minor: 0 };

    /// Checks that the major version is the current one.
    ///
    /// # Errors
    /// [`FormatError::Version`] naming `what`, if it is another one.
    pub fn check(self, what: &'static str) -> Result<(), FormatError> {
        if self.major == Self::CURRENT.major {
            Ok(())
        } else {
            Err(FormatError::Version { what, found: self.to_string() })
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let version = Self { major: major.parse().ok()?, minor: minor.parse().ok()? };
        if version.major >= LIMIT || version.minor >= LIMIT {
            return None;
        }
        // One spelling each: no sign, no leading zero.
        (version.to_string() == text).then_some(version)
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for FormatVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a format version is MAJOR.MINOR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_minor_is_read_and_no_other_major() {
        assert!(FormatVersion::parse("1.7").unwrap().check("entry").is_ok());
        let error = FormatVersion::parse("2.0").unwrap().check("entry").unwrap_err().to_string();
        assert!(error.contains("format 2.0") && error.contains("newer"), "{error}");
        for text in ["1", "1.", "01.0", "1.+1", "1.0.0", "", "a.b"] {
            assert_eq!(FormatVersion::parse(text), None, "{text}");
        }
    }
}
