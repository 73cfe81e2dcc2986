//! The place where a repository lies: a folder or a prefix in a bucket.
//!
//! Everything that is peculiar to object_store, to S3 servers or to file systems stays in this folder. Above it there
//! are only whole objects, by path, written once, read whole, listed in order, deleted by a sweep and by nothing else.

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

/// Number of times that an object is read that does not fit its name, or is not there although it should be.
pub(super) const READS: usize = 3;

/// A handle on the place of a repository; cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
}

impl Store {
    /// A folder on this host. It need not exist yet: reading finds it empty, the first write makes it.
    ///
    /// What is written is durable (synced, with its folder) before a write returns; permissions are what the process's
    /// umask leaves.
    #[must_use]
    pub fn local(folder: &Path) -> Self {
        Self::with_backend(Arc::new(Objects::in_folder(folder)))
    }

    /// A prefix in an S3 bucket. Sends nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Settings`] when the settings cannot work: an endpoint that is no URL, plain HTTP to another host,
    /// an empty bucket or credential, a certificate that is no PEM.
    #[cfg(feature = "s3")]
    pub fn s3(settings: &S3Settings) -> Result<Self, StoreError> {
        Ok(Self::with_backend(Arc::new(Objects::in_bucket(s3::connect(settings)?))))
    }

    /// A build without the feature `s3` has no buckets.
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

    /// Any other place; tests put faults between us and a real one here.
    #[must_use]
    pub fn with_backend(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Returns the backend, so that another can be put around it.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Reads a whole object of at most `limit` bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TooLarge`] (then nothing of it is read), or what the store answers.
    pub async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.backend.get(path, limit).await
    }

    /// Reads an object until it `fits`, three times at most: a store that lags may answer with what was there before,
    /// and one in trouble with a part of it. Returns the last answer, whether it fits or not.
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

    /// Writes a whole object: all of it is there afterwards, or nothing.
    ///
    /// # Errors
    /// Errors of the store. After [`StoreError::Unreachable`] it may be there nevertheless.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.backend.put(path, bytes).await
    }

    /// Writes an object that must not be there yet. Only for leases: nothing of a repository relies on it, because a
    /// versioned bucket may overwrite all the same.
    ///
    /// # Errors
    /// Errors of the store. After any error it may be there nevertheless.
    pub async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.backend.put_new(path, bytes).await
    }

    /// Lists every object below a folder, sorted by path. A folder that does not exist is empty.
    ///
    /// # Errors
    /// Errors of the store; a listing that cannot be had whole is an error, never a shorter list.
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut objects = self.backend.list(folder, None).await?;
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// Lists the objects below a folder whose path comes after `after`, a path in that folder that need not exist;
    /// sorted.
    ///
    /// The store is asked for a listing that begins there, so that its pages are others than those of [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_from(&self, folder: &str, after: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut objects = self.backend.list(folder, Some(after)).await?;
        // A store may start where it likes; what was asked for is what is given.
        objects.retain(|object| object.path.as_str() > after);
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }

    /// Lists every object below a folder, with older versions of them where the place keeps these and says so.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_with_older(&self, folder: &str) -> Result<Listing, StoreError> {
        // A right that is missing, or a store in trouble with this call alone, leaves what a plain listing shows.
        let Ok(Some(versions)) = self.backend.versions(folder).await else {
            return Ok(Listing { current: self.list(folder).await?, older: Vec::new() });
        };
        let (current, older): (Vec<_>, Vec<_>) =
            versions.into_iter().filter(|version| !version.is_marker).partition(|version| version.is_current);
        let mut current: Vec<ObjectInfo> = current.into_iter().map(|version| version.object).collect();
        if current.is_empty() {
            // A gateway may answer this call with nothing where it keeps no versions: that is no empty directory.
            current = self.backend.list(folder, None).await?;
        }
        current.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Listing { current, older: oldest_first(older) })
    }

    /// The older versions of one object that have bytes, the oldest first; empty where the place keeps none or does not
    /// say.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn older_versions(&self, path: &str) -> Result<Vec<ObjectVersion>, StoreError> {
        let versions = self.backend.versions(path).await?.unwrap_or_default();
        let older = versions.into_iter().filter(|version| !version.is_current && !version.is_marker);
        Ok(oldest_first(older.filter(|version| version.object.path == path).collect()))
    }

    /// Returns true if older versions can be listed: the place keeps them, and lets this identity see them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn shows_versions(&self, folder: &str) -> Result<bool, StoreError> {
        Ok(self.backend.versions(folder).await?.is_some())
    }

    /// Lists the lifecycle rules of the bucket that would delete or archive objects of the repository; none where the
    /// place does not say.
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

    /// Deletes an object. A missing object is no error: another client was faster, or an answer was lost.
    ///
    /// On a versioned bucket this hides the object behind a delete marker; its bytes stay until a lifecycle rule of the
    /// bucket removes old versions.
    ///
    /// # Errors
    /// [`StoreError::Held`] when the store refuses because it keeps the object; [`StoreError::Denied`] when the right
    /// is missing; else what the store answers.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let error = match self.backend.delete(path).await {
            Err(error @ (StoreError::Denied { .. } | StoreError::Other { .. })) => error,
            other => return other,
        };
        // The answers for an object that is kept are those for a missing right (403, 409): what a HEAD says tells them
        // apart. Where it says nothing, the first answer stands.
        match self.backend.retention(path).await {
            Ok(Some(retention)) if retention.hold(self.clock()).is_some() => {
                let hold = retention.hold(self.clock()).unwrap_or(Hold::Open);
                Err(StoreError::Held { path: path.to_owned(), place: self.place(), hold })
            }
            _ => Err(error),
        }
    }

    /// What is below a folder and is no plain file, sorted by path: it is never opened, so nothing else would show it.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn odd(&self, folder: &str) -> Result<Vec<Odd>, StoreError> {
        let mut odd = self.backend.odd(folder).await?;
        odd.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(odd)
    }

    /// Asks for one object by name, and whether the store keeps it from being deleted; `None` when it is not there.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        self.backend.retention(path).await
    }

    /// Asks for one object by name; `None` when it is not there.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.backend.head(path).await
    }

    /// The present by the store's own clock, once it has answered something; `None` for a folder, whose clock is this
    /// host's.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        self.backend.clock()
    }

    /// Returns true if the times of its objects come from this host's clock: a folder. A bucket has a clock of its own,
    /// which [`Store::clock`] may not know yet.
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
