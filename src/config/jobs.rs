//! The jobs of the daemon: `[jobs.NAME]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::entry::{TableEntry, is_name};
use super::error::ConfigError;
use super::node::{Node, NodeValue};
use super::origin::{SettingOrigin, ShownEntry};
use super::value::{Period, Whole};
use crate::model::Timestamp;
use crate::model::nearest::did_you_mean;
use crate::schedule::{Schedule, ScheduleError};

/// The table's name.
pub(super) const JOBS: &str = "jobs";

const MEMBERS: &[&str] =
    &["kind", "cron", "zone", "jitter", "deadline", "retries", "retry_after", "catch_up", "args", "instances"];

/// Maximum length of a job's name, in characters. Names are in ledger entries, lease names and metrics.
const LONGEST_NAME: usize = 40;
/// Jobs of one file.
const MOST_JOBS: usize = 100;
/// Arguments of one job, and characters of one.
const MOST_ARGS: usize = 50;
const LONGEST_ARG: usize = 1_000;
/// Seconds.
const JITTER: RangeInclusive<u64> = 1..=86_400;
const DEADLINE: RangeInclusive<u64> = 1..=7 * 86_400;
const RETRY_AFTER: RangeInclusive<u64> = 1..=6 * 3_600;
/// Runs that are looked at for the shortest time between two: more than a week of every hour.
const LOOKED_AT: usize = 200;
/// From where: a Monday, so that it depends on nothing but the line.
const MONDAY: i64 = 1_767_571_200_000;

/// One job: a command that the daemon runs, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobConfig {
    /// Its name: up to 40 of a-z, 0-9 and `-`.
    pub name: String,
    /// The command, such as `backup`. Whether there is such a kind of job is for [`check_kinds`].
    pub kind: String,
    /// When it is due.
    pub schedule: Schedule,
    /// A run starts up to this much after its due moment, at most a day and shorter than the time to the next run.
    pub jitter: Duration,
    /// A run is stopped after this time, at most seven days; without it the kind's own deadline holds.
    pub deadline: Option<Duration>,
    /// Number of retries of a failed run, at most 20.
    pub retries: u32,
    /// Delay of the first retry, at most six hours; it grows with each retry.
    pub retry_after: Duration,
    /// True if the newest run that was missed is caught up.
    pub catch_up: bool,
    /// Further arguments of the command. They contain no secret: commands take none as an argument.
    pub args: Vec<String>,
    /// The instances of the file that it is for, none for all.
    pub instances: Vec<String>,
    /// Position in the file.
    pub origin: SettingOrigin,
}

impl JobConfig {
    /// Returns true if it is for that instance of the file; empty where the file has only one.
    #[must_use]
    pub fn is_for(&self, instance: &str) -> bool {
        self.instances.is_empty() || self.instances.iter().any(|one| one == instance)
    }

    /// Its members for people, those that hold by default too.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownEntry> {
        let list = |texts: &[String]| texts.join(" ");
        let mut members = vec![
            ("kind", self.kind.clone()),
            ("cron", self.schedule.line().to_owned()),
            ("zone", self.schedule.zone().to_string()),
            ("jitter", Period(self.jitter).to_string()),
            ("retries", self.retries.to_string()),
            ("retry_after", Period(self.retry_after).to_string()),
            ("catch_up", self.catch_up.to_string()),
        ];
        members.extend(self.deadline.map(|deadline| ("deadline", Period(deadline).to_string())));
        members.extend((!self.args.is_empty()).then(|| ("args", list(&self.args))));
        members.extend((!self.instances.is_empty()).then(|| ("instances", list(&self.instances))));
        let row = |(member, value)| ShownEntry {
            key: format!("{JOBS}.{}.{member}", self.name),
            value,
            origin: self.origin.clone(),
        };
        members.into_iter().map(row).collect()
    }
}

/// Checks that every job is of a kind that there is.
///
/// # Errors
/// When one is not; names the nearest, or all.
pub fn check_kinds(jobs: &[JobConfig], kinds: &[&str]) -> Result<(), ConfigError> {
    let Some(job) = jobs.iter().find(|job| !kinds.contains(&job.kind.as_str())) else { return Ok(()) };
    let near = did_you_mean(&job.kind, kinds.iter().copied());
    let problem = format!("`{}` is no kind of job{near}; there are {}", job.kind, kinds.join(", "));
    let what = format!("`{JOBS}.{}.kind`", job.name);
    Err(ConfigError::Table { place: job.origin.clone(), what, problem })
}

