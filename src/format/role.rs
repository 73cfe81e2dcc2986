//! Who may sign what. The one table.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a key is for. A key may have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Backs up.
    Collector,
    /// Checks.
    Verifier,
    /// Restores.
    Restorer,
    /// Forgets and deletes.
    Reaper,
    /// Changes keys and judges suspect snapshots.
    Custodian,
    /// A role of a later minor version; grants nothing here.
    #[serde(other)]
    Unknown,
}

impl Role {
    /// The word used in entries and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Verifier => "verifier",
            Self::Restorer => "restorer",
            Self::Reaper => "reaper",
            Self::Custodian => "custodian",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a key with this role may sign an entry of `kind`.
    ///
    /// A first entry is signed by a key that it lists itself, whatever its role. For a kind that is not in the table any
    /// role will do: its meaning is not used.
    #[must_use]
    pub fn may_sign(self, kind: &str) -> bool {
        match kind {
            "snapshot" => self == Self::Collector,
            "accept_loss" => matches!(self, Self::Collector | Self::Custodian),
            "verification" => self == Self::Verifier,
            "restore" => self == Self::Restorer,
            "forget" | "sweep" => self == Self::Reaper,
            "pin" => matches!(self, Self::Reaper | Self::Custodian),
            "keys" | "accept_suspect" => self == Self::Custodian,
            "init" => false,
            _ => true,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_role_and_a_second_init_has_none() {
        assert!(Role::Collector.may_sign("snapshot") && !Role::Verifier.may_sign("snapshot"));
        assert!(Role::Custodian.may_sign("keys") && !Role::Collector.may_sign("keys"));
        assert!(!Role::Collector.may_sign("accept_suspect") && !Role::Collector.may_sign("sweep"));
        assert!(!Role::Custodian.may_sign("init") && !Role::Custodian.may_sign("forget"));
        assert!(Role::Reaper.may_sign("pin") && Role::Custodian.may_sign("pin") && !Role::Restorer.may_sign("pin"));
        assert!(Role::Restorer.may_sign("a kind of tomorrow"));
    }
}
