//! Converting items for a target: what an item of a snapshot becomes in a standby.

use std::fmt;

use super::ConvertError;
use super::assess::{Assessment, Expiry};
use super::change::Phase;
use super::reference::{ItemDependency, ReferenceNames};
use super::restore_item::RestoreItem;
use crate::model::json::JsonObject;
use crate::model::{Item, ItemKey, Payload, Timestamp, Treatment};

/// Result of restoring an item of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// It is created, in this class of steps.
    Create(Phase),
    /// Every instance has it by itself.
    BuiltIn,
    /// It cannot be brought back; why, as a fragment.
    Lost(String),
}

/// Result of applying a treatment to an item.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Its type, name and settings in the standby.
    pub item: RestoreItem,
    /// Its restorability.
    pub route: Route,
    /// Remark about an item that changes its type. `None` if it does not.
    pub note: Option<String>,
}

/// Result of comparing two payloads of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadMatch {
    /// True if they hold the same in everything that can be restored.
    pub whole: bool,
    /// True if they hold the same in what is fixed when a secret is created, such as a user name: no later version can
    /// change it.
    pub fixed: bool,
}

/// Converts items of snapshots for a target. Pure: no network, no clock, so that a plan can be made and tested without
/// an instance.
pub trait ItemConverter: Send + Sync + fmt::Debug {
    /// Reads an item in common terms.
    fn describe(&self, item: &Item) -> RestoreItem;

    /// Judges how well an item of a snapshot comes back. With a moment `now`, what has expired by then counts as lost.
    fn assess(&self, item: &Item, now: Option<Timestamp>) -> Assessment;

    /// When an item ends, as its documents say. `None` for one without an end.
    fn expiry(&self, item: &Item) -> Option<Expiry>;

    /// When the item rotates next by itself under this policy. `None` if its documents do not say.
    fn next_rotation(&self, item: &Item, policy: &JsonObject) -> Option<Timestamp>;

    /// The treatments that the item allows, the default first; never empty.
    fn treatments(&self, item: &Item) -> &'static [Treatment];

    /// The treatments that items of the type may have, whatever their state.
    fn type_treatments(&self, item_type: &str) -> &'static [Treatment];

    /// Gives the item members that the operator supplies, over those that it has. Returns the names of those that its
    /// type, or the one that the treatment makes of it, has at all; others are left out.
    fn supply(&self, item: &mut Item, treatment: Treatment, members: &JsonObject) -> Vec<String>;

    /// Applies the treatment to the item.
    fn convert(&self, item: &Item, treatment: Treatment) -> Conversion;

    /// A payload of the item as the type takes it that the treatment makes of the item.
    ///
    /// # Errors
    /// When the payload lacks what that type requires.
    fn convert_payload(&self, item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, ConvertError>;

    /// Compares two payloads of that type. Takes the same time wherever values of one length differ.
    fn compare_payloads(&self, item_type: &str, one: &Payload, other: &Payload) -> PayloadMatch;

    /// Makes the settings comparable between instances: references in the place of the ids that they hold, one spelling
    /// for what can be written in several. An id that no name is known of stays.
    fn name_references(&self, item: &mut RestoreItem, names: &ReferenceNames);

    /// The item with the ids of the instance that `names` are of in the place of references.
    ///
    /// # Errors
    /// When that instance has no such item, or the snapshot did not know what an id meant.
    fn resolve_references(&self, item: &RestoreItem, names: &ReferenceNames) -> Result<RestoreItem, ConvertError>;

    /// Returns what must exist before the item can be created.
    fn needs(&self, item: &RestoreItem) -> Vec<ItemDependency>;

    /// The authorities of its own instance that may have signed this one: one of them is there.
    fn issuers(&self, item: &RestoreItem) -> Vec<ItemKey>;
}
