//! State that a host keeps of a repository: the heads and trust policy that it saw, and its own last entry.
//!
//! Anyone who may delete in a bucket can roll it back or empty it, and only memory outside of it shows that. Losing
//! this directory loses only that protection. It contains nothing secret.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::RepositoryError;
use crate::files::{Durability, replace};
use crate::format::{PolicyRef, names};

const HEADS: &str = "heads.json";
const ENTRIES: &str = "entries";
const POLICY: &str = "policy.json";

/// The state directory of one writer for one repository.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    folder: PathBuf,
}

/// The content of `heads.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heads {
    /// Paths of entries inside the repository; sequence and digest are part of the name.
    heads: Vec<String>,
}

/// The version of the trust policy that was in force, with its envelope and those of all earlier versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownPolicy {
    /// The version in force.
    pub policy: PolicyRef,
    /// Envelopes in Base64, in any order.
    pub envelopes: Vec<String>,
}

impl StateDirectory {
    /// Creates the handle for the repository with this id in a writer's state directory. The first write creates the
    /// directory.
    #[must_use]
    pub fn new(state: &Path, repository: &str) -> Self {
        Self { folder: state.join(repository) }
    }

    /// Returns its location.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Returns the paths of the heads at this writer's last commit; empty on a new host.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if the file exists and cannot be read or parsed.
    pub async fn heads(&self) -> Result<Vec<String>, RepositoryError> {
        let path = self.folder.join(HEADS);
        self.blocking("read", move || match fs::read(&path) {
            Ok(bytes) => {
                let heads: Heads = serde_json::from_slice(&bytes).map_err(io::Error::from)?;
                Ok(heads.heads)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        })
        .await
    }

    /// Returns the trust policy that this host saw last; `None` on a new host.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if the file exists and cannot be read or parsed.
    pub async fn policy(&self) -> Result<Option<KnownPolicy>, RepositoryError> {
        let path = self.folder.join(POLICY);
        self.blocking("read", move || match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Remembers the trust policy in force.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if it cannot be written.
    pub async fn remember_policy(&self, known: KnownPolicy) -> Result<(), RepositoryError> {
        let folder = self.folder.clone();
        self.blocking("write", move || write(&folder, POLICY, &serde_json::to_vec(&known).map_err(io::Error::from)?))
            .await
    }

    /// Returns the entries whose bytes are kept here: path in the repository, and bytes.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if the directory exists and cannot be read.
    pub async fn kept_entries(&self) -> Result<Vec<(String, Bytes)>, RepositoryError> {
        let directory = self.folder.join(ENTRIES);
        self.blocking("read", move || {
            let listed = match fs::read_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                listed => listed?,
            };
            let mut kept = Vec::new();
            for file in listed {
                let file = file?;
                let name = file.file_name();
                let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
                let Some(entry) = stem.and_then(|stem| stem.parse().ok()) else { continue };
                match fs::read(file.path()) {
                    Ok(bytes) => kept.push((names::entry(&entry), bytes.into())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(kept)
        })
        .await
    }

    /// Remembers the heads that a reader saw; the kept entries remain.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if it cannot be written.
    pub async fn remember_heads(&self, heads: Vec<String>) -> Result<(), RepositoryError> {
        let folder = self.folder.clone();
        self.blocking("write", move || {
            write(&folder, HEADS, &serde_json::to_vec(&Heads { heads }).map_err(io::Error::from)?)
        })
        .await
    }

    /// Keeps the bytes of an entry that is about to be written.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if they cannot be made durable here; then the entry must not be written either.
    pub async fn keep_entry(&self, file: &str, bytes: Bytes) -> Result<(), RepositoryError> {
        let (folder, file) = (self.folder.join(ENTRIES), file.to_owned());
        self.blocking("write", move || write(&folder, &file, &bytes)).await
    }

    /// Remembers the heads after a commit, and removes all kept entries except the newest, named `file`.
    ///
    /// # Errors
    /// [`RepositoryError::State`] if it cannot be written.
    pub async fn remember(&self, heads: Vec<String>, file: &str) -> Result<(), RepositoryError> {
        let (folder, file) = (self.folder.clone(), file.to_owned());
        self.blocking("write", move || {
            write(&folder, HEADS, &serde_json::to_vec(&Heads { heads }).map_err(io::Error::from)?)?;
            for kept in fs::read_dir(folder.join(ENTRIES))? {
                let kept = kept?;
                // Another process of this host may be staging its own entry, or cleaning up at the same time.
                let staged = kept.file_name().as_encoded_bytes().starts_with(b".");
                if staged || kept.file_name() == file.as_str() {
                    continue;
                }
                match fs::remove_file(kept.path()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let result = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        result.map_err(|source| RepositoryError::State { action, folder: self.folder.display().to_string(), source })
    }
}

/// Writes a file, and creates its directory if needed.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    replace(&folder.join(name), bytes, 0o600, Durability::ContentAndName)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_remembered_comes_back_and_old_entries_go() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(root.path(), "id");
        assert!(state.heads().await.unwrap().is_empty());
        state.keep_entry("000000001-a.json", Bytes::from_static(b"1")).await.unwrap();
        state.keep_entry("000000002-b.json", Bytes::from_static(b"2")).await.unwrap();
        fs::write(state.path().join(ENTRIES).join(".another-process"), b"").unwrap();
        state.remember(vec!["ledger/000000/000000002-b.json".to_owned()], "000000002-b.json").await.unwrap();
        assert_eq!(state.heads().await.unwrap(), ["ledger/000000/000000002-b.json"]);
        let mut kept: Vec<_> =
            fs::read_dir(state.path().join(ENTRIES)).unwrap().map(|file| file.unwrap().file_name()).collect();
        kept.sort();
        assert_eq!(kept, [".another-process", "000000002-b.json"]);
        let mode = fs::metadata(state.path().join(HEADS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn rubbish_is_an_error_and_no_first_run() {
        let root = tempfile::tempdir().unwrap();
        let state = StateDirectory::new(root.path(), "id");
        fs::create_dir_all(state.path()).unwrap();
        fs::write(state.path().join(HEADS), b"{\"heads\":").unwrap();
        let error = state.heads().await.unwrap_err();
        assert!(error.to_string().contains(&state.path().display().to_string()), "{error}");
    }
}
