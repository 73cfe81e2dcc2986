//! Ledger checks made before the run reads the instance or writes anything.

use super::CaptureError;
use super::deadline::Deadline;
use super::renewal;
use crate::format::policy::PolicySettings;
use crate::format::{Policy, SigningRole};
use crate::job::Context;
use crate::model::Digest;
use crate::repository::ledger::Ledger;
use crate::repository::{EntryWriter, Repository, RepositoryError};

/// A run that has begun: its clock is running and the ledger has been read. Code that needs the ledger before the run
/// uses this copy, so that it is read only once.
#[derive(Debug)]
pub struct Begun<'a> {
    ledger: Ledger,
    deadline: Deadline<'a>,
}

impl<'a> Begun<'a> {
    /// Begins a run.
    ///
    /// # Errors
    /// If the ledger cannot be read; [`CaptureError::Interrupted`].
    pub async fn begin(context: &'a Context, repository: &Repository) -> Result<Self, CaptureError> {
        // Start the clock before reading the ledger: snapshots live in it stay live for the longest run from that
        // moment.
        let deadline = Deadline::new(&*context.clock, PolicySettings::LONGEST_RUN_SECONDS);
        let ledger = cancellable(context, async { Ok(repository.read_ledger().await?) }).await?;
        Ok(Self { ledger, deadline })
    }

    /// The ledger as the run found it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the policy in force, the deadline that it sets, and the reason why the run must be full, if any. Rejects
    /// up front everything that would make the final entry be refused; otherwise unreferenced objects would remain
    /// until a sweep.
    pub(super) async fn check(
        &self,
        writer: &EntryWriter,
    ) -> Result<(&Policy, Deadline<'a>, Option<String>), CaptureError> {
        let Some(policy) = self.ledger.policy() else { return Err(CaptureError::NoPolicy) };
        check_policy_known(&self.ledger, writer).await?;
        let signer: Digest = writer.key.public().fingerprint();
        self.ledger.check_signer(&signer, SigningRole::Collector).map_err(RepositoryError::from)?;
        let deadline = self.deadline.within(policy.settings.longest_run_seconds);
        Ok((policy, deadline, renewal::why_full(&self.ledger, &signer)))
    }
}

/// Rejects a host without local state if a pending entry names a newer policy version. The recipients of the older
/// policy may have been removed since, so the host must not seal to them.
async fn check_policy_known(ledger: &Ledger, writer: &EntryWriter) -> Result<(), CaptureError> {
    let known = ledger.trust().fit().iter().map(|version| version.version).max().unwrap_or(0);
    let newer = ledger.pending_snapshots().find(|entry| entry.policy.version > known);
    match newer {
        Some(entry) if writer.state.policy().await?.is_none() => {
            Err(CaptureError::PolicyUnknown { snapshot: entry.digest, version: entry.policy.version })
        }
        _ => Ok(()),
    }
}

/// Runs `work` until the run is cancelled.
pub(super) async fn cancellable<T>(
    context: &Context,
    work: impl Future<Output = Result<T, CaptureError>>,
) -> Result<T, CaptureError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(CaptureError::Interrupted),
        done = work => done,
    }
}
