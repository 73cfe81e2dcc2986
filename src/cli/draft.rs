//! The name under which this program writes into the ledger.

use crate::format::{Draft, EntryEvent};
use crate::model::Clock;

/// An entry for what has happened, dated now.
pub(super) fn draft(clock: &dyn Clock, event: EntryEvent) -> Draft {
    Draft { time: clock.now(), tool: tool(), event }
}

/// Returns this program's name in entries.
pub(super) fn tool() -> String {
    format!("keyhaven/{}", env!("CARGO_PKG_VERSION"))
}
