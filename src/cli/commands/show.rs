//! `keyhaven show`.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot::{self, OpenedSnapshot, SnapshotVerdict};
use crate::cli::{report, services, text};
use crate::format::snapshot::Consistency;
use crate::format::{EntryRef, PolicyRef, SnapshotEvent};
use crate::model::{Digest, Timestamp};
use crate::repository::find::SnapshotQuery;
use crate::repository::ledger::SnapshotState;

/// Shows one snapshot: its consistency, contents, cost and signer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  keyhaven show\n  keyhaven show 42\n  keyhaven show 3fa9 --json")]
pub(in crate::cli) struct Arguments {
    /// `latest`, a sequence number, or the start of a digest
    #[arg(default_value = "latest")]
    snapshot: SnapshotQuery,
}

#[derive(Serialize)]
struct ShownItem<'a> {
    digest: Digest,
    sequence: u64,
    /// `live`, `forgotten` or `swept`.
    state: &'static str,
    /// `good`, `suspect` or `accepted`.
    judgement: SnapshotVerdict,
    /// Why it is suspect.
    suspect: &'a [String],
    /// Why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a str>,
    policy: PolicyRef,
    source: &'a crate::format::SourceName,
    signed_by: Digest,
    signed_at: Timestamp,
    tool: &'a str,
    parents: &'a [EntryRef],
    snapshot: &'a SnapshotEvent,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &arguments.snapshot)?;
    let entry = &found.entry;
    let shown = ShownItem {
        digest: entry.digest,
        sequence: entry.sequence,
        state: found.state_word(),
        judgement: found.judgement,
        suspect: &found.suspect,
        held: found.held.as_deref(),
        policy: entry.policy,
        source: &entry.source,
        signed_by: entry.key,
        signed_at: entry.time,
        tool: &entry.tool,
        parents: &entry.parents,
        snapshot: &found.event,
    };
    app.printer.result(&shown, |printer| {
        printer.line(format!("Snapshot {} of {}", entry.sequence, text::safe(&entry.source.instance)))?;
        printer.facts(&facts(&found))?;
        for note in &found.event.notes {
            printer.line(format!("  note: {}", text::safe(note)))?;
        }
        Ok(())
    })?;
    Ok(CommandOutcome::done())
}

fn facts(found: &OpenedSnapshot) -> Vec<(&'static str, String)> {
    let OpenedSnapshot { entry, event, judgement, .. } = found;
    let consistency = match &event.consistency {
        Consistency::PointInTime => "one point in time".to_owned(),
        Consistency::PerItem { moved, .. } => {
            format!("each item on its own; {} were moving", text::thousands(moved.unwrap_or(0)))
        }
    };
    let judged = match found.suspect.as_slice() {
        [] => judgement.as_str().to_owned(),
        reasons => format!("{}: {}", judgement.as_str(), reasons.join("; ")),
    };
    let completeness =
        if event.partial { "partial: something that the source shows is missing or stale" } else { "complete" };
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{} {name}", text::thousands(*count))).collect::<Vec<_>>().join(", ")
    };
    let by_kind: Vec<_> = event.items_by_kind().iter().map(|(kind, count)| text::count(*count, kind)).collect();
    let requests = event.requests;
    vec![
        ("digest", entry.digest.to_string()),
        ("judgement", judged),
        ("state", state(found)),
        ("completeness", completeness.to_owned()),
        ("tags", event.tags.join(", ")),
        ("consistency", consistency),
        ("between", format!("{} and {}", text::time(event.from), text::time(event.to))),
        ("read", if event.full { "everything" } else { "what had moved or was due" }.to_owned()),
        ("built on", event.base.map_or_else(|| "nothing".to_owned(), |base| base.short())),
        ("items", by_kind.join(", ")),
        ("restorability", listed(&event.items_by_class())),
        ("packs", format!("{}, {}", text::count(event.packs, "pack"), text::bytes(event.sealed_bytes))),
        ("requests", format!("{} listing, {} reading, {} again", requests.listing, requests.reading, requests.retried)),
        ("rounds", event.rounds.to_string()),
        ("signed by", format!("{} at {}", entry.key.short(), text::time(entry.time))),
        ("trust policy", entry.policy.to_string()),
        ("recovery key on collector", if event.recovery_key_on_collector { "YES" } else { "no" }.to_owned()),
    ]
}

/// Returns in words if it is kept, and why.
fn state(found: &OpenedSnapshot) -> String {
    let state = match &found.state {
        SnapshotState::Live => "live".to_owned(),
        SnapshotState::Forgotten { by, rule } => format!("forgotten by entry {}: {}", by.short(), rule),
        SnapshotState::Swept { by } => format!("swept by entry {}", by.short()),
    };
    match &found.held {
        Some(reason) => format!("{state}; held: {reason}"),
        None => state,
    }
}
