//! Selects the snapshots to verify; helpers shared by all levels.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::error::VerifyError;
use super::options::{Snapshots, VerifyKeys, VerifyOptions};
use crate::crypto::Identities;
use crate::format::{Entry, SnapshotEvent};
use crate::repository::RepositoryError;
use crate::repository::find::find;
use crate::repository::ledger::{Ledger, SnapshotState};

/// Number of objects fetched in parallel; each may have 80 MiB.
pub(super) const OBJECTS_IN_FLIGHT: usize = 4;

/// A snapshot to verify.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChosenSnapshot<'a> {
    pub(super) entry: &'a Entry,
    pub(super) event: &'a SnapshotEvent,
}

/// Returns the snapshots to verify.
///
/// # Errors
/// If the requested snapshot does not exist, or was swept.
pub(super) fn chosen<'a>(ledger: &'a Ledger, options: &VerifyOptions) -> Result<Vec<ChosenSnapshot<'a>>, VerifyError> {
    match &options.snapshots {
        Snapshots::Live => {
            let live =
                // Forgotten snapshots must be intact as well: they can be undone until they are swept.
                ledger.unswept().filter_map(|entry| Some(ChosenSnapshot { entry, event: entry.snapshot()? }));
            Ok(live.collect())
        }
        Snapshots::One(wanted) => {
            let (entry, event) = find(ledger, wanted)?;
            if let Some(SnapshotState::Swept { by }) = ledger.state(&entry.digest) {
                let why =
                    format!("{} was swept by entry {}, nothing of it has to be there", entry.sequence, by.short());
                return Err(RepositoryError::NoSnapshot { wanted: wanted.to_string(), why }.into());
            }
            Ok(vec![ChosenSnapshot { entry, event }])
        }
    }
}

/// Ends the run at a safe point if it was cancelled.
pub(super) fn go_on(cancel: &CancellationToken) -> Result<(), VerifyError> {
    match cancel.is_cancelled() {
        true => Err(VerifyError::Interrupted),
        false => Ok(()),
    }
}

/// Returns the identities that open catalogues: the catalogue identities, otherwise the recovery identities.
pub(super) fn catalogue_keys(keys: &VerifyKeys) -> Option<&Arc<Identities>> {
    keys.catalogue.as_ref().or(keys.recovery.as_ref())
}
