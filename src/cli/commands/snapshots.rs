//! `keyhaven snapshots`.

mod hold;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::memory::MemoryReport;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot::{self, OpenedSnapshot, SnapshotVerdict};
use crate::cli::table::Table;
use crate::cli::trust::change::PolicyChange;
use crate::cli::trust::session::{Session, Signing};
use crate::cli::{report, services, text};
use crate::model::{Digest, Timestamp};
use crate::repository::find::SnapshotQuery;
use crate::repository::ledger::SnapshotState;

/// Lists the snapshots, newest first.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  keyhaven snapshots
  keyhaven snapshots --last 10 --json
  keyhaven snapshots hold 42 --reason 'state before the migration'
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

/// A command about one snapshot.
#[derive(Debug, Subcommand)]
enum Command {
    /// Accept a suspect snapshot as good; needs custodians
    Accept(AcceptArguments),
    /// Keep a snapshot whatever the retention policy says; needs a reaper or custodians
    Hold(hold::HoldArguments),
    /// Let the retention policy decide again
    Release(hold::HoldArguments),
}

/// Accepts a suspect snapshot as good, in the trust policy.
#[derive(Debug, clap::Args)]
struct AcceptArguments {
    /// The snapshot: a sequence number or the start of its digest
    snapshot: SnapshotQuery,
    #[command(flatten)]
    signing: Signing,
}

/// The list, as JSON.
#[derive(Debug, Serialize)]
struct SnapshotList {
    schema: &'static str,
    memory: MemoryReport,
    snapshots: Vec<SnapshotRow>,
}

/// A snapshot, as lists show it.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotRow {
    sequence: u64,
    digest: Digest,
    time: Timestamp,
    /// `live`, `forgotten` or `swept`.
    state: &'static str,
    /// `good`, `suspect` or `accepted`.
    judgement: SnapshotVerdict,
    /// Whether something that the source shows is missing or stale.
    partial: bool,
    /// `point_in_time` or `per_item`.
    consistency: &'static str,
    full: bool,
    items: u64,
    packs: u64,
    sealed_bytes: u64,
    /// The rule by which it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    tags: Vec<String>,
}

impl SnapshotRow {
    /// Remarks for people.
    fn marks(&self) -> String {
        let state = Some(self.state).filter(|state| *state != "live").map(str::to_owned);
        let partial = self.partial.then(|| "partial".to_owned());
        let held = self.held.as_ref().map(|reason| format!("held: {reason}"));
        let tags = self.tags.iter().map(|tag| format!("#{tag}"));
        state.into_iter().chain(partial).chain(held).chain(tags).collect::<Vec<_>>().join(", ")
    }
}

impl From<&OpenedSnapshot> for SnapshotRow {
    fn from(snapshot: &OpenedSnapshot) -> Self {
        let event = &snapshot.event;
        let rule = match &snapshot.state {
            SnapshotState::Forgotten { rule, .. } => Some(rule.clone()),
            SnapshotState::Live | SnapshotState::Swept { .. } => None,
        };
        Self {
            sequence: snapshot.entry.sequence,
            digest: snapshot.entry.digest,
            time: event.time,
            state: snapshot.state_word(),
            judgement: snapshot.judgement,
            partial: event.partial,
            consistency: event.consistency.as_str(),
            full: event.full,
            items: event.items(),
            packs: event.packs,
            sealed_bytes: event.sealed_bytes,
            rule,
            held: snapshot.held.clone(),
            tags: event.tags.clone(),
        }
    }
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    match arguments.command {
        Some(Command::Accept(accept_arguments)) => accept(app, accept_arguments).await,
        Some(Command::Hold(arguments)) => hold::run(app, arguments, true).await,
        Some(Command::Release(arguments)) => hold::run(app, arguments, false).await,
        None => list(app, arguments.last, arguments.all).await,
    }
}

async fn list(app: &App, last: Option<usize>, all: bool) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let mut snapshots = snapshot::all(&ledger);
    snapshots.retain(|snapshot| all || !matches!(snapshot.state, SnapshotState::Swept { .. }));
    let lines = snapshots.iter().rev().take(last.unwrap_or(usize::MAX)).map(SnapshotRow::from).collect();
    let listing = SnapshotList { schema: "keyhaven/snapshots/1", memory: MemoryReport::of(&ledger), snapshots: lines };
    app.printer.result(&listing, |printer| {
        let columns =
            [">seq", "time", "judgement", "consistency", "kind", ">items", ">packs", ">size", "digest", "marks"];
        let mut table = Table::new(&columns);
        for line in &listing.snapshots {
            table.row([
                line.sequence.to_string(),
                text::time(line.time),
                line.judgement.as_str().to_owned(),
                line.consistency.replace('_', " "),
                if line.full { "full" } else { "incremental" }.to_owned(),
                text::thousands(line.items),
                text::thousands(line.packs),
                text::bytes(line.sealed_bytes),
                line.digest.short(),
                line.marks(),
            ]);
        }
        printer.table(&table, "no snapshot yet; `keyhaven backup` makes one")
    })?;
    Ok(CommandOutcome::done())
}

async fn accept(app: &App, arguments: AcceptArguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let snapshot = snapshot::pick(&session.ledger, &arguments.snapshot)?;
    if snapshot.judgement != SnapshotVerdict::Suspect {
        let word = snapshot.judgement.as_str();
        return Err(Failure::usage(format!("snapshot {} is not suspect: it is {word}", snapshot.entry.sequence)));
    }
    for reason in &snapshot.suspect {
        app.printer.note(&format!("snapshot {} is suspect: {reason}", snapshot.entry.sequence));
    }
    let digest = snapshot.entry.digest;
    let details = serde_json::Map::from_iter([("accepted".to_owned(), serde_json::json!(digest))]);
    let next = session.next(&[PolicyChange::Accept(digest)], Some(arguments.signing.reason), false)?;
    session.carry_out("accepted", details, &next, None, &arguments.signing.with).await
}
