//! The state of an item as the lists show it, reduced to a digest.

use super::Digest;

/// A digest of all rows that the provider's lists show of an item, member order aside, without the fields that our own
/// reads change. Equal revisions mean: nothing that the lists show has moved.
pub type Revision = Digest;
