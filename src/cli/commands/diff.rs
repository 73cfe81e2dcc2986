//! `keyhaven diff`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::table::Table;
use crate::cli::{services, snapshot, text};
use crate::crypto::Identities;
use crate::model::{FailureKind, Item, ItemKey, Revision};
use crate::provider::{Listed, Source};
use crate::repository::Repository;
use crate::repository::find::SnapshotQuery;

/// Compares two snapshots, or a snapshot and the live instance. Reads no payload.
///
/// Compares what the provider's lists show of each item; that changes whenever a secret changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 15 means that there are differences.

Examples:
  keyhaven diff 41 42
  keyhaven diff latest --live")]
pub(in crate::cli) struct Arguments {
    /// The older snapshot
    #[arg(default_value = "latest")]
    older: SnapshotQuery,
    /// The newer snapshot
    #[arg(required_unless_present = "live", conflicts_with = "live")]
    newer: Option<SnapshotQuery>,
    /// Compare with the live source
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

/// Change of an item from the older to the newer snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum DiffKind {
    Added,
    Removed,
    Changed,
    /// The older snapshot holds no listed revision of it, so it cannot be told.
    Unknown,
}

impl DiffKind {
    const fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
            Self::Unknown => "?",
        }
    }
}

#[derive(Debug, Serialize)]
struct DiffRow {
    change: DiffKind,
    key: ItemKey,
    #[serde(rename = "type")]
    item_type: String,
    name: String,
    /// Parts that changed between two snapshots: the list row, versions, locks, value.
    what: Vec<String>,
}

#[derive(Debug, Serialize)]
struct DiffReport {
    older: u64,
    /// `None` for the live instance.
    newer: Option<u64>,
    same: u64,
    differences: Vec<DiffRow>,
}

/// An item, as far as it is compared.
#[derive(Debug)]
struct ComparedItem {
    item_type: String,
    name: String,
    revision: Option<Revision>,
    /// The documents and the payload versions, by name; `None` for a live item, which was not read.
    parts: Option<BTreeMap<String, String>>,
}

type States = BTreeMap<ItemKey, ComparedItem>;

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { settings, repository, keys, ledger, .. } =
        OpenedRepository::begin(app, &arguments.recovery).await?;
    let older = snapshot::pick_to_read(&app.printer, &ledger, &arguments.older)?;
    let before = of_snapshot(&repository, &older, &keys).await?;
    let (newer, after) = match &arguments.newer {
        Some(wanted) => {
            let newer = snapshot::pick_to_read(&app.printer, &ledger, wanted)?;
            let after = of_snapshot(&repository, &newer, &keys).await?;
            (Some(newer.entry.sequence), after)
        }
        None => {
            let crn = &older.entry.source.instance;
            (None, live(&services::source(&settings)?, crn).await?)
        }
    };
    let (same, differences) = compare(&before, &after);
    let shown = DiffReport { older: older.entry.sequence, newer, same, differences };
    app.printer.result(&shown, |printer| {
        let mut table = Table::new(&["", "type", "name", "what", "key"]);
        for line in &shown.differences {
            table.row([
                line.change.sign().to_owned(),
                line.item_type.clone(),
                line.name.clone(),
                line.what.join(", "),
                line.key.to_string(),
            ]);
        }
        printer.table(&table, "no difference")?;
        printer.line(format!("{} the same", text::count(shown.same, "item")))
    })?;
    Ok(CommandOutcome::reported((!shown.differences.is_empty()).then_some(FailureKind::Different)))
}

async fn of_snapshot(
    repository: &Repository,
    snapshot: &snapshot::OpenedSnapshot,
    keys: &Arc<Identities>,
) -> Result<States, Failure> {
    let mut states = States::new();
    let mut items = repository.open_snapshot(&snapshot.event, keys);
    while let Some(item) = items.try_next().await? {
        let parts = Some(parts(&item));
        let state = ComparedItem { item_type: item.item_type, name: item.name, revision: item.revision, parts };
        states.insert(item.key, state);
    }
    Ok(states)
}

/// The documents of an item, and the ids of the versions whose payloads are kept.
fn parts(item: &Item) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> =
        item.docs.iter().map(|(name, doc)| (name.clone(), doc.get().to_owned())).collect();
    let mut slots: Vec<&str> = item.payloads.iter().map(|pointer| pointer.version.as_str()).collect();
    slots.sort_unstable();
    parts.insert("payloads".to_owned(), slots.join(" "));
    parts
}

