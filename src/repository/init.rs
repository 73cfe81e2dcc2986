//! Making a repository: the one place that writes a first entry.

use bytes::Bytes;
use serde::Serialize;

use super::commit::write_confirmed;
use super::recover::recover_md;
use super::{Repository, RepositoryError, Store};
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::entry::Place;
use crate::format::event::{Event, InitEvent, KeyGrant};
use crate::format::version::Version;
use crate::format::{Draft, RepositoryId, SourceName, names};
use crate::model::Timestamp;

/// What a new repository starts from.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// The instance that it is for, once and for ever.
    pub source: SourceName,
    /// The first keys and their roles; the key that signs must be among them.
    pub keys: Vec<KeyGrant>,
    /// How long a run may take, in seconds.
    pub longest_run_seconds: u64,
    /// How long something stays after it was given up, in seconds.
    pub grace_seconds: u64,
    /// This host's clock.
    pub time: Timestamp,
    /// What writes it: `keyhaven/0.1.0`.
    pub tool: String,
}

/// `keyhaven.json`.
#[derive(Serialize)]
struct Marker<'a> {
    format: Version,
    kind: &'static str,
    repository: String,
    source: &'a SourceName,
    created: Timestamp,
}

impl Repository {
    /// Refuses a place where a ledger is, whatever its state: a first entry beside it would be a second one.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] with the id of what is there; what the store answers.
    pub async fn check_free(store: &Store) -> Result<(), RepositoryError> {
        let listed = store.list(names::LEDGER).await?;
        if listed.is_empty() {
            return Ok(());
        }
        let entries = listed.iter().filter_map(|object| names::parse_entry(&object.path));
        let ids = entries.filter(|(sequence, _)| *sequence == 1).map(|(_, digest)| RepositoryId(digest)).collect();
        Err(RepositoryError::Exists { place: store.place(), ids })
    }

    /// Makes a repository: `RECOVER.md`, then `keyhaven.json`, then the first entry, which is read back.
    ///
    /// Returns its id, which everything that reads it pins from now on. Interrupted before the first entry, nothing of
    /// it is a repository and the same call works again.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] when a ledger is there already, whatever its state; what the store answers.
    pub async fn init(store: Store, key: &SigningKey, new: NewRepository) -> Result<RepositoryId, RepositoryError> {
        Self::check_free(&store).await?;
        let NewRepository { source, keys, longest_run_seconds, grace_seconds, time, tool } = new;
        let recover = recover_md(&source);
        let event = Event::Init(InitEvent { keys, longest_run_seconds, grace_seconds, recover_md: sha256(&recover) });
        let draft = Draft { time, tool, event };
        let signed = draft.sign(&Place::first(source.clone()), key);
        let (entry, bytes) =
            signed.map_err(|source| RepositoryError::Write { what: "write the first entry".to_owned(), source })?;
        let id = RepositoryId(entry.digest);
        let marker = Marker {
            format: Version::CURRENT,
            kind: "repository",
            repository: id.to_string(),
            source: &source,
            created: time,
        };
        store.put(names::RECOVER_MD, recover).await?;
        store.put(names::KEYHAVEN_JSON, json_line(&marker)).await?;
        write_confirmed(&store, &entry.name(), bytes).await?;
        Ok(id)
    }
}

fn json_line(marker: &Marker<'_>) -> Bytes {
    let mut text = crate::model::json::raw(marker).get().to_owned();
    text.push('\n');
    text.into()
}
