//! The jobs of the daemon: `[jobs.NAME]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::entry::{TableEntry, is_name, nearest};
use super::error::ConfigError;
use super::layer::SettingOrigin;
use super::tables::ShownEntry;
use super::value::{SettingValue, ValueKind, describe, period_text};
use crate::model::Timestamp;
use crate::schedule::{Schedule, ScheduleError};

/// The table's name.
pub(super) const JOBS: &str = "jobs";

const MEMBERS: &[&str] =
    &["kind", "cron", "zone", "jitter", "deadline", "retries", "retry_after", "catch_up", "args", "instances"];

/// Characters of a job's name: it stands in ledger entries, in the names of leases and in metrics.
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
const MOST_RETRIES: u32 = 20;
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
    /// How often a run that failed is tried again, at most 20 times.
    pub retries: u32,
    /// How long after a failure it is tried again for the first time, at most six hours; longer each time.
    pub retry_after: Duration,
    /// Whether the newest run that was missed is caught up.
    pub catch_up: bool,
    /// What is put behind the command. No secret can be among it: commands take none as an argument.
    pub args: Vec<String>,
    /// The instances of the file that it is for, none for all.
    pub instances: Vec<String>,
    /// Where it stands.
    pub origin: SettingOrigin,
}

impl JobConfig {
    /// Whether it is for that instance of the file; empty where the file has only one.
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
            ("jitter", period_text(self.jitter)),
            ("retries", self.retries.to_string()),
            ("retry_after", period_text(self.retry_after)),
            ("catch_up", self.catch_up.to_string()),
        ];
        members.extend(self.deadline.map(|deadline| ("deadline", period_text(deadline))));
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
    let near = nearest(&job.kind, kinds.iter().copied());
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
            let near = nearest(name, known.clone());
            let problem = format!("there is no `[[instances]]` of the name `{name}`{near}");
            let what = format!("`{JOBS}.{}.instances`", job.name);
            return Err(ConfigError::Table { place: job.origin.clone(), what, problem });
        }
    }
    Ok(())
}

/// Reads the table of all jobs. They come in the order of their names.
pub(super) fn read(
    value: &Spanned<DeValue<'_>>,
    place: &dyn Fn(usize) -> SettingOrigin,
) -> Result<Vec<JobConfig>, ConfigError> {
    let wrong =
        |at: usize, problem: String| ConfigError::Table { place: place(at), what: format!("`{JOBS}`"), problem };
    let own_table = || "write each job as `[jobs.NAME]` on a line of its own, its members below".to_owned();
    let DeValue::Table(jobs) = value.get_ref() else { return Err(wrong(value.span().start, own_table())) };
    if jobs.len() > MOST_JOBS {
        return Err(wrong(value.span().start, format!("{} jobs, more than {MOST_JOBS}", jobs.len())));
    }
    let mut read = Vec::with_capacity(jobs.len());
    for (name, value) in jobs {
        let (at, name) = (name.span().start, name.get_ref().to_string());
        let DeValue::Table(members) = value.get_ref() else {
            if MEMBERS.contains(&name.as_str()) {
                return Err(wrong(at, format!("`{name}` belongs to one job; {}", own_table())));
            }
            return Err(wrong(at, own_table()));
        };
        if !is_name(&name, LONGEST_NAME) {
            let problem = format!(
                "`{name}` is no name for a job; a name is 1 to {LONGEST_NAME} of a-z, 0-9 and `-`, with no `-` at its ends"
            );
            return Err(wrong(at, problem));
        }
        let entry = TableEntry { table: format!("{JOBS}.{name}").into(), members, at, place };
        read.push(entry.job(name)?);
    }
    read.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(read)
}

impl TableEntry<'_, '_> {
    fn job(&self, name: String) -> Result<JobConfig, ConfigError> {
        self.only(MEMBERS)?;
        let schedule = self.schedule()?;
        let jitter = self.period("jitter", JITTER)?.unwrap_or_default();
        if let Some(shortest) = shortest(&schedule).filter(|shortest| jitter >= *shortest) {
            let problem = format!(
                "up to {} would reach into the next run, which may be {} later; choose less",
                period_text(jitter),
                period_text(shortest)
            );
            return Err(self.at("jitter", problem));
        }
        let instances = self.texts("instances")?;
        if instances.is_empty() && self.member("instances").is_some() {
            return Err(self.at("instances", "is empty; leave it out for all of them".to_owned()));
        }
        Ok(JobConfig {
            kind: self.text("kind")?.unwrap_or_else(|| name.clone()),
            name,
            schedule,
            jitter,
            deadline: self.period("deadline", DEADLINE)?,
            retries: self.retries()?.unwrap_or(2),
            retry_after: self.period("retry_after", RETRY_AFTER)?.unwrap_or(Duration::from_secs(60)),
            catch_up: !matches!(self.value("catch_up", ValueKind::Flag)?, Some(SettingValue::Flag(false))),
            args: self.args()?,
            instances,
            origin: (self.place)(self.at),
        })
    }

