//! Statistics of runs, kept between processes: counters, the last run and the last success of every job.
//!
//! They are stored in `runs.json` of the repository's state directory, so that a counter of a one-shot command never
//! falls back. Losing the file costs only the counters: backups and verifications are recorded in the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::state_file::{StateFile, StateFileError};
use super::{JobRun, RunOutcome};
use crate::model::Timestamp;
use crate::repository::StateDirectory;

const FILE: &str = "runs.json";
/// Maximum number of jobs; beyond it, the one with the oldest last run is removed.
const JOBS: usize = 1000;
/// Maximum length of an error text, in characters.
const WHY: usize = 500;
/// Maximum number of runs held back while the file cannot be written.
const PENDING: usize = 1000;

/// Upper bounds of the duration buckets, in seconds: from a backup without changes to the longest possible run.
pub const BOUNDS: [u32; 10] = [1, 5, 15, 60, 300, 900, 1800, 3600, 10_800, 21_600];

/// Number of runs of a job by outcome. Each run is in `attempts` and in one other counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// All runs; each attempt counts separately.
    pub attempts: u64,
    /// Complete successes.
    pub successes: u64,
    /// Runs with an incomplete result.
    pub partials: u64,
    /// Runs with a suspect snapshot.
    pub suspects: u64,
    /// Failed runs.
    pub failures: u64,
    /// Runs that were stopped at their deadline.
    pub timeouts: u64,
    /// Runs that were asked to stop.
    pub interruptions: u64,
}

/// Duration histogram of runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Durations {
    /// Number of runs per bucket of [`BOUNDS`] (not cumulative); the last one is for longer runs.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// Sum of all durations, in milliseconds.
    pub total_millis: u64,
}

/// Statistics of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatistics {
    /// Outcomes of its runs.
    #[serde(default)]
    pub counters: Counters,
    /// Durations of its runs.
    #[serde(default)]
    pub durations: Durations,
    /// Requests to an instance that its runs made.
    #[serde(default)]
    pub requests: u64,
    /// Number of runs since the last success that neither succeeded nor were interrupted.
    #[serde(default)]
    pub bad_in_a_row: u64,
    /// When the last successful run ended.
    #[serde(default)]
    pub last_success: Option<Timestamp>,
    /// The last run, whatever its outcome.
    pub last: JobRun,
}

/// Content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    jobs: BTreeMap<String, JobStatistics>,
}

/// This host's statistics of the runs of one repository.
///
/// A run passed to [`take`](RunStatistics::take) is counted here at once. The next [`save`](RunStatistics::save) adds
/// it to the file, including what other processes have written meanwhile.
#[derive(Debug, Clone)]
pub struct RunStatistics {
    memory: Option<StateFile>,
    content: Content,
    pending: Vec<JobRun>,
}

impl RunStatistics {
    /// Loads the statistics from the state directory, with a warning if the file exists but is unusable. Blocks for a
    /// short read.
    #[must_use]
    pub fn load(folder: &StateDirectory) -> (Self, Option<StateFileError>) {
        let memory = StateFile::new(folder, FILE);
        let (content, warning) = match memory.read::<Content>() {
            Ok(content) => (content.unwrap_or_default(), None),
            Err(error) => (Content::default(), Some(error)),
        };
        (Self { memory: Some(memory), content, pending: Vec::new() }, warning)
    }

    /// Creates statistics that are not stored, for use without a state directory.
    #[must_use]
    pub fn forgetful() -> Self {
        Self { memory: None, content: Content::default(), pending: Vec::new() }
    }

    /// Counts a run.
    pub fn take(&mut self, run: &JobRun) {
        let mut run = run.clone();
        run.why = run.why.map(|why| why.chars().take(WHY).collect());
        self.content.count(&run);
        if self.memory.is_some() && self.pending.len() < PENDING {
            self.pending.push(run);
        }
    }

    /// Adds the runs since the last save to the file. Several processes may do so at once. Blocks for at most a few
    /// seconds, so call it only where blocking is allowed.
    ///
    /// # Errors
    /// If the file cannot be written; the runs stay counted here, and the next call tries again. Also if the file was
    /// damaged and set aside; everything is then written. Report either as a warning, not as a failure.
    pub fn save(&mut self) -> Result<(), StateFileError> {
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

    /// Returns the last run of a job, if known.
    #[must_use]
    pub fn last(&self, job: &str) -> Option<&JobRun> {
        self.job(job).map(|tally| &tally.last)
    }

    /// Returns the statistics of a job.
    #[must_use]
    pub fn job(&self, job: &str) -> Option<&JobStatistics> {
        self.content.jobs.get(job)
    }

    /// Returns the statistics of all jobs, ordered by name.
    pub fn jobs(&self) -> impl Iterator<Item = (&str, &JobStatistics)> {
        self.content.jobs.iter().map(|(name, tally)| (name.as_str(), tally))
    }
}

impl Content {
    fn count(&mut self, run: &JobRun) {
        let job = self.jobs.entry(run.job.clone()).or_insert_with(|| JobStatistics::new(run));
        job.count(run);
        if self.jobs.len() > JOBS {
            let oldest = self.jobs.iter().filter(|(name, _)| **name != run.job).min_by_key(|(_, job)| job.last.ended);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.jobs.remove(&name);
            }
        }
    }
}

