//! A simulated world around the run loop: a clock that follows tokio's paused time and can be set, jobs that take simulated
//! time, ledgers in memory or in a real repository.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use keyhaven::daemon::engine::{Engine, Ports, Setup};
use keyhaven::daemon::kinds;
use keyhaven::daemon::lease_manager::LeaseManager;
use keyhaven::daemon::notify::RunStart;
use keyhaven::daemon::plan::{CompletedSlot, TakeoverPolicy};
use keyhaven::daemon::ports::{AttemptOutcome, Ledgers, RunObserver, RunRequest, Runner, StopRequest};
use keyhaven::daemon::task::{JobTask, TaskId};
use keyhaven::daemon::{DaemonRole, JobRun, JobView, RunOutcome};
use keyhaven::job::RunFacts;
use keyhaven::model::{Clock, ScheduledRun, Timestamp};
use keyhaven::schedule::Schedule;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::clock::SimulatedClock;

/// What was run, in memory: also the ledger that all daemons of the world see.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    /// Every run that came to its end: instance, due, when it was.
    pub(crate) done: Mutex<Vec<(String, ScheduledRun, Timestamp)>>,
    /// Every attempt: name of the job, when it began, when it ended.
    pub(crate) attempts: Mutex<Vec<(String, Timestamp, Option<Timestamp>)>>,
}

impl RunLog {
    /// The due moments of a job that were done, each as often as it was.
    pub(crate) fn slots(&self, job: &str) -> Vec<Timestamp> {
        let done = self.done.lock().unwrap();
        let mut slots: Vec<_> = done.iter().filter(|(_, due, _)| due.job == job).map(|(_, due, _)| due.at).collect();
        slots.sort();
        slots
    }

    pub(crate) fn began(&self, job: &str) -> Vec<Timestamp> {
        let attempts = self.attempts.lock().unwrap();
        attempts.iter().filter(|(name, _, _)| name == job).map(|(_, began, _)| *began).collect()
    }
}

#[async_trait]
impl Ledgers for RunLog {
    async fn filled(&self, instance: &str, job: &str, until: Timestamp) -> Result<Option<CompletedSlot>, String> {
        let done = self.done.lock().unwrap();
        let of = done.iter().filter(|(of, due, _)| of == instance && due.job == job && due.at <= until);
        let newest = of.max_by_key(|(_, due, _)| due.at);
        Ok(newest.map(|(_, due, _)| CompletedSlot { at: due.at, took_millis: 5_000, contested: false }))
    }
}

/// Runs that take their time and end as planned: `takes` for all, `fails` for the first so many.
#[derive(Debug)]
pub(crate) struct Pretend {
    pub(crate) book: Arc<RunLog>,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) takes: Duration,
    pub(crate) endings: Mutex<Vec<RunOutcome>>,
}

#[async_trait]
impl Runner for Pretend {
    async fn run(&self, order: &RunRequest, stop: &StopRequest) -> AttemptOutcome {
        let number = {
            let mut attempts = self.book.attempts.lock().unwrap();
            attempts.push((order.due.job.clone(), self.clock.now(), None));
            attempts.len() - 1
        };
        let planned = self.endings.lock().unwrap().pop();
        let ending = tokio::select! {
            () = tokio::time::sleep(self.takes) => planned.unwrap_or(RunOutcome::Succeeded),
            () = stop.soon.cancelled() => RunOutcome::Interrupted,
        };
        let now = self.clock.now();
        self.book.attempts.lock().unwrap()[number].2 = Some(now);
        if ending == RunOutcome::Succeeded {
            self.book.done.lock().unwrap().push((order.instance.clone(), order.due.clone(), now));
        }
        AttemptOutcome { ending, facts: RunFacts::default(), why: None }
    }
}

/// Remembers what it hears.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    pub(crate) runs: Mutex<Vec<(JobRun, bool)>>,
    pub(crate) role: Mutex<Option<DaemonRole>>,
    /// A hook that forbids everything.
    pub(crate) veto: Mutex<bool>,
}

#[async_trait]
impl RunObserver for Ear {
    async fn run_started(&self, _start: &RunStart) -> Result<(), String> {
        if *self.veto.lock().unwrap() { Err("the hook says no".to_owned()) } else { Ok(()) }
    }

    async fn run_finished(&self, run: &JobRun, again: bool) {
        self.runs.lock().unwrap().push((run.clone(), again));
    }

    fn show(&self, _states: &[(TaskId, JobView)], role: DaemonRole) {
        *self.role.lock().unwrap() = Some(role);
    }

    fn pulse(&self) {}

    fn reached(&self) {}
}

/// A job by its cron line, every member as a test would have it.
pub(crate) fn task(name: &str, kind: &str, line: &str, zone: &str) -> JobTask {
    JobTask {
        instance: String::new(),
        name: name.to_owned(),
        kind: kinds::find(kind).unwrap(),
        schedule: Schedule::new(line, zone).unwrap(),
        jitter: Duration::ZERO,
        deadline: Duration::from_secs(3_600),
        retries: 0,
        retry_after: Duration::from_secs(60),
        catch_up: true,
        arguments: Vec::new(),
    }
}

/// What one daemon is made of.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) tasks: Vec<JobTask>,
    pub(crate) remembered: BTreeMap<TaskId, Timestamp>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) ledgers: Arc<dyn Ledgers>,
    pub(crate) leases: LeaseManager,
    pub(crate) ear: Arc<Ear>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) takeover_after: Duration,
}

/// A daemon that runs.
pub(crate) struct Daemon {
    task: JoinHandle<()>,
    stop: CancellationToken,
    pub(crate) setups: mpsc::Sender<Setup>,
    pub(crate) ear: Arc<Ear>,
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Daemon")
    }
}

impl Host {
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            tasks: self.tasks.iter().cloned().map(Arc::new).collect(),
            remembered: self.remembered.clone(),
            turns: TakeoverPolicy { salt: self.name.clone(), takeover_after: self.takeover_after },
            max_running: 4,
            stop_within: Duration::from_secs(60),
            ports: Ports {
                runner: Arc::clone(&self.runner),
                ledgers: Arc::clone(&self.ledgers),
                leases: self.leases.clone(),
                audience: Arc::clone(&self.ear) as Arc<dyn RunObserver>,
                clock: Arc::clone(&self.clock),
            },
        }
    }

    pub(crate) fn start(&self) -> Daemon {
        let (setups, incoming) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let engine = Engine::new(self.setup());
        let task = tokio::spawn(engine.run(incoming, stop.clone()));
        Daemon { task, stop, setups, ear: Arc::clone(&self.ear) }
    }
}

impl Daemon {
    /// The machine loses its power: whatever was under way is gone.
    pub(crate) fn vanish(self) {
        self.task.abort();
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}
