//! Where a restore gets inventory and payloads from.

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

/// Packs that are kept open. A pack is at most 64 MiB plain; items are taken in the order of their packs, and a secret's
/// previous version may lie in an older pack than its current one.
const OPEN_PACKS: usize = 2;

/// An opened pack: payloads by item and version.
pub type OpenPack = HashMap<(ItemKey, Slot), Payload>;

/// One snapshot that can be read. Reading it never writes to where it is kept.
#[async_trait]
pub trait Backup: Send + Sync + fmt::Debug {
    /// What names it.
    fn name(&self) -> &SnapshotName;

    /// All its items.
    ///
    /// # Errors
    /// When any part of the catalogue cannot be read whole.
    async fn items(&self) -> Result<Vec<Item>, RestoreError>;

    /// Opens one pack whole.
    ///
    /// # Errors
    /// When it is missing, altered, or no key at hand opens it.
    async fn pack(&self, pack: &Digest) -> Result<OpenPack, RestoreError>;

    /// Which of these packs are not there whole, as far as that shows without opening any, each with the reason.
    ///
    /// # Errors
    /// When it cannot be found out.
    async fn lacking(&self, packs: &BTreeSet<Digest>) -> Result<BTreeMap<Digest, String>, RestoreError> {
        let _ = packs;
        Ok(BTreeMap::new())
    }
}

/// Payloads on demand, with a few packs kept open.
#[derive(Debug)]
pub struct Payloads<'a> {
    backup: &'a dyn Backup,
    /// Whether packs may be opened at all.
    usable: bool,
    packs: Mutex<Packs>,
}

#[derive(Default)]
struct Packs {
    open: VecDeque<(Digest, Arc<OpenPack>)>,
    /// Packs that turned out damaged, and why: each is fetched once, however many items lie in it.
    damaged: HashMap<Digest, String>,
}

impl fmt::Debug for Packs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packs").field("open", &self.open.len()).field("damaged", &self.damaged).finish()
    }
}

impl<'a> Payloads<'a> {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(backup: &'a dyn Backup) -> Self {
        Self { backup, usable: true, packs: Mutex::default() }
    }

    /// Payloads that cannot be opened: comparisons go by marks.
    #[must_use]
    pub fn closed(backup: &'a dyn Backup) -> Self {
        Self { usable: false, ..Self::new(backup) }
    }

    /// Whether payloads can be compared.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.usable
    }

    /// Looks which of these packs are not there whole. Their payloads are refused from then on.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn look_for(&self, packs: &BTreeSet<Digest>) -> Result<(), RestoreError> {
        if self.usable && !packs.is_empty() {
            let lacking = self.backup.lacking(packs).await?;
            self.packs.lock().await.damaged.extend(lacking);
        }
        Ok(())
    }

    /// Why the payload of a version cannot be had, as far as that is known already.
    pub async fn lost(&self, item: &Item, version: &str) -> Option<RestoreError> {
        let version = source_version(version);
        let pointer = item.payloads.iter().find(|pointer| pointer.version.as_str() == version)?;
        let why = self.packs.lock().await.damaged.get(&pointer.pack).cloned()?;
        Some(RestoreError::PackDamaged { pack: pointer.pack, why })
    }

    /// What names the snapshot that they are of.
    #[must_use]
    pub fn snapshot(&self) -> &'a SnapshotName {
        self.backup.name()
    }

    /// The payload of one version, or of a configuration's value, as it goes into the standby: of the type that the item
    /// becomes, rewritten. `None` when the snapshot has none.
    ///
    /// This is the only way to a payload, so what is sent and what is compared are the same.
    ///
    /// # Errors
    /// When its pack cannot be opened or lacks it, or it cannot become what it should.
    pub async fn get(
        &self,
        converter: &dyn ItemConverter,
        entry: &SnapshotItem,
        version: &str,
    ) -> Result<Option<Payload>, RestoreError> {
        Ok(self.counted(converter, entry, version).await?.map(|(payload, _)| payload))
    }

    /// The same, with the number of places that each rewrite of the entry changed.
    ///
    /// # Errors
    /// As [`Payloads::get`].
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

    /// An open pack. The lock is held while it is fetched, so that ten items of one pack fetch it once.
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
