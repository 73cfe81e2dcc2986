//! Changes of an instance: the same list for the steps of a plan and for the requests that apply them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ConvertError;
use super::mark::RestoreMark;
use super::restore_item::{RestoreItem, RestoreLock, RestoreVersion};
use crate::model::{ItemKey, Payload};

/// The phases of a plan, in the order of application. Items of a later phase may refer to items of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Secret groups.
    Groups,
    /// The engine that issues credentials of the provider's own identity service.
    IamEngine,
    /// Secrets that configurations or other secrets refer to.
    ReferredSecrets,
    /// Public certificate authorities and DNS providers.
    AuthoritiesAndDns,
    /// Private root certificate authorities.
    RootAuthorities,
    /// Private intermediate certificate authorities.
    IntermediateAuthorities,
    /// Certificate templates and engines that need secrets.
    Templates,
    /// All other secrets with their versions and metadata.
    Secrets,
    /// Secrets that the standby issues: they need engines, templates and other secrets.
    IssuedSecrets,
    /// Metadata of versions that are there already.
    VersionMetadata,
    /// Locks.
    Locks,
    /// The registration with the notification service: last, so that a restore does not cause a flood of events.
    Registration,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 12] = [
        Self::Groups,
        Self::IamEngine,
        Self::ReferredSecrets,
        Self::AuthoritiesAndDns,
        Self::RootAuthorities,
        Self::IntermediateAuthorities,
        Self::Templates,
        Self::Secrets,
        Self::IssuedSecrets,
        Self::VersionMetadata,
        Self::Locks,
        Self::Registration,
    ];

    /// Returns the word used in output and plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::IamEngine => "iam_engine",
            Self::ReferredSecrets => "referred_secrets",
            Self::AuthoritiesAndDns => "authorities_and_dns",
            Self::RootAuthorities => "root_authorities",
            Self::IntermediateAuthorities => "intermediate_authorities",
            Self::Templates => "templates",
            Self::Secrets => "secrets",
            Self::IssuedSecrets => "issued_secrets",
            Self::VersionMetadata => "version_metadata",
            Self::Locks => "locks",
            Self::Registration => "registration",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change of an instance: a step of a plan and the request that applies it.
///
/// Deliberately has no lock mode: modes that remove an earlier payload are never sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Creates a group.
    CreateGroup,
    /// Changes the settings of a group.
    UpdateGroup,
    /// Creates a configuration with its value.
    CreateConfiguration,
    /// Sets the value and settings of a configuration to those in the snapshot.
    UpdateConfiguration,
    /// Lets the issuer of a certificate authority, in the standby, sign it.
    SignAuthority,
    /// Installs a certificate of a certificate authority that was signed outside the standby.
    SetSigned {
        /// The source's certificate authority that signs it; `None` if an operator supplies the certificate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ItemKey>,
    },
    /// Creates a secret with a first version.
    CreateSecret {
        /// The id of the version in the source.
        version: String,
        /// The mark of the secret; `None` if there is no room for it.
        mark: Option<RestoreMark>,
        /// True if the version is marked.
        mark_version: bool,
    },
    /// Adds a version.
    AddVersion {
        /// The id of the version in the source.
        version: String,
        /// True if the version is marked.
        mark_version: bool,
    },
    /// Changes the metadata of a secret, including its mark.
    PatchMetadata {
        /// The mark to write; `None` if there is no room for it.
        mark: Option<RestoreMark>,
    },
    /// Changes the metadata of a version, including its mark.
    PatchVersionMetadata {
        /// The id of the version in the source.
        version: String,
        /// True if the version is marked.
        mark_version: bool,
    },
    /// Removes locks from a version.
    RemoveLocks {
        /// The version as item states name it: `source:` and its id in the source, or `own:` and its id in the standby.
        version: String,
        /// The names of the locks.
        names: Vec<String>,
    },
    /// Adds locks to a version.
    AddLocks {
        /// The id of the version in the source.
        version: String,
        /// The names of the locks.
        names: Vec<String>,
        /// True if the plan itself removes them before.
        put_back: bool,
    },
    /// Deletes an item of the standby, to recreate it.
    Delete {
        /// Its key in the standby.
        key: ItemKey,
    },
    /// Registers the standby with the notification service.
    Register,
    /// Removes the held-back policy from the mark of a secret. Part of an activation, never of a restore plan.
    #[serde(skip)]
    ReleaseRotation {
        /// True to turn on the rotation that was held back.
        turn_on: bool,
    },
}

