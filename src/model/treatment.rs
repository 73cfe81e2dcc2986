//! Treatment of items that a restore cannot bring back unchanged.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How an item is restored. The provider's converter defines which treatments an item allows, and the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// With its own type and payload: the only treatment for items that are restorable exactly.
    #[default]
    Exact,
    /// With its payload, as another type that serves the same purpose immediately.
    Convert,
    /// From its definition: the standby issues a new payload.
    Reissue,
    /// Not restored: its definition stays in the snapshot, for reference.
    Definition,
    /// With its old payload as plain text or keys and values, for as long as that payload is valid.
    AsArbitrary,
    /// An authority with the same parameters and a new key, signed inside the standby.
    Recreate,
    /// An authority with the same parameters and a new key, whose certificate is signed outside the standby.
    External,
}

impl Treatment {
    /// Every treatment.
    pub const ALL: [Treatment; 7] = [
        Self::Exact,
        Self::Convert,
        Self::Reissue,
        Self::Definition,
        Self::AsArbitrary,
        Self::Recreate,
        Self::External,
    ];

    /// Returns the word used in the configuration, in plans and in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Convert => "convert",
            Self::Reissue => "reissue",
            Self::Definition => "definition",
            Self::AsArbitrary => "as_arbitrary",
            Self::Recreate => "recreate",
            Self::External => "external",
        }
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not the name of a treatment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no treatment; there are exact, convert, reissue, definition, as_arbitrary, recreate and external")]
pub struct TreatmentError(String);

impl FromStr for Treatment {
    type Err = TreatmentError;

    fn from_str(text: &str) -> Result<Self, TreatmentError> {
        let named = Self::ALL.into_iter().find(|treatment| treatment.as_str() == text);
        named.ok_or_else(|| TreatmentError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_treatment_has_the_same_word_everywhere() {
        for treatment in Treatment::ALL {
            assert_eq!(treatment.as_str().parse(), Ok(treatment));
            assert_eq!(serde_json::to_string(&treatment).unwrap(), format!("\"{treatment}\""));
        }
        assert!("reissued".parse::<Treatment>().is_err());
    }
}
