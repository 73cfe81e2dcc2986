//! Who signs outside the standby, and what they are asked to sign.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::ItemKey;
use crate::provider::Signer;

/// Who signs what was asked to be signed outside the standby.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signatures<'a> {
    /// Certificates (PEM) that an operator brought, by the name of the authority.
    pub given: Option<&'a BTreeMap<String, String>>,
    /// The source, when it lives and may be asked.
    pub source: Option<&'a dyn Signer>,
}

/// A request that has to be signed outside the standby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SigningRequest {
    /// The authority, by its key in the snapshot.
    pub key: ItemKey,
    /// Its name.
    pub name: String,
    /// The request, as PEM. No secret.
    pub pem: String,
}
