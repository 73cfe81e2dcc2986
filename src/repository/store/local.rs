//! A folder on this host.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::local::LocalFileSystem;

use super::object::{Objects, explain};
use super::{Backend, Cause, ObjectInfo, StoreError};
use crate::model::Timestamp;

/// A folder, opened when it is first needed: what only reads must not make it.
#[derive(Debug)]
pub(super) struct Local {
    folder: PathBuf,
    place: String,
    opened: OnceLock<LocalFileSystem>,
}

impl Local {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), place: folder.display().to_string(), opened: OnceLock::new() }
    }

    fn objects(&self) -> Result<Option<Objects<'_>>, StoreError> {
        if self.opened.get().is_none() {
            if !self.folder.is_dir() {
                return Ok(None);
            }
            let store = LocalFileSystem::new_with_prefix(&self.folder)
                .map_err(|error| explain("open the folder".to_owned(), "", &self.place, &error))?;
            // Losing the race to another task only drops an equal value.
            drop(self.opened.set(store.with_fsync(true)));
        }
        Ok(self.opened.get().map(|store| Objects { store, prefix: "", place: &self.place }))
    }

    fn make_folder(&self) -> Result<(), StoreError> {
        let result = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        result.map_err(|error| {
            let error = object_store::Error::Generic { store: "folder", source: Box::new(error) };
            explain("make the folder".to_owned(), "", &self.place, &error)
        })
    }
}

#[async_trait]
impl Backend for Local {
    async fn get(&self, path: &str, limit: usize) -> Result<Bytes, StoreError> {
        match self.objects()? {
            Some(objects) => objects.get(path, limit).await,
            None => Err(StoreError::NotFound { path: path.to_owned(), place: self.place.clone() }),
        }
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        if self.objects()?.is_none() {
            self.make_folder()?;
        }
        match self.objects()? {
            Some(objects) => objects.put(path, bytes).await,
            None => Err(StoreError::Other {
                what: format!("write {path}"),
                place: self.place.clone(),
                source: Cause::new("the folder was made and is gone again"),
            }),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        match self.objects()? {
            Some(objects) => objects.list(folder).await,
            None => Ok(Vec::new()),
        }
    }

    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        match self.objects()? {
            Some(objects) => objects.head(path).await,
            None => Ok(None),
        }
    }

    fn clock(&self) -> Option<Timestamp> {
        None
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests put odd files there")]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[tokio::test]
    async fn a_folder_is_made_by_the_first_write_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let local = Local::new(&folder);
        assert!(local.list("packs").await.unwrap().is_empty());
        assert!(local.get("packs/x", 10).await.unwrap_err().is_not_found());
        assert_eq!(local.head("packs/x").await.unwrap(), None);
        assert!(!folder.exists());
        local.put("packs/x", Bytes::from_static(b"1")).await.unwrap();
        assert_eq!(local.list("packs").await.unwrap().len(), 1);
        assert_eq!(local.get("packs/x", 10).await.unwrap(), "1");
    }

    #[tokio::test]
    async fn odd_files_hide_no_other() {
        let root = tempfile::tempdir().unwrap();
        let local = Local::new(root.path());
        local.put("ledger/000000/good", Bytes::from_static(b"1")).await.unwrap();
        let ledger = root.path().join("ledger");
        // Half-written by a process that died; no UTF-8; a link to nowhere.
        std::fs::write(ledger.join("000000/good#1"), b"half").unwrap();
        std::fs::write(ledger.join(OsStr::from_bytes(b"bad-\xff-name")), b"x").unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", ledger.join("dangling")).unwrap();
        let listed = local.list("ledger").await.unwrap();
        assert!(listed.iter().any(|object| object.path == "ledger/000000/good"), "{listed:?}");
        assert!(!listed.iter().any(|object| object.path.contains('#')), "{listed:?}");
    }

    #[tokio::test]
    async fn a_file_where_a_folder_should_be_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let error = Local::new(&file.join("below")).put("packs/x", Bytes::new()).await.unwrap_err();
        assert!(error.to_string().contains("make the folder"), "{error}");
        assert!(Local::new(&file).put("packs/x", Bytes::new()).await.is_err());
    }
}
