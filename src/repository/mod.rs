//! Ledger, packs, catalogues, commit: what is stored, where, and in which order (design: format 1).

pub mod store;

pub use store::{S3Settings, Store, StoreError};
