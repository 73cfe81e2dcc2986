//! Converts items of a snapshot for a target instance.

use std::fmt;

use super::ConvertError;
use super::assess::{Assessment, Expiry};
use super::change::Phase;
use super::reference::{ItemDependency, ReferenceNames};
use super::restore_item::RestoreItem;
use crate::model::json::JsonObject;
use crate::model::{Item, ItemKey, Payload, Timestamp, Treatment};

/// How an item of a snapshot gets into the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// It is created, in this phase.
    Create(Phase),
    /// Every instance has it built in.
    BuiltIn,
    /// It cannot be restored; the reason, as a fragment.
    Lost(String),
}

/// Result of applying a treatment to an item.
#[derive(Debug, Clone)]
pub struct Conversion {
    /// Its type, name and settings in the standby.
    pub item: RestoreItem,
    /// How it gets into the standby.
    pub route: Route,
    /// Remark about an item that changes its type; `None` if it does not.
    pub note: Option<String>,
}

/// Result of comparing two payloads of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadMatch {
    /// True if all fields that can be restored are the same.
    pub whole: bool,
    /// True if all fields that are fixed at the creation of a secret, such as a user name, are the same. No later
    /// version can change these.
    pub fixed: bool,
}

/// Converts items of snapshots for a target. Pure: uses no network or clock, so that a plan can be made and tested
/// without an instance.
pub trait ItemConverter: Send + Sync + fmt::Debug {
    /// Converts an item to the provider-independent form.
    fn describe(&self, item: &Item) -> RestoreItem;

    /// Judges how well an item of a snapshot can be restored. With a time `now`, what has expired by then counts as
    /// lost.
    fn assess(&self, item: &Item, now: Option<Timestamp>) -> Assessment;

    /// Returns the end of an item according to its documents; `None` if it has no end.
    fn expiry(&self, item: &Item) -> Option<Expiry>;

    /// Returns the time of the next automatic rotation under this policy; `None` if its documents do not show it.
    fn next_rotation(&self, item: &Item, policy: &JsonObject) -> Option<Timestamp>;

    /// Returns the treatments that the item allows, the default first; never empty.
    fn treatments(&self, item: &Item) -> &'static [Treatment];

    /// Returns the treatments that the type allows, whatever the state of an item.
    fn type_treatments(&self, item_type: &str) -> &'static [Treatment];

    /// Sets members that the operator supplies on the item. Returns the names of those that its type, or the type that
    /// results from the treatment, has; others are ignored.
    fn supply(&self, item: &mut Item, treatment: Treatment, members: &JsonObject) -> Vec<String>;

    /// Applies the treatment to the item.
    fn convert(&self, item: &Item, treatment: Treatment) -> Conversion;

    /// Converts a payload of the item to the type that results from the treatment.
    ///
    /// # Errors
    /// When the payload lacks a field that this type requires.
    fn convert_payload(&self, item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, ConvertError>;

    /// Compares two payloads of a type. For values of the same length, the time does not depend on where they differ.
    fn compare_payloads(&self, item_type: &str, one: &Payload, other: &Payload) -> PayloadMatch;

    /// Makes the settings comparable between instances: replaces ids by references, and normalises values with several
    /// spellings. Keeps an id without a known name.
    fn name_references(&self, item: &mut RestoreItem, names: &ReferenceNames);

    /// Returns the item with references replaced by the ids of the instance that `names` describes.
    ///
    /// # Errors
    /// When that instance has no such item, or the snapshot did not know the item of an id.
    fn resolve_references(&self, item: &RestoreItem, names: &ReferenceNames) -> Result<RestoreItem, ConvertError>;

    /// Returns what must exist before the item can be created.
    fn needs(&self, item: &RestoreItem) -> Vec<ItemDependency>;

    /// Returns the certificate authorities of its own instance that may have signed this one: one of them exists.
    fn issuers(&self, item: &RestoreItem) -> Vec<ItemKey>;
}
