//! `keyhaven show`.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::snapshot::{self, Snapshot, Standing};
use crate::cli::{human, report, wire};
use crate::format::event::{Cut, SnapshotEvent, Verdict};
use crate::model::{Digest, Timestamp};
use crate::repository::find::Wanted;
use crate::repository::ledger::Life;

/// Shows one snapshot: what it claims, what it holds, what it cost, who signed it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  keyhaven show\n  keyhaven show 42\n  keyhaven show 3fa9 --json")]
pub(in crate::cli) struct Arguments {
    /// `latest`, a sequence number, or the start of a digest
    #[arg(default_value = "latest")]
    snapshot: Wanted,
}

#[derive(Serialize)]
struct Shown<'a> {
    digest: Digest,
    sequence: u64,
    standing: Standing,
    life: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<&'a str>,
    source: &'a crate::format::SourceName,
    signed_by: Digest,
    signed_at: Timestamp,
    tool: &'a str,
    parents: &'a [Digest],
    snapshot: &'a SnapshotEvent,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let ledger = repository.read_ledger().await?;
    report::ledger_warnings(&app.printer, &repository, &ledger);
    let found = snapshot::pick_to_read(&app.printer, &ledger, &arguments.snapshot)?;
    let entry = &found.entry;
    let shown = Shown {
        digest: entry.digest,
        sequence: entry.sequence,
        standing: found.standing,
        life: found.life_word(),
        pinned: found.pinned.as_deref(),
        source: &entry.source,
        signed_by: entry.key,
        signed_at: entry.time,
        tool: &entry.tool,
        parents: &entry.parents,
        snapshot: &found.event,
    };
    app.printer.result(&shown, |printer| {
        printer.line(format!("Snapshot {} of {}", entry.sequence, human::safe(&entry.source.crn)))?;
        printer.facts(&facts(&found))?;
        for note in &found.event.notes {
            printer.line(format!("  note: {}", human::safe(note)))?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

fn facts(found: &Snapshot) -> Vec<(&'static str, String)> {
    let Snapshot { entry, event, standing, .. } = found;
    let cut = match event.cut {
        Cut::PointInTime => "one point in time".to_owned(),
        Cut::PerItem { moved } => format!("each item on its own; {} were moving", human::thousands(moved)),
    };
    let standing = match &event.verdict {
        Verdict::Suspect { reasons } => format!("{}: {}", standing.as_str(), reasons.join("; ")),
        Verdict::Good => standing.as_str().to_owned(),
    };
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{} {name}", human::thousands(*count))).collect::<Vec<_>>().join(", ")
    };
    let by_kind: Vec<_> = event.counts.iter().map(|(kind, count)| human::count(*count, kind)).collect();
    let requests = event.requests;
    vec![
        ("digest", entry.digest.to_string()),
        ("standing", standing),
        ("life", life(found)),
        ("tags", event.tags.join(", ")),
        ("claim", cut),
        ("between", format!("{} and {}", human::time(event.from), human::time(event.to))),
        ("read", if event.full { "everything" } else { "what had moved or was due" }.to_owned()),
        ("built on", event.base.map_or_else(|| "nothing".to_owned(), |base| base.short())),
        ("items", by_kind.join(", ")),
        ("restorability", listed(&event.classes)),
        ("packs", format!("{}, {}", human::count(event.packs, "pack"), human::bytes(event.sealed_bytes))),
        ("requests", format!("{} listing, {} reading, {} again", requests.listing, requests.reading, requests.retried)),
        ("rounds", event.rounds.to_string()),
        ("signed by", format!("{} at {}", entry.key.short(), human::time(entry.time))),
        ("recovery key on collector", if event.recovery_key_on_collector { "YES" } else { "no" }.to_owned()),
    ]
}

/// Whether it is kept, and what speaks for that.
fn life(found: &Snapshot) -> String {
    let life = match &found.life {
        Life::Live => "kept".to_owned(),
        Life::Forgotten { by, rule } => format!("forgotten by entry {}: {}", by.short(), rule),
        Life::Swept { by, .. } => format!("swept by entry {}", by.short()),
    };
    match &found.pinned {
        Some(reason) => format!("{life}; pinned: {reason}"),
        None => life,
    }
}
