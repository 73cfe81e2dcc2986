//! What applying a plan is given.

use std::time::Duration;

use super::signatures::Signatures;
use crate::job::Context;
use crate::job::restore::backup::Backup;
use crate::job::restore::guard::Consent;
use crate::job::restore::plan::Plan;
use crate::provider::Standby;

/// How a plan is applied.
#[derive(Debug, Clone, Copy)]
pub struct ApplyOptions {
    /// Items that are worked on side by side, 1 to 64.
    pub concurrency: usize,
    /// How long to wait before looking what became of a request that got no answer: it may still be on its way.
    pub settle: Duration,
    /// Whether every payload is read back and compared when all is done.
    pub deep: bool,
}

impl Default for ApplyOptions {
    /// Eight items, two seconds, no payloads.
    fn default() -> Self {
        Self { concurrency: 8, settle: Duration::from_secs(2), deep: false }
    }
}

/// All that applying a plan is given.
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