    fn schedule(&self) -> Result<Schedule, ConfigError> {
        let Some(cron) = self.text("cron")? else {
            let problem = "is missing; say when it runs, such as `cron = \"30 2 * * *\"`".to_owned();
            return Err(self.at("cron", problem));
        };
        let zone = self.text("zone")?.unwrap_or_else(|| "UTC".to_owned());
        Schedule::new(&cron, &zone).map_err(|error| {
            let member = if matches!(error, ScheduleError::Zone { .. }) { "zone" } else { "cron" };
            self.at(member, error.to_string())
        })
    }

    fn period(&self, name: &str, seconds: RangeInclusive<u64>) -> Result<Option<Duration>, ConfigError> {
        let Some(SettingValue::Period(period)) = self.value(name, ValueKind::Period)? else { return Ok(None) };
        if seconds.contains(&period.as_secs()) {
            return Ok(Some(period));
        }
        let text = |seconds: &u64| period_text(Duration::from_secs(*seconds));
        let problem =
            format!("must be from {} to {}, not {}", text(seconds.start()), text(seconds.end()), period_text(period));
        Err(self.at(name, problem))
    }

    fn retries(&self) -> Result<Option<u32>, ConfigError> {
        let Some((value, _)) = self.member("retries") else { return Ok(None) };
        let number = match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let fits = number.filter(|number| *number <= MOST_RETRIES);
        let wrong =
            || self.at("retries", format!("must be a whole number from 0 to {MOST_RETRIES}, not {}", describe(value)));
        fits.map(Some).ok_or_else(wrong)
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        match self.value(name, ValueKind::Texts)? {
            Some(SettingValue::Texts(texts)) => Ok(texts),
            _ => Ok(Vec::new()),
        }
    }

    fn args(&self) -> Result<Vec<String>, ConfigError> {
        let args = self.texts("args")?;
        if args.len() > MOST_ARGS {
            return Err(self.at("args", format!("{} arguments, more than {MOST_ARGS}", args.len())));
        }
        if args.iter().any(|arg| arg.chars().count() > LONGEST_ARG || arg.contains('\0')) {
            return Err(
                self.at("args", format!("an argument is longer than {LONGEST_ARG} characters or holds a zero byte"))
            );
        }
        Ok(args)
    }
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

    fn read(text: &str) -> Result<Vec<JobConfig>, ConfigError> {
        let settings = Settings::build([Layer::file(text, "keyhaven.toml", Path::new("/"))?])?;
        check_kinds(settings.jobs(), KINDS)?;
        Ok(settings.jobs().to_vec())
    }

    #[test]
    fn a_job_needs_no_more_than_its_time() {
        let jobs = read("[jobs.backup]\ncron = \"*/15 * * * *\"\n").unwrap();
        let [job] = jobs.as_slice() else { panic!("{jobs:?}") };
        assert_eq!((job.name.as_str(), job.kind.as_str(), job.schedule.zone().name()), ("backup", "backup", "UTC"));
        assert_eq!((job.jitter, job.deadline, job.retries), (Duration::ZERO, None, 2));
        assert_eq!((job.retry_after, job.catch_up), (Duration::from_secs(60), true));
        assert!(job.args.is_empty() && job.is_for("") && job.is_for("payments"));
        assert_eq!(job.origin.to_string(), "keyhaven.toml, line 1");
    }

