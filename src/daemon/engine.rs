//! The run loop: starts due jobs, records their results, and applies configuration changes while running.
//!
//! One task does all of it and never waits on work: everything that takes time is an attempt, polled next to the
//! others. It sleeps by the monotonic clock, never longer than [`PULSE`], and decides by the wall clock after every
//! sleep. So a clock that jumps, or a host that slept, is followed within that time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::attempt::{self, AttemptResult};
use super::lease_manager::LeaseManager;
use super::plan::{JobProgress, Step, TakeoverPolicy, choose};
use super::ports::{Ledgers, RunObserver, Runner, StopRequest};
use super::task::{JobTask, TaskId};
use super::{DaemonRole, JobView};
use crate::model::{Clock, Timestamp};

/// Longest sleep of the loop. Bounds how late a clock jump is noticed, and sets the heartbeat rate.
pub const PULSE: Duration = Duration::from_secs(5);
/// Time to wait for a run to end after SIGKILL.
pub(super) const KILLED: Duration = Duration::from_secs(5);
/// Delay after the end of another daemon's lease before a slot is checked again: the lease margin plus one second.
const PAST_LEASE_MILLIS: i64 = 6_000;
/// Longest wait for another daemon's lease without checking again.
const LEASE_LOOK_MILLIS: i64 = 5 * 60 * 1_000;

/// Number of ledgers read in parallel when a daemon with many instances starts.
const QUESTIONS: usize = 16;
/// Maximum age of the computed longest interval, in milliseconds. It changes only with daylight saving.
const MEASURED_MILLIS: i64 = 6 * 60 * 60 * 1_000;

/// External services of one configuration.
#[derive(Debug)]
pub struct Ports {
    /// Runs jobs.
    pub runner: Arc<dyn Runner>,
    /// Says which slots are completed.
    pub ledgers: Arc<dyn Ledgers>,
    /// Leases, which other daemons may hold.
    pub leases: LeaseManager,
    /// Receives every event.
    pub audience: Arc<dyn RunObserver>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
}

/// One configuration, ready to run.
#[derive(Debug)]
pub struct Setup {
    /// Every job on each of its instances.
    pub tasks: Vec<Arc<JobTask>>,
    /// Last run of each task that this host remembers.
    pub remembered: BTreeMap<TaskId, Timestamp>,
    /// Takeover policy.
    pub turns: TakeoverPolicy,
    /// Maximum number of concurrent jobs.
    pub max_running: usize,
    /// Time that jobs get to end when the daemon ends.
    pub stop_within: Duration,
    /// External services.
    pub ports: Ports,
}

/// Activity in progress for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskActivity {
    No,
    /// Asking the ledger for the last completed slot.
    Asking,
    /// Attempting a slot.
    Trying,
}

/// State of a task.
#[derive(Debug)]
struct TaskState {
    task: Arc<JobTask>,
    progress: JobProgress,
    busy: TaskActivity,
    /// True if it is no longer in the configuration and only its last run is still in progress.
    gone: bool,
    /// Longest time between two runs, and when it was computed.
    interval: (Option<Duration>, Timestamp),
    /// Slot and attempt for which the ledger was asked last. The attempt may start if the decision is unchanged.
    cleared: Option<(Timestamp, u32)>,
    /// True if the ledger was ever read for it.
    read: bool,
}

type Attempt = BoxFuture<'static, (TaskId, Option<(Timestamp, u32)>, AttemptResult)>;

/// The run loop.
pub struct Engine {
    turns: TakeoverPolicy,
    max_running: usize,
    stop_within: Duration,
    ports: Arc<Ports>,
    /// By instance and name.
    states: BTreeMap<TaskId, TaskState>,
    attempts: FuturesUnordered<Attempt>,
    stop: StopRequest,
    stopping: bool,
    reached: bool,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("states", &self.states).finish_non_exhaustive()
    }
}

