//! What a place must be able to do.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Retention, StoreError};
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

/// Something in a folder that is no plain file, and that no listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// Its path inside the repository.
    pub path: String,
    /// Whether it is an empty directory; else a pipe, a device, a socket, or a link that leads to no file.
    pub is_directory: bool,
}

/// What a create-only write met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// Nothing: the object is ours.
    New,
    /// An object of that name, or a second try of ours met the first: only reading it tells which.
    Present,
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

    /// See [`super::Store::put_new`]. A place that does not say otherwise cannot do it.
    ///
    /// # Errors
    /// See there.
    async fn put_new(&self, path: &str, _bytes: Bytes) -> Result<Created, StoreError> {
        let why = "this place has no create-only write".to_owned();
        Err(StoreError::Settings { what: format!("{path}, in {}", self.place()), why })
    }

    /// See [`super::Store::delete`]. A place that does not say otherwise cannot do it.
    ///
    /// # Errors
    /// See there.
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let why = "nothing is deleted in this place".to_owned();
        Err(StoreError::Settings { what: format!("{path}, in {}", self.place()), why })
    }

    /// See [`super::Store::list`]; the order does not matter here.
    ///
    /// # Errors
    /// See there.
    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError>;

    /// See [`super::Store::list_from`]; the order does not matter here. A place that does not say otherwise cannot do it.
    ///
    /// # Errors
    /// See there.
    async fn list_from(&self, folder: &str, _after: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let why = "this place is listed from the beginning only".to_owned();
        Err(StoreError::Settings { what: format!("{folder}/, in {}", self.place()), why })
    }

    /// See [`super::Store::odd`]. A bucket has nothing but objects.
    ///
    /// # Errors
    /// See there.
    async fn odd(&self, _folder: &str) -> Result<Vec<Odd>, StoreError> {
        Ok(Vec::new())
    }

    /// See [`super::Store::retention`]. A place that does not say otherwise cannot tell.
    ///
    /// # Errors
    /// See there.
    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        let why = "this place does not say what it keeps".to_owned();
        Err(StoreError::Settings { what: format!("{path}, in {}", self.place()), why })
    }

    /// See [`super::Store::head`].
    ///
    /// # Errors
    /// See there.
    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError>;

    /// See [`super::Store::clock`].
    fn clock(&self) -> Option<Timestamp>;

    /// See [`super::Store::shares_clock`].
    fn shares_clock(&self) -> bool {
        false
    }

    /// See [`super::Store::place`].
    fn place(&self) -> String;
}