impl Action {
    /// Returns the word used in output and totals.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::CreateGroup => "create_group",
            Self::UpdateGroup => "update_group",
            Self::CreateConfiguration => "create_configuration",
            Self::UpdateConfiguration => "update_configuration",
            Self::SignAuthority => "sign_authority",
            Self::SetSigned { .. } => "set_signed_certificate",
            Self::CreateSecret { .. } => "create_secret",
            Self::AddVersion { .. } => "add_version",
            Self::PatchMetadata { .. } => "patch_metadata",
            Self::PatchVersionMetadata { .. } => "patch_version_metadata",
            Self::RemoveLocks { .. } => "remove_locks",
            Self::AddLocks { put_back: true, .. } => "put_back_locks",
            Self::AddLocks { .. } => "add_locks",
            Self::Delete { .. } => "delete",
            Self::Register => "register",
            Self::ReleaseRotation { .. } => "release_rotation",
        }
    }

    /// Returns the id, in the source, of the version whose payload the step sends.
    #[must_use]
    pub fn payload_of(&self) -> Option<&str> {
        match self {
            Self::CreateSecret { version, .. } | Self::AddVersion { version, .. } => Some(version),
            _ => None,
        }
    }
}

/// Name of an instance in the notification service; no answer of the API returns it, so a snapshot does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationNames {
    /// The name of the source, 2 to 256 characters.
    pub name: String,
    /// Its description, up to 1,024 characters.
    pub description: String,
}

/// All inputs for the body of a request. Those that an action does not need are absent.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The action.
    pub action: &'a Action,
    /// The desired item, with the ids of the standby.
    pub item: &'a RestoreItem,
    /// The current item of the standby, for a patch of its metadata.
    pub have: Option<&'a RestoreItem>,
    /// The id of its group in the standby, for a new secret.
    pub group: Option<&'a str>,
    /// The desired version.
    pub version: Option<&'a RestoreVersion>,
    /// The current version in the standby, for a patch of its metadata.
    pub have_version: Option<&'a RestoreVersion>,
    /// The payload of the version or the value of the configuration; an empty object if the standby issues it.
    pub payload: Option<&'a Payload>,
    /// The locks to add.
    pub locks: &'a [&'a RestoreLock],
    /// The signed certificate (PEM) of a certificate authority.
    pub certificate: Option<&'a str>,
    /// The name of the standby in the notification service.
    pub names: Option<&'a RegistrationNames>,
    /// True if a new secret may rotate automatically.
    pub rotate: bool,
}

impl<'a> Change<'a> {
    /// Creates a change that needs only the item.
    #[must_use]
    pub fn new(action: &'a Action, item: &'a RestoreItem) -> Self {
        Self {
            action,
            item,
            have: None,
            group: None,
            version: None,
            have_version: None,
            payload: None,
            locks: &[],
            certificate: None,
            names: None,
            rotate: false,
        }
    }

    /// Returns a part that the action needs.
    ///
    /// # Errors
    /// When the part is absent.
    pub fn part<T>(&self, part: Option<T>, what: &str) -> Result<T, ConvertError> {
        part.ok_or_else(|| ConvertError {
            what: self.item.key.to_string(),
            why: format!("{} needs {what}", self.action.as_str()),
        })
    }
}
