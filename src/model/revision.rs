//! The state of an item as the lists show it, reduced to a digest.

use super::Digest;

/// A digest of all rows that the provider's lists show of an item, independent of member order, without the fields that
/// our own reads change. Equal revisions mean that nothing in the lists has changed.
pub type Revision = Digest;
