//! The seam between [`super::Store`] and a place: tests put their faults here.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::StoreError;
use super::info::{Created, LifecycleRule, ObjectInfo, ObjectVersion, Odd};
use super::retention::Retention;
use crate::model::Timestamp;

/// Operations of a store, as documented in [`super::Store`].
///
/// A folder and a bucket are one implementation, over object_store. Another one may be put around either: it implements
/// what it changes, and passes on the rest. object_store's own trait cannot be this seam, because it knows neither the
/// clock of a store, nor what it retains, nor a folder's odd files.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// The place that this one is put around. Default: none, and then what is not implemented cannot be done.
    fn inner(&self) -> Option<&dyn Backend> {
        None
    }

    /// Reads an object of at most `limit` bytes.
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        next(self.inner(), path)?.get(path, limit).await
    }

    /// Writes an object, over another one if need be.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        next(self.inner(), path)?.put(path, bytes).await
    }

    /// Writes an object that must not be there yet.
    async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        next(self.inner(), path)?.put_new(path, bytes).await
    }

    /// Deletes an object; one that is not there is no error.
    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        next(self.inner(), path)?.delete(path).await
    }

    /// Lists the objects below a folder, or those of them after a path; in any order.
    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        next(self.inner(), folder)?.list(folder, after).await
    }

    /// Lists what is below a folder and no plain file; in any order. Default: nothing, as in a bucket.
    async fn odd(&self, folder: &str) -> Result<Vec<Odd>, StoreError> {
        match self.inner() {
            Some(inner) => inner.odd(folder).await,
            None => Ok(Vec::new()),
        }
    }

    /// Lists all versions of the object at a path and of those below it as a folder; in any order. `None` where the
    /// place keeps none, or does not say. Default: none.
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

    /// Asks for one object by name, and whether it may be deleted.
    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        next(self.inner(), path)?.retention(path).await
    }

    /// Asks for one object by name. Default: what [`Backend::retention`] says of it.
    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        Ok(self.retention(path).await?.map(|retention| retention.object))
    }

    /// The present by the store's own clock, if it has one that is known.
    fn clock(&self) -> Option<Timestamp> {
        self.inner().and_then(Backend::clock)
    }

    /// Returns true if its clock is this host's.
    fn shares_clock(&self) -> bool {
        self.inner().is_some_and(Backend::shares_clock)
    }

    /// Returns its location, for people. Default: `memory` if it wraps no other.
    fn place(&self) -> String {
        self.inner().map_or_else(|| "memory".to_owned(), Backend::place)
    }
}

fn next<'a>(inner: Option<&'a dyn Backend>, path: &str) -> Result<&'a dyn Backend, StoreError> {
    let why = || "is in a place that has no such operation".to_owned();
    inner.ok_or_else(|| StoreError::Settings { what: path.to_owned(), why: why() })
}
