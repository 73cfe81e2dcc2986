//! Retention of an object in a store.

use std::fmt;

use super::info::ObjectInfo;
use crate::model::Timestamp;

/// An object and its retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The object.
    pub object: ObjectInfo,
    /// End of its retention, if a date is set; may be in the past.
    pub until: Option<Timestamp>,
    /// True if it is retained without a known end: a legal hold, or an unreadable date.
    pub held: bool,
    /// True if the bucket is versioned, so that a delete hides the object without freeing its space.
    pub versioned: bool,
}

/// Reason why an object cannot be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// A retention date.
    Until(Timestamp),
    /// A legal hold, or a retention without a known end.
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
    /// Creates the retention of an object in a store without retention.
    #[must_use]
    pub fn none(object: ObjectInfo) -> Self {
        Self { object, until: None, held: false, versioned: false }
    }

    /// Returns the hold on the object at a time of the store's clock. Without a clock, every date is effective.
    #[must_use]
    pub fn hold(&self, now: Option<Timestamp>) -> Option<Hold> {
        match self.until {
            _ if self.held => Some(Hold::Open),
            Some(until) if now.is_none_or(|now| until > now) => Some(Hold::Until(until)),
            _ => None,
        }
    }
}
