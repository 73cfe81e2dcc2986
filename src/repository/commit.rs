//! Commits to the ledger: one entry, written once, without a lock.
//!
//! All objects that an entry names are in the store before the entry. Two concurrent writers make two heads, and the
//! next entry names both. A crash at any point leaves at most unreferenced objects.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::entries::heads_to_remember;
use super::ledger::{Ledger, LedgerReader};
use super::open::SMALL_IN_FLIGHT;
use super::write::write_confirmed;
use super::{Repository, RepositoryError, StateDirectory};
use crate::crypto::SigningKey;
use crate::format::{Draft, Entry, EntryEvent, EntryPlace, SnapshotEvent, names, role};
use crate::model::{Clock, Digest, ScheduledRun, Timestamp, limits, with_causes};

/// Maximum difference between this host's clock and the store's for signing: five minutes.
pub const SKEW_MILLIS: i64 = 5 * 60 * 1_000;

/// A writer: its signing key and its state directory.
#[derive(Clone)]
pub struct EntryWriter {
    /// The key that signs.
    pub key: Arc<SigningKey>,
    /// The state directory that remembers heads.
    pub state: StateDirectory,
    /// This host's clock.
    pub clock: Arc<dyn Clock>,
    /// The scheduled run that its entries are the result of.
    pub due: Option<ScheduledRun>,
}

/// An entry that was written and read back, with warnings.
#[derive(Debug)]
pub struct Committed {
    /// The entry.
    pub entry: Entry,
    /// Objects that were put back in the bucket, and failures to do so.
    pub warnings: Vec<String>,
    /// Reason why this host does not remember the entry. A rollback of the bucket to before it would then go
    /// undetected.
    pub not_remembered: Option<String>,
}

impl Committed {
    /// Returns all warnings, for people.
    pub fn into_warnings(self) -> impl Iterator<Item = String> {
        self.warnings.into_iter().chain(self.not_remembered)
    }
}

impl fmt::Debug for EntryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Repository {
    /// Signs and writes an entry on top of all current heads, and reads it back. Its time is the writer's current time.
    /// Heads that this writer remembers and that are missing go into its `lost`. Before that, the writer puts back its
    /// own last entry, policy versions that the bucket lacks, and `RECOVER.md`.
    ///
    /// # Errors
    /// [`RepositoryError::ObjectsMissing`] if the snapshot names objects that are missing or incomplete (read these
    /// items again). [`RepositoryError::NotAuthorised`], [`RepositoryError::Undecided`],
    /// [`RepositoryError::ClockSkew`], [`RepositoryError::State`]: nothing was written.
    /// [`RepositoryError::Unconfirmed`]: it may have been written. Otherwise errors of the store.
    pub async fn commit(&self, writer: &EntryWriter, mut draft: Draft) -> Result<Committed, RepositoryError> {
        if let EntryEvent::Snapshot(snapshot) = &draft.event {
            self.check_objects(snapshot).await?;
        }
        let repository = self.clone().remembered_in(writer.state.clone());
        let ledger = repository.read_ledger().await?;
        let undecided = |why: &str| RepositoryError::Undecided { why: why.to_owned() };
        let (role, _) = role::rule(draft.event.kind()).ok_or_else(|| undecided("its kind is not known"))?;
        ledger.check_signer(&writer.key.public().fingerprint(), role)?;
        let place = place(writer, &ledger).ok_or_else(|| undecided("no version of the trust policy is in force"))?;
        if let EntryEvent::Snapshot(snapshot) = &mut draft.event {
            check_recipients(&ledger, snapshot)?;
        }
        draft.time = self.present(writer)?;
        let signed = draft.sign(&place, &writer.key);
        let (entry, bytes) =
            signed.map_err(|source| RepositoryError::Write { what: "write the entry".to_owned(), source })?;
        let warnings = repository.put_back(writer, &ledger).await?;
        let not_remembered = self.write_entry(writer, &ledger, &entry, bytes).await?;
        Ok(Committed { entry, warnings, not_remembered })
    }

    /// Checks that every object that a snapshot names exists with its size.
    async fn check_objects(&self, snapshot: &SnapshotEvent) -> Result<(), RepositoryError> {
        let (packs, parts) = tokio::try_join!(self.pack_sizes(), self.part_sizes())?;
        let (mut missing, mut others) = (Vec::new(), Vec::new());
        match self.get_list(&snapshot.list).await {
            Ok(list) => {
                let short = list.packs.iter().filter(|listed| packs.get(&listed.pack) != Some(&listed.size));
                let asked = short.map(|listed| (listed.pack, names::pack(&listed.pack), listed.size)).collect();
                missing = self.not_there(asked).await?;
            }
            Err(RepositoryError::Damaged { path, .. } | RepositoryError::Missing { path }) => others.push(path),
            Err(error) => return Err(error),
        }
        let short = snapshot.parts.iter().filter(|part| parts.get(&part.digest) != Some(&part.size));
        let asked = short.map(|part| (part.digest, names::catalogue(&part.digest), part.size)).collect();
        others.extend(self.not_there(asked).await?.iter().map(names::catalogue));
        match missing.is_empty() && others.is_empty() {
            true => Ok(()),
            false => Err(RepositoryError::ObjectsMissing { packs: missing, others }),
        }
    }

