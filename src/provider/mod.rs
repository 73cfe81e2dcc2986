//! Providers of secrets-manager instances: the traits that the jobs use, and one directory for each provider.
//!
//! A provider's paths, types, order of creation and limits are in its own directory; nothing above this one knows them.
//! It implements four traits, and [`Signer`] where authorities of an instance can sign for another one:
//!
//! | trait | what |
//! |---|---|
//! | [`InstanceInventory`] | identifies an instance and lists what it holds |
//! | [`ItemReader`] | reads what the lists do not show |
//! | [`ItemConverter`] | says what an item of a snapshot becomes in a standby; pure |
//! | [`ItemWriter`] | changes an instance |
//!
//! `docs/providers.md` says how to write one.

mod body;
mod change;
mod converter;
mod error;
mod inventory;
mod reader;
mod restore_item;
mod writer;

pub mod assess;
#[cfg(feature = "sandbox")]
pub mod embedded;
pub mod ibm;
pub mod mark;
pub mod normal;
pub mod reference;

pub use body::RequestBody;
pub use change::{Action, Change, Phase, RegistrationNames};
pub use converter::{Conversion, ItemConverter, PayloadMatch, Route};
pub use error::{ConvertError, InstanceError};
pub use inventory::{
    Address, CompleteListing, InstanceInventory, Listed, Presence, Readable, Requests, Sink, StandbyQuery,
    TerraformResource,
};
pub use mark::RestoreMark;
pub use reader::{ItemContent, ItemReader, Look, REFUSED, SUPPLIED};
pub use reference::{ItemDependency, ReferenceNames};
pub use restore_item::{Certification, RestoreItem, RestoreLock, RestoreVersion};
pub use writer::{ItemWriter, Signer, Write, Written, unanswered};

/// An instance that can be listed and read.
pub trait Source: InstanceInventory + ItemReader {}

impl<T: InstanceInventory + ItemReader> Source for T {}

/// An instance that can be restored into.
pub trait Standby: Source + ItemWriter {}

impl<T: Source + ItemWriter> Standby for T {}
