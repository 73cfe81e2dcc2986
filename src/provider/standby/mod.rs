//! An instance that we restore into.
//!
//! [`Standby`] adds writing to [`Source`]; [`Recipe`] is what a provider's module knows about bringing items back: how
//! to read an item in common terms ([`View`]), in which order things are made, what a request's body looks like, where
//! our [`RestoreMark`]s lie. A recipe is pure, so that a plan can be made and tested without any network.

use std::fmt;

use async_trait::async_trait;

use super::InstanceError;
use super::source::{Listed, Source};
use crate::model::json::JsonObject;
use crate::model::{Docs, ItemKey, Payload};

pub mod mark;
pub mod normal;
pub mod recipe;
pub mod reference;
pub mod view;

pub use mark::{MARK, RestoreMark};
pub use recipe::{NewSecret, NewVersion, Phase, Recipe, RegistrationNames, Route};
pub use reference::{ItemDependency, ReferenceNames};
pub use view::{Certification, LockView, VersionView, View};

/// The body of a request: metadata, and the payload whose members follow it.
#[derive(Debug, Clone, Default)]
pub struct RequestBody {
    /// What is no secret; `Debug` shows member names only.
    pub metadata: JsonObject,
    /// The payload fields that the request takes, each as its exact text.
    pub payload: Option<Payload>,
}

impl RequestBody {
    /// A body without a payload.
    #[must_use]
    pub fn new(metadata: JsonObject) -> Self {
        Self { metadata, payload: None }
    }
}

/// One change of an instance.
///
/// There is on purpose no way to say how a lock treats an earlier payload: modes that remove one are never sent.
#[derive(Debug)]
pub enum Write {
    /// Creates a secret group.
    CreateGroup {
        /// The group.
        body: RequestBody,
    },
    /// Changes the settings of a group.
    PatchGroup {
        /// The group's id.
        id: String,
        /// A merge patch.
        body: RequestBody,
    },
    /// Creates a configuration with its value.
    CreateConfiguration {
        /// The configuration.
        body: RequestBody,
    },
    /// Changes a configuration, its value included.
    PatchConfiguration {
        /// Its key.
        key: ItemKey,
        /// A merge patch.
        body: RequestBody,
    },
    /// Lets a certificate authority do something: sign another one, take its own certificate.
    ConfigurationAction {
        /// The key of the authority that does it.
        key: ItemKey,
        /// The action.
        body: RequestBody,
    },
    /// Creates a secret with its first version.
    CreateSecret {
        /// The secret.
        body: RequestBody,
    },
    /// Adds a version to a secret: what was current becomes previous, what was previous loses its payload.
    AddVersion {
        /// The secret's id.
        id: String,
        /// The version.
        body: RequestBody,
    },
    /// Changes the metadata of a secret.
    PatchSecret {
        /// The secret's id.
        id: String,
        /// A merge patch.
        body: RequestBody,
    },
    /// Changes the metadata of a version.
    PatchVersion {
        /// The secret's id.
        id: String,
        /// The version's id.
        version: String,
        /// A merge patch.
        body: RequestBody,
    },
    /// Adds locks to a version.
    AddLocks {
        /// The secret's id.
        id: String,
        /// The version's id.
        version: String,
        /// The locks.
        body: RequestBody,
    },
    /// Takes locks off a version, by name.
    RemoveLocks {
        /// The secret's id.
        id: String,
        /// The version's id.
        version: String,
        /// The names; never empty, which would mean all.
        names: Vec<String>,
    },
    /// Deletes a secret with all its versions. Nothing brings it back.
    DeleteSecret {
        /// The secret's id.
        id: String,
    },
    /// Deletes a configuration.
    DeleteConfiguration {
        /// Its key.
        key: ItemKey,
    },
    /// Deletes a group; the provider refuses one that still has secrets.
    DeleteGroup {
        /// The group's id.
        id: String,
    },
    /// Registers the instance with the notification service.
    Register {
        /// The registration.
        body: RequestBody,
    },
}

impl Write {
    /// Whether sending it a second time could make something a second time. Such a request is never repeated without
    /// looking first.
    #[must_use]
    pub fn creates(&self) -> bool {
        !matches!(
            self,
            Self::PatchGroup { .. }
                | Self::PatchConfiguration { .. }
                | Self::PatchSecret { .. }
                | Self::PatchVersion { .. }
                | Self::DeleteSecret { .. }
                | Self::DeleteConfiguration { .. }
                | Self::DeleteGroup { .. }
        )
    }
}

/// What the answer to a change shows.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The provider's id of what was created.
    pub id: Option<String>,
    /// The instance's own name (a CRN), if the answer shows it.
    pub instance: Option<String>,
    /// The id of the version that was created, if the answer shows it.
    pub version: Option<String>,
}

/// An instance whose certificate authorities sign requests of other instances.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// Lets an authority sign a request (PEM) as that of an authority below it; returns the certificate (PEM).
    ///
    /// # Errors
    /// When the instance refuses, or its answer shows no certificate.
    async fn sign(&self, authority: &ItemKey, request: &str) -> Result<String, InstanceError>;
}

/// What the address of an instance says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The whole URL, for people and for finding an instance id in it; holds no credentials.
    pub url: String,
    /// The instance id in the URL, in lower case, if it has the provider's form.
    pub instance: Option<String>,
}

/// What of a secret to ask for. Never a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Its own row.
    pub row: bool,
    /// The metadata of all versions.
    pub versions: bool,
    /// The locks with their descriptions and attributes.
    pub locks: bool,
}

/// An instance that can be restored into.
#[async_trait]
pub trait Standby: Source {
    /// What is the provider's about bringing items back.
    fn recipe(&self) -> &dyn Recipe;

    /// What the address says about the instance.
    fn address(&self) -> Address;

    /// Asks for documents of one secret, by its key in the standby, without reading a payload.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] when there is no such secret any more; else when the answer cannot be used.
    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError>;

    /// Looks for one item by what makes it unique for people: kind, type, group id and name.
    ///
    /// # Errors
    /// When the instance gives no usable answer; that nothing is found is no error.
    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError>;

    /// Sends one change, once. What cannot create anything twice may be repeated inside.
    ///
    /// # Errors
    /// When it was refused, or when nobody knows what became of it ([`unanswered`]).
    async fn write(&self, write: Write) -> Result<Written, InstanceError>;
}

/// What [`Standby::find`] looks for.
#[derive(Debug, Clone, Copy)]
pub struct StandbyQuery<'a> {
    /// The key in the snapshot; of it only the kind counts, for a configuration also type and name.
    pub key: &'a ItemKey,
    /// The type.
    pub item_type: &'a str,
    /// The name.
    pub name: &'a str,
    /// The id of the group in the standby, for secrets.
    pub group: Option<&'a str>,
}

/// Whether nobody knows what became of a request: it may have been carried out.
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

    #[test]
    fn a_body_shows_nothing() {
        let payload = Some(Payload::new(zeroize::Zeroizing::new(r#"{"payload":"hunter2"}"#.to_owned())));
        let body = RequestBody { metadata: JsonObject::parse(r#"{"name":"hunter3"}"#).unwrap(), payload };
        assert!(!format!("{:?}", Write::CreateSecret { body }).contains("hunter"));
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
