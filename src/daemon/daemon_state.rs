//! State that the run loop publishes: written by the loop, read by the HTTP server.
//!
//! The lock is held only to replace a value or to copy a reference. Nothing is rendered, read or awaited under it, so
//! no reader can slow the loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::run_statistics::RunStatistics;
use crate::job::status::{InventorySummary, Status};
use crate::model::{Clock, Timestamp};
use crate::repository::ledger::Ledger;

/// Role of this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DaemonRole {
    /// Not known yet.
    #[default]
    Starting,
    /// Runs the jobs.
    Running,
    /// Another daemon runs them; this one would take over.
    StandingBy,
    /// Ends, and starts no further job.
    Stopping,
}

impl DaemonRole {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Running, Self::StandingBy, Self::Stopping];

    /// Name used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::StandingBy => "standing_by",
            Self::Stopping => "stopping",
        }
    }
}

/// One job, from its configuration and the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Job name.
    pub name: String,
    /// Command that it runs, such as `backup`.
    pub kind: String,
    /// Longest time between two scheduled runs; `None` if it never runs again.
    pub interval: Option<Duration>,
    /// Next scheduled time, before any jitter.
    pub next: Option<Timestamp>,
    /// True while it runs.
    pub running: bool,
}

/// Everything published about one instance and its repository.
#[derive(Debug, Clone)]
pub struct InstanceView {
    /// Instance name from the configuration; empty if there is only one.
    pub name: String,
    /// Statistics of its runs.
    pub tally: RunStatistics,
    /// Its jobs; empty for a command run by hand without a `[jobs]` table.
    pub jobs: Vec<JobView>,
    /// Its repository; `None` until it was first read.
    pub repository: Option<Arc<RepositoryView>>,
    /// True if item names may be shown.
    pub names: bool,
}

/// State of a repository.
#[derive(Debug, Clone)]
pub struct RepositoryView {
    /// Its status.
    pub status: Status,
    /// Highest sequence in its ledger.
    pub sequence: u64,
    /// Inventory of its newest good snapshot; `None` without one, or without a key that opens catalogues.
    pub inventory: Option<InventorySummary>,
}

impl RepositoryView {
    /// Creates a view from a ledger and its status, without an inventory.
    #[must_use]
    pub fn new(ledger: &Ledger, status: Status) -> Self {
        let sequence = ledger.heads().iter().map(|head| head.sequence).max().unwrap_or(0);
        Self { status, sequence, inventory: None }
    }
}

impl InstanceView {
    /// Creates a view that holds only a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tally: RunStatistics::forgetful(),
            jobs: Vec::new(),
            repository: None,
            names: false,
        }
    }
}

/// Shared state of a daemon. Clones share the same data.
#[derive(Debug, Clone)]
pub struct DaemonState {
    clock: Arc<dyn Clock>,
    alive_within: Duration,
    ended: Arc<Notify>,
    shown: Arc<Mutex<DaemonPage>>,
}

#[derive(Debug)]
struct DaemonPage {
    instances: BTreeMap<String, Arc<InstanceView>>,
    /// Monotonic time of the last heartbeat.
    ticked: Instant,
    configured: bool,
    reached: bool,
    role: DaemonRole,
    reload_failed: bool,
    /// Last view of each repository, and whether item names may be shown.
    learned: BTreeMap<String, (Arc<RepositoryView>, bool)>,
}

/// Readiness of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// True if a valid configuration is in force.
    pub configured: bool,
    /// True if all repositories were reached at least once since the start.
    pub reached: bool,
}

impl Readiness {
    /// True if nothing is missing.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self.configured && self.reached
    }
}

impl DaemonState {
    /// Creates an empty state. A loop without a [heartbeat](DaemonState::heartbeat) for `alive_within` counts as dead;
    /// creation counts as the first heartbeat.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, alive_within: Duration) -> Self {
        let shown = DaemonPage {
            instances: BTreeMap::new(),
            ticked: Instant::now(),
            configured: false,
            reached: false,
            role: DaemonRole::Starting,
            reload_failed: false,
            learned: BTreeMap::new(),
        };
        Self { clock, alive_within, ended: Arc::default(), shown: Arc::new(Mutex::new(shown)) }
    }

    /// Records that the loop is alive.
    pub fn heartbeat(&self) {
        self.lock().ticked = Instant::now();
    }

    /// Records that a configuration is in force. With `reload_failed` it is the previous one, because the newest was
    /// invalid.
    pub fn configured(&self, reload_failed: bool) {
        let mut shown = self.lock();
        shown.configured = true;
        shown.reload_failed = reload_failed;
    }

    /// Records that every repository was reached since the start.
    pub fn reached(&self) {
        self.lock().reached = true;
    }

    /// Sets the role.
    pub fn set_role(&self, role: DaemonRole) {
        self.lock().role = role;
    }

    /// Replaces the view of an instance, and adds what is known about its repository.
    pub fn set_instance(&self, mut instance: InstanceView) {
        let mut shown = self.lock();
        if let Some((view, names)) = shown.learned.get(&instance.name) {
            instance.repository = Some(Arc::clone(view));
            instance.names = *names;
        }
        let instance = Arc::new(instance);
        let before = shown.instances.insert(instance.name.clone(), instance);
        drop(shown);
        // Freed here, after the lock was released.
        drop(before);
    }

    /// Publishes the view of an instance's repository, with item names if `names` is true.
    pub fn set_repository(&self, name: &str, view: RepositoryView, names: bool) {
        let view = Arc::new(view);
        let mut shown = self.lock();
        let before = shown.learned.insert(name.to_owned(), (Arc::clone(&view), names));
        let fresh = shown.instances.get(name).map(|current| {
            // The clone is cheap: counters and jobs are small, and large data is behind a reference.
            Arc::new(InstanceView { repository: Some(view), names, ..current.as_ref().clone() })
        });
        let stale = fresh.and_then(|fresh| shown.instances.insert(name.to_owned(), fresh));
        drop(shown);
        drop((before, stale));
    }

    /// Returns the last view of an instance's repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<Arc<RepositoryView>> {
        self.lock().learned.get(name).map(|(view, _)| Arc::clone(view))
    }

    /// Signals that a run has ended, so that the view of its repository is out of date.
    pub fn end_run(&self) {
        self.ended.notify_one();
    }

    /// Waits until a run has ended since the previous call.
    pub async fn run_ended(&self) {
        self.ended.notified().await;
    }

    /// Removes instances that are no longer in the configuration.
    pub fn keep_only(&self, names: &[String]) {
        let mut shown = self.lock();
        shown.instances.retain(|name, _| names.contains(name));
        shown.learned.retain(|name, _| names.contains(name));
    }

    /// Returns the view of an instance.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<Arc<InstanceView>> {
        self.lock().instances.get(name).cloned()
    }

    /// Returns all instances, ordered by name.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<InstanceView>> {
        self.lock().instances.values().cloned().collect()
    }

    /// True if the loop sends heartbeats.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.lock().ticked.elapsed() <= self.alive_within
    }

    /// Returns the readiness.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let shown = self.lock();
        Readiness { configured: shown.configured, reached: shown.reached }
    }

    /// Returns the role.
    #[must_use]
    pub fn role(&self) -> DaemonRole {
        self.lock().role
    }

    /// True if the newest configuration was invalid and the previous one is in force.
    #[must_use]
    pub fn reload_failed(&self) -> bool {
        self.lock().reload_failed
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, DaemonPage> {
        // Every change under the lock is a single assignment, so a panic elsewhere leaves consistent state.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
