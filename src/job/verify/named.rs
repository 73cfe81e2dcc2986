//! Objects named by the snapshots to verify.

use super::objects::Lists;
use super::scope::ChosenSnapshot;
use super::sealing::Sealing;

/// Objects named by the snapshots to verify.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamedObjects<'a> {
    pub(super) snapshots: &'a [ChosenSnapshot<'a>],
    pub(super) lists: &'a Lists,
    pub(super) sealing: &'a Sealing,
}
