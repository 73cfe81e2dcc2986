//! A directory on this host.
//!
//! object_store reads and writes. Listing is done here, because its walk stops at the first name that is not UTF-8 and
//! at a link to its own directory: one such file would hide the whole ledger.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use object_store::local::LocalFileSystem;

use super::info::{ObjectInfo, Odd};
use super::limits::LISTED_OBJECTS;
use crate::model::Timestamp;

/// A directory, opened on first use: reading must not create it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    opened: OnceLock<LocalFileSystem>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), opened: OnceLock::new() }
    }

    /// Returns the opened directory; `None` if it does not exist.
    pub(super) fn opened(&self) -> object_store::Result<Option<&LocalFileSystem>> {
        if self.opened.get().is_none() && self.path.is_dir() {
            let store = LocalFileSystem::new_with_prefix(&self.path)?;
            // Losing the race against another task only drops an equal value.
            drop(self.opened.set(store.with_fsync(true)));
        }
        Ok(self.opened.get())
    }

    pub(super) fn make(&self) -> object_store::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(failed)
    }

    /// Returns true if the path exists and is not a regular file. Opening a pipe would wait for its writer, and a
    /// device never ends. Listings do not show such a path either.
    #[expect(clippy::disallowed_methods, reason = "asked before it is opened")]
    pub(super) async fn is_odd(&self, path: &str) -> bool {
        let file = self.path.join(path);
        let asked = tokio::task::spawn_blocking(move || fs::metadata(file).is_ok_and(|found| !found.is_file())).await;
        asked.unwrap_or(false)
    }

    pub(super) async fn list(&self, below: &str) -> object_store::Result<Vec<ObjectInfo>> {
        self.walked(below, walk).await
    }

    pub(super) async fn odd(&self, below: &str) -> object_store::Result<Vec<Odd>> {
        self.walked(below, walk_odd).await
    }

    async fn walked<T: Send + 'static>(
        &self,
        below: &str,
        walk: fn(&Path, &str) -> io::Result<Vec<T>>,
    ) -> object_store::Result<Vec<T>> {
        let (root, below) = (self.path.clone(), below.to_owned());
        let walked = tokio::task::spawn_blocking(move || walk(&root, &below)).await;
        walked.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
    }
}

fn failed(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "folder", source: Box::new(error) }
}

/// Lists every file below a directory of the repository. Does not follow links to directories. In a name that is not
/// UTF-8 the invalid bytes are replaced, so that it becomes a foreign name.
#[expect(clippy::disallowed_methods, reason = "the one place that lists a repository's folder")]
fn walk(root: &Path, below: &str) -> io::Result<Vec<ObjectInfo>> {
    let mut found = Vec::new();
    let mut folders = vec![(root.join(below), below.to_owned())];
    while let Some((folder, name)) = folders.pop() {
        let Some(entries) = unless_gone(fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let entry = entry?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push((entry.path(), name));
                continue;
            }
            let metadata = match fs::metadata(entry.path()) {
                // A dangling or circular link is not an object.
                Err(_) if kind.is_symlink() => continue,
                metadata => unless_gone(metadata)?,
            };
            let Some(metadata) = metadata else { continue };
            if metadata.is_file() && !is_staged(&name) {
                let modified = Timestamp::from(DateTime::<Utc>::from(metadata.modified()?));
                found.push(ObjectInfo { path: name, size: metadata.len(), modified });
            }
            if found.len() > LISTED_OBJECTS {
                return Err(io::Error::other(format!("more than {LISTED_OBJECTS} files")));
            }
        }
    }
    Ok(found)
}

/// Lists everything below a directory of the repository that [`walk`] does not show. Lists only empty directories;
/// others show by their content.
#[expect(clippy::disallowed_methods, reason = "beside the one place that lists a repository's folder")]
fn walk_odd(root: &Path, below: &str) -> io::Result<Vec<Odd>> {
    let mut found = Vec::new();
    let mut folders = vec![(root.join(below), below.to_owned())];
    while let Some((folder, name)) = folders.pop() {
        let Some(entries) = unless_gone(fs::read_dir(&folder))? else { continue };
        let mut is_empty = name != below;
        for entry in entries {
            let entry = entry?;
            is_empty = false;
            let path = format!("{name}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            // A link to a regular file is read as that file.
            let is_file =
                kind.is_file() || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|to| to.is_file());
            if is_file {
                continue;
            }
            if kind.is_dir() {
                folders.push((entry.path(), path));
                continue;
            }
            found.push(Odd { path, is_directory: false });
            if found.len() > LISTED_OBJECTS {
                return Err(io::Error::other(format!("more than {LISTED_OBJECTS} files")));
            }
        }
        if is_empty {
            found.push(Odd { path: name, is_directory: true });
        }
    }
    Ok(found)
}

