//! One method per endpoint, on [`Client`](super::Client). Answers are kept whole, split into metadata and payload.
//!
//! No call returns a payload for a bare id or name: see [`SafeToRead`](super::SafeToRead). No call sends a lock mode,
//! because two of the three modes remove the payload of a previous version.

mod configurations;
mod groups;
mod locks;
mod pages;
mod registration;
mod secrets;
mod versions;

pub(super) use pages::{Pages, RowPage, member};
pub use secrets::Filter;

use crate::model::Payload;
use crate::model::json::JsonObject;

/// An answer, split into metadata and payload.
#[derive(Debug, Clone)]
pub struct Split {
    /// Everything but the secret members.
    pub metadata: JsonObject,
    /// The secret members, each as exact text: top-level ones under their name, nested ones under their JSON pointer
    /// (`/data/private_key`). `None` if there are none.
    pub payload: Option<Payload>,
}

/// A version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The newest.
    Current,
    /// The previous version, the only other version that can have a payload.
    Previous,
    /// The version with this id.
    Id(&'a str),
}

impl<'a> Which<'a> {
    /// Returns its form in a path.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Id(id) => id,
        }
    }
}