    /// Looks up objects by name, each with its path and expected size, because a listing may lag behind writes. Returns
    /// those that are missing.
    async fn not_there(&self, objects: Vec<(Digest, String, u64)>) -> Result<Vec<Digest>, RepositoryError> {
        let asking = stream::iter(objects).map(|(digest, path, size)| async move {
            let found = self.store().head(&path).await?;
            Ok(found.is_none_or(|object| object.size != size).then_some(digest))
        });
        asking.buffered(SMALL_IN_FLIGHT).try_filter_map(|missing| async move { Ok(missing) }).try_collect().await
    }

    /// Returns this host's current time, if the store's clock agrees.
    fn present(&self, writer: &EntryWriter) -> Result<Timestamp, RepositoryError> {
        let here = writer.clock.now();
        match self.store().clock() {
            Some(there) if here.millis_since(there).abs() > SKEW_MILLIS => {
                Err(RepositoryError::ClockSkew { here, there })
            }
            _ => Ok(here),
        }
    }

    /// Puts back what the bucket lacks and this host has: policy versions, `RECOVER.md`, and this writer's own last
    /// entry. Returns warnings.
    async fn put_back(&self, writer: &EntryWriter, ledger: &Ledger) -> Result<Vec<String>, RepositoryError> {
        let done = self.put_back_trust(ledger, None).await;
        let mut warnings = done.notes;
        if done.recover_md {
            let text = "RECOVER.md was missing or not the text that the trust policy names; it was put back";
            warnings.push(text.to_owned());
        }
        self.put_back_superseded(ledger).await?;
        if ledger.memory().kept.is_empty() {
            return Ok(warnings);
        }
        let wanted: Vec<String> = ledger.memory().kept.iter().map(names::entry).collect();
        for (path, bytes) in writer.state.kept_entries().await? {
            if wanted.contains(&path) {
                write_confirmed(self.store(), &path, bytes.clone(), limits::ENTRY).await?;
                self.keep_entry(&path, &bytes).await;
            }
        }
        Ok(warnings)
    }

    /// Writes deleted or overwritten entries again as the current versions, for readers that see no older versions.
    async fn put_back_superseded(&self, ledger: &Ledger) -> Result<(), RepositoryError> {
        for entry in &ledger.memory().superseded {
            let path = names::entry(entry);
            let fits = |bytes: &[u8]| LedgerReader::is_entry(&path, bytes);
            if let Some(bytes) = self.read_older(&path, limits::ENTRY, fits).await? {
                write_confirmed(self.store(), &path, bytes.clone(), limits::ENTRY).await?;
                self.keep_entry(&path, &bytes).await;
            }
        }
        Ok(())
    }

    /// Stores the bytes locally, writes them to the store, and confirms by reading back. Returns the reason if this
    /// host does not remember the entry.
    async fn write_entry(
        &self,
        writer: &EntryWriter,
        ledger: &Ledger,
        entry: &Entry,
        bytes: Bytes,
    ) -> Result<Option<String>, RepositoryError> {
        let path = entry.name();
        let file = path.rsplit('/').next().unwrap_or(&path).to_owned();
        writer.state.keep_entry(&file, bytes.clone()).await?;
        write_confirmed(self.store(), &path, bytes.clone(), limits::ENTRY).await?;
        self.keep_entry(&path, &bytes).await;
        // The entry is committed now. Without the local memory, only a rollback to before it goes undetected.
        let seen = heads_to_remember(ledger, Some(path));
        let remembered = match Self::known_policy(ledger).filter(|_| !self.policy_chosen) {
            Some(known) => writer.state.remember_policy(known).await,
            None => Ok(()),
        };
        let remembered = writer.state.remember(seen, &file).await.and(remembered).err();
        Ok(remembered.map(|error| {
            format!("the entry is recorded, but the state directory does not remember it: {}", with_causes(&error))
        }))
    }
}

/// Returns the place on top of every head that counts.
fn place(writer: &EntryWriter, ledger: &Ledger) -> Option<EntryPlace> {
    let (version, policy) = ledger.trust().writes_under()?;
    let carries = ledger.must_carry(&writer.key.public().fingerprint());
    let mut lost = ledger.memory().heads.clone();
    lost.retain(|lost| ledger.get(&lost.digest).is_none());
    lost.truncate(limits::HEADS);
    Some(EntryPlace {
        repository: ledger.id(),
        source: policy.source.clone(),
        parents: ledger.parents(),
        lost,
        policy: version,
        carries: carries.then(|| ledger.trust().good_envelope(&version)).flatten(),
        due: writer.due.clone(),
    })
}

/// Checks that the recipients of the policy in force are still those of the snapshot. If a new policy changed them
/// during the run, the snapshot is not recorded, and the next run seals its content again.
fn check_recipients(ledger: &Ledger, snapshot: &SnapshotEvent) -> Result<(), RepositoryError> {
    match ledger.policy().is_some_and(|policy| policy.recipients_digest() == snapshot.recipients) {
        true => Ok(()),
        false => Err(RepositoryError::RecipientsChanged),
    }
}
