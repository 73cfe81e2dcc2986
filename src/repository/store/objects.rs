//! The operations of a directory and of a bucket, over object_store.

use async_trait::async_trait;
use bytes::Bytes;
#[cfg(feature = "s3")]
use futures_util::{TryStreamExt as _, stream::BoxStream};
use object_store::path::Path;
use object_store::{Extensions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use super::backend::Backend;
use super::error::{Cause, StoreError};
use super::explain::explain;
use super::folder::Folder;
#[cfg(feature = "s3")]
use super::info::LifecycleRule;
use super::info::{Created, ObjectInfo, ObjectVersion, Odd};
use super::retention::Retention;
#[cfg(feature = "s3")]
use super::{
    limits::LISTED_OBJECTS,
    s3::{self, Bucket},
};
use crate::model::Timestamp;

/// The directory or bucket behind a store.
#[derive(Debug)]
pub(super) enum PlaceKind {
    Folder(Folder),
    #[cfg(feature = "s3")]
    Bucket(Bucket),
}

/// A storage of objects, and the prefix of ours in it.
#[derive(Debug)]
pub(super) struct Objects {
    kind: PlaceKind,
    /// Without leading and trailing slashes; may be empty.
    prefix: String,
    place: String,
}

impl Objects {
    pub(super) fn in_folder(folder: &std::path::Path) -> Self {
        let place = folder.display().to_string();
        Self { kind: PlaceKind::Folder(Folder::new(folder)), prefix: String::new(), place }
    }

    #[cfg(feature = "s3")]
    pub(super) fn in_bucket(bucket: Bucket) -> Self {
        let (prefix, place) = (bucket.prefix.clone(), bucket.place.clone());
        Self { kind: PlaceKind::Bucket(bucket), prefix, place }
    }

    fn folder(&self) -> Option<&Folder> {
        match &self.kind {
            PlaceKind::Folder(folder) => Some(folder),
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(_) => None,
        }
    }

    /// Returns the extensions of a write request for these bytes.
    fn for_write(&self, _bytes: &Bytes) -> Extensions {
        match &self.kind {
            PlaceKind::Folder(_) => Extensions::new(),
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(bucket) => bucket.for_write(_bytes),
        }
    }

    /// Returns the store for reading and deleting; `None` if the directory does not exist yet.
    fn existing(&self) -> Result<Option<&dyn ObjectStore>, StoreError> {
        match &self.kind {
            PlaceKind::Folder(folder) => {
                let opened = folder.opened().map_err(|error| self.explain("open the folder".to_owned(), "", &error))?;
                Ok(opened.map(|store| store as &dyn ObjectStore))
            }
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(bucket) => Ok(Some(&bucket.store)),
        }
    }

    /// Returns the store for a write of `path`; creates the directory if it does not exist.
    fn made(&self, path: &str) -> Result<&dyn ObjectStore, StoreError> {
        if let Some(store) = self.existing()? {
            return Ok(store);
        }
        if let Some(folder) = self.folder() {
            folder.make().map_err(|error| self.explain("make the folder".to_owned(), "", &error))?;
        }
        self.existing()?.ok_or_else(|| {
            let source = Cause::new("the folder was made and is gone again");
            StoreError::Other { what: format!("write {path}"), place: self.place.clone(), source }
        })
    }

    /// Returns the path with our prefix. Parsed and never encoded: our names need no encoding, and a foreign name must
    /// not silently become a different one.
    fn locate(&self, path: &str) -> Result<Path, StoreError> {
        let whole = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(&whole).map_err(|error| StoreError::Settings { what: whole, why: error.to_string() })
    }

    fn info(&self, meta: &ObjectMeta) -> Option<ObjectInfo> {
        let whole = meta.location.as_ref();
        let path = if self.prefix.is_empty() { whole } else { whole.strip_prefix(&self.prefix)?.strip_prefix('/')? };
        Some(ObjectInfo { path: path.to_owned(), size: meta.size, modified: Timestamp::from(meta.last_modified) })
    }

    /// Converts the answer to a lookup of one object; `None` if it does not exist.
    fn found(&self, path: &str, answer: object_store::Result<ObjectMeta>) -> Result<Option<ObjectInfo>, StoreError> {
        match answer {
            Ok(meta) => Ok(self.info(&meta)),
            Err(error) => match self.explain(format!("look for {path}"), path, &error) {
                StoreError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    #[cfg(feature = "s3")]
    async fn gather(
        &self,
        folder: &str,
        mut stream: BoxStream<'static, object_store::Result<ObjectMeta>>,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let what = || format!("list {folder}/");
        let mut objects = Vec::new();
        while let Some(meta) = stream.try_next().await.map_err(|error| self.explain(what(), folder, &error))? {
            if objects.len() >= LISTED_OBJECTS {
                let source = Cause::new(&format!("more than {LISTED_OBJECTS} objects"));
                return Err(StoreError::Other { what: what(), place: self.place.clone(), source });
            }
            objects.extend(self.info(&meta));
        }
        Ok(objects)
    }

    /// Reads an object, or one version of it.
    async fn read(&self, path: &str, version: Option<String>, limit: usize) -> Result<Bytes, StoreError> {
        let missing = || StoreError::NotFound { path: path.to_owned(), place: self.place.clone() };
        let store = self.existing()?.ok_or_else(missing)?;
        if let Some(folder) = self.folder()
            && folder.is_odd(path).await
        {
            return Err(missing());
        }
        let options = GetOptions { version, ..GetOptions::default() };
        let answer = store.get_opts(&self.locate(path)?, options).await;
        let result = answer.map_err(|error| self.explain(format!("read {path}"), path, &error))?;
        // Check the size before reading the body: a foreign object of any size must not exhaust memory.
        let limit = limit as u64;
        let size = result.range.end.saturating_sub(result.range.start);
        if size > limit {
            return Err(StoreError::TooLarge { path: path.to_owned(), place: self.place.clone(), size, limit });
        }
        result.bytes().await.map_err(|error| self.explain(format!("read {path}"), path, &error))
    }

    /// Converts a listed version of the object at a path, or below it as a directory, to our path.
    #[cfg(feature = "s3")]
    fn of_ours(&self, mut version: ObjectVersion, below: &str) -> Option<ObjectVersion> {
        let whole = &version.object.path;
        let path = if self.prefix.is_empty() { whole } else { whole.strip_prefix(&self.prefix)?.strip_prefix('/')? };
        let rest = path.strip_prefix(below)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(())?;
        version.object.path = path.to_owned();
        Some(version)
    }

    fn explain(&self, what: String, path: &str, error: &object_store::Error) -> StoreError {
        explain(what, path, &self.place, error)
    }
}

#[async_trait]
impl Backend for Objects {
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        self.read(path, None, limit).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        // Overwriting is intended: a name is the digest of its content, so a repeated write writes the same. Versioned
        // buckets ignore create-only writes, and after a lost answer these are inconclusive.
        let options = PutOptions { extensions: self.for_write(&bytes), ..PutOptions::default() };
        let result = self.made(path)?.put_opts(&self.locate(path)?, bytes.into(), options).await;
        result.map(drop).map_err(|error| self.explain(format!("write {path}"), path, &error))
    }

    async fn put_new(&self, path: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let options = PutOptions { mode: PutMode::Create, extensions: self.for_write(&bytes), ..PutOptions::default() };
        match self.made(path)?.put_opts(&self.locate(path)?, bytes.into(), options).await {
            Ok(_) => Ok(Created::New),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Present),
            Err(error) => Err(self.explain(format!("create {path}"), path, &error)),
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let Some(store) = self.existing()? else { return Ok(()) };
        match store.delete(&self.locate(path)?).await {
            Ok(()) => Ok(()),
            Err(error) => match self.explain(format!("delete {path}"), path, &error) {
                StoreError::NotFound { .. } => Ok(()),
                error => Err(error),
            },
        }
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        match &self.kind {
            PlaceKind::Folder(here) => {
                let listed = here.list(folder).await;
                let mut objects = listed.map_err(|error| self.explain(format!("list {folder}/"), folder, &error))?;
                objects.retain(|object| after.is_none_or(|after| object.path.as_str() > after));
                Ok(objects)
            }
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(bucket) => {
                let prefix = self.locate(folder)?;
                let listing = match after {
                    Some(after) => bucket.store.list_with_offset(Some(&prefix), &self.locate(after)?),
                    None => bucket.store.list(Some(&prefix)),
                };
                self.gather(folder, listing).await
            }
        }
    }

    #[cfg(feature = "s3")]
    async fn versions(&self, path: &str) -> Result<Option<Vec<ObjectVersion>>, StoreError> {
        let PlaceKind::Bucket(bucket) = &self.kind else { return Ok(None) };
        let prefix = self.locate(path)?;
        let listed = bucket.versions(prefix.as_ref()).await;
        let listed = listed.map_err(|error| self.explain(format!("list versions of {path}"), path, &error))?;
        Ok(listed.map(|versions| versions.into_iter().filter_map(|version| self.of_ours(version, path)).collect()))
    }

    #[cfg(feature = "s3")]
    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let PlaceKind::Bucket(bucket) = &self.kind else { return Ok(Vec::new()) };
        let rules = bucket.lifecycle(&self.prefix).await;
        rules.map_err(|error| self.explain("ask for lifecycle rules".to_owned(), "", &error))
    }

    async fn get_version(&self, version: &ObjectVersion, limit: usize) -> Result<Bytes, StoreError> {
        self.read(&version.object.path, Some(version.id.clone()), limit).await
    }

    async fn odd(&self, folder: &str) -> Result<Vec<Odd>, StoreError> {
        let Some(here) = self.folder() else { return Ok(Vec::new()) };
        here.odd(folder).await.map_err(|error| self.explain(format!("list {folder}/"), folder, &error))
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        let Some(store) = self.existing()? else { return Ok(None) };
        let location = self.locate(path)?;
        match &self.kind {
            // File systems have no retention dates; an immutable file is reported as missing permission.
            PlaceKind::Folder(_) => Ok(self.found(path, store.head(&location).await)?.map(Retention::none)),
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(_) => {
                let (answer, headers) = s3::hearing(store.head(&location)).await;
                Ok(self.found(path, answer)?.map(|object| headers.about(object)))
            }
        }
    }

    fn clock(&self) -> Option<Timestamp> {
        match &self.kind {
            PlaceKind::Folder(_) => None,
            #[cfg(feature = "s3")]
            PlaceKind::Bucket(bucket) => bucket.now(),
        }
    }

    fn shares_clock(&self) -> bool {
        self.folder().is_some()
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}