/// Checks that every instance that a job names is one of the file.
pub(super) fn check_instances<'n>(
    jobs: &[JobConfig],
    known: &(impl Iterator<Item = &'n str> + Clone),
) -> Result<(), ConfigError> {
    for job in jobs {
        if let Some(name) = job.instances.iter().find(|name| known.clone().all(|known| known != name.as_str())) {
            let near = did_you_mean(name, known.clone());
            let problem = format!("there is no `[[instances]]` of the name `{name}`{near}");
            let what = format!("`{JOBS}.{}.instances`", job.name);
            return Err(ConfigError::Table { place: job.origin.clone(), what, problem });
        }
    }
    Ok(())
}

/// Reads the table of all jobs. They come in the order of their names.
pub(super) fn read(node: &Node) -> Result<Vec<JobConfig>, ConfigError> {
    let wrong = |node: &Node, problem: String| {
        Err(ConfigError::Table { place: node.origin.clone(), what: format!("`{JOBS}`"), problem })
    };
    let own_table = || "write each job as `[jobs.NAME]` on a line of its own, its members below".to_owned();
    let NodeValue::Table(jobs) = &node.value else { return wrong(node, own_table()) };
    if jobs.len() > MOST_JOBS {
        return wrong(node, format!("{} jobs, more than {MOST_JOBS}", jobs.len()));
    }
    let mut read = Vec::with_capacity(jobs.len());
    for (name, node) in jobs {
        if !matches!(node.value, NodeValue::Table(_)) {
            let one = MEMBERS.contains(&name.as_str());
            let belongs = if one { format!("`{name}` belongs to one job; ") } else { String::new() };
            return wrong(node, belongs + &own_table());
        }
        if !is_name(name, LONGEST_NAME) {
            let problem = format!(
                "`{name}` is no name for a job; a name is 1 to {LONGEST_NAME} of a-z, 0-9 and `-`, with no `-` at its ends"
            );
            return wrong(node, problem);
        }
        let entry = TableEntry { table: format!("{JOBS}.{name}").into(), node };
        read.push(job(&entry, name)?);
    }
    read.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(read)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobMembers {
    kind: Option<String>,
    cron: Option<String>,
    zone: Option<String>,
    jitter: Option<Period>,
    deadline: Option<Period>,
    retries: Option<Whole<0, 20>>,
    retry_after: Option<Period>,
    catch_up: Option<bool>,
    args: Option<Vec<String>>,
    instances: Option<Vec<String>>,
}

fn job(entry: &TableEntry<'_>, name: &str) -> Result<JobConfig, ConfigError> {
    let members: JobMembers = entry.read()?;
    let schedule = schedule(entry, members.cron.as_deref(), members.zone.as_deref())?;
    let jitter = within(entry, "jitter", members.jitter, JITTER)?.unwrap_or_default();
    if let Some(shortest) = shortest(&schedule).filter(|shortest| jitter >= *shortest) {
        let problem = format!(
            "up to {} would reach into the next run, which may be {} later; choose less",
            Period(jitter),
            Period(shortest)
        );
        return Err(entry.at("jitter", problem));
    }
    if members.instances.as_ref().is_some_and(Vec::is_empty) {
        return Err(entry.at("instances", "is empty; leave it out for all of them"));
    }
    Ok(JobConfig {
        kind: members.kind.unwrap_or_else(|| name.to_owned()),
        name: name.to_owned(),
        schedule,
        jitter,
        deadline: within(entry, "deadline", members.deadline, DEADLINE)?,
        retries: members.retries.map_or(2, Whole::get),
        retry_after: within(entry, "retry_after", members.retry_after, RETRY_AFTER)?.unwrap_or(Duration::from_secs(60)),
        catch_up: members.catch_up.unwrap_or(true),
        args: args(entry, members.args.unwrap_or_default())?,
        instances: members.instances.unwrap_or_default(),
        origin: entry.node.origin.clone(),
    })
}

fn schedule(entry: &TableEntry<'_>, cron: Option<&str>, zone: Option<&str>) -> Result<Schedule, ConfigError> {
    let Some(cron) = cron else {
        return Err(entry.at("cron", "is missing; say when it runs, such as `cron = \"30 2 * * *\"`"));
    };
    Schedule::new(cron, zone.unwrap_or("UTC")).map_err(|error| {
        let member = if matches!(error, ScheduleError::Zone { .. }) { "zone" } else { "cron" };
        entry.at(member, error.to_string())
    })
}

fn within(
    entry: &TableEntry<'_>,
    name: &str,
    period: Option<Period>,
    seconds: RangeInclusive<u64>,
) -> Result<Option<Duration>, ConfigError> {
    let text = |seconds: &u64| Period(Duration::from_secs(*seconds));
    match period {
        Some(period) if !seconds.contains(&period.as_secs()) => {
            let (least, most) = (text(seconds.start()), text(seconds.end()));
            Err(entry.at(name, format!("must be from {least} to {most}, not {period}")))
        }
        period => Ok(period.map(|period| period.0)),
    }
}

fn args(entry: &TableEntry<'_>, args: Vec<String>) -> Result<Vec<String>, ConfigError> {
    if args.len() > MOST_ARGS {
        return Err(entry.at("args", format!("{} arguments, more than {MOST_ARGS}", args.len())));
    }
    if args.iter().any(|arg| arg.chars().count() > LONGEST_ARG || arg.contains('\0')) {
        let problem = format!("an argument is longer than {LONGEST_ARG} characters or holds a zero byte");
        return Err(entry.at("args", problem));
    }
    Ok(args)
}

/// The shortest time between two of the runs of a schedule that come first.
fn shortest(schedule: &Schedule) -> Option<Duration> {
    let runs: Vec<Timestamp> = schedule.upcoming(Timestamp::from_millis(MONDAY)).take(LOOKED_AT).collect();
    let gaps = runs.iter().zip(runs.iter().skip(1)).map(|(earlier, later)| later.millis_since(*earlier));
    gaps.min().and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Layer, Settings};

    const KINDS: &[&str] = &["backup", "verify", "sync"];

    fn jobs(text: &str) -> Result<Vec<JobConfig>, ConfigError> {
        let settings = Settings::build([Layer::file(text, "keyhaven.toml", Path::new("/"))?])?;
        check_kinds(settings.jobs(), KINDS)?;
        Ok(settings.jobs().to_vec())
    }

    #[test]
    fn a_job_needs_no_more_than_its_time() {
        let jobs = jobs("[jobs.backup]\ncron = \"*/15 * * * *\"\n").unwrap();
        let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
        assert_eq!((job.name.as_str(), job.kind.as_str(), job.schedule.zone().name()), ("backup", "backup", "UTC"));
        assert_eq!((job.jitter, job.deadline, job.retries), (Duration::ZERO, None, 2));
        assert_eq!((job.retry_after, job.catch_up), (Duration::from_secs(60), true));
        assert!(job.args.is_empty() && job.is_for("") && job.is_for("payments"));
        assert_eq!(job.origin.to_string(), "keyhaven.toml, line 1");
    }

    #[test]
    fn every_member_is_read_and_shown() {
        let jobs = jobs(
            "[[instances]]\nname = \"a\"\n[[instances]]\nname = \"b\"\n[jobs.weekly-check]\nkind = \"verify\"\n\
             cron = \"@weekly\"\nzone = \"Europe/Berlin\"\njitter = \"10m\"\ndeadline = \"2h\"\nretries = 0\n\
             retry_after = \"5m\"\ncatch_up = false\nargs = [\"--level\", \"payload\"]\ninstances = [\"b\"]\n\
             [jobs.backup]\ncron = \"0 * * * *\"\n",
        )
        .unwrap();
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["backup", "weekly-check"]);
        let job = &jobs[1];
        assert!(job.is_for("b") && !job.is_for("a") && !job.is_for(""));
        let shown: Vec<String> = job.shown().iter().map(|one| format!("{}={}", one.key, one.value)).collect();
        assert_eq!(
            shown,
            [
                "jobs.weekly-check.kind=verify",
                "jobs.weekly-check.cron=@weekly",
                "jobs.weekly-check.zone=Europe/Berlin",
                "jobs.weekly-check.jitter=10m",
                "jobs.weekly-check.retries=0",
                "jobs.weekly-check.retry_after=5m",
                "jobs.weekly-check.catch_up=false",
                "jobs.weekly-check.deadline=2h",
                "jobs.weekly-check.args=--level payload",
                "jobs.weekly-check.instances=b",
            ]
        );
    }

    #[test]
    fn jitter_is_measured_against_the_shortest_time_between_two_runs() {
        let jitter =
            |cron: &str, jitter: &str| jobs(&format!("[jobs.backup]\ncron = \"{cron}\"\njitter = \"{jitter}\"\n"));
        assert!(jitter("*/15 8-18 * * *", "14m").is_ok());
        assert!(jitter("*/15 8-18 * * *", "15m").unwrap_err().to_string().contains("15m later"));
        assert!(jitter("0 3 29 2 *", "1d").is_ok());
    }
}