/// Treats a file that vanished meanwhile as missing.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Returns true for a staging file of object_store, complete or abandoned: the name, `#` and a number.
fn is_staged(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests put odd files there")]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use bytes::Bytes;

    use crate::repository::store::Store;

    #[tokio::test]
    async fn a_folder_is_made_by_the_first_write_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let local = Store::local(&folder);
        assert!(local.list("packs").await.unwrap().is_empty());
        assert!(local.get("packs/x", 10).await.unwrap_err().is_not_found());
        assert_eq!(local.head("packs/x").await.unwrap(), None);
        assert!(!folder.exists());
        local.put("packs/x", Bytes::from_static(b"1")).await.unwrap();
        assert_eq!(local.list("packs").await.unwrap().len(), 1);
        assert_eq!(local.get("packs/x", 10).await.unwrap(), "1");
    }

    #[tokio::test]
    async fn a_delete_takes_one_file_and_a_missing_one_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let local = Store::local(&root.path().join("later"));
        local.delete("packs/x").await.unwrap();
        assert!(!root.path().join("later").exists(), "a delete makes nothing");
        for name in ["packs/x", "packs/y"] {
            local.put(name, Bytes::from_static(b"1")).await.unwrap();
        }
        assert_eq!(local.retention("packs/x").await.unwrap().unwrap().hold(None), None);
        local.delete("packs/x").await.unwrap();
        local.delete("packs/x").await.unwrap();
        assert_eq!(local.retention("packs/x").await.unwrap(), None);
        assert_eq!(local.list("packs").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_listing_from_a_name_has_what_comes_after_it() {
        let root = tempfile::tempdir().unwrap();
        let local = Store::local(root.path());
        for name in ["ledger/000000/a", "ledger/000000/b", "ledger/000001/a"] {
            local.put(name, Bytes::from_static(b"1")).await.unwrap();
        }
        let mut after: Vec<String> =
            local.list_from("ledger", "ledger/000000/a").await.unwrap().into_iter().map(|object| object.path).collect();
        after.sort();
        assert_eq!(after, ["ledger/000000/b", "ledger/000001/a"]);
    }

    #[tokio::test]
    async fn odd_files_hide_no_other() {
        let root = tempfile::tempdir().unwrap();
        let local = Store::local(root.path());
        local.put("ledger/000000/good", Bytes::from_static(b"1")).await.unwrap();
        let ledger = root.path().join("ledger");
        // A partial file of a process that died; a name that is not UTF-8; dangling and circular links.
        std::fs::write(ledger.join("000000/good#1"), b"half").unwrap();
        std::fs::write(ledger.join(OsStr::from_bytes(b"bad-\xff-name")), b"x").unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", ledger.join("dangling")).unwrap();
        std::os::unix::fs::symlink(&ledger, ledger.join("loop")).unwrap();
        std::os::unix::fs::symlink(ledger.join("self"), ledger.join("self")).unwrap();
        let listed = local.list("ledger").await.unwrap();
        let mut paths: Vec<_> = listed.iter().map(|object| object.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["ledger/000000/good", "ledger/bad-\u{fffd}-name"]);
        // What no listing shows must be listed separately, or nothing would report it.
        let pipe = std::process::Command::new("mkfifo").arg(ledger.join("pipe")).status().unwrap();
        assert!(pipe.success());
        std::os::unix::fs::symlink(ledger.join("000000/good"), ledger.join("other-name")).unwrap();
        std::fs::create_dir(ledger.join("empty")).unwrap();
        let mut odd = local.odd("ledger").await.unwrap();
        odd.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let odd: Vec<_> = odd.iter().map(|odd| (odd.path.as_str(), odd.is_directory)).collect();
        assert_eq!(
            odd,
            [
                ("ledger/dangling", false),
                ("ledger/empty", true),
                ("ledger/loop", false),
                ("ledger/pipe", false),
                ("ledger/self", false)
            ]
        );
    }

    #[tokio::test]
    async fn a_file_where_a_folder_should_be_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let error = Store::local(&file.join("below")).put("packs/x", Bytes::new()).await.unwrap_err();
        assert!(error.to_string().contains("make the folder"), "{error}");
        assert!(Store::local(&file).put("packs/x", Bytes::new()).await.is_err());
    }
}
