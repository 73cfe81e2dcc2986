//! Errors in a policy.

use crate::model::{ItemKey, Treatment};

/// A policy that cannot be applied. All of these are usage errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The policy selects nothing.
    #[error("{what} selects nothing in the snapshot; fix its `select`, or remove it")]
    Idle {
        /// The rule, override or transform, with its number from 1.
        what: String,
    },
    /// The transform selects items and finds nothing to rewrite in them.
    #[error("{what} rewrites nothing in the selected items; fix its `from`, or remove it")]
    Nothing {
        /// The transform, with its number from 1.
        what: String,
    },
    /// The type of the item does not allow the treatment.
    #[error(
        "{what} asks for `{treatment}`, which {name} of type {item_type} cannot have; it allows {allowed}; narrow its \
         `select`, or name another treatment"
    )]
    Treatment {
        /// The rule, with its number from 1.
        what: String,
        /// The treatment.
        treatment: Treatment,
        /// The item.
        name: String,
        /// Its type.
        item_type: String,
        /// Allowed treatments.
        allowed: String,
    },
    /// No selected item can have the member.
    #[error(
        "{what} sets `{member}`, which no selected item accepts (for example {item_type}); fix the name or the `select`"
    )]
    Member {
        /// The override, with its number from 1.
        what: String,
        /// The member.
        member: String,
        /// The type of one selected item.
        item_type: String,
    },
    /// A rule gives one name to several items.
    #[error("{what} has one name for {count} items; select one of them: {items}")]
    OneName {
        /// The rule, with its number from 1.
        what: String,
        /// Number of selected items.
        count: usize,
        /// Some of them.
        items: String,
    },
    /// A rule renames an item that must keep its name.
    #[error("{what} names {item}, but only a secret can be renamed: others refer to a configuration by its name")]
    Unnameable {
        /// The rule, with its number from 1.
        what: String,
        /// The item.
        item: ItemKey,
    },
}
