//! An item of a snapshot, as a restore sees it.

use super::goal::Goal;
use super::plan::Remark;
use crate::model::json::raw;
use crate::model::{Item, Slot, Timestamp, Transform, Treatment};
use crate::provider::reference::reference;
use crate::provider::{RestoreItem, Route};

/// Names of an item in the source, which selectors match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOrigin {
    /// Its name.
    pub name: String,
    /// Its type.
    pub item_type: String,
    /// Group name, for secrets whose group is in the snapshot.
    pub group: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// True if it is a group.
    pub is_group: bool,
}

/// Effect of a rule, an override or a transform on an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreatmentEffect {
    /// The rule, override or transform, with its number from 1.
    pub what: String,
    /// Number of places rewritten; 0 if it rewrites nothing.
    pub places: u64,
}

/// An item of the snapshot with its provider-independent view.
#[derive(Debug)]
pub struct SnapshotItem {
    /// The item as stored in the catalogue.
    pub item: Item,
    /// Treatment.
    pub treatment: Treatment,
    /// Restore route under that treatment.
    pub route: Route,
    /// The item as it will be in the standby, as a provider-independent view.
    pub view: RestoreItem,
    /// Group name in the standby, for secrets whose group is in the snapshot.
    pub group: Option<String>,
    /// Names in the source.
    pub origin: ItemOrigin,
    /// Effects of policies.
    pub effects: Vec<TreatmentEffect>,
    /// Notes for the operator, as sentence fragments.
    pub notes: Vec<String>,
    /// Rewrites of its payload with their numbers, in the order in which they are applied.
    pub rewrites: Vec<(String, Transform)>,
}

impl SnapshotItem {
    /// Changes its name in the standby.
    pub(super) fn rename(&mut self, name: &str) {
        self.view.name = name.to_owned();
        if self.view.settings.get("name").is_some() {
            self.view.settings.set("name", raw(name));
        }
    }

    /// Returns true if a payload of the backup is written to the standby.
    #[must_use]
    pub fn has_payload(&self) -> bool {
        let sent = matches!(self.treatment, Treatment::Exact | Treatment::Convert | Treatment::AsArbitrary);
        sent && self.item.payloads.iter().any(|pointer| pointer.version.as_str() != Slot::WITHHELD)
    }

    /// Returns true if policies changed its type, name or group.
    #[must_use]
    pub fn is_renamed(&self) -> bool {
        self.view.item_type != self.origin.item_type
            || self.view.name != self.origin.name
            || self.group != self.origin.group
    }

    /// Returns the goal of a secret at the time `now`.
    ///
    /// # Errors
    /// If nothing can be restored: the reason, as a sentence fragment.
    pub fn goal(&self, now: Timestamp) -> Result<Goal, String> {
        match self.treatment {
            Treatment::Reissue => Ok(Goal::reissued(&self.view)),
            _ => Goal::new(&self.item, &self.view, now),
        }
    }

    /// Returns the reference that replaces the item's id.
    #[must_use]
    pub fn reference(&self) -> String {
        reference(self.item.key.kind(), &self.view.item_type, self.group.as_deref(), &self.view.name)
    }

    /// Creates a remark about the item.
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
