//! What is remembered of runs between processes: counters, the last run and the last success of every job.
//!
//! It stands in `runs.json` of the repository's state folder, so that a counter of a one-shot command goes on counting and
//! never falls back. Losing the file costs the counters and nothing else: what was backed up and verified is in the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::memory::{Memory, MemoryError};
use super::{Ending, Run};
use crate::model::Timestamp;
use crate::repository::StateFolder;

const FILE: &str = "runs.json";
/// How many jobs are remembered; past that, the one whose last run is the longest ago is forgotten.
const JOBS: usize = 1000;
/// How many characters of an error are remembered.
const WHY: usize = 500;
/// How many runs are held back while the file cannot be written.
const PENDING: usize = 1000;

/// Upper bounds of the buckets of durations, in seconds: from a quiet backup to the longest run there may be.
pub const BOUNDS: [u32; 10] = [1, 5, 15, 60, 300, 900, 1800, 3600, 10_800, 21_600];

/// How the runs of a job ended, counted. Each run is in `attempts` and in one of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// All runs, every attempt for itself.
    pub attempts: u64,
    /// Those that did everything.
    pub successes: u64,
    /// Those that recorded something which lacks something.
    pub partials: u64,
    /// Those that recorded a suspect snapshot.
    pub suspects: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were stopped at their deadline.
    pub timeouts: u64,
    /// Those that were asked to stop.
    pub interruptions: u64,
}

/// Durations of runs, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Durations {
    /// How many runs took at most [`BOUNDS`] seconds and more than the bound before; the last one: more than all.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All durations together, in milliseconds.
    pub total_millis: u64,
}

/// What is remembered of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobTally {
    /// How its runs ended.
    #[serde(default)]
    pub counters: Counters,
    /// How long they took.
    #[serde(default)]
    pub durations: Durations,
    /// Requests to an instance that they took.
    #[serde(default)]
    pub requests: u64,
    /// How many runs that were neither a success nor interrupted came since the last success.
    #[serde(default)]
    pub bad_in_a_row: u64,
    /// When the last run that succeeded ended.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
    /// The last run, whatever became of it.
    pub last: Run,
}

/// What the file holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    jobs: BTreeMap<String, JobTally>,
}

/// What this host remembers of the runs of one repository.
///
/// Runs that are [taken](Tally::take) count at once here, and in the file at the next [`save`](Tally::save), which adds them
/// to whatever other processes have written by then.
#[derive(Debug, Clone)]
pub struct Tally {
    memory: Option<Memory>,
    content: Content,
    pending: Vec<Run>,
}

impl Tally {
    /// What the state folder remembers. Blocks for a short read; gives a warning with it where the file is there and could
    /// not be used.
    #[must_use]
    pub fn load(folder: &StateFolder) -> (Self, Option<MemoryError>) {
        let memory = Memory::new(folder, FILE);
        let (content, warning) = match memory.read::<Content>() {
            Ok(content) => (content.unwrap_or_default(), None),
            Err(error) => (Content::default(), Some(error)),
        };
        (Self { memory: Some(memory), content, pending: Vec::new() }, warning)
    }

    /// A tally that is kept in no file: where no state folder is known.
    #[must_use]
    pub fn forgetful() -> Self {
        Self { memory: None, content: Content::default(), pending: Vec::new() }
    }

    /// Counts a run.
    pub fn take(&mut self, run: &Run) {
        let mut run = run.clone();
        run.why = run.why.map(|why| why.chars().take(WHY).collect());
        self.content.count(&run);
        if self.memory.is_some() && self.pending.len() < PENDING {
            self.pending.push(run);
        }
    }

    /// Adds what was taken since the last time to the file. Blocks for at most some seconds; in a task, call it where
    /// blocking is allowed. Several processes may do so at once.
    ///
    /// # Errors
    /// When it cannot be written: the runs still count here, and the next call tries again. When the file was damaged and
    /// set aside; then everything is written. Worth a warning, never a failure.
    pub fn save(&mut self) -> Result<(), MemoryError> {
        let Some(memory) = &self.memory else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = &self.pending;
        let (content, damaged) = memory.update::<Content>(|content| {
            for run in pending {
                content.count(run);
            }
        })?;
        self.content = content;
        self.pending.clear();
        damaged.map_or(Ok(()), Err)
    }

    /// The last run of a job, if one is remembered.
    #[must_use]
    pub fn last(&self, job: &str) -> Option<&Run> {
        self.job(job).map(|tally| &tally.last)
    }

    /// What is remembered of a job.
    #[must_use]
    pub fn job(&self, job: &str) -> Option<&JobTally> {
        self.content.jobs.get(job)
    }

    /// Every job that is remembered, by name.
    pub fn jobs(&self) -> impl Iterator<Item = (&str, &JobTally)> {
        self.content.jobs.iter().map(|(name, tally)| (name.as_str(), tally))
    }
}

impl Content {
    fn count(&mut self, run: &Run) {
        let job = self.jobs.entry(run.job.clone()).or_insert_with(|| JobTally::new(run));
        job.count(run);
        if self.jobs.len() > JOBS {
            let oldest = self.jobs.iter().filter(|(name, _)| **name != run.job).min_by_key(|(_, job)| job.last.ended);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.jobs.remove(&name);
            }
        }
    }
}

impl JobTally {
    fn new(run: &Run) -> Self {
        Self {
            counters: Counters::default(),
            durations: Durations::default(),
            requests: 0,
            bad_in_a_row: 0,
            last_success: None,
            last: run.clone(),
        }
    }

    fn count(&mut self, run: &Run) {
        let counters = &mut self.counters;
        add(&mut counters.attempts, 1);
        let counter = match run.ending {
            Ending::Succeeded => &mut counters.successes,
            Ending::Partial => &mut counters.partials,
            Ending::Suspect => &mut counters.suspects,
            Ending::Failed { .. } => &mut counters.failures,
            Ending::TimedOut => &mut counters.timeouts,
            Ending::Interrupted => &mut counters.interruptions,
        };
        add(counter, 1);
        match run.ending {
            Ending::Succeeded => {
                self.bad_in_a_row = 0;
                // Two processes may save in another order than they ended.
                self.last_success = self.last_success.max(Some(run.ended));
            }
            Ending::Interrupted => {}
            _ => add(&mut self.bad_in_a_row, 1),
        }
        self.durations.count(run);
        add(&mut self.requests, run.facts.requests.unwrap_or(0));
        if run.ended >= self.last.ended {
            self.last = run.clone();
        }
    }
}

impl Durations {
    fn count(&mut self, run: &Run) {
        // A clock that was set back in the middle gives no negative duration.
        let millis = u64::try_from(run.ended.millis_since(run.started)).unwrap_or(0);
        let at =
            BOUNDS.iter().position(|bound| millis <= u64::from(*bound).saturating_mul(1000)).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get_mut(at) {
            add(bucket, 1);
        }
        add(&mut self.total_millis, millis);
    }
}

fn add(counter: &mut u64, more: u64) {
    *counter = counter.saturating_add(more);
}
