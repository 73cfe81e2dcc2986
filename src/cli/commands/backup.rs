//! `keyhaven backup`.

use std::sync::Arc;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::{configured_keys, report, services, text};
use crate::config::Settings;
use crate::crypto::Identities;
use crate::format::policy::PolicyRecipient;
use crate::job::capture::{Begun, CaptureOptions, CaptureReport, capture_begun};

/// Backs up the source into the repository.
///
/// Lists the instance, reads the items that changed since the newest good snapshot or are due, lists again, and records
/// how consistent the result is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 3 means that a snapshot was recorded, but is suspect or lacks something.

Examples:
  keyhaven backup
  keyhaven backup --full
  keyhaven backup --tag before-migration
  keyhaven backup --json --quiet")]
pub(in crate::cli) struct Arguments {
    /// Read everything and trust no earlier pack
    #[arg(long)]
    full: bool,
    /// Tag the snapshot so that retention can keep it by that; once for each [default: backup.tags]
    #[arg(long, value_name = "TAG", value_parser = crate::cli::args::tag)]
    tag: Vec<String>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let tags = arguments.tag.join(",");
    let flags = [("backup.tags", "--tag", tags.as_str())];
    let settings = app.settings_with(if arguments.tag.is_empty() { &[] } else { &flags })?;
    let catalogue = Arc::new(configured_keys::catalogue_key(&settings)?);
    let source = services::source(&settings)?;
    let repository = services::repository(&settings, None).await?;
    report::repository_warnings(&app.printer, &repository);
    let context = app.context();
    let begun = Begun::begin(&context, &repository).await?;
    let recovery = begun.ledger().policy().map(|policy| policy.recovery_recipients.as_slice()).unwrap_or_default();
    let holds_recovery_key = recovery_key_here(&settings, recovery, &catalogue)?;
    if recovery.len() == 1 {
        app.printer.warning("one recovery recipient: if its key is lost, every backup is lost");
    }
    let backup = settings.backup();
    let options = CaptureOptions {
        full: arguments.full,
        full_every: backup.full_every.0,
        max_shrink: backup.max_shrink.0,
        allow_empty: backup.allow_empty,
        allow_partial: backup.allow_partial,
        overrides: settings.tables().policies().overrides.clone(),
        tags: backup.tags.0.clone(),
        level: backup.compression_level.get(),
        recovery_key_on_collector: holds_recovery_key,
        ..CaptureOptions::default()
    };
    let writer = services::writer(app, &settings, repository.id())?;
    let done = app.change(capture_begun(&begun, &context, &source, &repository, &writer, &catalogue, &options)).await?;
    app.printer.run_result(&done, |printer| printer.screen(&screen(&done)))?;
    Ok(CommandOutcome::reported(done.failure()).with(&done))
}

/// Returns true if this host holds a key that opens packs. Refused unless the configuration accepts it.
fn recovery_key_here(
    settings: &Settings,
    recovery: &[PolicyRecipient],
    catalogue: &Identities,
) -> Result<bool, Failure> {
    let keys = settings.keys();
    let own: Vec<String> = catalogue.recipients().iter().map(ToString::to_string).collect();
    let doubled = recovery.iter().any(|other| own.contains(&other.recipient));
    let what = match (&keys.recovery_identity_file, doubled) {
        (Some(file), _) => format!("keys.recovery_identity_file names {}", file.display()),
        (None, true) => "the catalogue key is one of the recovery keys".to_owned(),
        (None, false) => return Ok(false),
    };
    if keys.recovery_key_on_collector.is_some() {
        return Ok(true);
    }
    Err(Failure::usage(format!("a host that backs up must not be able to open its backups, and this one is: {what}"))
        .hinted(
            "take the identity away from this host, or accept it with keys.recovery_key_on_collector = \"accepted\"; \
             every entry then says so",
        ))
}

fn screen(done: &CaptureReport) -> Screen {
    let (style, heading) = if done.quiet && done.failure().is_none() {
        (Style::Green, "recorded: nothing had changed.")
    } else if done.failure().is_none() {
        (Style::Green, "recorded.")
    } else if !done.suspect.is_empty() {
        (Style::Yellow, "recorded, but it is suspect.")
    } else if done.unread.is_empty() && done.refused.is_empty() && done.hidden.is_empty() {
        (Style::Yellow, "recorded, but something is wrong with the repository.")
    } else {
        (Style::Yellow, "recorded, but it is not complete.")
    };
    let mut screen = Screen::new(style, format!("Snapshot {} {heading}", done.sequence));
    let claim = match done.cut {
        "point_in_time" => format!("one point in time, {}", text::time(done.from)),
        _ => format!("each item on its own; {} moved while they were read", text::count(done.moved, "item")),
    };
    let counts = done.counts.iter().map(|(kind, count)| text::count(*count, kind)).collect::<Vec<_>>().join(", ");
    let requests = &done.requests;
    let listing: u64 = requests.listing.iter().sum();
    let packs = format!(
        "{} new, {} kept; {} sealed from {}",
        text::count(done.packs_written, "pack"),
        text::thousands(done.packs_reused),
        text::bytes(done.sealed_bytes),
        text::bytes(done.plain_bytes)
    );
    screen.facts([
        ("claim", claim),
        ("holds", counts),
        ("read", format!("{}, {} taken over", text::count(done.read, "item"), text::thousands(done.kept))),
        ("packs", packs),
        (
            "requests",
            format!(
                "{} ({} listing, {} reading, {} reading again)",
                text::thousands(requests.total()),
                text::thousands(listing),
                text::thousands(requests.reading),
                text::thousands(requests.rereading)
            ),
        ),
        ("recovery point", format!("{} old when the run ended", text::millis(done.recovery_point_ms))),
        ("took", text::millis(done.duration_ms)),
        ("digest", done.snapshot.to_string()),
    ]);
    if let Some(why) = &done.full_because {
        screen.line(format!("  full: {why}"));
    }
    for doubt in &done.doubts {
        screen.labelled(Style::Yellow, "repository", doubt);
    }
    for reason in &done.suspect {
        screen.labelled(Style::Yellow, "suspect", reason);
    }
    if !done.suspect.is_empty() {
        screen.line(
            "  `latest` passes over it until the items are back or custodians accept it (`keyhaven snapshots accept`).",
        );
    }
    for item in &done.unread {
        screen.labelled(Style::Yellow, "not read", format!("{}: {}", item.key, item.why));
    }
    for hidden in &done.hidden {
        let kind = format!("items of the kind {}: {}; none of them is in the snapshot", hidden.kind, hidden.why);
        screen.labelled(Style::Yellow, "not listed", kind);
    }
    for item in &done.refused {
        let others = if item.sealed_to_others { ", sealed to other recovery keys than those of now" } else { "" };
        let kept = match item.value_of {
            Some(at) if item.moved_since => {
                format!("kept as of {}, but it has changed since", text::time(at))
            }
            Some(at) => format!("kept as of {}", text::time(at)),
            None => "missing".to_owned(),
        };
        let value = format!("{}: {}; its value is {kept}{others}", item.key, item.why);
        screen.labelled(Style::Yellow, "value refused", value);
    }
    if !(done.refused.is_empty() && done.hidden.is_empty() || done.refused_is_accepted) {
        screen.line(
            "  Give the identity a custom role with configurations.list and configuration.read, or accept it: \
             backup.allow_partial = true.",
        );
    }
    for note in &done.notes {
        screen.line(format!("  note: {note}"));
    }
    for warning in &done.warnings {
        screen.labelled(Style::Yellow, "warning", warning);
    }
    screen
}
