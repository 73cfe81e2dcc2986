//! Signatures made outside the standby, and requests for them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::ItemKey;
use crate::provider::Signer;

/// Sources of signatures made outside the standby.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signatures<'a> {
    /// Certificates (PEM) that the operator provided, by authority name.
    pub given: Option<&'a BTreeMap<String, String>>,
    /// The source instance, if it is alive and may be asked.
    pub source: Option<&'a dyn Signer>,
}

/// A request that must be signed outside the standby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SigningRequest {
    /// Key of the authority in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// The request as PEM. Not a secret.
    pub pem: String,
}
