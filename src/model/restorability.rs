//! How well an item can be brought back, known before the disaster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The class of an item (`docs/architecture.md`, *Restorability*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restorability {
    /// Everything that the provider lets a client set comes back, payloads byte for byte.
    Exact,
    /// Comes back as another type that serves the same purpose.
    Converted,
    /// The standby issues a new one from the same definition.
    Reissued,
    /// Only the definition is kept; the payload was not read or cannot be set.
    DefinitionOnly,
    /// Cannot be brought back at all.
    Impossible,
}

impl Restorability {
    /// Every class, best first.
    pub const ALL: [Restorability; 5] =
        [Self::Exact, Self::Converted, Self::Reissued, Self::DefinitionOnly, Self::Impossible];

    /// The word used in output and in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Converted => "converted",
            Self::Reissued => "reissued",
            Self::DefinitionOnly => "definition_only",
            Self::Impossible => "impossible",
        }
    }
}

impl fmt::Display for Restorability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
