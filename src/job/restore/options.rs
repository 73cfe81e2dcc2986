//! Options of a restore.

use serde::{Deserialize, Serialize};

use crate::model::{ItemKind, Policies, SelectorSubject};
use crate::provider::{RegistrationNames, RestoreItem};

pub use crate::model::Selector;

/// Default name of a standby in the notification service.
pub const DEFAULT_SOURCE_NAME: &str = "Secrets Manager (restored by Keyhaven)";

/// Options of a plan. They are part of the plan, so that applying it needs no options twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanOptions {
    /// Restore only items that one of these selects; all if empty. The groups of selected secrets are included.
    pub only: Vec<Selector>,
    /// Order of selected items within each phase: items of the first selector first.
    pub first: Vec<Selector>,
    /// Allow restored secrets to rotate automatically, as in the source. Two instances that rotate the same credential
    /// break each other.
    pub allow_rotation: bool,
    /// Policy for standby items with content of their own.
    pub on_conflict: OnConflict,
    /// Read and compare every payload of the standby, even if marks say that it is correct.
    pub deep: bool,
    /// Kinds of items to restore.
    #[serde(skip_serializing_if = "RestoreScope::is_all")]
    pub scope: RestoreScope,
    /// Let authorities of the source sign those of the standby that they also signed in the source.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sign_with_source: bool,
    /// Names of the standby in the notification service; [`DEFAULT_SOURCE_NAME`] if not set.
    pub registration: Option<RegistrationNames>,
    /// Never restore items that one of these selects, even if `only` selects them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Selector>,
    /// Configured changes to items: treatments, new names, supplied members, rewrites.
    #[serde(skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
}

/// Kinds of items to restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreScope {
    /// All kinds.
    #[default]
    All,
    /// Items that can be restored before a disaster: groups, engines, DNS, certificate authorities, templates. No
    /// secrets.
    Foundations,
}

impl RestoreScope {
    /// Returns true if nothing is excluded.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Returns true if items of that kind are in scope.
    #[must_use]
    pub fn has(&self, kind: ItemKind) -> bool {
        self.is_all() || matches!(kind, ItemKind::Group | ItemKind::Configuration)
    }
}

/// Policy for standby items with content of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Report it and leave the item alone.
    #[default]
    #[serde(alias = "report")]
    Fail,
    /// Leave the item alone, without counting that as a failure.
    Skip,
    /// Add the snapshot's content as a new version: the standby's own becomes the previous version.
    #[serde(alias = "overwrite")]
    NewVersion,
    /// Delete the standby's item, then create the snapshot's.
    Replace,
}

impl OnConflict {
    /// Every policy with its name in the configuration and on the command line.
    pub const ALL: [(Self, &str); 4] =
        [(Self::Fail, "fail"), (Self::Skip, "skip"), (Self::NewVersion, "new-version"), (Self::Replace, "replace")];

    /// Returns the policy with this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == word).map(|(policy, _)| policy)
    }

    /// Returns true if the standby's own content must not be changed.
    #[must_use]
    pub const fn spares(self) -> bool {
        matches!(self, Self::Fail | Self::Skip)
    }
}

impl Selector {
    /// Returns true if the item is selected; `group` is the name of its group.
    #[must_use]
    pub fn selects(&self, view: &RestoreItem, group: Option<&str>) -> bool {
        let RestoreItem { name, item_type, labels, .. } = view;
        self.matches(&SelectorSubject { name, item_type, group, labels })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_an_earlier_release_keep_their_meaning() {
        let old = |word: &str| serde_json::from_str::<OnConflict>(&format!("\"{word}\"")).unwrap();
        assert_eq!((old("report"), old("overwrite")), (OnConflict::Fail, OnConflict::NewVersion));
        let options: PlanOptions = serde_json::from_str(r#"{"on_conflict":"overwrite","only":["type:kv"]}"#).unwrap();
        assert_eq!(options.on_conflict, OnConflict::NewVersion);
        assert!(options.policies.is_empty() && options.exclude.is_empty());
    }
}
