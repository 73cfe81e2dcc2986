//! `keyhaven schedule`.

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::cli::text;
use crate::config::JobConfig;
use crate::model::Timestamp;
use crate::schedule::{DstNote, Schedule, ScheduleError, Zone};

/// Maximum number of runs listed.
const MOST: u32 = 1_000;
/// Number of runs that `check` lists.
const OF_A_CHECK: usize = 5;

/// A command about schedules.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show the coming runs of all jobs, in order
    ///
    /// Each with its local time, that in UTC, and a note where a change of the clocks moves or repeats it. A run starts
    /// up to its job's jitter later.
    #[command(after_help = "\
Examples:
  keyhaven schedule next
  keyhaven schedule next 50 --job nightly
  keyhaven schedule next --from 2027-03-27T00:00:00Z --json")]
    Next(NextArguments),
    /// Try a cron line: what it means, and when it would run
    #[command(after_help = "\
Examples:
  keyhaven schedule check '30 2 * * MON-FRI' --zone Europe/Berlin
  keyhaven schedule check '*/15 * * * *'")]
    Check(CheckArguments),
}

/// Arguments of `schedule next`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NextArguments {
    /// How many runs, up to 1000
    #[arg(value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    count: u32,
    /// Only those of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Those after this moment (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
}

/// Arguments of `schedule check`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckArguments {
    /// The cron line, in quotes: minute, hour, day of month, month, day of week; or seconds and these; or @daily and
    /// the like
    #[arg(value_name = "CRON", allow_hyphen_values = true)]
    line: String,
    /// By the clocks of this time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Show the runs after this moment (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct ComingRuns<'a> {
    from: Timestamp,
    runs: Vec<ComingRun<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckedLine<'a> {
    cron: &'a str,
    zone: &'a str,
    zone_database: &'a str,
    from: Timestamp,
    longest_gap_seconds: Option<u64>,
    runs: Vec<RunTime>,
}

/// A coming run of a job.
#[derive(Debug, Serialize)]
struct ComingRun<'a> {
    job: &'a str,
    kind: &'a str,
    /// The instances that it is for; none for all.
    instances: &'a [String],
    #[serde(flatten)]
    moment: RunTime,
    /// Seconds that it may start later.
    jitter_seconds: u64,
}

/// A due moment.
#[derive(Debug, Serialize)]
struct RunTime {
    at: Timestamp,
    local: String,
    zone: &'static str,
    abbreviation: String,
    /// Effect of a clock change.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip)]
    shown: String,
}

impl RunTime {
    fn new(schedule: &Schedule, at: Timestamp) -> Self {
        let (zone, mark) = (schedule.zone(), schedule.mark(at));
        let (local, abbreviation) = (zone.local(at), zone.abbreviation(at));
        // Many zones have no letters; then the offset alone is the name.
        let name = match abbreviation.starts_with(['+', '-']) || abbreviation == "UTC" {
            true => abbreviation.clone(),
            false => format!("{abbreviation} {}", local.format("%:z")),
        };
        Self {
            at,
            local: local.to_rfc3339(),
            zone: zone.name(),
            abbreviation,
            mark: mark.map(DstNote::as_str),
            note: mark.map(|mark| mark.to_string()),
            shown: format!("{} {name}", local.format("%a %Y-%m-%d %H:%M:%S")),
        }
    }

    fn utc(&self) -> String {
        text::time(self.at)
    }
}

pub(super) fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Next(arguments) => next(app, &arguments),
        Command::Check(arguments) => check(app, &arguments),
    }
}

