//! Changes to an instance.

use std::fmt;

use async_trait::async_trait;

use super::body::RequestBody;
use super::change::{Action, Change};
use super::converter::ItemConverter;
use super::{ConvertError, InstanceError};
use crate::model::{ItemKey, ItemKind};

/// One request that changes an instance.
#[derive(Debug)]
pub struct Write {
    /// The action.
    pub action: Action,
    /// The id of the changed item, as in keys; for a signature, of the certificate authority that signs. `None` for a
    /// creation, or if the action names the item.
    pub target: Option<String>,
    /// The id of the changed version.
    pub version: Option<String>,
    /// The body of the request.
    pub body: RequestBody,
}

impl Write {
    /// Creates a request that needs only its action and body.
    #[must_use]
    pub fn new(action: Action, body: RequestBody) -> Self {
        Self { action, target: None, version: None, body }
    }

    /// Returns the id of the changed item.
    ///
    /// # Errors
    /// [`InstanceError::Unsafe`] if the request has none.
    pub fn target(&self) -> Result<&str, InstanceError> {
        self.named(self.target.as_deref(), "item")
    }

    /// Returns the id of the changed version.
    ///
    /// # Errors
    /// [`InstanceError::Unsafe`] if the request has none.
    pub fn version(&self) -> Result<&str, InstanceError> {
        self.named(self.version.as_deref(), "version")
    }

    fn named<'w>(&self, id: Option<&'w str>, what: &str) -> Result<&'w str, InstanceError> {
        id.filter(|id| !id.is_empty()).ok_or_else(|| InstanceError::Unsafe {
            what: self.action.as_str().to_owned(),
            why: format!("the request names no {what}"),
        })
    }
}

/// Result of a change.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The provider's id of the created item.
    pub id: Option<String>,
    /// The full name of the instance, if the answer shows it.
    pub instance: Option<String>,
    /// The id of the created version, if the answer shows it.
    pub version: Option<String>,
}

/// Changes an instance.
#[async_trait]
pub trait ItemWriter: Send + Sync + fmt::Debug {
    /// Returns the converter of this instance.
    fn converter(&self) -> &dyn ItemConverter;

    /// Returns the reason why the provider rejects a name for that kind, as a fragment; `None` if the name is valid.
    fn refused_name(&self, kind: ItemKind, name: &str) -> Option<String>;

    /// Returns the maximum number of items of that kind; `None` if no bound is known.
    fn max_items(&self, kind: ItemKind) -> Option<usize>;

    /// Builds the body of the request for a change. Pure, so that a plan can check whether a request is possible.
    ///
    /// # Errors
    /// When the backup lacks what the provider requires.
    fn body(&self, change: &Change<'_>) -> Result<RequestBody, ConvertError>;

    /// Sends one change, once. May repeat internally only requests that cannot create anything twice.
    ///
    /// # Errors
    /// When it was refused, or its outcome is unknown ([`unanswered`]).
    async fn write(&self, write: Write) -> Result<Written, InstanceError>;
}

/// An instance whose certificate authorities sign requests of other instances.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// Makes a certificate authority sign a request (PEM) for a subordinate certificate authority. Returns the
    /// certificate (PEM).
    ///
    /// # Errors
    /// When the instance refuses, or its answer shows no certificate.
    async fn sign(&self, authority: &ItemKey, request: &str) -> Result<String, InstanceError>;
}

/// Returns true if the outcome of a request is unknown: it may have been carried out.
#[must_use]
pub fn unanswered(error: &InstanceError) -> bool {
    match error {
        InstanceError::Unanswered { .. }
        | InstanceError::Unreachable { .. }
        | InstanceError::Malformed { .. }
        | InstanceError::Incomplete { .. }
        | InstanceError::Moved { .. } => true,
        InstanceError::Overloaded { status, .. } => *status >= 500,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Payload;
    use crate::model::json::JsonObject;

    #[test]
    fn a_body_shows_nothing() {
        let payload = Payload::new(zeroize::Zeroizing::new(r#"{"payload":"hunter2"}"#.to_owned()));
        let body = RequestBody::with_payload(JsonObject::parse(r#"{"name":"hunter3"}"#).unwrap(), payload);
        assert!(!format!("{:?}", Write::new(Action::CreateGroup, body)).contains("hunter"));
    }

    #[test]
    fn too_many_requests_is_an_answer_and_a_server_error_is_none() {
        let overloaded =
            |status| InstanceError::Overloaded { what: String::new(), status, attempts: 1, message: String::new() };
        assert!(!unanswered(&overloaded(429)));
        assert!(unanswered(&overloaded(503)));
        assert!(!unanswered(&InstanceError::Refused { what: String::new(), status: 409, message: String::new() }));
    }
}
