//! Coverage report. The members are stable: members may be added, but none changes its meaning.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::model::{ItemKey, Restorability, Treatment};
use crate::provider::assess::Judgement;

/// Which parts of a snapshot can be restored, and why the rest cannot.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CoverageReport {
    /// Number of items in the snapshot.
    pub items: u64,
    /// Number of items by class. Includes every known class; classes of a later version appear under their own name.
    pub classes: BTreeMap<String, u64>,
    /// Items of a kind or class that this version does not know: not judged, and ignored by a restore.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
    /// Reasons with their items, best class first.
    pub reasons: Vec<ClassReason>,
    /// Number of items by treatment in the configured restore.
    pub treatments: BTreeMap<String, u64>,
    /// Items that the configured policies exclude although they could be restored.
    pub left_out: Vec<LeftOut>,
    /// Items with members that a create accepts and no response returns.
    pub members: Vec<ItemMembers>,
    /// Items whose value or payload exists in the source but not in the snapshot.
    pub not_captured: Vec<NamedItem>,
    /// Prerequisites outside the provider's API, which no backup contains.
    pub needs: Vec<Needed>,
}

/// Items with the same class for the same reason.
#[derive(Debug, Clone, Serialize)]
pub struct ClassReason {
    /// Class, reason, and what to do about it today.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Items in key order.
    pub items: Vec<NamedItem>,
}

/// An item with its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedItem {
    /// Its key.
    pub key: ItemKey,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Group name, or the group's id if the snapshot lacks the group; `None` if the item has no group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for NamedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{group}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// An item of which the configured restore keeps only the definition.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// The item.
    pub item: NamedItem,
    /// Treatments that it could have instead.
    pub instead: Vec<Treatment>,
}

/// An item that this version cannot judge.
#[derive(Debug, Clone, Serialize)]
pub struct Unknown {
    /// The item.
    pub item: NamedItem,
    /// The unknown part, as a sentence fragment.
    pub why: String,
}

/// The write-only members of an item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemMembers {
    /// The item.
    pub item: NamedItem,
    /// Unknown members, which a restore leaves at the provider's default.
    pub lost: Vec<&'static str>,
    /// Members known from elsewhere: another member, a certificate, or the operator.
    pub kept: Vec<&'static str>,
}

/// A prerequisite of items.
#[derive(Debug, Clone, Serialize)]
pub struct Needed {
    /// Fixed word that identifies it.
    pub code: &'static str,
    /// Description of the prerequisite.
    pub what: &'static str,
    /// Number of items that need it.
    pub items: u64,
    /// Subjects as the items name them, sorted.
    pub subjects: Vec<String>,
}

impl CoverageReport {
    /// Returns the number of items of this class or a better one.
    #[must_use]
    pub fn at_least(&self, class: Restorability) -> u64 {
        let good = Restorability::ALL.into_iter().filter(|other| *other <= class);
        good.filter_map(|class| self.classes.get(class.as_str())).sum()
    }
}