async fn live(source: &dyn Source, expected: &str) -> Result<States, Failure> {
    let mut states = States::new();
    let listing = source
        .list(&mut |listed: Listed| {
            let Listed { item, revision, .. } = listed;
            let state =
                ComparedItem { item_type: item.item_type, name: item.name, revision: Some(revision), parts: None };
            states.insert(item.key, state);
        })
        .await?;
    match listing.instance {
        Some(crn) if crn != expected => Err(Failure::new(
            FailureKind::Moved,
            format!("the instance is {crn}, the repository is of {expected}: nothing to compare"),
        )),
        _ => Ok(states),
    }
}

fn compare(before: &States, after: &States) -> (u64, Vec<DiffRow>) {
    let mut same = 0;
    let mut lines = Vec::new();
    let line = |change, key: &ItemKey, state: &ComparedItem, what| DiffRow {
        change,
        key: key.clone(),
        item_type: state.item_type.clone(),
        name: state.name.clone(),
        what,
    };
    for (key, old) in before {
        let Some(new) = after.get(key) else {
            lines.push(line(DiffKind::Removed, key, old, Vec::new()));
            continue;
        };
        match (old.revision, new.revision) {
            (Some(a), Some(b)) if a == b => same += 1,
            (Some(_), Some(_)) => lines.push(line(DiffKind::Changed, key, new, moved(old, new))),
            _ => match (&old.parts, &new.parts) {
                (Some(a), Some(b)) if a == b => same += 1,
                (Some(_), Some(_)) => lines.push(line(DiffKind::Changed, key, new, moved(old, new))),
                _ => lines.push(line(DiffKind::Unknown, key, new, Vec::new())),
            },
        }
    }
    let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
    lines.extend(added.map(|(key, state)| line(DiffKind::Added, key, state, Vec::new())));
    lines.sort_by(|a, b| a.key.cmp(&b.key));
    (same, lines)
}

fn moved(old: &ComparedItem, new: &ComparedItem) -> Vec<String> {
    let (Some(old), Some(new)) = (&old.parts, &new.parts) else { return Vec::new() };
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, ItemKind};

    fn state(revision: Option<u8>, versions: Option<&str>) -> ComparedItem {
        ComparedItem {
            item_type: "kv".into(),
            name: "n".into(),
            revision: revision.map(|byte| Digest::from_bytes([byte; 32])),
            parts: versions.map(|text| BTreeMap::from([("versions".to_owned(), text.to_owned())])),
        }
    }

    fn states(all: Vec<(&str, ComparedItem)>) -> States {
        all.into_iter().map(|(id, state)| (ItemKey::new(ItemKind::Secret, id).unwrap(), state)).collect()
    }

    #[test]
    fn every_kind_of_change_is_told() {
        let before = states(vec![
            ("changed", state(Some(1), Some("1"))),
            ("gone", state(Some(1), None)),
            ("moved", state(None, None)),
            ("same", state(Some(1), Some("1"))),
        ]);
        let after = states(vec![
            ("changed", state(Some(2), Some("2"))),
            ("moved", state(Some(3), None)),
            ("new", state(Some(1), None)),
            ("same", state(Some(1), None)),
        ]);
        let (same, lines) = compare(&before, &after);
        let told: Vec<_> = lines.iter().map(|line| (line.change, line.key.id(), line.what.join(","))).collect();
        assert_eq!(same, 1);
        assert_eq!(
            told,
            [
                (DiffKind::Changed, "changed", "versions".to_owned()),
                (DiffKind::Removed, "gone", String::new()),
                (DiffKind::Unknown, "moved", String::new()),
                (DiffKind::Added, "new", String::new()),
            ]
        );
    }

    #[test]
    fn items_without_a_revision_are_compared_by_what_was_read() {
        let old = states(vec![("a", state(None, Some("1"))), ("b", state(None, Some("1")))]);
        let new = states(vec![("a", state(Some(1), Some("1"))), ("b", state(Some(1), Some("2")))]);
        let (same, lines) = compare(&old, &new);
        assert_eq!((same, lines.len()), (1, 1));
    }
}
