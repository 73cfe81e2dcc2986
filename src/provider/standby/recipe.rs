//! What a provider's module knows about bringing items back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RequestBody;
use super::mark::RestoreMark;
use super::reference::{ItemDependency, ReferenceNames};
use super::view::{LockView, VersionView, View};
use crate::model::json::JsonObject;
use crate::model::{Item, ItemKey, ItemKind, Payload, Restorability, Timestamp, Treatment};

/// The classes of steps, in the order in which they are applied. What a later one makes may refer to what an earlier
/// one made.
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
    /// The registration with the notification service: last, so that a restore is no storm of events.
    Registration,
}

impl Phase {
    /// Every class, in order.
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

    /// The word used in output and plans.
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

/// How an item of a snapshot comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// It is created, in this class of steps.
    Create(Phase),
    /// Every instance has it by itself.
    BuiltIn,
    /// It cannot be brought back; why, as a fragment.
    Lost(String),
}

/// A secret that is to be created with its first version.
#[derive(Debug, Clone, Copy)]
pub struct NewSecret<'a> {
    /// The secret in the snapshot.
    pub view: &'a View,
    /// The id of its group in the standby.
    pub group: Option<&'a str>,
    /// The version.
    pub version: &'a VersionView,
    /// Its payload; an empty object when the standby issues one.
    pub payload: &'a Payload,
    /// The mark of the secret, where there is room for it.
    pub mark: Option<&'a RestoreMark>,
    /// Whether the version is marked.
    pub mark_version: bool,
    /// Whether it may rotate by itself.
    pub rotate: bool,
}

/// A version that is to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion<'a> {
    /// The secret in the snapshot.
    pub view: &'a View,
    /// The version.
    pub version: &'a VersionView,
    /// Its payload.
    pub payload: &'a Payload,
    /// Whether the version is marked.
    pub mark_version: bool,
}

/// What the notification service calls an instance; no answer of the API returns it, so a snapshot lacks it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationNames {
    /// The name of the source, 2 to 256 characters.
    pub name: String,
    /// Its description, up to 1,024 characters.
    pub description: String,
}

/// An item cannot be written as a request: something that the provider requires is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot make a request for {what}: {why}")]
pub struct RecipeError {
    /// The item.
    pub what: String,
    /// What is missing, without any value.
    pub why: String,
}

/// An item as a resource of Terraform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerraformResource {
    /// The resource type.
    pub resource: &'static str,
    /// The id that `import` takes.
    pub id: String,
}

/// What is a provider's own about bringing items back. Pure: no network, no clock.
pub trait Recipe: Send + Sync + fmt::Debug {
    /// Reads an item in common terms.
    fn view(&self, item: &Item) -> View;

    /// The class of an item with these documents and payloads.
    fn class(&self, item: &Item) -> Restorability;

    /// The treatments that the item allows, the one that is meant when nobody chooses first; never empty.
    fn treatments(&self, item: &Item) -> &'static [Treatment];

    /// The treatments that items of the type may have, whatever their state.
    fn type_treatments(&self, item_type: &str) -> &'static [Treatment];

    /// The item as the treatment makes it: its type, name and settings in the standby.
    fn recast(&self, item: &Item, treatment: Treatment) -> View;

    /// A payload of the item as the recast type takes it.
    ///
    /// # Errors
    /// When the payload lacks what that type requires.
    fn recast_payload(&self, item: &Item, treatment: Treatment, payload: Payload) -> Result<Payload, RecipeError>;

    /// Gives the item members that the operator supplies, over those that it has. Returns the names of those that its
    /// type, or the one that the treatment makes of it, has at all; others are left out.
    fn supply(&self, item: &mut Item, treatment: Treatment, members: &JsonObject) -> Vec<String>;

    /// What people should know of an item that the treatment makes another one; nothing when it stays what it was.
    fn recast_note(&self, item: &Item, treatment: Treatment) -> Option<String>;

    /// Why the provider takes no item of that kind and name, as a fragment; nothing when it does.
    fn refused_name(&self, kind: ItemKind, name: &str) -> Option<String>;

    /// How many items of that kind an instance takes at most; nothing when no bound is known.
    fn most(&self, kind: ItemKind) -> Option<usize>;
    /// How the item comes back under that treatment.
    fn route(&self, item: &Item, treatment: Treatment) -> Route;

    /// Makes the settings comparable between instances: references in the place of the ids that they hold, one spelling
    /// for what can be written in several. An id that no name is known of stays.
    fn name_references(&self, view: &mut View, names: &ReferenceNames);

