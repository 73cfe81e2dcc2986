//! What a restore is asked for.

use serde::{Deserialize, Serialize};

use crate::model::{ItemKind, Policies, SelectorSubject};
use crate::provider::{RegistrationNames, RestoreItem};

pub use crate::model::Selector;

/// What the notification service calls a standby when nothing else was asked for.
pub const DEFAULT_SOURCE_NAME: &str = "Secrets Manager (restored by Keyhaven)";

/// What a plan is made for. Part of the plan, so that applying it needs nothing said twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanOptions {
    /// Only what one of these selects; all when empty. The groups of selected secrets come along.
    pub only: Vec<Selector>,
    /// What goes ahead within each class of steps, in this order.
    pub first: Vec<Selector>,
    /// Whether restored secrets may rotate by themselves, as in the source. Two instances that rotate one credential
    /// break each other.
    pub allow_rotation: bool,
    /// What to do about an item of the standby that holds something of its own.
    pub on_conflict: OnConflict,
    /// Whether every payload of the standby is read and compared, also where marks say that it is right.
    pub deep: bool,
    /// Which kinds of items are asked for.
    #[serde(skip_serializing_if = "RestoreScope::is_all")]
    pub scope: RestoreScope,
    /// Whether the authorities of the source sign those of the standby, as far as the source's own signed them there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sign_with_source: bool,
    /// What the notification service shall call the standby; without it, [`DEFAULT_SOURCE_NAME`].
    pub registration: Option<RegistrationNames>,
    /// Never what one of these selects, whatever `only` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Selector>,
    /// What the configuration makes of items: treatments, new names, supplied members, rewrites.
    #[serde(skip_serializing_if = "Policies::is_empty")]
    pub policies: Policies,
}

/// Which kinds of items are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreScope {
    /// All of them.
    #[default]
    All,
    /// What can be there before the disaster: groups, engines, DNS, certificate authorities, templates. No secret.
    Foundations,
}

impl RestoreScope {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Whether items of that kind are asked for.
    #[must_use]
    pub fn has(&self, kind: ItemKind) -> bool {
        self.is_all() || matches!(kind, ItemKind::Group | ItemKind::Configuration)
    }
}

/// What to do about an item of the standby that holds something of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Report it and leave the item alone.
    #[default]
    #[serde(alias = "report")]
    Fail,
    /// Leave the item alone, and let that be no failure.
    Skip,
    /// Put the snapshot's content on top: the standby's own becomes the previous version.
    #[serde(alias = "overwrite")]
    NewVersion,
    /// Delete what the standby has, then create what the snapshot has.
    Replace,
}

impl OnConflict {
    /// Every policy with its word in the configuration and on the command line.
    pub const ALL: [(Self, &str); 4] =
        [(Self::Fail, "fail"), (Self::Skip, "skip"), (Self::NewVersion, "new-version"), (Self::Replace, "replace")];

    /// The policy that a word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == word).map(|(policy, _)| policy)
    }

    /// Whether nothing of the standby's own may be touched.
    #[must_use]
    pub const fn spares(self) -> bool {
        matches!(self, Self::Fail | Self::Skip)
    }
}

impl Selector {
    /// Whether the item is selected; `group` is the name of its group.
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
