//! The interface between [`super::Store`] and a storage; tests inject faults here.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::StoreError;
use super::info::{Created, LifecycleRule, ObjectInfo, ObjectVersion, Odd};
use super::retention::Retention;
use crate::model::Timestamp;

/// Operations of a store, as documented in [`super::Store`].
///
/// A directory and a bucket share one implementation, over object_store. Another backend may wrap either: it implements
/// what it changes and delegates the rest. object_store's own trait does not suffice, because it has neither the clock
/// of a store, nor retention, nor a directory's odd files.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// Returns the wrapped backend. Default: none; operations that are not implemented then fail.
    fn inner(&self) -> Option<&dyn Backend> {
        None
    }

    /// Reads an object of at most `limit` bytes.
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        next(self.inner(), path)?.get(path, limit).await
    }

    /// Writes an object, replacing an existing one.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        next(self.inner(), path)?.put(path, bytes).await
    }

    /// Writes an object that must not exist yet.
    async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        next(self.inner(), path)?.put_new(path, bytes).await
    }

    /// Deletes an object; a missing one is no error.
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        next(self.inner(), path)?.delete(path).await
    }

    /// Lists the objects below a directory, or those of them after a path; in any order.
    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        next(self.inner(), folder)?.list(folder, after).await
    }

    /// Lists what is below a directory but is not a regular file; in any order. Default: nothing, as in a bucket.
    async fn odd(&self, folder: &str) -> Result<Vec<Odd>, StoreError> {
        match self.inner() {
            Some(inner) => inner.odd(folder).await,
            None => Ok(Vec::new()),
        }
    }

    /// Lists all versions of the object at a path and of those below it as a directory; in any order. `None` if the
    /// storage keeps none, or does not list them. Default: `None`.
    async fn versions(&self, path: &str) -> Result<Option<Vec<ObjectVersion>>, StoreError> {
        match self.inner() {
            Some(inner) => inner.versions(path).await,
            None => Ok(None),
        }
    }

    /// Lists the lifecycle rules that would delete or archive objects. Default: none.
    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        match self.inner() {
            Some(inner) => inner.lifecycle().await,
            None => Ok(Vec::new()),
        }
    }

    /// Reads one version of at most `limit` bytes.
    async fn get_version(&self, version: &ObjectVersion, limit: usize) -> Result<Bytes, StoreError> {
        next(self.inner(), &version.object.path)?.get_version(version, limit).await
    }

    /// Looks up one object by name, with its retention.
    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        next(self.inner(), path)?.retention(path).await
    }

    /// Looks up one object by name. Default: from [`Backend::retention`].
    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(self.retention(path).await?.map(|retention| retention.object))
    }

    /// Returns the current time by the store's own clock, if known.
    fn clock(&self) -> Option<Timestamp> {
        self.inner().and_then(Backend::clock)
    }

    /// Returns true if its clock is this host's.
    fn shares_clock(&self) -> bool {
        self.inner().is_some_and(Backend::shares_clock)
    }

    /// Returns its location, for people. Default: that of the wrapped backend, or `memory`.
    fn place(&self) -> String {
        self.inner().map_or_else(|| "memory".to_owned(), Backend::place)
    }
}

fn next<'a>(inner: Option<&'a dyn Backend>, path: &str) -> Result<&'a dyn Backend, StoreError> {
    let why = || "is in a place that has no such operation".to_owned();
    inner.ok_or_else(|| StoreError::Settings { what: path.to_owned(), why: why() })
}
