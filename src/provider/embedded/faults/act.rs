//! What can go wrong with a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::when::SeenRequest;
use crate::provider::embedded::instance::EmbeddedInstance;
use crate::provider::embedded::state::PageFault;

/// What a test runs in the middle of a request.
pub type Hook = Arc<dyn Fn(&EmbeddedInstance, &SeenRequest) + Send + Sync>;

/// What goes wrong.
#[derive(Clone)]
pub enum Act {
    /// Answers with this status and does nothing.
    Status {
        /// The status.
        status: u16,
        /// The value of `Retry-After`, if it is sent.
        retry_after: Option<String>,
    },
    /// Drops the connection before anything is done.
    DropBefore,
    /// Does what was asked, then drops the connection instead of answering.
    DropAfter,
    /// Does what was asked and sends half of the answer's body, then drops the connection.
    CutBody,
    /// Does what was asked and answers 200 without a body.
    EmptyBody,
    /// Does what was asked and answers with something that is no JSON.
    InvalidJson,
    /// Does what was asked and answers with this body instead, status kept.
    Body(String),
    /// Spoils the page of a list.
    Page(PageFault),
    /// Makes every token that was given out so far invalid, then goes on.
    ExpireTokens,
    /// Waits, then goes on.
    Wait(Duration),
    /// Never answers; the connection stays open until somebody closes it.
    Hang,
    /// Runs this first, then goes on.
    Before(Hook),
    /// Goes on, then runs this before the answer is sent.
    After(Hook),
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status { .. } => "Status",
            Self::DropBefore => "DropBefore",
            Self::DropAfter => "DropAfter",
            Self::CutBody => "CutBody",
            Self::EmptyBody => "EmptyBody",
            Self::InvalidJson => "InvalidJson",
            Self::Body(_) => "Body",
            Self::Page(_) => "Page",
            Self::ExpireTokens => "ExpireTokens",
            Self::Wait(_) => "Wait",
            Self::Hang => "Hang",
            Self::Before(_) => "Before",
            Self::After(_) => "After",
        })
    }
}
