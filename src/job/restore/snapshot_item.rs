//! An item of a snapshot as a restore sees it.

use super::goal::Goal;
use super::plan::Remark;
use crate::model::json::raw;
use crate::model::{Item, Slot, Timestamp, Transform, Treatment};
use crate::provider::reference::reference;
use crate::provider::{RestoreItem, Route};

/// What an item is called in the source; selectors go by this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOrigin {
    /// Its name.
    pub name: String,
    /// Its type.
    pub item_type: String,
    /// The name of its group, for secrets whose group the snapshot has.
    pub group: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether it is a group.
    pub is_group: bool,
}

/// What a rule, an override or a transform did to an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreatmentEffect {
    /// Which one, with its number from 1.
    pub what: String,
    /// In how many places it rewrote a text; 0 for what rewrites nothing.
    pub places: u64,
}

/// An item of the snapshot with its common view.
#[derive(Debug)]
pub struct SnapshotItem {
    /// The item as the catalogue has it.
    pub item: Item,
    /// How it is brought back.
    pub treatment: Treatment,
    /// How it comes back under that treatment.
    pub route: Route,
    /// What it becomes in the standby, in common terms.
    pub view: RestoreItem,
    /// The name of its group in the standby, for secrets whose group the snapshot has.
    pub group: Option<String>,
    /// What it is called in the source.
    pub origin: ItemOrigin,
    /// What policies did to it.
    pub effects: Vec<TreatmentEffect>,
    /// What to know of it, as fragments.
    pub notes: Vec<String>,
    /// The rewrites of its payload, each with its number, in the order in which they are done.
    pub rewrites: Vec<(String, Transform)>,
}

impl SnapshotItem {
    /// Gives it another name in the standby.
    pub(super) fn rename(&mut self, name: &str) {
        self.view.name = name.to_owned();
        if self.view.settings.get("name").is_some() {
            self.view.settings.set("name", raw(name));
        }
    }

    /// Whether a payload of the backup goes into the standby.
    #[must_use]
    pub fn has_payload(&self) -> bool {
        let sent = matches!(self.treatment, Treatment::Exact | Treatment::Convert | Treatment::AsArbitrary);
        sent && self.item.payloads.iter().any(|pointer| pointer.version.as_str() != Slot::WITHHELD)
    }

    /// Whether policies made another type or name of it.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.view.item_type != self.origin.item_type
            || self.view.name != self.origin.name
            || self.group != self.origin.group
    }

    /// What comes of a secret, worked out for the time `now`.
    ///
    /// # Errors
    /// When nothing of it can be brought back: why, as a fragment.
    pub fn goal(&self, now: Timestamp) -> Result<Goal, String> {
        match self.treatment {
            Treatment::Reissue => Ok(Goal::reissued(&self.view)),
            _ => Goal::new(&self.item, &self.view, now),
        }
    }

    /// The text that stands for the item wherever its id is meant.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(self.item.key.kind(), &self.view.item_type, self.group.as_deref(), &self.view.name)
    }

    /// Says something about the item.
    #[must_use]
    pub fn remark(&self, reason: impl Into<String>) -> Remark {
        Remark {
            key: self.item.key.clone(),
            name: self.view.name.clone(),
            item_type: self.view.item_type.clone(),
            group: self.group.clone(),
            reason: reason.into(),
        }
    }
}
