//! Source of a restore's inventory and payloads.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::error::RestoreError;
use super::goal::source_version;
use super::plan::SnapshotName;
use super::rewrite::rewrite_payload;
use crate::job::restore::snapshot_item::SnapshotItem;
use crate::model::with_causes;
use crate::model::{Digest, FailureKind, Item, ItemKey, Payload, Slot};
use crate::provider::ItemConverter;

/// Number of packs kept open. A pack has at most 64 MiB of plain bytes. Items are processed in pack order, and a
/// secret's previous version may be in an older pack than its current one.
const OPEN_PACKS: usize = 2;

/// An opened pack: payloads by item and version.
pub type OpenPack = HashMap<(ItemKey, Slot), Payload>;

/// A readable snapshot. Reading never writes to its repository.
#[async_trait]
pub trait Backup: Send + Sync + fmt::Debug {
    /// Returns the name of the snapshot.
    fn name(&self) -> &SnapshotName;

    /// Returns all items.
    ///
    /// # Errors
    /// If any part of the catalogue cannot be read completely.
    async fn items(&self) -> Result<Vec<Item>, RestoreError>;

    /// Opens one pack.
    ///
    /// # Errors
    /// If it is missing, altered, or cannot be opened with any available key.
    async fn pack(&self, pack: &Digest) -> Result<OpenPack, RestoreError>;

    /// Returns which of these packs are missing or incomplete, with reasons, as far as can be seen without opening any.
    ///
    /// # Errors
    /// If this cannot be determined.
    async fn lacking(&self, packs: &BTreeSet<Digest>) -> Result<BTreeMap<Digest, String>, RestoreError> {
        let _ = packs;
        Ok(BTreeMap::new())
    }
}

/// Reader of payloads on demand, which keeps a few packs open.
#[derive(Debug)]
pub struct Payloads<'a> {
    backup: &'a dyn Backup,
    /// True if packs may be opened at all.
    usable: bool,
    packs: Mutex<Packs>,
}

#[derive(Default)]
struct Packs {
    open: VecDeque<(Digest, Arc<OpenPack>)>,
    /// Damaged packs with reasons, so that each is fetched only once, however many items it holds.
    damaged: HashMap<Digest, String>,
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packs").field("open", &self.open.len()).field("damaged", &self.damaged).finish()
    }
}

impl<'a> Payloads<'a> {
    /// Creates a reader with no open pack.
    #[must_use]
    pub fn new(backup: &'a dyn Backup) -> Self {
        Self { backup, usable: true, packs: Mutex::default() }
    }

    /// Creates a reader that opens no packs, so that comparisons rely on marks.
    #[must_use]
    pub fn closed(backup: &'a dyn Backup) -> Self {
        Self { usable: false, ..Self::new(backup) }
    }

    /// Returns true if payloads can be compared.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// Checks which of these packs are missing or incomplete. Their payloads are refused from then on.
    ///
    /// # Errors
    /// If this cannot be determined.
    pub async fn look_for(&self, packs: &BTreeSet<Digest>) -> Result<(), RestoreError> {
        if self.usable && !packs.is_empty() {
            let lacking = self.backup.lacking(packs).await?;
            self.packs.lock().await.damaged.extend(lacking);
        }
        Ok(())
    }

    /// Returns why the payload of a version is unavailable, as far as is already known.
    pub async fn lost(&self, item: &Item, version: &str) -> Option<RestoreError> {
        let version = source_version(version);
        let pointer = item.payloads.iter().find(|pointer| pointer.version.as_str() == version)?;
        let why = self.packs.lock().await.damaged.get(&pointer.pack).cloned()?;
        Some(RestoreError::PackDamaged { pack: pointer.pack, why })
    }

    /// Returns the name of the snapshot that the payloads belong to.
    #[must_use]
    pub fn snapshot(&self) -> &'a SnapshotName {
        self.backup.name()
    }

    /// Returns the payload of a version, or of a configuration's value, as it is written to the standby: converted to
    /// the target type and rewritten. `None` if the snapshot has none.
    ///
    /// All payloads are read through this function, so the payload sent and the payload compared are the same.
    ///
    /// # Errors
    /// If its pack cannot be opened or lacks it, or it cannot be converted.
    pub async fn get(
        &self,
        converter: &dyn ItemConverter,
        entry: &SnapshotItem,
        version: &str,
    ) -> Result<Option<Payload>, RestoreError> {
        Ok(self.counted(converter, entry, version).await?.map(|(payload, _)| payload))
    }

    /// Like [`Payloads::get`], with the number of places that each rewrite of the entry changed.
    ///
    /// # Errors
    /// See [`Payloads::get`].
    pub async fn counted(
        &self,
        converter: &dyn ItemConverter,
        entry: &SnapshotItem,
        version: &str,
    ) -> Result<Option<(Payload, Vec<u64>)>, RestoreError> {
        let Some(payload) = self.original(&entry.item, source_version(version)).await? else { return Ok(None) };
        let payload = converter.convert_payload(&entry.item, entry.treatment, payload)?;
        Ok(Some(rewrite_payload(payload, entry.rewrites.iter().map(|(_, transform)| transform))))
    }

    async fn original(&self, item: &Item, version: &str) -> Result<Option<Payload>, RestoreError> {
        let Some(pointer) = item.payloads.iter().find(|pointer| pointer.version.as_str() == version) else {
            return Ok(None);
        };
        let pack = self.pack(&pointer.pack).await?;
        let name = (item.key.clone(), pointer.version.clone());
        pack.get(&name).cloned().map(Some).ok_or_else(|| RestoreError::PayloadMissing {
            pack: pointer.pack,
            key: item.key.clone(),
            version: version.to_owned(),
        })
    }

    /// Returns an open pack. Holds the lock while fetching, so that concurrent items of one pack fetch it only once.
    async fn pack(&self, digest: &Digest) -> Result<Arc<OpenPack>, RestoreError> {
        let mut packs = self.packs.lock().await;
        if let Some(why) = packs.damaged.get(digest) {
            return Err(RestoreError::PackDamaged { pack: *digest, why: why.clone() });
        }
        let place = packs.open.iter().position(|(name, _)| name == digest);
        if let Some(entry) = place.and_then(|place| packs.open.remove(place)) {
            let pack = Arc::clone(&entry.1);
            packs.open.push_back(entry);
            return Ok(pack);
        }
        while packs.open.len() >= OPEN_PACKS {
            packs.open.pop_front();
        }
        match self.backup.pack(digest).await {
            Ok(pack) => {
                let pack = Arc::new(pack);
                packs.open.push_back((*digest, Arc::clone(&pack)));
                Ok(pack)
            }
            Err(RestoreError::Backup { kind: FailureKind::Integrity, source }) => {
                let why = with_causes(source.as_ref());
                packs.damaged.insert(*digest, why.clone());
                Err(RestoreError::PackDamaged { pack: *digest, why })
            }
            Err(error) => Err(error),
        }
    }
}
