//! The only table of which role may sign which kind of entry, and of each kind's effect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Role of a signing key. A key may have several roles; an additional right needs another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningRole {
    /// Makes backups.
    Collector,
    /// Announces changes and acknowledges alerts.
    Operator,
    /// Forgets and sweeps snapshots.
    Reaper,
    /// Restores.
    Restorer,
    /// Verifies.
    Verifier,
}

/// Effect of an entry on what is kept or trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryEffect {
    /// Records an event.
    Record,
    /// Changes what is kept. A sweep stops at such an entry if its kind is unknown.
    State,
}

impl SigningRole {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Collector, Self::Operator, Self::Reaper, Self::Restorer, Self::Verifier];

    /// Returns the word used in policies and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Operator => "operator",
            Self::Reaper => "reaper",
            Self::Restorer => "restorer",
            Self::Verifier => "verifier",
        }
    }
}

/// Returns the role that may sign an entry of a kind, and the effect of such an entry. `None` for an unknown kind: any
/// role may sign it, and the entry itself states its effect.
#[must_use]
pub fn rule(kind: &str) -> Option<(SigningRole, EntryEffect)> {
    Some(match kind {
        "snapshot" => (SigningRole::Collector, EntryEffect::Record),
        "verification" | "proof" => (SigningRole::Verifier, EntryEffect::Record),
        "restore" | "drill" => (SigningRole::Restorer, EntryEffect::Record),
        "forget" | "undo" | "hold" | "release" | "sweep" => (SigningRole::Reaper, EntryEffect::State),
        "expect" | "acknowledge" => (SigningRole::Operator, EntryEffect::Record),
        _ => return None,
    })
}

/// The text is not a role that this version knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is collector, operator, reaper, restorer or verifier")]
pub struct RoleError;

impl FromStr for SigningRole {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(RoleError)
    }
}

impl fmt::Display for SigningRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_role() {
        assert_eq!(rule("snapshot"), Some((SigningRole::Collector, EntryEffect::Record)));
        assert_eq!(rule("sweep"), Some((SigningRole::Reaper, EntryEffect::State)));
        assert_eq!(rule("expect"), Some((SigningRole::Operator, EntryEffect::Record)));
        assert_eq!(rule("a kind of tomorrow"), None);
        assert_eq!("reaper".parse(), Ok(SigningRole::Reaper));
        assert!("custodian".parse::<SigningRole>().is_err(), "custodians sign policies only");
    }
}
