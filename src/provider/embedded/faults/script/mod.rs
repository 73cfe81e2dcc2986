//! Fault scripts, as `keyhaven sandbox --faults FILE` reads them. `docs/sandbox.md` is the user documentation.

mod error;
mod read;
mod table;

pub use error::ScriptError;

use std::time::Duration;

use super::when::When;
use super::writer::WriterAction;
use crate::provider::embedded::state::PageFault;

/// Faults of an instance, with the requests and times that they apply to: plain data, read from TOML.
///
/// With the same seed, the same sequence of requests gets the same faults.
#[derive(Debug, Clone, Default)]
pub struct FaultScript {
    /// Seed of the random numbers of every rule.
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

/// One rule: an act and the requests that it applies to.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) when: Condition,
    pub(super) act: FaultAction,
}

/// Requests that a rule applies to. All conditions must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// By method, path, class and number. Only requests within the time window below are counted.
    pub(super) which: When,
    /// Every n-th of those, starting with the n-th.
    pub(super) every: Option<u64>,
    /// Probability of each, 0 to 1, drawn from the seed.
    pub(super) probability: Option<f64>,
    /// Maximum number of times.
    pub(super) times: Option<u64>,
    /// Start of the time window, from the start of the run. A run starts with its first request.
    pub(super) after: Duration,
    /// Length of the time window; `None` means no end.
    pub(super) lasting: Option<Duration>,
}

/// Action of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FaultAction {
    /// Waits a time between `least` and `most`.
    Latency { least: Duration, most: Duration },
    /// Answers with this status without processing the request.
    Answer { status: u16, pause: Pause },
    /// Drops the connection, before or after processing the request.
    Drop { done: bool },
    /// Sends half of the body, then drops the connection.
    Cut,
    /// Answers 200 without a body.
    Empty,
    /// Answers with invalid JSON.
    Garbage,
    /// Never answers.
    Hang,
    /// Invalidates all tokens.
    ExpireTokens,
    /// Fails all requests, including token exchanges, for this time: with this status, or by dropping connections.
    Outage { lasting: Duration, status: Option<u16> },
    /// Corrupts a page of a list.
    Page(PageFault),
    /// Shifts the pages of a list after a page was read.
    Shift { changes: Vec<WriterAction> },
    /// Makes `at_once` changes, before or after the request.
    Write { changes: Vec<WriterAction>, at_once: u64 },
}

/// Value of `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// No header.
    None,
    /// Number of seconds.
    Seconds(u64),
    /// HTTP date this number of seconds ahead of the instance's clock.
    Date(u64),
}
