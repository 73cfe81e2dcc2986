//! What is asked of the ledger before anything is read of the instance, and written.

use super::CaptureError;
use super::deadline::Deadline;
use super::renewal;
use crate::format::policy::PolicySettings;
use crate::format::{Policy, SigningRole};
use crate::job::Context;
use crate::model::Digest;
use crate::repository::ledger::Ledger;
use crate::repository::{EntryWriter, Repository, RepositoryError};

/// A run that has begun: its time runs, and the ledger was read. Whoever must look at the ledger before the run reads it
/// here, so that it is read once.
#[derive(Debug)]
pub struct Begun<'a> {
    ledger: Ledger,
    deadline: Deadline<'a>,
}

impl<'a> Begun<'a> {
    /// Begins a run.
    ///
    /// # Errors
    /// When the ledger cannot be read; [`CaptureError::Interrupted`].
    pub async fn begin(context: &'a Context, repository: &Repository) -> Result<Self, CaptureError> {
        // The time runs from before the ledger is read: what is live in it stays for the longest run from then on.
        let deadline = Deadline::new(&*context.clock, PolicySettings::LONGEST_RUN_SECONDS);
        let ledger = cancellable(context, async { Ok(repository.read_ledger().await?) }).await?;
        Ok(Self { ledger, deadline })
    }

    /// The ledger as the run found it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The policy to go by, the limit that it sets, and why the run must be full, if it must. Everything that would make
    /// the end of the run refuse its entry is refused here: objects that no entry names would lie there until a sweep.
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

/// A host without a memory must not seal to the recipients of an old policy while somebody, who knows it, writes under a
/// newer one: these recipients may have been removed.
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

/// Stops as soon as the user or the platform wants it.
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
