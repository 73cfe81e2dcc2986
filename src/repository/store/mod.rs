//! Storage of a repository: a directory or a prefix in a bucket.
//!
//! Everything specific to object_store, S3 servers or file systems is in this directory. The layers above see only
//! whole objects, by path: written once, read whole, listed in order, and deleted only by a sweep.

mod backend;
mod error;
mod explain;
mod folder;
mod info;
mod limits;
mod objects;
mod retention;
#[cfg(feature = "s3")]
mod s3;
mod s3_settings;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use backend::Backend;
pub use error::{Cause, StoreError};
pub use info::{Created, LifecycleAction, LifecycleRule, Listing, ObjectInfo, ObjectVersion, Odd};
pub use limits::{LISTED_OBJECTS, WRITTEN_WITHIN};
pub use retention::{Hold, Retention};
pub use s3_settings::{ChecksumHeader, S3Settings};

use crate::model::Timestamp;
use objects::Objects;

/// Number of attempts to read an object that does not match its name, or is unexpectedly missing.
pub(super) const READS: usize = 3;

/// A handle on the storage of a repository; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

impl Store {
    /// Creates a store for a directory on this host. It need not exist: it reads as empty, and the first write creates
    /// it.
    ///
    /// A write is durable (synced, with its directory) before it returns. Permissions depend on the process's umask.
    #[must_use]
    pub fn local(folder: &Path) -> Self {
        Self::with_backend(Arc::new(Objects::in_folder(folder)))
    }

    /// Creates a store for a prefix in an S3 bucket. Sends no request yet.
    ///
    /// # Errors
    /// [`StoreError::Settings`] if the settings are invalid: an endpoint that is not a URL, plain HTTP to another host,
    /// an empty bucket or credential, a certificate that is not PEM.
    #[cfg(feature = "s3")]
    pub fn s3(settings: &S3Settings) -> Result<Self, StoreError> {
        Ok(Self::with_backend(Arc::new(Objects::in_bucket(s3::connect(settings)?))))
    }

    /// Fails, because a build without the feature `s3` supports no buckets.
    ///
    /// # Errors
    /// [`StoreError::Settings`], which names the feature.
    #[cfg(not(feature = "s3"))]
    pub fn s3(settings: &S3Settings) -> Result<Self, StoreError> {
        let what = format!("the repository in the bucket `{}`", settings.bucket);
        Err(StoreError::Settings {
            what,
            why: "needs a build with the feature `s3`; this one has folders only".to_owned(),
        })
    }