impl JobStatistics {
    fn new(run: &JobRun) -> Self {
        Self {
            counters: Counters::default(),
            durations: Durations::default(),
            requests: 0,
            bad_in_a_row: 0,
            last_success: None,
            last: run.clone(),
        }
    }

    fn count(&mut self, run: &JobRun) {
        let counters = &mut self.counters;
        add(&mut counters.attempts, 1);
        let counter = match run.ending {
            _ if run.is_good() => &mut counters.successes,
            RunOutcome::Succeeded => &mut counters.successes,
            RunOutcome::Partial => &mut counters.partials,
            RunOutcome::Suspect => &mut counters.suspects,
            RunOutcome::Failed { .. } => &mut counters.failures,
            RunOutcome::TimedOut => &mut counters.timeouts,
            RunOutcome::Interrupted => &mut counters.interruptions,
        };
        add(counter, 1);
        match run.ending {
            _ if run.is_good() => {
                self.bad_in_a_row = 0;
                // Processes may save in a different order than their runs ended.
                self.last_success = self.last_success.max(Some(run.ended));
            }
            RunOutcome::Interrupted => {}
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
    fn count(&mut self, run: &JobRun) {
        // A clock that was set back during the run must not give a negative duration.
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests spoil files on purpose")]
mod tests {
    use super::*;
    use crate::job::RunFacts;
    use crate::model::ScheduledRun;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000 + second * 1000)
    }

    fn run(job: &str, from: i64, to: i64, ending: RunOutcome) -> JobRun {
        JobRun {
            job: job.to_owned(),
            kind: "backup".to_owned(),
            instance: String::new(),
            due: Some(ScheduledRun { job: job.to_owned(), at: at(from) }),
            started: at(from),
            ended: at(to),
            attempt: 1,
            ending,
            facts: RunFacts { requests: Some(10), ..RunFacts::default() },
            why: None,
        }
    }

    fn folder() -> (tempfile::TempDir, StateDirectory) {
        let root = tempfile::tempdir().unwrap();
        let folder = StateDirectory::new(root.path(), "id");
        (root, folder)
    }

    fn load(folder: &StateDirectory) -> RunStatistics {
        let (tally, warning) = RunStatistics::load(folder);
        assert!(warning.is_none(), "{warning:?}");
        tally
    }

    #[test]
    fn a_dry_run_that_found_something_to_do_is_no_failure() {
        let mut tally = RunStatistics::forgetful();
        let found = RunOutcome::Failed { exit: crate::model::FailureKind::Different.exit_code() };
        tally.take(&JobRun { kind: "forget".to_owned(), ..run("tidy", 1, 2, found.clone()) });
        tally.take(&JobRun { kind: "drift".to_owned(), ..run("compare", 1, 2, found) });
        let tidy = tally.job("tidy").unwrap();
        assert_eq!((tidy.counters.successes, tidy.counters.failures, tidy.bad_in_a_row), (1, 0, 0));
        assert_eq!(tidy.last_success, Some(at(2)));
        assert_eq!(tally.job("compare").unwrap().counters.failures, 1, "a difference is what drift watches for");
    }

    #[test]
    fn every_ending_has_its_counter_and_only_bad_ones_make_a_row() {
        let mut tally = RunStatistics::forgetful();
        let endings = [
            RunOutcome::Succeeded,
            RunOutcome::Partial,
            RunOutcome::Suspect,
            RunOutcome::Failed { exit: 17 },
            RunOutcome::TimedOut,
            RunOutcome::Interrupted,
        ];
        for (index, ending) in (0..).zip(endings) {
            tally.take(&run("a", index, index, ending));
        }
        let job = tally.job("a").unwrap();
        let expected = Counters {
            attempts: 6,
            successes: 1,
            partials: 1,
            suspects: 1,
            failures: 1,
            timeouts: 1,
            interruptions: 1,
        };
        assert_eq!((job.counters, job.bad_in_a_row, job.requests), (expected, 4, 60));
        assert_eq!(job.last_success, Some(at(0)));
        tally.take(&run("a", 9, 9, RunOutcome::Succeeded));
        assert_eq!(tally.job("a").unwrap().bad_in_a_row, 0);
    }

    #[test]
    fn what_was_saved_comes_back_whole() {
        let (_root, folder) = folder();
        let mut tally = load(&folder);
        let mut failed = run("a", 5, 9, RunOutcome::Failed { exit: 17 });
        failed.why = Some("é".repeat(WHY + 1));
        tally.take(&run("a", 1, 2, RunOutcome::Succeeded));
        tally.take(&failed);
        tally.save().unwrap();
        let again = load(&folder);
        assert_eq!(again.content, tally.content);
        let last = again.last("a").unwrap();
        assert_eq!((&last.ending, last.due.as_ref().unwrap().at), (&RunOutcome::Failed { exit: 17 }, at(5)));
        assert_eq!(last.why.as_ref().unwrap().chars().count(), WHY);
        assert!(again.last("b").is_none());
    }

    #[test]
    fn processes_add_to_what_the_others_wrote() {
        let (_root, folder) = folder();
        let (mut one, mut other) = (load(&folder), load(&folder));
        one.take(&run("a", 1, 2, RunOutcome::Succeeded));
        other.take(&run("a", 3, 4, RunOutcome::TimedOut));
        other.take(&run("b", 3, 4, RunOutcome::Succeeded));
        other.save().unwrap();
        // The older run is saved last and must not become the last run.
        one.save().unwrap();
        one.save().unwrap();
        let both = load(&folder);
        let job = both.job("a").unwrap();
        assert_eq!((job.counters.attempts, job.last_success, job.last.ended), (2, Some(at(2)), at(4)));
        assert_eq!(both.jobs().count(), 2);
        assert_eq!(one.content, both.content, "who saves sees what the others did");
    }

    #[test]
    fn a_folder_that_takes_nothing_loses_no_count_here_and_none_later() {
        let (root, folder) = folder();
        std::fs::write(root.path().join("id"), b"in the way").unwrap();
        let (mut tally, _) = RunStatistics::load(&folder);
        tally.take(&run("a", 1, 2, RunOutcome::Succeeded));
        assert!(tally.save().is_err());
        assert_eq!(tally.job("a").unwrap().counters.attempts, 1);
        std::fs::remove_file(root.path().join("id")).unwrap();
        tally.take(&run("a", 3, 4, RunOutcome::Succeeded));
        tally.save().unwrap();
        assert_eq!(load(&folder).job("a").unwrap().counters.attempts, 2);
    }

    #[test]
    fn a_damaged_file_is_told_and_counting_goes_on() {
        let (_root, folder) = folder();
        let mut tally = load(&folder);
        tally.take(&run("a", 1, 2, RunOutcome::Succeeded));
        tally.save().unwrap();
        std::fs::write(folder.path().join(FILE), b"\0\0\0").unwrap();
        let (mut tally, warning) = RunStatistics::load(&folder);
        assert!(warning.is_some());
        tally.take(&run("a", 3, 4, RunOutcome::Succeeded));
        tally.save().unwrap();
        assert_eq!(load(&folder).job("a").unwrap().counters.attempts, 1);
    }

    #[test]
    fn a_file_of_another_version_with_more_or_fewer_members_is_read() {
        let (_root, folder) = folder();
        let mut tally = load(&folder);
        tally.take(&run("a", 1, 2, RunOutcome::Succeeded));
        tally.save().unwrap();
        let path = folder.path().join(FILE);
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        json["later"] = true.into();
        json["jobs"]["a"]["counters"]["later"] = 1.into();
        json["jobs"]["a"].as_object_mut().unwrap().remove("requests");
        std::fs::write(&path, json.to_string()).unwrap();
        let job = load(&folder).job("a").unwrap().clone();
        assert_eq!((job.counters.attempts, job.requests), (1, 0));
    }

    #[test]
    fn durations_fall_into_their_bucket_and_a_clock_set_back_into_the_first() {
        let mut tally = RunStatistics::forgetful();
        for seconds in [1, 2, 21_600, 21_601, -50] {
            tally.take(&run("a", 100, 100 + seconds, RunOutcome::Succeeded));
        }
        let durations = &tally.job("a").unwrap().durations;
        assert_eq!(durations.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(durations.total_millis, 43_204_000);
    }

    #[test]
    fn more_jobs_than_there_can_be_push_out_the_oldest() {
        let mut tally = RunStatistics::forgetful();
        for index in 0..=i64::try_from(JOBS).unwrap() {
            tally.take(&run(&format!("job-{index}"), index, index, RunOutcome::Succeeded));
        }
        assert_eq!(tally.jobs().count(), JOBS);
        assert!(tally.job("job-0").is_none() && tally.job("job-1").is_some());
    }
}