fn next(app: &App, arguments: &NextArguments) -> Result<CommandOutcome, Failure> {
    let instance = app.globals.instance();
    let settings = match instance {
        Some(_) => app.settings()?,
        // The jobs of all instances.
        None => app.settings_of("")?,
    };
    let for_us = |job: &&JobConfig| instance.is_none_or(|instance| job.is_for(instance));
    let mut jobs: Vec<&JobConfig> = settings.jobs().iter().filter(for_us).collect();
    if let Some(name) = &arguments.job {
        let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
        if !names.contains(&name.as_str()) {
            let there_are =
                if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", names.join(", ")) };
            return Err(Failure::usage(format!("the configuration has no job `{name}`; {there_are}")));
        }
        jobs.retain(|job| job.name == *name);
    }
    let now = app.context().clock.now();
    let from = arguments.from.unwrap_or(now);
    let coming = ComingRuns { from, runs: coming(&jobs, from, usize::try_from(arguments.count).unwrap_or(usize::MAX)) };
    app.printer.result(&coming, |printer| {
        let several = coming.runs.iter().any(|run| !run.instances.is_empty());
        print(printer, &coming.runs, now, several)?;
        if settings.jobs().is_empty() {
            printer
                .line("hint: a job is a table `[jobs.NAME]` with `cron = \"…\"`; `keyhaven config init` shows one")?;
        }
        Ok(())
    })?;
    Ok(CommandOutcome::done())
}

/// The first runs of all jobs after a moment, in order of time, then of name.
fn coming<'a>(jobs: &[&'a JobConfig], from: Timestamp, count: usize) -> Vec<ComingRun<'a>> {
    let mut due: Vec<(Timestamp, &JobConfig)> =
        jobs.iter().flat_map(|job| job.schedule.upcoming(from).take(count).map(|at| (at, *job))).collect();
    due.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    due.truncate(count);
    let run = |(at, job): (Timestamp, &'a JobConfig)| ComingRun {
        job: &job.name,
        kind: &job.kind,
        instances: &job.instances,
        moment: RunTime::new(&job.schedule, at),
        jitter_seconds: job.jitter.as_secs(),
    };
    due.into_iter().map(run).collect()
}

fn print(printer: &Printer, runs: &[ComingRun<'_>], now: Timestamp, several: bool) -> Result<(), Failure> {
    let mut table = Table::new(&["job", "due", "UTC", ">in", "note"]);
    for run in runs {
        let mut notes: Vec<String> = Vec::new();
        notes.extend((run.kind != run.job).then(|| run.kind.to_owned()));
        notes.extend((several && !run.instances.is_empty()).then(|| format!("for {}", run.instances.join(", "))));
        notes.extend((run.jitter_seconds > 0).then(|| {
            let jitter = text::millis(i64::try_from(run.jitter_seconds).unwrap_or(i64::MAX).saturating_mul(1_000));
            format!("up to {jitter} later")
        }));
        notes.extend(run.moment.note.clone());
        let within = text::millis(run.moment.at.millis_since(now));
        table.row([run.job.to_owned(), run.moment.shown.clone(), run.moment.utc(), within, notes.join("; ")]);
    }
    printer.table(&table, "no run is to come")
}

fn check(app: &App, arguments: &CheckArguments) -> Result<CommandOutcome, Failure> {
    let schedule = Schedule::new(&arguments.line, &arguments.zone).map_err(|error| {
        let text = match &error {
            ScheduleError::Zone { .. } => error.to_string(),
            _ if arguments.line.trim().is_empty() => format!("the cron line {error}"),
            _ => format!("`{}`: {error}", arguments.line.trim()),
        };
        Failure::usage(text)
    })?;
    let from = arguments.from.unwrap_or_else(|| app.context().clock.now());
    let gap = schedule.interval(from).map(|gap| gap.as_secs());
    let checked = CheckedLine {
        cron: schedule.line(),
        zone: schedule.zone().name(),
        zone_database: Zone::database(),
        from,
        longest_gap_seconds: gap,
        runs: schedule.upcoming(from).take(OF_A_CHECK).map(|at| RunTime::new(&schedule, at)).collect(),
    };
    app.printer.result(&checked, |printer| {
        let gap = gap.map(|gap| text::millis(i64::try_from(gap).unwrap_or(i64::MAX).saturating_mul(1_000)));
        printer.facts(&[
            ("cron", checked.cron.to_owned()),
            ("zone", format!("{} (database {})", checked.zone, checked.zone_database)),
            ("longest gap", gap.unwrap_or_else(|| "none".to_owned())),
        ])?;
        let mut table = Table::new(&["due", "UTC", "note"]);
        for moment in &checked.runs {
            table.row([moment.shown.clone(), moment.utc(), moment.note.clone().unwrap_or_default()]);
        }
        printer.table(&table, "no run is to come")
    })?;
    Ok(CommandOutcome::done())
}
