//! The names of the documents that an item of the snapshot has.

pub(super) use crate::provider::{REFUSED, SUPPLIED};

/// The document of an item's own list row.
pub(super) const ROW: &str = "row";
/// The document of a secret's row in the list of locks.
pub(super) const LOCKS_ROW: &str = "locks_row";
/// The document with the metadata of all versions (of one or two: as their answers show it).
pub(super) const VERSIONS: &str = "versions";
/// The document with the full locks.
pub(super) const LOCKS: &str = "locks";
/// The document with a configuration's answer, its secret members cut out.
pub(super) const VALUE: &str = "value";
/// The document with what was read out of a certificate because no answer returns it: members as a create takes them.
pub(super) const DERIVED: &str = "derived";
/// The document with the names of the members that each payload has and that are not empty, by slot: of certificates
/// and configurations, where they say what can be made of it (a certificate with or without its private key).
pub(super) const PAYLOAD_MEMBERS: &str = "payload_members";