    /// The item with the ids of the instance that `names` are of in the place of references.
    ///
    /// # Errors
    /// When that instance has no such item, or the snapshot did not know what an id meant.
    fn resolve_references(&self, view: &View, names: &ReferenceNames) -> Result<View, RecipeError>;

    /// What has to be there before the item can be made.
    fn needs(&self, view: &View) -> Vec<ItemDependency>;

    /// What of the item's settings no answer showed and nobody supplied, as fragments: it is lost.
    fn lost_settings(&self, view: &View) -> Vec<String>;

    /// Settings of a configuration that no patch can change.
    fn unpatchable(&self, item_type: &str) -> &'static [&'static str];

    /// The authorities of its own instance that may have signed this one: one of them is there.
    fn issuers(&self, view: &View) -> Vec<ItemKey>;

    /// Lets an authority sign another one of the same instance.
    fn sign_authority(&self, view: &View) -> RequestBody;

    /// Gives an authority the certificate (PEM) that was signed for it elsewhere.
    fn set_signed(&self, certificate: &str) -> RequestBody;

    /// Whether the metadata can take the mark: it has room, and no member of that name of its own.
    fn mark_fits(&self, view: &View, mark: &RestoreMark) -> bool;

    /// Whether the version's metadata can take its mark.
    fn version_mark_fits(&self, version: &VersionView) -> bool;

    /// Whether adding a version may clear or change settings of the secret.
    fn version_moves_settings(&self, view: &View) -> bool;

    /// Whether two payloads of that type hold the same in everything that can be restored. Takes the same time wherever
    /// values of one length differ.
    fn same_payload(&self, item_type: &str, one: &Payload, other: &Payload) -> bool;

    /// Whether two payloads of that type hold the same in what is fixed when a secret is created, such as a user name: no
    /// later version can change it.
    fn same_fixed(&self, item_type: &str, one: &Payload, other: &Payload) -> bool;

    /// A group that is to be created, or the patch of one that is there.
    fn group(&self, view: &View) -> RequestBody;

    /// A configuration that is to be created.
    ///
    /// # Errors
    /// When the value lacks what the provider requires.
    fn new_configuration(&self, view: &View, value: &Payload) -> Result<RequestBody, RecipeError>;

    /// The patch that gives a configuration its value and settings.
    ///
    /// # Errors
    /// When the value lacks what the provider requires.
    fn patch_configuration(&self, view: &View, value: &Payload) -> Result<RequestBody, RecipeError>;

    /// A secret that is to be created.
    ///
    /// # Errors
    /// When the payload lacks what the provider requires.
    fn new_secret(&self, secret: &NewSecret<'_>) -> Result<RequestBody, RecipeError>;

    /// A version that is to be added.
    ///
    /// # Errors
    /// When the payload lacks what the provider requires.
    fn new_version(&self, version: &NewVersion<'_>) -> Result<RequestBody, RecipeError>;

    /// The patch that gives `have` the settings of `want` and the mark; never touches rotation, which may rotate.
    fn patch_secret(&self, want: &View, have: &View, mark: Option<&RestoreMark>) -> RequestBody;

    /// The patch that gives the version `have` the metadata of `want`, with our mark if it is to be marked.
    fn patch_version(&self, want: &VersionView, have: &VersionView, mark: bool) -> RequestBody;

    /// Locks that are to be added to one version.
    fn locks(&self, locks: &[&LockView]) -> RequestBody;

    /// The registration that is to be made.
    fn registration(&self, view: &View, names: &RegistrationNames) -> RequestBody;

    /// When the item rotates next by itself under this policy; nothing when its documents do not say.
    fn next_rotation(&self, item: &Item, policy: &JsonObject) -> Option<Timestamp>;

    /// The patch that takes what is held back out of the mark of `have`, and turns it on if `turn_on`.
    fn release_rotation(&self, have: &View, turn_on: bool) -> RequestBody;

    /// The full name (CRN) of the instance that an item as a list shows it lies in; nothing when its row does not say.
    fn instance(&self, item: &Item) -> Option<String>;

    /// The id of the instance inside its full name (CRN), in lower case.
    fn instance_id(&self, crn: &str) -> Option<String>;

    /// The item as a resource of Terraform; `id` is its id in the standby. Nothing when there is no such resource or the
    /// CRN does not say where the instance is.
    fn terraform(&self, crn: &str, key: &ItemKey, item_type: &str, id: &str) -> Option<TerraformResource>;
}
