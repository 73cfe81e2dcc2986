//! Observers of the daemon's runs: hooks and notifications, counters, the daemon's state, the service manager.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ledgers::Repositories;
use crate::cli::app::App;
use crate::cli::clock::SystemClock;
use crate::cli::{run_hooks, services};
use crate::config::Settings;
use crate::daemon::notify::{Freshness, NotifyWarning, RunStart, StartedRun};
use crate::daemon::ports::RunObserver;
use crate::daemon::systemd::ServiceManager;
use crate::daemon::task::TaskId;
use crate::daemon::{DaemonRole, DaemonState, InstanceView, JobRun, JobView, Notifier, RunStatistics};
use crate::job::status::{Objectives, status};
use crate::model::Clock as _;

/// Observer of the runs of one instance.
#[derive(Debug)]
struct InstanceObserver {
    notifier: Notifier,
    tally: Arc<Mutex<RunStatistics>>,
    objectives: Objectives,
}

/// State of every job and of the daemon.
type ShownJobs = (Vec<(TaskId, JobView)>, DaemonRole);

#[derive(Debug)]
pub(super) struct DaemonObserver {
    instances: BTreeMap<String, InstanceObserver>,
    daemon_state: DaemonState,
    manager: Arc<ServiceManager>,
    repositories: Arc<Repositories>,
    stop_within: std::time::Duration,
    /// The daemon was asked to end.
    stop: CancellationToken,
    /// Attempts that were told to begin.
    begun: Mutex<BTreeMap<TaskId, StartedRun>>,
    /// The state shown last.
    shown: Mutex<Option<ShownJobs>>,
}

impl DaemonObserver {
    pub(super) fn new(
        app: &App,
        settings: &[Settings],
        mut tallies: BTreeMap<String, RunStatistics>,
        daemon_state: &DaemonState,
        manager: &Arc<ServiceManager>,
        repositories: Arc<Repositories>,
    ) -> Self {
        let instances = settings.iter().map(|settings| {
            let name = settings.instance().to_owned();
            let tally = tallies.remove(&name).unwrap_or_else(RunStatistics::forgetful);
            let one = InstanceObserver {
                notifier: run_hooks::notifier(app, settings),
                tally: Arc::new(Mutex::new(tally)),
                objectives: services::objectives(settings),
            };
            (name, one)
        });
        Self {
            instances: instances.collect(),
            daemon_state: daemon_state.clone(),
            manager: Arc::clone(manager),
            repositories,
            stop_within: settings.first().map(|settings| settings.daemon().stop_within.0).unwrap_or_default(),
            stop: app.cancel().clone(),
            begun: Mutex::default(),
            shown: Mutex::default(),
        }
    }

    /// Counts a run, here and in the state folder.
    async fn count(&self, one: &InstanceObserver, run: &JobRun) {
        let (tally, run) = (Arc::clone(&one.tally), run.clone());
        let saved = tokio::task::spawn_blocking(move || {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.take(&run);
            tally.save()
        });
        match saved.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("{error}"),
            Err(error) => warn!("a run was not counted: {error}"),
        }
    }

    /// Tells whether what the repository holds is fresh enough, as far as that can be known.
    async fn tell_freshness(&self, one: &InstanceObserver, instance: &str) -> Vec<NotifyWarning> {
        let Ok(ledger) = self.repositories.ledger(instance).await else { return Vec::new() };
        let objectives = one.objectives;
        let now = SystemClock.now();
        let stale = status(&ledger, &objectives, now).stale.iter().map(ToString::to_string).collect();
        one.notifier.freshness(&Freshness { instance: instance.to_owned(), stale, at: now }).await
    }
}

#[async_trait]
impl RunObserver for DaemonObserver {
    async fn run_started(&self, start: &RunStart) -> Result<(), String> {
        let Some(one) = self.instances.get(&start.instance) else { return Ok(()) };
        let started = one.notifier.run_started(start, &self.stop).await;
        let veto = started.veto().map(ToString::to_string);
        let id = (start.instance.clone(), start.job.clone());
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(id, started);
        veto.map_or(Ok(()), Err)
    }

    async fn run_finished(&self, run: &JobRun, again: bool) {
        let Some(one) = self.instances.get(&run.instance) else { return };
        self.count(one, run).await;
        self.daemon_state.end_run();
        // What is shown next has the new counters in it.
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let id = (run.instance.clone(), run.job.clone());
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let mut warnings = Vec::new();
        if let Some(started) = begun {
            warnings.extend(one.notifier.run_finished(started, run, again).await);
        }
        if !again && !one.notifier.is_silent() {
            warnings.extend(self.tell_freshness(one, &run.instance).await);
        }
        for warning in warnings {
            warn!(job = run.job, instance = run.instance, "not notified: {warning}");
        }
    }

    fn show(&self, states: &[(TaskId, JobView)], role: DaemonRole) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (states.to_vec(), role);
        if shown.as_ref() == Some(&now) {
            return;
        }
        *shown = Some(now);
        drop(shown);
        self.daemon_state.set_role(role);
        if role == DaemonRole::Stopping {
            self.manager.stopping(self.stop_within);
        }
        for (name, one) in &self.instances {
            let mut instance = InstanceView::new(name);
            // Held for as long as a file takes to write while a run is counted; then the next time will do.
            let Ok(tally) = one.tally.try_lock() else {
                *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = None;
                continue;
            };
            instance.tally = tally.clone();
            drop(tally);
            let jobs = states.iter().filter(|((instance, _), _)| instance == name);
            instance.jobs = jobs.map(|(_, view)| view.clone()).collect();
            self.daemon_state.set_instance(instance);
        }
        let running = states.iter().filter(|(_, view)| view.running).count();
        let next = states.iter().filter_map(|(_, view)| Some((view.next?, &view.name))).min();
        let next = next.map(|(at, name)| format!(", next {name} at {at}")).unwrap_or_default();
        self.manager.status(&format!("{}: {running} of {} jobs running{next}", role.as_str(), states.len()));
    }

    fn pulse(&self) {
        self.daemon_state.heartbeat();
        self.manager.pulse();
    }

    fn reached(&self) {
        self.daemon_state.reached();
    }
}
