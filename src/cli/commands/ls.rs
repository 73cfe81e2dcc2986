//! `keyhaven ls`.

use futures_util::TryStreamExt;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::inventory::{Filter, GroupNames};
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot::{self, SnapshotArguments};
use crate::cli::table::Table;
use crate::model::{Item, ItemClass, Timestamp};

/// Lists the items of a snapshot. Reads no payload.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven ls
  keyhaven ls --snapshot 42 --type kv
  keyhaven ls 'payments/*' --json")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    snapshot: SnapshotArguments,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

#[derive(Serialize)]
struct ItemRow {
    key: String,
    kind: String,
    #[serde(rename = "type")]
    item_type: String,
    group: Option<String>,
    group_name: Option<String>,
    name: String,
    class: ItemClass,
    versions_kept: usize,
    read_at: Option<Timestamp>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { repository, keys, ledger, .. } = OpenedRepository::begin(app, &arguments.recovery).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &arguments.snapshot.wanted())?;
    let mut groups = GroupNames::default();
    let mut items: Vec<Item> = Vec::new();
    let mut stream = repository.open_snapshot(&found.event, &keys);
    while let Some(item) = stream.try_next().await? {
        groups.learn(&item);
        items.push(item);
    }
    items.retain(|item| arguments.filter.takes(item, &groups));
    let lines: Vec<ItemRow> = items.iter().map(|item| line(item, &groups)).collect();
    app.printer.result(&lines, |printer| {
        let mut table = Table::new(&["kind", "type", "group", "name", "restorability", ">versions", "id"]);
        for line in &lines {
            table.row([
                line.kind.clone(),
                line.item_type.clone(),
                line.group_name.clone().or_else(|| line.group.clone()).unwrap_or_default(),
                line.name.clone(),
                line.class.to_string(),
                line.versions_kept.to_string(),
                line.key.split_once('/').map_or("", |(_, id)| id).to_owned(),
            ]);
        }
        printer.table(&table, "no item fits")
    })?;
    Ok(CommandOutcome::done())
}

fn line(item: &Item, groups: &GroupNames) -> ItemRow {
    ItemRow {
        key: item.key.as_str().to_owned(),
        kind: item.key.kind_word().to_owned(),
        item_type: item.item_type.clone(),
        group: item.group.clone(),
        group_name: groups.of(item).map(str::to_owned),
        name: item.name.clone(),
        class: item.class.clone(),
        versions_kept: item.payloads.len(),
        read_at: item.read_at,
    }
}
