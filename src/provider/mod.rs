//! Providers of secrets-manager instances: the traits that the jobs use, and one directory per provider.
//!
//! A provider's paths, types, creation order and limits are only in its own directory. A provider implements four
//! traits, and [`Signer`] if certificate authorities of one instance can sign for another:
//!
//! | trait | what |
//! |---|---|
//! | [`InstanceInventory`] | identifies an instance and lists its items |
//! | [`ItemReader`] | reads what the lists do not show |
//! | [`ItemConverter`] | converts items of a snapshot for a standby; pure |
//! | [`ItemWriter`] | changes an instance |
//!
//! `docs/providers.md` describes how to write a provider.

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
