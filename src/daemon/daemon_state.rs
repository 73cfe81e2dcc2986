//! What the run loop shows to the outside: written by the loop, read by the HTTP server.
//!
//! A lock is held only to put something in its place or to take a reference to it. Nothing is rendered, read or awaited
//! under it, so no reader can slow the loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::run_statistics::RunStatistics;
use crate::job::status::{InventorySummary, Status};
use crate::model::{Clock, Timestamp};
use crate::repository::ledger::Ledger;

/// What a daemon is doing about its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DaemonRole {
    /// It has not found out yet.
    #[default]
    Starting,
    /// It runs the jobs.
    Running,
    /// Another one runs them; it would take over.
    StandingBy,
    /// It ends, and starts nothing any more.
    Stopping,
}

impl DaemonRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Running, Self::StandingBy, Self::Stopping];

    /// The word used in metrics.
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

/// One job as its configuration and the loop have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// The command that it runs, such as `backup`.
    pub kind: String,
    /// The longest time that its schedule lets pass between two runs; `None` when it never runs again.
    pub interval: Option<Duration>,
    /// When it is due next, before any jitter.
    pub next: Option<Timestamp>,
    /// Whether it runs just now.
    pub running: bool,
}

/// Everything that is shown of one instance and its repository.
#[derive(Debug, Clone)]
pub struct InstanceView {
    /// Its name in the configuration; empty where there is only one.
    pub name: String,
    /// Its runs.
    pub tally: RunStatistics,
    /// Its jobs; none for a command run by hand without a `[jobs]` table.
    pub jobs: Vec<JobView>,
    /// What its repository says; nothing before it was read.
    pub repository: Option<Arc<RepositoryView>>,
    /// Whether names of items may be shown.
    pub names: bool,
}

/// What a repository says.
#[derive(Debug, Clone)]
pub struct RepositoryView {
    /// How it stands.
    pub status: Status,
    /// The highest sequence in its ledger.
    pub sequence: u64,
    /// The inventory of its newest good snapshot; nothing without one, or without a key that opens catalogues.
    pub inventory: Option<InventorySummary>,
}

impl RepositoryView {
    /// What a ledger and its status say, without an inventory.
    #[must_use]
    pub fn new(ledger: &Ledger, status: Status) -> Self {
        let sequence = ledger.heads().iter().map(|head| head.sequence).max().unwrap_or(0);
        Self { status, sequence, inventory: None }
    }
}

impl InstanceView {
    /// An instance of which only its name is known.
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

/// The daemon_state. Clones show the same.
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
    /// By a monotonic clock.
    ticked: Instant,
    configured: bool,
    reached: bool,
    role: DaemonRole,
    reload_failed: bool,
    /// What each repository said, and whether names may be shown.
    learned: BTreeMap<String, (Arc<RepositoryView>, bool)>,
}

/// Whether a daemon can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// It has a valid configuration.
    pub configured: bool,
    /// Its repositories were reached at least once since it started.
    pub reached: bool,
}

impl Readiness {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_ready(self) -> bool {
        self.configured && self.reached
    }
}

impl DaemonState {
    /// An empty daemon_state. A loop that has not [ticked](DaemonState::heartbeat) for `alive_within` counts as dead; creating the daemon_state is
    /// the first tick.
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

    /// The loop is alive.
    pub fn heartbeat(&self) {
        self.lock().ticked = Instant::now();
    }

    /// A configuration is in force; with `reload_failed`, that is the one before, as the newest was wrong.
    pub fn configured(&self, reload_failed: bool) {
        let mut shown = self.lock();
        shown.configured = true;
        shown.reload_failed = reload_failed;
    }

    /// Every repository was reached since the start.
    pub fn reached(&self) {
        self.lock().reached = true;
    }

    /// What the daemon does now.
    pub fn set_role(&self, role: DaemonRole) {
        self.lock().role = role;
    }

    /// Shows an instance in place of what was shown under its name, with what is known of its repository.
    pub fn set_instance(&self, mut instance: InstanceView) {
        let mut shown = self.lock();
        if let Some((view, names)) = shown.learned.get(&instance.name) {
            instance.repository = Some(Arc::clone(view));
            instance.names = *names;
        }
        let instance = Arc::new(instance);
        let before = shown.instances.insert(instance.name.clone(), instance);
        drop(shown);
        // Freed here, after the lock was given back.
        drop(before);
    }

    /// Shows what the repository of an instance says, from now on; with the names of items where `names` allows it.
    pub fn set_repository(&self, name: &str, view: RepositoryView, names: bool) {
        let view = Arc::new(view);
        let mut shown = self.lock();
        let before = shown.learned.insert(name.to_owned(), (Arc::clone(&view), names));
        let fresh = shown.instances.get(name).map(|current| {
            // Counters and jobs: small. What is large is behind a reference.
            Arc::new(InstanceView { repository: Some(view), names, ..current.as_ref().clone() })
        });
        let stale = fresh.and_then(|fresh| shown.instances.insert(name.to_owned(), fresh));
        drop(shown);
        drop((before, stale));
    }

    /// What the repository of an instance said last.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<Arc<RepositoryView>> {
        self.lock().learned.get(name).map(|(view, _)| Arc::clone(view))
    }

    /// A run has ended: what is known of the repository is old.
    pub fn end_run(&self) {
        self.ended.notify_one();
    }

    /// Waits until a run has ended since the last time.
    pub async fn run_ended(&self) {
        self.ended.notified().await;
    }

    /// Forgets instances that are no longer in the configuration.
    pub fn keep_only(&self, names: &[String]) {
        let mut shown = self.lock();
        shown.instances.retain(|name, _| names.contains(name));
        shown.learned.retain(|name, _| names.contains(name));
    }

    /// The instance shown under that name.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<Arc<InstanceView>> {
        self.lock().instances.get(name).cloned()
    }

    /// Every instance, by name.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<InstanceView>> {
        self.lock().instances.values().cloned().collect()
    }

    /// Whether the loop ticks.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.lock().ticked.elapsed() <= self.alive_within
    }

    /// Whether the daemon can do its work.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let shown = self.lock();
        Readiness { configured: shown.configured, reached: shown.reached }
    }

    /// What the daemon does now.
    #[must_use]
    pub fn role(&self) -> DaemonRole {
        self.lock().role
    }

    /// Whether the newest configuration was wrong, so that the one before is in force.
    #[must_use]
    pub fn reload_failed(&self) -> bool {
        self.lock().reload_failed
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, DaemonPage> {
        // Every change under the lock is a single assignment: what a panic elsewhere leaves is whole.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
