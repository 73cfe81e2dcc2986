//! Faults that can happen to a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::when::SeenRequest;
use crate::provider::embedded::instance::EmbeddedInstance;
use crate::provider::embedded::state::PageFault;

/// Callback that a test runs in the middle of a request.
pub type Hook = Arc<dyn Fn(&EmbeddedInstance, &SeenRequest) + Send + Sync>;

/// A fault.
#[derive(Clone)]
pub enum Act {
    /// Answers with this status without processing the request.
    Status {
        /// HTTP status.
        status: u16,
        /// Value of `Retry-After`; `None` omits the header.
        retry_after: Option<String>,
    },
    /// Drops the connection without processing the request.
    DropBefore,
    /// Processes the request, then drops the connection instead of answering.
    DropAfter,
    /// Processes the request and sends half of the response body, then drops the connection.
    CutBody,
    /// Processes the request and answers 200 without a body.
    EmptyBody,
    /// Processes the request and answers with invalid JSON.
    InvalidJson,
    /// Processes the request and answers with this body instead, keeping the status.
    Body(String),
    /// Corrupts a page of a list.
    Page(PageFault),
    /// Invalidates all tokens issued so far, then continues.
    ExpireTokens,
    /// Waits, then continues.
    Wait(Duration),
    /// Never answers; the connection stays open until one side closes it.
    Hang,
    /// Runs a callback, then continues.
    Before(Hook),
    /// Continues, then runs a callback before the response is sent.
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