    /// Creates a store with another backend; tests inject faults with it.
    #[must_use]
    pub fn with_backend(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Returns the backend, so that another can wrap it.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Reads a whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TooLarge`] (then nothing is read), or errors of the store.
    pub async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.backend.get(path, limit).await
    }

    /// Reads an object up to three times until `fits` returns true: a lagging store may return earlier content, and an
    /// overloaded one a truncated object. Returns the last answer in any case.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_fitting(
        &self,
        path: &str,
        limit: usize,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Bytes, StoreError> {
        let mut bytes = self.get(path, limit).await?;
        for _ in 1..READS {
            if fits(&bytes) {
                break;
            }
            bytes = self.get(path, limit).await?;
        }
        Ok(bytes)
    }

    /// Writes a whole object, atomically.
    ///
    /// # Errors
    /// Errors of the store. After [`StoreError::Unreachable`] the object may exist nevertheless.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.backend.put(path, bytes).await
    }

    /// Writes an object that must not exist yet. Only for leases: the repository does not depend on it, because a
    /// versioned bucket may overwrite anyway.
    ///
    /// # Errors
    /// Errors of the store. After any error the object may exist nevertheless.
    pub async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.backend.put_new(path, bytes).await
    }

    /// Lists every object below a directory, sorted by path. A missing directory is empty.
    ///
    /// # Errors
    /// Errors of the store; an incomplete listing is an error, never a shorter list.
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut objects = self.backend.list(folder, None).await?;
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// Lists the objects below a directory whose path is after `after`, a path in that directory that need not exist;
    /// sorted.
    ///
    /// The store is asked for a listing that starts there, so that its pages differ from those of [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_from(&self, folder: &str, after: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut objects = self.backend.list(folder, Some(after)).await?;
        // A store may start anywhere, so filter the result.
        objects.retain(|object| object.path.as_str() > after);
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// Lists every object below a directory, with its older versions if the storage keeps and lists them.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_with_older(&self, folder: &str) -> Result<Listing, StoreError> {
        // If this call fails, for example for want of permission, use a plain listing.
        let Ok(Some(versions)) = self.backend.versions(folder).await else {
            return Ok(Listing { current: self.list(folder).await?, older: Vec::new() });
        };
        let (current, older): (Vec<_>, Vec<_>) =
            versions.into_iter().filter(|version| !version.is_marker).partition(|version| version.is_current);
        let mut current: Vec<ObjectInfo> = current.into_iter().map(|version| version.object).collect();
        if current.is_empty() {
            // A gateway without versions may return an empty answer to this call, which does not mean an empty
            // directory.
            current = self.backend.list(folder, None).await?;
        }
        current.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Listing { current, older: oldest_first(older) })
    }

    /// Returns the older versions of one object that have content, oldest first; empty if the storage keeps none or
    /// does not list them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn older_versions(&self, path: &str) -> Result<Vec<ObjectVersion>, StoreError> {
        let versions = self.backend.versions(path).await?.unwrap_or_default();
        let older = versions.into_iter().filter(|version| !version.is_current && !version.is_marker);
        Ok(oldest_first(older.filter(|version| version.object.path == path).collect()))
    }

    /// Returns true if older versions can be listed: the storage keeps them and this identity may see them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn shows_versions(&self, folder: &str) -> Result<bool, StoreError> {
        Ok(self.backend.versions(folder).await?.is_some())
    }

    /// Lists the lifecycle rules of the bucket that would delete or archive objects of the repository; empty if the
    /// storage does not disclose them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        self.backend.lifecycle().await
    }

    /// Reads one version of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_version(&self, version: &ObjectVersion, limit: usize) -> Result<Bytes, StoreError> {
        self.backend.get_version(version, limit).await
    }

    /// Deletes an object. A missing object is no error: another client may have deleted it, or an answer was lost.
    ///
    /// In a versioned bucket this hides the object behind a delete marker; its content remains until a lifecycle rule
    /// of the bucket removes old versions.
    ///
    /// # Errors
    /// [`StoreError::Held`] if the store refuses because it retains the object; [`StoreError::Denied`] without
    /// permission; otherwise errors of the store.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let error = match self.backend.delete(path).await {
            Err(error @ (StoreError::Denied { .. } | StoreError::Other { .. })) => error,
            other => return other,
        };
        // A retained object gives the same answers as missing permission (403, 409); a HEAD distinguishes them. If it
        // shows nothing, return the first error.
        match self.backend.retention(path).await {
            Ok(Some(retention)) if retention.hold(self.clock()).is_some() => {
                let hold = retention.hold(self.clock()).unwrap_or(Hold::Open);
                Err(StoreError::Held { path: path.to_owned(), place: self.place(), hold })
            }
            _ => Err(error),
        }
    }

    /// Lists what is below a directory but is not a regular file, sorted by path. Such files are never opened, so no
    /// other call shows them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn odd(&self, folder: &str) -> Result<Vec<Odd>, StoreError> {
        let mut odd = self.backend.odd(folder).await?;
        odd.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(odd)
    }

    /// Looks up one object by name, with its retention; `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        self.backend.retention(path).await
    }

    /// Looks up one object by name; `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.backend.head(path).await
    }

    /// Returns the current time by the store's own clock, once the store has answered. `None` for a directory, which
    /// uses this host's clock.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        self.backend.clock()
    }

    /// Returns true if the times of its objects come from this host's clock, as with a directory. A bucket has its own
    /// clock, which [`Store::clock`] may not know yet.
    #[must_use]
    pub fn shares_clock(&self) -> bool {
        self.backend.shares_clock()
    }

    /// Returns its location for people: a path, or `s3://bucket/prefix at host`. Without credentials.
    #[must_use]
    pub fn place(&self) -> String {
        self.backend.place()
    }
}

fn oldest_first(mut versions: Vec<ObjectVersion>) -> Vec<ObjectVersion> {
    versions.sort_by(|a, b| (&a.object.path, a.object.modified).cmp(&(&b.object.path, b.object.modified)));
    versions
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.place())
    }
}

#[cfg(all(test, not(feature = "s3")))]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_buckets_refuses_one_and_names_the_feature() {
        let error =
            Store::s3(&S3Settings::new("https://s3.example.com", "eu-de", "backups", "a", "b".into())).unwrap_err();
        assert!(error.to_string().contains("the feature `s3`"), "{error}");
    }
}