impl Engine {
    /// Creates a loop with this configuration, without starting anything.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let mut engine = Self {
            turns: setup.turns.clone(),
            max_running: setup.max_running,
            stop_within: setup.stop_within,
            ports: Arc::new(setup.ports),
            states: BTreeMap::new(),
            attempts: FuturesUnordered::new(),
            stop: StopRequest::default(),
            stopping: false,
            reached: false,
        };
        engine.take_tasks(setup.tasks, &setup.remembered);
        engine
    }

    /// Applies another configuration. Running jobs finish under the old one; jobs in both keep their state.
    fn swap(&mut self, setup: Setup) {
        self.turns = setup.turns;
        self.max_running = setup.max_running;
        self.stop_within = setup.stop_within;
        self.ports = Arc::new(setup.ports);
        self.take_tasks(setup.tasks, &setup.remembered);
    }

    fn take_tasks(&mut self, tasks: Vec<Arc<JobTask>>, remembered: &BTreeMap<TaskId, Timestamp>) {
        let now = self.ports.clock.now();
        let mut before = std::mem::take(&mut self.states);
        for task in tasks {
            let id = task.id();
            let interval = (task.schedule.interval(now), now);
            let state = match before.remove(&id) {
                Some(known) => TaskState { task, interval, gone: false, ..known },
                None => TaskState {
                    progress: JobProgress::new(remembered.get(&id).copied(), now),
                    task,
                    busy: TaskActivity::No,
                    gone: false,
                    interval,
                    cleared: None,
                    read: false,
                },
            };
            self.states.insert(id, state);
        }
        // Keep a removed task until its run has ended: no task that it excludes may start meanwhile, and another
        // configuration may bring it back.
        let running = before.into_iter().filter(|(_, state)| state.busy != TaskActivity::No);
        self.states.extend(running.map(|(id, state)| (id, TaskState { gone: true, ..state })));
    }

    /// Runs until `stop` is cancelled and every job has ended. Applies configurations that arrive meanwhile.
    pub async fn run(mut self, mut setups: mpsc::Receiver<Setup>, stop: CancellationToken) {
        loop {
            self.ports.audience.pulse();
            let wake = self.start_what_is_due();
            self.show();
            tokio::select! {
                Some((id, slot, came)) = self.attempts.next(), if !self.attempts.is_empty() => self.take(&id, slot, came),
                Some(setup) = setups.recv() => self.swap(setup),
                () = stop.cancelled() => break,
                () = sleep(wake) => {}
            }
        }
        self.finish().await;
    }

    /// Starts nothing new, asks running jobs to end, waits, then kills them.
    async fn finish(mut self) {
        self.stopping = true;
        self.show();
        let running = self.states.values().filter(|state| state.busy == TaskActivity::Trying).count();
        info!(running, within = self.stop_within.as_secs(), "stopping: no new jobs are started");
        self.stop.soon.cancel();
        let until = Instant::now() + self.stop_within;
        for (until, last) in [(until, false), (until + KILLED, true)] {
            while !self.attempts.is_empty() {
                self.ports.audience.pulse();
                let step = until.min(Instant::now() + PULSE);
                match timeout_at(step, self.attempts.next()).await {
                    Ok(Some((id, slot, came))) => self.take(&id, slot, came),
                    Ok(None) => break,
                    Err(_) if Instant::now() >= until => break,
                    Err(_) => {}
                }
            }
            if !last && !self.attempts.is_empty() {
                warn!("{} job(s) did not end in time and are killed", self.attempts.len());
                self.stop.now.cancel();
            }
        }
    }

    /// Starts every due job that may run, and returns how long there is nothing to do.
    fn start_what_is_due(&mut self) -> Duration {
        let now = self.ports.clock.now();
        let mut wake = PULSE;
        let mut wanting: Vec<(TaskId, Timestamp, u32)> = Vec::new();
        let mut asking_now = self.states.values().filter(|state| state.busy == TaskActivity::Asking).count();
        for (id, state) in self.states.iter_mut().filter(|(_, state)| state.busy == TaskActivity::No) {
            match state.progress.step(&state.task, &self.turns, now) {
                Step::Look if asking_now >= QUESTIONS => {}
                Step::Look => {
                    asking_now += 1;
                    state.busy = TaskActivity::Asking;
                    self.attempts.push(asking(&self.ports, state, None));
                }
                Step::Wait(until) => {
                    state.cleared = None;
                    let left = until.map_or(PULSE, |until| millis(until.millis_since(now)));
                    wake = wake.min(left);
                }
                Step::Skip(slot) => {
                    let (job, instance) = (&state.task.name, &state.task.instance);
                    info!(job, instance, due = %slot, "missed; not caught up because `catch_up` is off");
                    wake = Duration::ZERO;
                }
                Step::Run { slot, attempt } => wanting.push((id.clone(), slot, attempt)),
            }
        }
        let chosen = self.chosen(&wanting);
        for (id, slot, attempt) in wanting {
            let Some(state) = self.states.get_mut(&id) else { continue };
            if !chosen.contains(&id) {
                // It waits for others; the ledger's answer will be out of date by then.
                state.cleared = None;
                continue;
            }
            state.busy = TaskActivity::Trying;
            // Another daemon may have done it: ask the ledger first, then decide again after its answer.
            let clear = state.cleared.take() == Some((slot, attempt));
            self.attempts.push(if clear {
                running(&self.ports, state, slot, attempt, self.stop.clone())
            } else {
                asking(&self.ports, state, Some((slot, attempt)))
            });
        }
        wake
    }

    /// Selects the tasks that may run now.
    fn chosen(&self, wanting: &[(TaskId, Timestamp, u32)]) -> Vec<TaskId> {
        // Do not sort by slot: if slots come faster than free places, every waiting task has the same newest slot.
        let since = |state: &TaskState, slot| state.progress.wanting().unwrap_or(slot);
        let tasks = wanting.iter().filter_map(|(id, slot, _)| {
            let state = self.states.get(id)?;
            Some((&*state.task, since(state, *slot)))
        });
        let tasks: Vec<(&JobTask, Timestamp)> = tasks.collect();
        let trying = self.states.values().filter(|state| state.busy == TaskActivity::Trying);
        let trying: Vec<&JobTask> = trying.map(|state| &*state.task).collect();
        let chosen = choose(&tasks, &trying, self.max_running);
        chosen.into_iter().filter_map(|at| Some(wanting.get(at)?.0.clone())).collect()
    }

    /// Records the result of an attempt.
    fn take(&mut self, id: &TaskId, of: Option<(Timestamp, u32)>, came: AttemptResult) {
        let now = self.ports.clock.now();
        let Some(state) = self.states.get_mut(id) else { return };
        state.busy = TaskActivity::No;
        if now.millis_since(state.interval.1).abs() > MEASURED_MILLIS {
            state.interval = (state.task.schedule.interval(now), now);
        }
        match (came, of) {
            (AttemptResult::Looked(answer), of) => {
                let first = !state.read && answer.is_some();
                state.read |= answer.is_some();
                match answer {
                    Some(filled) => state.progress.saw(filled),
                    None => state.progress.saw_nothing(),
                }
                state.cleared = of;
                if first && of.is_none() {
                    announce(state, &self.turns, now);
                }
            }
            (AttemptResult::Filled(filled), _) => state.progress.saw(Some(filled)),
            (AttemptResult::HeldBack(until), Some((slot, attempt))) => {
                let look = until.plus_millis(PAST_LEASE_MILLIS).min(now.plus_millis(LEASE_LOOK_MILLIS));
                state.progress.held_back(slot, attempt, look);
            }
            (AttemptResult::Ran(ending), Some((slot, attempt))) => {
                let again = state.progress.ended(&state.task, &self.turns, slot, attempt, &ending, now);
                if let (Some(at), false) = (again, self.stopping) {
                    info!(job = state.task.name, instance = state.task.instance, %at, "will be tried again");
                }
            }
            (came, None) => debug!("an attempt without a slot came to {came:?}"),
        }
        if state.gone {
            self.states.remove(id);
        }
        if !self.reached && self.states.values().all(|state| state.read) {
            self.reached = true;
            self.ports.audience.reached();
        }
    }

    fn show(&self) {
        let now = self.ports.clock.now();
        let view = |state: &TaskState| JobView {
            name: state.task.name.clone(),
            kind: state.task.kind.name.to_owned(),
            interval: state.interval.0,
            next: state.task.schedule.next_after(now),
            running: state.busy == TaskActivity::Trying,
        };
        let states: Vec<_> = self.states.iter().map(|(id, state)| (id.clone(), view(state))).collect();
        self.ports.audience.show(&states, self.role());
    }

    fn role(&self) -> DaemonRole {
        if self.stopping {
            DaemonRole::Stopping
        } else if self.states.values().any(|state| state.progress.ran_last()) {
            DaemonRole::Running
        } else if self.states.values().all(|state| state.read) {
            DaemonRole::StandingBy
        } else {
            DaemonRole::Starting
        }
    }
}

