//! A snapshot in a repository as the source of a restore, and the ledger entry that records the restore.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::apply::ApplyReport;
use super::backup::{Backup, OpenPack};
use super::error::RestoreError;
use super::plan::SnapshotName;
use crate::crypto::Identities;
use crate::format::event::RestoreEvent;
use crate::format::{Draft, Entry, EntryEvent, SnapshotEvent};
use crate::model::{Digest, Item};
use crate::repository::{Committed, EntryWriter, Repository, RepositoryError};

/// Number of packs asked for in parallel.
const ASKED_IN_FLIGHT: usize = 8;

/// A snapshot in a repository with the keys that open it. Never writes to the repository.
#[derive(Debug)]
pub struct RepositorySnapshot {
    repository: Repository,
    event: SnapshotEvent,
    name: SnapshotName,
    identities: Arc<Identities>,
}

impl RepositorySnapshot {
    /// Creates it from a snapshot in the ledger; `identities` open its catalogue and its packs.
    #[must_use]
    pub fn new(repository: &Repository, entry: &Entry, event: &SnapshotEvent, identities: Arc<Identities>) -> Self {
        let name = SnapshotName {
            repository: repository.id().to_string(),
            entry: entry.digest,
            sequence: entry.sequence,
            time: event.time,
            source: entry.source.instance.clone(),
        };
        Self { repository: repository.clone(), event: event.clone(), name, identities }
    }
}

impl From<RepositoryError> for RestoreError {
    fn from(error: RepositoryError) -> Self {
        Self::Backup { kind: error.kind(), source: Box::new(error) }
    }
}

#[async_trait]
impl Backup for RepositorySnapshot {
    fn name(&self) -> &SnapshotName {
        &self.name
    }

    async fn items(&self) -> Result<Vec<Item>, RestoreError> {
        Ok(self.repository.open_snapshot(&self.event, &self.identities).try_collect().await?)
    }

    async fn pack(&self, pack: &Digest) -> Result<OpenPack, RestoreError> {
        let fold = |line: crate::format::pack::PackLine, open: &mut OpenPack| {
            open.insert((line.key, line.version), line.payload);
        };
        let (open, _) = self.repository.read_pack(pack, &self.identities, fold).await?;
        Ok(open)
    }

    async fn lacking(&self, packs: &BTreeSet<Digest>) -> Result<BTreeMap<Digest, String>, RestoreError> {
        let there = self.repository.pack_sizes().await?;
        // Without the list and its signed sizes, an existing pack counts as complete until it is opened.
        let listed: BTreeMap<Digest, u64> = match self.repository.get_list(&self.event.list).await {
            Ok(list) => list.packs.iter().map(|listed| (listed.pack, listed.size)).collect(),
            Err(error @ RepositoryError::Store(_)) => return Err(error.into()),
            Err(_) => BTreeMap::new(),
        };
        let why = |pack: &Digest| match (there.get(pack), listed.get(pack)) {
            (None, _) => Some("it is not in the repository".to_owned()),
            (Some(size), Some(said)) if size != said => Some(format!("it has {size} bytes instead of {said}")),
            (Some(_), _) => None,
        };
        // A listing may lag, and an older version may be whole: what is asked for by name decides.
        let doubtful: Vec<(Digest, String)> = packs.iter().filter_map(|pack| Some((*pack, why(pack)?))).collect();
        let asking = stream::iter(doubtful).map(|(pack, why)| async move {
            let is_there = self.repository.get_pack(&pack).await.is_ok();
            (!is_there).then_some((pack, why))
        });
        Ok(asking.buffered(ASKED_IN_FLIGHT).filter_map(std::future::ready).collect().await)
    }
}

/// Signs an entry that records what was restored where. Requires a key with the role restorer; without one, a restore
/// leaves no trace in the repository.
///
/// # Errors
/// If the repository refuses it.
pub async fn record(
    repository: &Repository,
    writer: &EntryWriter,
    report: &ApplyReport,
) -> Result<Committed, RepositoryError> {
    let read = report.read_back.as_ref();
    let restored = read.map_or(0, |read| read.right);
    let event = RestoreEvent {
        snapshot: report.snapshot.entry,
        target: report.standby.full_name.clone().unwrap_or_else(|| report.standby.url.clone()),
        restored,
        // An item that was not read back counts as failed.
        failed: read.map_or(report.items, |read| read.items.saturating_sub(restored)),
        from: report.began,
        to: report.ended,
    };
    let tool = format!("keyhaven/{}", env!("CARGO_PKG_VERSION"));
    repository.commit(writer, Draft { time: report.ended, tool, event: EntryEvent::Restore(event) }).await
}