    #[test]
    fn every_member_is_read_and_shown() {
        let jobs = read(
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
    fn every_slip_names_its_line_and_what_would_be_right() {
        let job = |members: &str| format!("[jobs.backup]\ncron = \"30 2 * * *\"\n{members}\n");
        let cases = [
            ("jobs = 3\n".to_owned(), "line 1: `jobs`: write each job as `[jobs.NAME]`"),
            ("[jobs]\ncron = \"@daily\"\n".to_owned(), "line 2: `jobs`: `cron` belongs to one job; write each job as"),
            ("[[jobs]]\ncron = \"@daily\"\n".to_owned(), "`jobs`: write each job as `[jobs.NAME]`"),
            ("[jobs.backup]\n".to_owned(), "line 1: `jobs.backup.cron`: is missing; say when it runs"),
            ("[jobs.\"Nightly Backup\"]\ncron = \"@daily\"\n".to_owned(), "`Nightly Backup` is no name for a job"),
            ("[jobs.-a]\ncron = \"@daily\"\n".to_owned(), "`-a` is no name for a job"),
            (
                "[jobs.bakup]\ncron = \"@daily\"\n".to_owned(),
                "line 1: `jobs.bakup.kind`: `bakup` is no kind of job; did you mean `backup`?; there are backup, verify, sync",
            ),
            (job("kind = \"nonsense\""), "`nonsense` is no kind of job; there are backup, verify, sync"),
            (job("schedule = \"@daily\""), "line 3: unknown key `jobs.backup.schedule`"),
            (job("catchup = true"), "line 3: unknown key `jobs.backup.catchup`; did you mean `jobs.backup.catch_up`?"),
            (job("retry_afte = \"1m\""), "did you mean `jobs.backup.retry_after`?"),
            (
                "[jobs.backup]\ncron = \"0 24 * * *\"\n".to_owned(),
                "line 2: `jobs.backup.cron`: hour `24`: 24 is not from 0 to 23",
            ),
            ("[jobs.backup]\ncron = 30\n".to_owned(), "line 2: `jobs.backup.cron`: must be text, not 30"),
            (
                job("zone = \"Europe/Berln\""),
                "line 3: `jobs.backup.zone`: unknown time zone `Europe/Berln`; did you mean `Europe/Berlin`",
            ),
            (
                job("jitter = \"1d\""),
                "line 3: `jobs.backup.jitter`: up to 1d would reach into the next run, which may be 1d later",
            ),
            (job("jitter = \"2d\""), "line 3: `jobs.backup.jitter`: must be from 1s to 1d, not 2d"),
            (job("jitter = 5"), "line 3: `jobs.backup.jitter`: must be a time with a unit"),
            (job("deadline = \"8d\""), "line 3: `jobs.backup.deadline`: must be from 1s to 7d, not 8d"),
            (job("deadline = \"0s\""), "`jobs.backup.deadline`: must be a time with a unit"),
            (job("retries = 21"), "line 3: `jobs.backup.retries`: must be a whole number from 0 to 20, not 21"),
            (job("retries = -1"), "must be a whole number from 0 to 20, not -1"),
            (job("retries = \"2\""), "must be a whole number from 0 to 20, not \"2\""),
            (job("retry_after = \"7h\""), "line 3: `jobs.backup.retry_after`: must be from 1s to 6h, not 7h"),
            (job("catch_up = \"yes\""), "line 3: `jobs.backup.catch_up`: must be true or false, not \"yes\""),
            (job("args = \"--full\""), "line 3: `jobs.backup.args`: must be a list of texts, not \"--full\""),
            (job("args = [1]"), "line 3: `jobs.backup.args`: must be a list of texts, not a list with 1"),
            (job(&format!("args = [\"{}\"]", "x".repeat(1_001))), "an argument is longer than 1000 characters"),
            (job("instances = []"), "line 3: `jobs.backup.instances`: is empty; leave it out for all"),
            (job("instances = [\"pay\"]"), "`jobs.backup.instances`: there is no `[[instances]]` of the name `pay`"),
            (
                format!("{}[[instances]]\nname = \"payments\"\n", job("instances = [\"payment\"]")),
                "did you mean `payments`?",
            ),
        ];
        for (text, words) in cases {
            let message = read(&text).expect_err(&text).to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn jitter_is_measured_against_the_shortest_time_between_two_runs() {
        let jitter =
            |cron: &str, jitter: &str| read(&format!("[jobs.backup]\ncron = \"{cron}\"\njitter = \"{jitter}\"\n"));
        assert!(jitter("*/15 8-18 * * *", "14m").is_ok());
        assert!(jitter("*/15 8-18 * * *", "15m").unwrap_err().to_string().contains("15m later"));
        assert!(jitter("0 3 29 2 *", "1d").is_ok());
    }
}
