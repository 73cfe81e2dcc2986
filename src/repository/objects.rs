//! Objects by digest: packs, catalogue parts, pack lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::store::READS;
use super::{Repository, RepositoryError, StoreError};
use crate::crypto::digest::sha256;
use crate::crypto::{Identities, Sealed, header_stanzas};
use crate::format::catalogue::PartLines;
use crate::format::list::PackList;
use crate::format::pack::{PackLine, PackLines};
use crate::format::sealed_reader::{SealedLines, SealedReader};
use crate::format::snapshot::PartRef;
use crate::format::{FormatError, names};
use crate::model::with_causes;
use crate::model::{Digest, FailureKind, Item, limits};

/// Properties of a sealed object that are visible without a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedFacts {
    /// Its size in bytes.
    pub size: u64,
    /// Number of recipients in its age header; `None` if the header is not readable.
    pub recipients: Option<usize>,
}

impl SealedFacts {
    /// Reads the facts from the bytes of the object.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Self {
        Self { size: sealed.len() as u64, recipients: header_stanzas(sealed).ok() }
    }
}

impl Repository {
    /// Writes a sealed pack. Can be repeated safely.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn put_pack(&self, pack: &Sealed) -> Result<(), RepositoryError> {
        Ok(self.store().put(&names::pack(&pack.digest), pack.bytes.clone()).await?)
    }

    /// Writes a sealed catalogue part. Can be repeated safely.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn put_part(&self, part: &Sealed) -> Result<(), RepositoryError> {
        Ok(self.store().put(&names::catalogue(&part.digest), part.bytes.clone()).await?)
    }

    /// Writes the list of the packs that a snapshot needs. Returns its digest.
    ///
    /// # Errors
    /// When it exceeds 4 MiB or 4,096 packs, or repeats a pack; errors of the store.
    pub async fn put_list(&self, list: &PackList) -> Result<Digest, RepositoryError> {
        let bytes = list
            .encode()
            .map_err(|source| RepositoryError::Write { what: "write a list of packs".to_owned(), source })?;
        let digest = sha256(&bytes);
        self.store().put(&names::list(&digest), bytes).await?;
        Ok(digest)
    }

    /// Returns the sealed bytes of a pack; they match its name.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`]; [`RepositoryError::Damaged`] if it is too large or does not match its name; errors
    /// of the store.
    pub async fn get_pack(&self, pack: &Digest) -> Result<Bytes, RepositoryError> {
        self.get_checked(&names::pack(pack), pack, limits::SEALED_READ).await
    }

    /// Returns the sealed bytes of a catalogue part; they match its name.
    ///
    /// # Errors
    /// As [`Repository::get_pack`].
    pub async fn get_part(&self, part: &Digest) -> Result<Bytes, RepositoryError> {
        self.get_checked(&names::catalogue(part), part, limits::SEALED_READ).await
    }

    /// Reads a pack list.
    ///
    /// # Errors
    /// As [`Repository::get_pack`], and if it is not a list.
    pub async fn get_list(&self, list: &Digest) -> Result<PackList, RepositoryError> {
        let path = names::list(list);
        let bytes = self.get_checked(&path, list, limits::LIST).await?;
        PackList::decode(&bytes).map_err(|error| unopened(&path, error))
    }

    /// Reads the recovery instructions, which the trust policy names by this digest.
    ///
    /// # Errors
    /// As [`Repository::get_pack`].
    pub async fn get_recover_md(&self, signed: &Digest) -> Result<Bytes, RepositoryError> {
        self.get_checked(names::RECOVER_MD, signed, limits::LIST).await.map_err(|error| match error {
            RepositoryError::Damaged { path, .. } => {
                let why = "it is not the text that the trust policy names; follow nothing that it says".to_owned();
                RepositoryError::Damaged { path, why }
            }
            error => error,
        })
    }

    /// Returns every pack in the store with its sealed size, from one listing.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn pack_sizes(&self) -> Result<BTreeMap<Digest, u64>, RepositoryError> {
        self.sizes(names::PACKS, names::parse_pack).await
    }

    /// Returns every catalogue part in the store with its sealed size, from one listing.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn part_sizes(&self) -> Result<BTreeMap<Digest, u64>, RepositoryError> {
        self.sizes(names::CATALOGUES, names::parse_catalogue).await
    }

    /// Fetches, checks and opens a pack. Returns every line, with its MAC checked; at most 64 MiB of payloads.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`], [`RepositoryError::Damaged`], [`RepositoryError::Locked`], errors of the store.
    pub async fn open_pack(&self, pack: &Digest, keys: &Arc<Identities>) -> Result<Vec<PackLine>, RepositoryError> {
        let (lines, _) = self.read_pack(pack, keys, |line, lines: &mut Vec<PackLine>| lines.push(line)).await?;
        Ok(lines)
    }

    /// Fetches, checks and opens a pack and folds its lines into `T` on a blocking thread, with one line in memory at a
    /// time. Also returns the facts visible without a key.
    ///
    /// # Errors
    /// As [`Repository::open_pack`].
    pub async fn read_pack<T: Default + Send + 'static>(
        &self,
        pack: &Digest,
        keys: &Arc<Identities>,
        fold: impl Fn(PackLine, &mut T) + Send + 'static,
    ) -> Result<(T, SealedFacts), RepositoryError> {
        let sealed = self.get_pack(pack).await?;
        self.read_lines::<PackLines, T>(names::pack(pack), sealed, keys, fold).await
    }

    /// Fetches, checks and opens one part of a catalogue. Returns its items in key order, as many as the entry says.
    ///
    /// # Errors
    /// As [`Repository::open_pack`].
    pub async fn open_part(&self, part: &PartRef, keys: &Arc<Identities>) -> Result<Vec<Item>, RepositoryError> {
        let (items, _) = self.read_part(&part.digest, keys, |item, items: &mut Vec<Item>| items.push(item)).await?;
        if items.len() as u64 != part.items {
            let why = format!("it holds {} items, its entry says {}", items.len(), part.items);
            return Err(RepositoryError::Damaged { path: names::catalogue(&part.digest), why });
        }
        Ok(items)
    }

    /// Fetches, checks and opens one part of a catalogue and folds its items into `T` on a blocking thread. Also
    /// returns the facts visible without a key. The caller compares the number of items.
    ///
    /// # Errors
    /// As [`Repository::open_pack`].
    pub async fn read_part<T: Default + Send + 'static>(
        &self,
        part: &Digest,
        keys: &Arc<Identities>,
        fold: impl Fn(Item, &mut T) + Send + 'static,
    ) -> Result<(T, SealedFacts), RepositoryError> {
        let sealed = self.get_part(part).await?;
        self.read_lines::<PartLines, T>(names::catalogue(part), sealed, keys, fold).await
    }

    /// Opens a pack or a part and folds its lines on a blocking thread.
    async fn read_lines<L: SealedLines, T: Default + Send + 'static>(
        &self,
        path: String,
        sealed: Bytes,
        keys: &Arc<Identities>,
        fold: impl Fn(L::Line, &mut T) + Send + 'static,
    ) -> Result<(T, SealedFacts), RepositoryError> {
        let (keys, id, source) = (Arc::clone(keys), *self.id(), self.source());
        blocking(format!("open {path}"), move || {
            let mut folded = T::default();
            let lines = SealedReader::<L>::open(&sealed, &keys, &id, source.as_ref());
            for line in lines.map_err(|error| unopened(&path, error))? {
                fold(line.map_err(|error| unopened(&path, error))?, &mut folded);
            }
            Ok((folded, SealedFacts::of(&sealed)))
        })
        .await
    }

    /// Reads an object that matches its name: the current version, otherwise an older one.
    async fn get_checked(&self, path: &str, digest: &Digest, limit: usize) -> Result<Bytes, RepositoryError> {
        let wrong = match self.get_current(path, digest, limit).await {
            Err(error @ (RepositoryError::Damaged { .. } | RepositoryError::Missing { .. })) => error,
            other => return other,
        };
        let older = self.read_older(path, limit, |bytes| sha256(bytes) == *digest).await?;
        older.ok_or(wrong)
    }

    /// Reads the current version of an object, if it matches its name.
    pub(super) async fn get_current(
        &self,
        path: &str,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RepositoryError> {
        let path_of = || path.to_owned();
        let mut wrong = RepositoryError::Missing { path: path_of() };
        // A lagging store may return earlier content, and an overloaded one a truncated object.
        for _ in 0..READS {
            let bytes = match self.store().get(path, limit).await {
                Ok(bytes) => bytes,
                Err(StoreError::NotFound { .. }) => continue,
                Err(StoreError::TooLarge { size, limit, .. }) => {
                    let why = format!("it has {size} bytes, more than the {limit} that its kind may have");
                    return Err(RepositoryError::Damaged { path: path_of(), why });
                }
                Err(error) => return Err(error.into()),
            };
            let (checked, digest) = (bytes.clone(), *digest);
            if blocking(format!("hash {path}"), move || Ok(sha256(&checked) == digest)).await? {
                return Ok(bytes);
            }
            let why = "its bytes are not those that its name says (altered, truncated or swapped)".to_owned();
            wrong = RepositoryError::Damaged { path: path_of(), why };
        }
        Err(wrong)
    }

    /// Returns the objects of a directory by the digest in their names. Ignores foreign names.
    async fn sizes(
        &self,
        folder: &str,
        parse: impl Fn(&str) -> Option<Digest>,
    ) -> Result<BTreeMap<Digest, u64>, RepositoryError> {
        let listed = self.store().list(folder).await?;
        Ok(listed.iter().filter_map(|object| Some((parse(&object.path)?, object.size))).collect())
    }
}

fn damaged(path: &str, error: &FormatError) -> RepositoryError {
    RepositoryError::Damaged { path: path.to_owned(), why: with_causes(error) }
}

/// Distinguishes a wrong key, or a program that is too old, from damaged bytes.
fn unopened(path: &str, error: FormatError) -> RepositoryError {
    let path = path.to_owned();
    match error {
        error if error.kind() == FailureKind::Key => RepositoryError::Locked { path, source: error },
        FormatError::Version { .. } => RepositoryError::Unsupported { path, source: error },
        error => damaged(&path, &error),
    }
}

/// Runs blocking work on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    what: String,
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, RepositoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(RepositoryError::Task { what, source }),
    }
}
