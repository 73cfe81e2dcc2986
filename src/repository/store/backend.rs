//! What a place must be able to do.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;
use crate::model::Timestamp;

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The path inside the repository, without a leading slash.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// When the store says that it was written last.
    pub modified: Timestamp,
}

/// Whole objects by path. Implemented by the folder and the bucket, and by what tests put around them.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// See [`super::Store::get`].
    ///
    /// # Errors
    /// See there.
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError>;

    /// See [`super::Store::put`].
    ///
    /// # Errors
    /// See there.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError>;

    /// See [`super::Store::list`]; the order does not matter here.
    ///
    /// # Errors
    /// See there.
    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError>;

    /// See [`super::Store::head`].
    ///
    /// # Errors
    /// See there.
    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError>;

    /// See [`super::Store::clock`].
    fn clock(&self) -> Option<Timestamp>;

    /// See [`super::Store::place`].
    fn place(&self) -> String;
}
