//! Input of an apply.

use std::time::Duration;

use super::signatures::Signatures;
use crate::job::Context;
use crate::job::restore::backup::Backup;
use crate::job::restore::guard::Consent;
use crate::job::restore::plan::Plan;
use crate::provider::Standby;

/// Options of an apply.
#[derive(Debug, Clone, Copy)]
pub struct ApplyOptions {
    /// Number of items processed in parallel, 1 to 64.
    pub concurrency: usize,
    /// Delay before checking the outcome of a request that got no response: it may still be in flight.
    pub settle: Duration,
    /// True if every payload is read back and compared at the end.
    pub deep: bool,
}

impl Default for ApplyOptions {
    /// Default: eight items, two seconds, no payloads.
    fn default() -> Self {
        Self { concurrency: 8, settle: Duration::from_secs(2), deep: false }
    }
}

/// Input of an apply.
#[derive(Debug, Clone, Copy)]
pub(super) struct ApplyInput<'a> {
    pub(super) context: &'a Context,
    pub(super) plan: &'a Plan,
    pub(super) backup: &'a dyn Backup,
    pub(super) standby: &'a dyn Standby,
    pub(super) options: &'a ApplyOptions,
    pub(super) consent: &'a Consent,
    pub(super) signatures: Signatures<'a>,
}
