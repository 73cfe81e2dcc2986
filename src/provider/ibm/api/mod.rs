//! One method an endpoint, on [`Client`](super::Client). Answers are kept whole, split into metadata and payload.
//!
//! There is no call that gives a payload for a bare id or a name: see [`SafeToRead`](super::SafeToRead). Nothing sends
//! a lock mode, because two of the three remove the payload of a previous version.

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

/// An answer in two parts.
#[derive(Debug, Clone)]
pub struct Split {
    /// Everything but the secret members.
    pub metadata: JsonObject,
    /// The secret members, each as its exact text: those of the top under their name, a deeper one under its JSON
    /// pointer (`/data/private_key`). `None` when there was none.
    pub payload: Option<Payload>,
}

/// A version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// The newest.
    Current,
    /// The previous version, the only other that can have a payload.
    Previous,
    /// By its id.
    Id(&'a str),
}

impl<'a> Which<'a> {
    /// Its form in a path.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Id(id) => id,
        }
    }
}
