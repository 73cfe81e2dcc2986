//! Older versions of objects in a versioned bucket, read if the current one is missing or does not match its name.
//!
//! Names are digests, so a version that matches its name is the right one, whatever was written later. The oldest is
//! tried first: to write before it, an attacker would have to know the digest in advance.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ledger::LedgerReader;
use super::open::SMALL_IN_FLIGHT;
use super::store::ObjectVersion;
use super::{Repository, RepositoryError, StoreError};
use crate::format::{EntryRef, names};
use crate::model::limits;

/// Maximum number of versions of one object that are tried. If more do not match, they were added to hide the right
/// one, which is among the oldest.
const TRIED: usize = 100;

impl Repository {
    /// Reads the oldest version of an object for which `fits` returns true, if there is one.
    ///
    /// # Errors
    /// Errors of the store. A store that lists no older versions yields none.
    pub(super) async fn read_older(
        &self,
        path: &str,
        limit: usize,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Bytes>, RepositoryError> {
        let versions = self.store().older_versions(path).await?;
        let found = self.first_that_fits(&versions, limit, fits).await?;
        if found.is_some() {
            self.note_superseded(path);
        }
        Ok(found)
    }

    async fn first_that_fits(
        &self,
        versions: &[ObjectVersion],
        limit: usize,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Bytes>, RepositoryError> {
        for version in versions.iter().filter(|version| version.object.size <= limit as u64).take(TRIED) {
            match self.store().get_version(version, limit).await {
                Ok(bytes) if fits(&bytes) => return Ok(Some(bytes)),
                // Deleted meanwhile by a lifecycle rule, archived, or not readable: try another one.
                Ok(_)
                | Err(
                    StoreError::NotFound { .. }
                    | StoreError::TooLarge { .. }
                    | StoreError::Denied { .. }
                    | StoreError::Archived { .. },
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Reads entries that the ledger lacks from older versions of their files. Returns those that were read.
    pub(super) async fn push_older(
        &self,
        reader: &mut LedgerReader,
        older: Vec<ObjectVersion>,
    ) -> Result<Vec<EntryRef>, RepositoryError> {
        let mut lacking: BTreeMap<String, Vec<ObjectVersion>> = BTreeMap::new();
        for version in older {
            let named = names::parse_entry(&version.object.path);
            if named.is_some_and(|entry| !reader.has(&entry.digest)) {
                lacking.entry(version.object.path.clone()).or_default().push(version);
            }
        }
        let reading = lacking.into_iter().map(|(path, versions)| async move {
            let fits = |bytes: &[u8]| LedgerReader::is_entry(&path, bytes);
            let bytes = self.first_that_fits(&versions, limits::ENTRY, fits).await?;
            Ok::<_, RepositoryError>((path, bytes))
        });
        let mut reading = stream::iter(reading).buffered(SMALL_IN_FLIGHT);
        let mut read = Vec::new();
        while let Some((path, bytes)) = reading.try_next().await? {
            if let (Some(bytes), Some(entry)) = (bytes, names::parse_entry(&path)) {
                reader.push(&path, &bytes);
                if reader.has(&entry.digest) {
                    self.note_superseded(&path);
                    read.push(entry);
                }
            }
        }
        Ok(read)
    }

    /// Returns paths of objects whose current version is missing or wrong and that were read from an older one,
    /// including those put back since.
    #[must_use]
    pub fn superseded(&self) -> Vec<String> {
        let superseded = self.inner.superseded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        superseded.iter().cloned().collect()
    }

    fn note_superseded(&self, path: &str) {
        self.inner.superseded.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(path.to_owned());
    }
}
