//! Names of the documents of an item in a snapshot.

pub(super) use crate::provider::{REFUSED, SUPPLIED};

/// The document of an item's own list row.
pub(super) const ROW: &str = "row";
/// The document of a secret's row in the list of locks.
pub(super) const LOCKS_ROW: &str = "locks_row";
/// The document with the metadata of all versions (if there are only one or two, as their answers show it).
pub(super) const VERSIONS: &str = "versions";
/// The document with the full locks.
pub(super) const LOCKS: &str = "locks";
/// The document with a configuration's answer, without its secret members.
pub(super) const VALUE: &str = "value";
/// The document with members read from a certificate because no answer returns them, in the form of a create request.
pub(super) const DERIVED: &str = "derived";
/// The document with the names of the non-empty members of each payload, by slot. Present for certificates and
/// configurations, where they determine how it can be restored (a certificate with or without its private key).
pub(super) const PAYLOAD_MEMBERS: &str = "payload_members";
