//! `keyhaven doctor`: everything that must be true before the first night, in one table.
//!
//! Each module gives the rows under one heading; none of them changes anything, and each shows all it can when another
//! has failed.

mod backups;
mod host;
mod instances;
mod jobs;
mod keys;
mod limit;
mod notifications;
mod purpose;
mod regions;
mod repository;
mod row;
mod schedule;

use std::time::Duration;

use serde::Serialize;

use self::limit::Limit;
use self::purpose::HostPurpose;
use self::row::{CheckResult, CheckRow, Rows};
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::{Printer, Style};
use crate::cli::text;
use crate::job::{RunFacts, RunResult};

/// Checks everything that a backup or a restore needs: keys, repository, instances, rights, schedule. Changes nothing.
///
/// The configuration decides which: with a source this host backs up, with a standby it restores. Every finding names
/// its fix.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is that of the first line that is bad; warnings do not change it.

Examples:
  keyhaven doctor
  keyhaven doctor --json
  keyhaven doctor --notify
  keyhaven doctor --timeout 10")]
pub(in crate::cli) struct Arguments {
    /// How many seconds each question to an instance or to the store may take
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Send every notification target a test message; without it they are only looked at
    #[arg(long)]
    notify: bool,
}

/// The whole table.
#[derive(Debug, Default, Serialize)]
struct CheckTable {
    checks: Vec<CheckRow>,
    /// Number of good ones among them.
    good: usize,
    /// Number of warnings.
    warnings: usize,
    /// Number of bad rows.
    bad: usize,
}

impl RunResult for CheckTable {
    fn facts(&self) -> RunFacts {
        RunFacts { problems: u64::try_from(self.bad).ok(), ..RunFacts::default() }
    }
}

impl CheckTable {
    fn add(&mut self, rows: Rows) {
        for row in rows {
            match row.verdict {
                CheckResult::Good => self.good += 1,
                CheckResult::Warning => self.warnings += 1,
                CheckResult::Bad => self.bad += 1,
            }
            self.checks.push(row);
        }
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let limit = Limit(Duration::from_secs(arguments.timeout));
    let host = HostPurpose::of(&settings);
    let mut table = CheckTable::default();
    table.add(configuration(app));
    table.add(host::rows(app, &settings));
    let (rows, signing_key, catalogue) = keys::rows(&settings, &host);
    table.add(rows);
    let (rows, found) = repository::rows(app, &settings, &host, signing_key.as_ref(), limit).await;
    table.add(rows);
    if let Some(policy) = found.ledger.as_ref().and_then(|ledger| ledger.policy()).filter(|_| host.collects) {
        table.add(keys::recipients(&settings, policy, catalogue.as_ref()));
    }
    let mut regions = regions::Regions::configured(&settings);
    if let Some(source) = found.ledger.as_ref().and_then(|ledger| ledger.source()) {
        regions.source.clone_from(&source.region);
    }
    if host.collects {
        table.add(instances::source(app, &settings, &host, &found, &mut regions, limit).await);
    }
    if host.restores {
        table.add(instances::standby(&settings, &found, &mut regions, limit).await);
    }
    table.add(regions::rows(&regions));
    table.add(backups::rows(app, &settings, &found).await);
    table.add(schedule::rows(app, &settings, host.collects, limit).await);
    table.add(notifications::rows(app, &settings, arguments.notify).await);
    app.printer.run_result(&table, |printer| print(printer, &table))?;
    let first = table.checks.iter().find(|row| row.verdict == CheckResult::Bad);
    Ok(CommandOutcome::reported(first.map(|row| row.kind)).with(&table))
}

fn configuration(app: &App) -> Rows {
    let mut rows = Rows::new("Configuration");
    let file = app.config_path();
    rows.good("file", file.map_or_else(|| "none; flags and environment only".to_owned(), |p| p.display().to_string()));
    rows
}

fn print(printer: &Printer, table: &CheckTable) -> Result<(), Failure> {
    const LABEL: usize = 20;
    const INDENT: usize = 8 + LABEL + 2;
    let mut group = "";
    for row in &table.checks {
        if row.group != group {
            if !group.is_empty() {
                printer.line("")?;
            }
            group = row.group;
            printer.line(printer.paint(Style::Bold, group))?;
        }
        let mark = match row.verdict {
            CheckResult::Good => printer.paint(Style::Green, "ok  "),
            CheckResult::Warning => printer.paint(Style::Yellow, "warn"),
            CheckResult::Bad => printer.paint(Style::Red, "BAD "),
        };
        let room = printer.width().saturating_sub(INDENT);
        let mut lines = text::wrapped(&text::safe(&row.found), room).into_iter();
        let first = lines.next().unwrap_or_default();
        printer.line(format!("  {mark}  {:<LABEL$}  {first}", row.what))?;
        for line in lines {
            printer.line(format!("{:INDENT$}{line}", ""))?;
        }
        for line in row.hint.iter().flat_map(|hint| text::wrapped(&format!("mend: {}", text::safe(hint)), room)) {
            printer.line(format!("{:INDENT$}{}", "", printer.paint(Style::Dim, &line)))?;
        }
    }
    let style = match (table.bad, table.warnings) {
        (0, 0) => Style::Green,
        (0, _) => Style::Yellow,
        _ => Style::Red,
    };
    printer.line("")?;
    printer
        .line(printer.paint(style, &format!("{} good, {} to look at, {} bad", table.good, table.warnings, table.bad)))
}
