//! `keyhaven history`.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::table::Table;
use crate::cli::timeline::{self, Timeline};
use crate::cli::{snapshot, text};
use crate::model::{Digest, Timestamp};

/// Shows every version of an item in the kept snapshots, and which of them can be restored.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven history payments/db-password
  keyhaven history db-password --json")]
pub(in crate::cli) struct Arguments {
    /// The item: its name, GROUP/NAME or id
    item: String,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

#[derive(Serialize)]
struct HistoryReport<'a> {
    key: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    item_type: &'a str,
    first_seen: u64,
    last_seen: u64,
    gone: bool,
    versions: Vec<HistoryRow<'a>>,
}

#[derive(Serialize)]
struct HistoryRow<'a> {
    version: &'a str,
    created_at: Option<&'a str>,
    first_snapshot: u64,
    last_snapshot: u64,
    last_time: Timestamp,
    pack: Option<Digest>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { repository, keys, ledger, .. } = OpenedRepository::begin(app, &arguments.recovery).await?;
    let snapshots = snapshot::live(&ledger);
    let timeline = timeline::read(&repository, &keys, &snapshots, &arguments.item).await?;
    let shown = shown(&timeline, snapshots.last().map_or(0, |newest| newest.entry.sequence));
    app.printer.result(&shown, |printer| {
        printer.line(format!("{} ({}, {})", text::safe(shown.name), shown.item_type, text::safe(shown.key)))?;
        if shown.gone {
            printer.line(format!("  gone from the source since snapshot {}", shown.last_seen))?;
        }
        let mut table = Table::new(&["version", "created", ">first seen", ">last seen", "last time", "payload"]);
        for line in &shown.versions {
            table.row([
                line.version.to_owned(),
                line.created_at.unwrap_or_default().to_owned(),
                line.first_snapshot.to_string(),
                line.last_snapshot.to_string(),
                text::time(line.last_time),
                line.pack.map_or_else(|| "not kept".to_owned(), |pack| format!("in pack {}", pack.short())),
            ]);
        }
        printer.table(&table, "it has no versions")
    })?;
    Ok(CommandOutcome::done())
}

fn shown(timeline: &Timeline, newest: u64) -> HistoryReport<'_> {
    HistoryReport {
        key: timeline.item.key.as_str(),
        name: &timeline.item.name,
        item_type: &timeline.item.item_type,
        first_seen: timeline.first_seen,
        last_seen: timeline.last_seen,
        gone: timeline.last_seen < newest,
        versions: timeline
            .versions
            .iter()
            .map(|version| HistoryRow {
                version: version.slot.as_str(),
                created_at: version.created_at.as_deref(),
                first_snapshot: version.first,
                last_snapshot: version.last,
                last_time: version.last_time,
                pack: version.pack,
            })
            .collect(),
    }
}
