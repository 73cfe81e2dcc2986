//! What a coverage report says. The members are stable: more may come, none changes its meaning.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::model::{ItemKey, Restorability, Treatment};
use crate::provider::assess::Judgement;

/// How much of a snapshot would come back, and why the rest would not.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CoverageReport {
    /// How many items the snapshot has.
    pub items: u64,
    /// Items by class; every known class is there, and those of a later version by their own word.
    pub classes: BTreeMap<String, u64>,
    /// Items of a kind or class that this version does not know: not judged, and left alone by a restore.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
    /// The reasons, those of the best class first, each with its items.
    pub reasons: Vec<ClassReason>,
    /// Items by what a restore makes of them, as it is configured here.
    pub treatments: BTreeMap<String, u64>,
    /// Items that the configured policies leave out, although they could come back.
    pub left_out: Vec<LeftOut>,
    /// Items with members that a create takes and no answer returns.
    pub members: Vec<ItemMembers>,
    /// Items whose value or payload is in the source and not in the snapshot.
    pub not_captured: Vec<NamedItem>,
    /// What has to be there besides: outside the provider's API, so in no backup.
    pub needs: Vec<Needed>,
}

/// Items that have their class for the same reason.
#[derive(Debug, Clone, Serialize)]
pub struct ClassReason {
    /// The class, why, and what to do about it today.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The items, in the order of their keys.
    pub items: Vec<NamedItem>,
}

/// An item by its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedItem {
    /// Its key.
    pub key: ItemKey,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// The name of its group, or the id where the snapshot does not have the group; `None` for what has none.
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

/// An item of which a restore, as it is configured, keeps the definition only.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// The item.
    pub item: NamedItem,
    /// What it could have instead.
    pub instead: Vec<Treatment>,
}

/// An item that this version does not know how to judge.
#[derive(Debug, Clone, Serialize)]
pub struct Unknown {
    /// The item.
    pub item: NamedItem,
    /// What of it is not known, as a fragment.
    pub why: String,
}

/// The write-only members of an item.
#[derive(Debug, Clone, Serialize)]
pub struct ItemMembers {
    /// The item.
    pub item: NamedItem,
    /// Unknown: a restore leaves them to the provider's default.
    pub lost: Vec<&'static str>,
    /// They are known all the same: from another member, a certificate, or the operator.
    pub kept: Vec<&'static str>,
}

/// Something that items need from outside.
#[derive(Debug, Clone, Serialize)]
pub struct Needed {
    /// A fixed word.
    pub code: &'static str,
    /// What has to be there.
    pub what: &'static str,
    /// How many items need it.
    pub items: u64,
    /// Which ones, as the items name them; sorted.
    pub subjects: Vec<String>,
}

impl CoverageReport {
    /// How many items are of this class or a better one.
    #[must_use]
    pub fn at_least(&self, class: Restorability) -> u64 {
        let good = Restorability::ALL.into_iter().filter(|other| *other <= class);
        good.filter_map(|class| self.classes.get(class.as_str())).sum()
    }
}
