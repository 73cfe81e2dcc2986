//! Scripts of faults: what `keyhaven sandbox --faults FILE` reads. `docs/sandbox.md` has the words for users.

mod error;
mod read;
mod table;

pub use error::ScriptError;

use std::time::Duration;

use super::when::When;
use super::writer::WriterAction;
use crate::provider::embedded::state::PageFault;

/// What goes wrong with an instance, in which requests and when: plain data, read from TOML.
///
/// For one seed the same sequence of requests meets the same faults.
#[derive(Debug, Clone, Default)]
pub struct FaultScript {
    /// Start of the random numbers of every rule.
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

/// One rule: an act, and the requests that it happens to.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) when: Condition,
    pub(super) act: FaultAction,
}

/// Which requests a rule is for. All of it has to hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// By method, path, class and number. Only requests within the time below are counted.
    pub(super) which: When,
    /// Every n-th of those, from the n-th on.
    pub(super) every: Option<u64>,
    /// Each with this probability, 0 to 1, drawn from the seed.
    pub(super) probability: Option<f64>,
    /// At most so often.
    pub(super) times: Option<u64>,
    /// Not before the run is so old. A run begins with its first request.
    pub(super) after: Duration,
    /// Not for longer than this from then on.
    pub(super) lasting: Option<Duration>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FaultAction {
    /// Waits from `least` to `most`.
    Latency { least: Duration, most: Duration },
    /// Answers with this status and does nothing.
    Answer { status: u16, pause: Pause },
    /// Drops the connection, before or after doing what was asked.
    Drop { done: bool },
    /// Sends half of the body, then drops the connection.
    Cut,
    /// 200 without a body.
    Empty,
    /// No JSON.
    Garbage,
    /// Never answers.
    Hang,
    /// All tokens die.
    ExpireTokens,
    /// Nothing works for so long, token exchanges neither: this status, or dropped connections without one.
    Outage { lasting: Duration, status: Option<u16> },
    /// A page of a list is wrong.
    Page(PageFault),
    /// The pages of a list move after this one was read.
    Shift { changes: Vec<WriterAction> },
    /// So many changes, before or after the request.
    Write { changes: Vec<WriterAction>, at_once: u64 },
}

/// What `Retry-After` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// No such header.
    None,
    /// Seconds.
    Seconds(u64),
    /// The HTTP date so many seconds ahead of the instance's clock.
    Date(u64),
}