/// Logs when a job runs next, once that is known.
fn announce(state: &mut TaskState, turns: &TakeoverPolicy, now: Timestamp) {
    let (job, instance) = (&state.task.name, &state.task.instance);
    let next = state.task.schedule.next_after(now);
    match state.progress.step(&state.task, turns, now) {
        Step::Run { slot, .. } => info!(job, instance, due = %slot, "due; starts as soon as a place is free"),
        Step::Wait(Some(at)) if Some(at) != next => {
            info!(job, instance, %at, "overdue; waiting until then for the daemon that ran it last");
        }
        Step::Wait(Some(at)) => info!(job, instance, %at, "runs next"),
        Step::Wait(None) => info!(job, instance, "has no further scheduled run"),
        Step::Look | Step::Skip(_) => {}
    }
}

fn asking(ports: &Arc<Ports>, state: &TaskState, of: Option<(Timestamp, u32)>) -> Attempt {
    let (ports, task) = (Arc::clone(ports), Arc::clone(&state.task));
    Box::pin(async move { (task.id(), of, attempt::look(&ports, &task).await) })
}

fn running(ports: &Arc<Ports>, state: &TaskState, slot: Timestamp, attempt: u32, stop: StopRequest) -> Attempt {
    let (ports, task) = (Arc::clone(ports), Arc::clone(&state.task));
    Box::pin(async move {
        let came = attempt::run(&ports, &task, slot, attempt, &stop).await;
        (task.id(), Some((slot, attempt)), came)
    })
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
