//! Whether a store keeps an object from being deleted, and until when.

use std::fmt;

use super::info::ObjectInfo;
use crate::model::Timestamp;

/// An object and what the store says about keeping it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The object.
    pub object: ObjectInfo,
    /// Until when it is kept, if a date is set; it may be over.
    pub until: Option<Timestamp>,
    /// Whether it is kept without an end that is known: a legal hold, or a date that cannot be read.
    pub held: bool,
    /// True if the bucket keeps older versions, so that a delete hides the object and does not free its room.
    pub versioned: bool,
}

/// Reason why an object cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// A retention date.
    Until(Timestamp),
    /// A legal hold, or a retention whose end is not known.
    Open,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(date) => write!(f, "locked until {date}"),
            Self::Open => f.write_str("under a legal hold, or locked without an end that is known"),
        }
    }
}

impl Retention {
    /// An object of a store that keeps nothing.
    #[must_use]
    pub fn none(object: ObjectInfo) -> Self {
        Self { object, until: None, held: false, versioned: false }
    }

    /// Returns the hold on the object at a time of the store's clock. Without a clock every date counts.
    #[must_use]
    pub fn hold(&self, now: Option<Timestamp>) -> Option<Hold> {
        match self.until {
            _ if self.held => Some(Hold::Open),
            Some(until) if now.is_none_or(|now| until > now) => Some(Hold::Until(until)),
            _ => None,
        }
    }
}
