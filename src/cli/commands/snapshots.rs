//! `keyhaven snapshots`.

mod pin;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::snapshot::{self, Snapshot, Standing};
use crate::cli::table::Table;
use crate::cli::{human, identity, report, wire};
use crate::format::event::{AcceptSuspectEvent, Cut, Event};
use crate::model::{Digest, Timestamp};
use crate::repository::find::Wanted;
use crate::repository::ledger::Life;

/// Lists the snapshots, newest first.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  keyhaven snapshots
  keyhaven snapshots --last 10 --json
  keyhaven snapshots pin 42 --reason 'state before the migration'
  keyhaven snapshots accept 42 --key custodian-key.pem.age --reason 'the old team was removed on purpose'"
)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only so many
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Also those that were swept
    #[arg(long)]
    all: bool,
}

/// What to do with a snapshot.
#[derive(Debug, Subcommand)]
enum Command {
    /// Declare a suspect snapshot good; needs the custodian's key
    Accept(AcceptArguments),
    /// Keep a snapshot whatever the retention policy says; needs a reaper's or the custodian's key
    Pin(pin::PinArguments),
    /// Let the retention policy decide again
    Unpin(pin::PinArguments),
}

/// Declares a suspect snapshot good.
#[derive(Debug, clap::Args)]
struct AcceptArguments {
    /// The snapshot: a sequence number or the start of its digest
    snapshot: Wanted,
    /// Why; it stays in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The custodian's key (PEM, protected by age or not)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with the passphrase of the key, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// A snapshot, as lists show it.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    sequence: u64,
    digest: Digest,
    time: Timestamp,
    standing: Standing,
    cut: &'static str,
    full: bool,
    items: u64,
    packs: u64,
    sealed_bytes: u64,
    /// `live`, `forgotten` or `swept`.
    life: &'static str,
    /// The rule by which it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Why it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    tags: Vec<String>,
}

impl Line {
    /// What a person should know of it beyond its numbers.
    fn marks(&self) -> String {
        let life = Some(self.life).filter(|life| *life != "live").map(str::to_owned);
        let pinned = self.pinned.as_ref().map(|reason| format!("pinned: {reason}"));
        let tags = self.tags.iter().map(|tag| format!("#{tag}"));
        life.into_iter().chain(pinned).chain(tags).collect::<Vec<_>>().join(", ")
    }
}

impl From<&Snapshot> for Line {
    fn from(snapshot: &Snapshot) -> Self {
        let event = &snapshot.event;
        Self {
            sequence: snapshot.entry.sequence,
            digest: snapshot.entry.digest,
            time: event.time,
            standing: snapshot.standing,
            cut: match event.cut {
                Cut::PointInTime => "point_in_time",
                Cut::PerItem { .. } => "per_item",
            },
            full: event.full,
            items: event.items(),
            packs: event.packs,
            sealed_bytes: event.sealed_bytes,
            life: snapshot.life_word(),
            rule: match &snapshot.life {
                Life::Forgotten { rule, .. } => Some(rule.clone()),
                Life::Live | Life::Swept { .. } => None,
            },
            pinned: snapshot.pinned.clone(),
            tags: event.tags.clone(),
        }
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome, Failure> {
    match arguments.command {
        Some(Command::Accept(accept_arguments)) => accept(app, accept_arguments).await,
        Some(Command::Pin(arguments)) => pin::run(app, arguments, true).await,
        Some(Command::Unpin(arguments)) => pin::run(app, arguments, false).await,
        None => list(app, arguments.last, arguments.all).await,
    }
}

async fn list(app: &App, last: Option<usize>, all: bool) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let ledger = repository.read_ledger().await?;
    report::ledger_warnings(&app.printer, &repository, &ledger);
    let mut snapshots = snapshot::all(&ledger);
    snapshots.retain(|snapshot| all || !matches!(snapshot.life, Life::Swept { .. }));
    let lines: Vec<Line> = snapshots.iter().rev().take(last.unwrap_or(usize::MAX)).map(Line::from).collect();
    app.printer.result(&lines, |printer| {
        let mut table =
            Table::new(&[">seq", "time", "standing", "cut", "kind", ">items", ">packs", ">size", "digest", "marks"]);
        for line in &lines {
            table.row([
                line.sequence.to_string(),
                human::time(line.time),
                line.standing.as_str().to_owned(),
                line.cut.replace('_', " "),
                if line.full { "full" } else { "incremental" }.to_owned(),
                human::thousands(line.items),
                human::thousands(line.packs),
                human::bytes(line.sealed_bytes),
                line.digest.short(),
                line.marks(),
            ]);
        }
        printer.table(&table, "no snapshot yet; `keyhaven backup` makes one")
    })?;
    Ok(Outcome::Done)
}

async fn accept(app: &App, arguments: AcceptArguments) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let ledger = repository.read_ledger().await?;
    let snapshot = snapshot::pick(&ledger, &arguments.snapshot)?;
    if snapshot.standing != Standing::Suspect {
        let word = snapshot.standing.as_str();
        return Err(Failure::usage(format!("snapshot {} is not suspect: it is {word}", snapshot.entry.sequence)));
    }
    let key = identity::signing_key(arguments.key, arguments.passphrase_file).await?;
    let clock = app.context().clock;
    let writer = wire::writer_with(key, app, &settings, repository.id())?;
    let event = AcceptSuspectEvent { snapshot: snapshot.entry.digest, reason: arguments.reason };
    let draft = super::draft(&*clock, Event::AcceptSuspect(event));
    let entry = app.change(repository.commit(&writer, draft)).await?;
    let done =
        serde_json::json!({ "accepted": snapshot.entry.digest, "entry": entry.digest, "sequence": entry.sequence });
    app.printer.result(&done, |printer| {
        printer.line(format!("Snapshot {} accepted by entry {}.", snapshot.entry.sequence, entry.sequence))
    })?;
    Ok(Outcome::Done)
}
