//! Trust, ledger, packs, catalogues, commit: what is stored, where, and in which order (`docs/format.md`).
//!
//! [`Store`] is the storage, with all peculiarities of object_store. [`trust`] and [`ledger`] are the pure evaluation
//! of the trust policy and of entries. [`Repository`] joins them. Nothing here deletes an object, and only a wrong
//! `RECOVER.md` is rewritten.

#[expect(clippy::disallowed_methods, reason = "a cache is a folder on this host, outside of every store")]
mod cache;
mod commit;
mod entries;
mod error;
pub mod find;
mod init;
pub mod lease;
pub mod ledger;
mod marker;
mod objects;
mod older;
mod open;
mod policies;
mod put_back;
mod recover;
#[expect(clippy::disallowed_methods, reason = "a writer's memory is a folder on this host, outside of every store")]
mod state;
pub mod store;
mod stream;
pub mod trust;
mod write;

pub use commit::{Committed, EntryWriter, SKEW_MILLIS};
pub use error::RepositoryError;
pub use init::NewRepository;
pub use objects::SealedFacts;
pub use open::Repository;
pub use put_back::{PutBack, RecoverMd};
pub use recover::recover_md;
pub use state::{KnownPolicy, StateDirectory};
pub use store::{ObjectInfo, Retention, S3Settings, Store, StoreError};
