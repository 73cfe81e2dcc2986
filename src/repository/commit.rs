//! Making something real: one entry, written once, without a lock.
//!
//! Everything that the entry names is in the store before the entry is. Two writers at once make two heads, and the next
//! entry names both. A crash at any point leaves at most objects that nothing names.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::ledger::{Ledger, Standing};
use super::{Repository, RepositoryError, StateFolder, Store, StoreError};
use crate::crypto::SigningKey;
use crate::format::{Draft, Entry, Event, Place, SnapshotEvent, names};
use crate::model::{Clock, Digest, Due, Timestamp, limits};

/// The difference between this host's clock and the store's beyond which nothing is signed: five minutes.
pub const SKEW_MILLIS: i64 = 5 * 60 * 1_000;

/// Who signs, and what it remembers.
#[derive(Clone)]
pub struct Writer {
    /// The key that signs.
    pub key: Arc<SigningKey>,
    /// The folder that remembers heads.
    pub state: StateFolder,
    /// This host's clock.
    pub clock: Arc<dyn Clock>,
    /// The run of a schedule that its entries are the result of.
    pub due: Option<Due>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Repository {
    /// Signs and writes an entry on top of every head that is there now, and reads it back. Its time is the writer's
    /// present.
    ///
    /// # Errors
    /// [`RepositoryError::ObjectsMissing`] when the snapshot names what is not there whole (read these items again);
    /// [`RepositoryError::LostHeads`], [`RepositoryError::TooManyHeads`], [`RepositoryError::ClockSkew`],
    /// [`RepositoryError::WouldNotCount`], [`RepositoryError::State`]: nothing was written.
    /// [`RepositoryError::Unconfirmed`]: it may have been. Else what the store answers.
    pub async fn commit(&self, writer: &Writer, mut draft: Draft) -> Result<Entry, RepositoryError> {
        if let Event::Snapshot(snapshot) = &draft.event {
            self.check_objects(snapshot).await?;
        }
        let remembered = writer.state.heads().await?;
        let ledger = self.ledger_with_known_heads(&remembered, &draft.event).await?;
        let place = self.place(writer, &ledger)?;
        let seen = ledger.heads().into_iter().map(Entry::name).collect();
        draft.time = self.present(writer)?;
        let signed = draft.sign(&place, &writer.key);
        let (entry, bytes) =
            signed.map_err(|source| RepositoryError::Write { what: "write the entry".to_owned(), source })?;
        match self.ledger_with(ledger, &remembered, &entry, &bytes).await?.standing(&entry.digest) {
            Some(Standing::Counts) => {}
            Some(Standing::Overridden { why } | Standing::Ignored { why }) => {
                return Err(RepositoryError::WouldNotCount { why: why.to_string() });
            }
            None => {
                let why = "the ledger names its key nowhere; a custodian must add the key".to_owned();
                return Err(RepositoryError::WouldNotCount { why });
            }
        }
        self.write_entry(writer, &entry, bytes, seen).await?;
        Ok(entry)
    }

    /// Checks that every object that a snapshot names is there with its size.
    async fn check_objects(&self, snapshot: &SnapshotEvent) -> Result<(), RepositoryError> {
        let (packs, parts) = tokio::try_join!(self.pack_sizes(), self.part_sizes())?;
        let mut missing = Vec::new();
        let mut others = Vec::new();
        match self.get_list(&snapshot.list).await {
            Ok(list) => {
                let short = list.packs.iter().filter(|listed| packs.get(&listed.pack) != Some(&listed.size));
                missing.extend(short.map(|listed| listed.pack));
            }
            Err(RepositoryError::Damaged { path, .. } | RepositoryError::Missing { path }) => others.push(path),
            Err(error) => return Err(error),
        }
        let short = snapshot.parts.iter().filter(|part| parts.get(&part.digest) != Some(&part.size));
        others.extend(short.map(|part| names::catalogue(&part.digest)));
        match missing.is_empty() && others.is_empty() {
            true => Ok(()),
            false => Err(RepositoryError::ObjectsMissing { packs: missing, others }),
        }
    }

    /// The ledger as of now, with every head that this writer remembers, or that a signed loss accounts for.
    async fn ledger_with_known_heads(&self, remembered: &[String], event: &Event) -> Result<Ledger, RepositoryError> {
        // A listing may lag behind; asking the store by name does not, and what is remembered here proves nothing.
        let (ledger, _) = self.read_ledger_of(self.list_entries().await?, remembered).await?;
        let gone = |path: &&String| match names::parse_entry(path) {
            Some((_, digest)) => ledger.get(&digest).is_none() && !is_accepted(&ledger, event, &digest),
            None => false,
        };
        let lost: Vec<_> = remembered.iter().filter(gone).cloned().collect();
        match lost.is_empty() {
            true => Ok(ledger),
            false => Err(RepositoryError::LostHeads { place: self.store().place(), paths: lost }),
        }
    }

    /// The ledger as every reader will see it with a new entry in it: what would not count is not written.
    async fn ledger_with(
        &self,
        ledger: Ledger,
        remembered: &[String],
        entry: &Entry,
        bytes: &Bytes,
    ) -> Result<Ledger, RepositoryError> {
        let file = (entry.name(), bytes.clone());
        if let Some(ledger) = self.extend_ledger(ledger, file.clone()).await? {
            return Ok(ledger);
        }
        Ok(self.read_ledger_with(self.list_entries().await?, remembered, Some(file)).await?.0)
    }

    /// On top of every head.
    fn place(&self, writer: &Writer, ledger: &Ledger) -> Result<Place, RepositoryError> {
        let heads = ledger.heads();
        if heads.len() > limits::HEADS {
            return Err(RepositoryError::TooManyHeads { count: heads.len(), limit: limits::HEADS });
        }
        let Some(first) = ledger.first() else {
            return Err(RepositoryError::OtherRepository { place: self.store().place(), pin: self.id().to_string() });
        };
        Ok(Place {
            repository: Some(*self.id()),
            source: first.source.clone(),
            sequence: heads.iter().map(|head| head.sequence).max().unwrap_or_default() + 1,
            parents: heads.iter().map(|head| head.digest).collect(),
            previous: ledger.last_of(&writer.key.public().fingerprint()).map(|entry| entry.digest),
            due: writer.due.clone(),
        })
    }

    /// This host's present, when the store agrees with it.
    fn present(&self, writer: &Writer) -> Result<Timestamp, RepositoryError> {
        let here = writer.clock.now();
        match self.store().clock() {
            Some(there) if here.millis_since(there).abs() > SKEW_MILLIS => {
                Err(RepositoryError::ClockSkew { here, there })
            }
            _ => Ok(here),
        }
    }

    /// Keeps the bytes here, writes them there, and believes only what comes back.
    async fn write_entry(
        &self,
        writer: &Writer,
        entry: &Entry,
        bytes: Bytes,
        mut seen: Vec<String>,
    ) -> Result<(), RepositoryError> {
        let path = entry.name();
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        writer.state.keep_entry(&file, bytes.clone()).await?;
        write_confirmed(self.store(), &path, bytes.clone()).await?;
        self.keep_entry(&path, &bytes).await;
        // The entry is real now, whatever happens here; without the memory only a rollback to before it goes unseen.
        seen.push(path);
        if let Err(error) = writer.state.remember(seen, &file).await {
            tracing::warn!(%error, "the entry is recorded, but the state folder does not remember it");
        }
        Ok(())
    }
}

/// Writes an object and believes only what comes back: after a timeout it may be there or not, and a store may say yes
/// and keep something else.
pub(super) async fn write_confirmed(store: &Store, path: &str, bytes: Bytes) -> Result<(), RepositoryError> {
    let written = store.put(path, bytes.clone()).await;
    match written {
        Ok(()) | Err(StoreError::Unreachable { .. } | StoreError::Other { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let path = path.to_owned();
    match (store.get(&path, limits::ENTRY).await, written) {
        (Ok(back), _) if back == bytes => Ok(()),
        (Ok(_), _) => {
            let why = "what was just written comes back as other bytes".to_owned();
            Err(RepositoryError::Damaged { path, why })
        }
        (Err(error), Err(first)) if error.is_not_found() => Err(first.into()),
        (Err(source), _) => Err(RepositoryError::Unconfirmed { path, source }),
    }
}

/// Whether an entry that is gone was signed for: by an entry that counts, or by the one about to be written.
fn is_accepted(ledger: &Ledger, event: &Event, gone: &Digest) -> bool {
    let accepts = |event: &Event| matches!(event, Event::AcceptLoss(loss) if loss.entries.contains(gone));
    accepts(event) || ledger.counted().any(|entry| accepts(&entry.event))
}
