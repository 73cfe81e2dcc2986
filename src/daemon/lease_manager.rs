//! Leases for the run loop: any problem with a lease is only a warning, and the job runs.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::task::JobTask;
use crate::model::Timestamp;
use crate::repository::lease::{Lease, LeaseAnswer, LeaseError, Leases};

/// Timeout of one operation: a store that does not answer must not delay a backup.
const PATIENCE: Duration = Duration::from_secs(15);

/// Number of stores probed in parallel.
const PROBES: usize = 64;

/// Lease stores of each instance.
#[derive(Debug, Clone, Default)]
pub struct LeaseManager {
    places: BTreeMap<String, (Leases, String)>,
}

/// Consequence of a lease request for a run.
#[derive(Debug)]
pub enum LeaseDecision {
    /// Run: with our lease, or without one if leases are not configured or do not work.
    Go(Option<HeldLease>),
    /// Another daemon runs the job; its lease may end at this time.
    Wait(Timestamp),
}

/// A lease held while a job runs.
#[derive(Debug)]
pub struct HeldLease {
    leases: Leases,
    lease: Lease,
}

impl LeaseManager {
    /// Adds leases for an instance, under the id of its repository.
    pub fn add(&mut self, instance: &str, leases: Leases, repository: &str) {
        self.places.insert(instance.to_owned(), (leases, repository.to_owned()));
    }

    /// Probes every store and removes the unfit ones. An unreachable store is kept, as it may be reachable later.
    pub async fn probe(&mut self) {
        let probes =
            self.places.iter().map(|(instance, (leases, _))| async move { (instance, within(leases.probe()).await) });
        // In parallel: each unreachable store costs one timeout.
        let mut probes = futures_util::stream::iter(probes).buffer_unordered(PROBES);
        let mut unfit = Vec::new();
        while let Some((instance, probed)) = probes.next().await {
            match probed {
                Ok(()) => debug!(instance, "leases work"),
                Err(LeaseFailure::Lease(error @ LeaseError::Unfit { .. })) => {
                    warn!(instance, "leases disabled: {error}; relying on the ledger alone");
                    unfit.push(instance.clone());
                }
                Err(error) => warn!(instance, "cannot probe the lease store: {error}"),
            }
        }
        drop(probes);
        self.places.retain(|instance, _| !unfit.contains(instance));
    }

    /// Requests the lease of a job.
    pub async fn take(&self, task: &JobTask) -> LeaseDecision {
        let Some((leases, repository)) = self.places.get(&task.instance) else { return LeaseDecision::Go(None) };
        match within(leases.take(repository, &task.name)).await {
            Ok(LeaseAnswer::Ours(lease)) => LeaseDecision::Go(Some(HeldLease { leases: leases.clone(), lease })),
            Ok(LeaseAnswer::Theirs { owner, until }) => {
                debug!(job = task.name, instance = task.instance, owner, %until, "another daemon holds the lease");
                LeaseDecision::Wait(until)
            }
            Err(error) => {
                warn!(
                    job = task.name,
                    instance = task.instance,
                    "running without a lease; another daemon may run the job too: {error}"
                );
                LeaseDecision::Go(None)
            }
        }
    }
}

impl HeldLease {
    /// Returns the newest run that was completed under this lease.
    #[must_use]
    pub fn done(&self) -> Option<Timestamp> {
        self.lease.done()
    }

    /// Renews the lease until `work` is done, and returns its result.
    pub async fn during<T>(&mut self, task: &JobTask, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let mut ours = true;
        loop {
            // Three attempts per lease term.
            let pause = tokio::time::sleep(self.leases.term() / 3);
            tokio::select! {
                result = &mut work => return result,
                () = pause, if ours => {}
            }
            // Renewing must not delay the end of the work.
            let renewed = tokio::select! {
                result = &mut work => return result,
                renewed = within(self.leases.renew(&mut self.lease)) => renewed,
            };
            match renewed {
                Ok(true) => {}
                Ok(false) => {
                    ours = false;
                    warn!(
                        job = task.name,
                        instance = task.instance,
                        "another daemon took over the lease while the job was running"
                    );
                }
                Err(error) => warn!(job = task.name, instance = task.instance, "the lease was not renewed: {error}"),
            }
        }
    }

    /// Releases the lease. `done` is the run, if it was completed.
    pub async fn release(self, task: &JobTask, done: Option<Timestamp>) {
        if let Err(error) = within(self.leases.release(&self.lease, done)).await {
            warn!(job = task.name, instance = task.instance, "cannot release the lease; it will expire: {error}");
        }
    }
}

/// Reason for a failed lease operation.
#[derive(Debug, thiserror::Error)]
enum LeaseFailure {
    #[error("{0}{cause}", cause = cause(.0))]
    Lease(LeaseError),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
}

fn cause(error: &LeaseError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

async fn within<T>(work: impl Future<Output = Result<T, LeaseError>>) -> Result<T, LeaseFailure> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result.map_err(LeaseFailure::Lease),
        Err(_) => Err(LeaseFailure::Late),
    }
}
