//! `keyhaven verify`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::{self, RecoveryArguments};
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::{configured_keys, draft, services, text};
use crate::config::Settings;
use crate::crypto::SigningKey;
use crate::format::names;
use crate::job::verify::{
    Level, Problem, ProblemKind, SliceChoice, Snapshots, VerifyKeys, VerifyOptions, VerifyReport, record, verify,
};
use crate::model::Digest;
use crate::repository::Repository;
use crate::repository::find::SnapshotQuery;

/// Verifies the repository, as deep as the available keys allow.
///
/// ledger: trust policy, links, signatures and roles. objects: every object exists and is what was signed. catalogue:
/// the inventory is complete and matches its entry (needs a catalogue key or a recovery key). payload: every payload
/// opens and matches (needs a recovery key). Each level includes the previous ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --pin-head, nothing outside of the bucket shows that the newest entries are still there, and the result says so.

Examples:
  keyhaven verify
  keyhaven verify --level ledger --pin-head 3fa9…
  keyhaven verify --level payload --identity recovery-identity.txt --slice 3/30
  keyhaven verify --level payload --slice next/30 --record
  keyhaven verify --record recovery-signing-key.pem.age")]
pub(in crate::cli) struct Arguments {
    /// How deep: ledger, objects, catalogue, payload
    #[arg(long, value_name = "LEVEL", default_value = "objects", value_parser = Level::ALL.map(Level::as_str))]
    level: String,
    /// Only this snapshot: `latest`, a sequence number, or the start of a digest
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<SnapshotQuery>,
    /// At level payload, open only the N-th of T parts of the packs, so that T runs open all; next/T: the one that
    /// follows the last recorded one
    #[arg(long, value_name = "N/T")]
    slice: Option<SliceChoice>,
    /// The digest of an entry that was a head and must still be there; may be given more than once
    #[arg(long, value_name = "DIGEST")]
    pin_head: Vec<Digest>,
    /// Sign the result into the ledger, good or bad, with this key, which needs the role of a verifier [default: this
    /// host's own]
    #[arg(long, value_name = "KEY-FILE", num_args = 0..=1)]
    record: Option<Option<PathBuf>>,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    if let Some(SliceChoice::Next { of }) = arguments.slice {
        if arguments.record.is_none() {
            return Err(Failure::usage(format!("--slice next/{of} needs --record")).hinted(
                "which slice was the last stands in the ledger alone; without an entry it would always be the same",
            ));
        }
        if arguments.snapshot.is_some() {
            return Err(Failure::usage(format!(
                "--slice next/{of} goes through all snapshots, and --snapshot names one"
            ))
            .hinted("leave one of them out, or name the slice"));
        }
    }
    let level = Level::ALL.into_iter().find(|level| level.as_str() == arguments.level).unwrap_or(Level::Objects);
    let recovery = match level {
        Level::Ledger | Level::Objects => None,
        Level::Catalogue => arguments.recovery.load(&settings).await?,
        Level::Payload => Some(arguments.recovery.needed(&settings).await?),
    };
    // A key that does not open is reported before the work, not after it.
    let recorder = match arguments.record {
        Some(Some(path)) => Some(Some(identity::signing_key(path, arguments.recovery.passphrase_file.clone()).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let repository = arguments.recovery.open(&settings, recovery.as_ref()).await?;
    let catalogue = match (level, &recovery) {
        (Level::Catalogue, None) => Some(Arc::new(configured_keys::catalogue_key(&settings)?)),
        _ => None,
    };
    let keys = VerifyKeys { catalogue, recovery: recovery.map(Arc::new) };
    let mut options = VerifyOptions::new(level);
    options.snapshots = arguments.snapshot.map_or(Snapshots::Live, Snapshots::One);
    options.slice = arguments.slice;
    options.pinned_heads = arguments.pin_head;
    let mut report = verify(&app.context(), &repository, &keys, &options).await?;
    // What is missing stays remembered as missing.
    if let Ok(ledger) = repository.read_ledger().await {
        repository.remember(&ledger).await;
    }
    let recorded = match recorder {
        Some(key) => record_with(app, key, &settings, &repository, &mut report).await,
        None => Ok(()),
    };
    // Findings are printed first: a failure to record them must not hide them.
    app.printer.run_result(&report, |printer| printer.screen(&screen(&report)))?;
    match (report.failure(), recorded) {
        (_, Ok(())) => {}
        (None, Err(failure)) => return Err(failure.after(&report)),
        (Some(_), Err(failure)) => {
            app.printer.warning(&format!("the result was not recorded: {}", failure.chain().join(": ")));
        }
    }
    Ok(CommandOutcome::reported(report.failure()).with(&report))
}

async fn record_with(
    app: &App,
    key: Option<SigningKey>,
    settings: &Settings,
    repository: &Repository,
    report: &mut VerifyReport,
) -> Result<(), Failure> {
    let key = key.map_or_else(|| configured_keys::signing_key(settings), Ok)?;
    let writer = services::writer_with(key, app, settings, repository.id())?;
    app.change(record(repository, &writer, &draft::tool(), report)).await
}

fn screen(report: &VerifyReport) -> Screen {
    let counts = &report.counts;
    let part = report.slice.as_ref().map(|slice| format!(", slice {slice} of the packs")).unwrap_or_default();
    let (style, found) = match report.problems.len() {
        0 => (Style::Green, "nothing wrong".to_owned()),
        found => (Style::Red, text::count(u64::try_from(found).unwrap_or(u64::MAX), "problem")),
    };
    let mut screen = Screen::new(style, format!("Verified at level {}{part}: {found}.", report.level));
    let mut facts = vec![("repository", report.place.clone()), ("id", report.repository.clone())];
    let ignored = match counts.entries_ignored {
        0 => String::new(),
        ignored => format!(", {} ignored", text::thousands(ignored)),
    };
    let verb = if counts.entries == 1 { "counts" } else { "count" };
    facts.push(("ledger", format!("{} that {verb}{ignored}", text::count(counts.entries, "entry"))));
    if report.level >= Level::Objects {
        facts.push(("snapshots", text::thousands(counts.snapshots)));
        facts.push(("objects", format!("{}, {}", text::thousands(counts.objects), text::bytes(counts.bytes))));
    }
    if report.level >= Level::Catalogue {
        facts.push((
            "catalogue",
            format!("{} in {}", text::count(counts.items, "item"), text::count(counts.parts, "part")),
        ));
    }
    if report.level >= Level::Payload {
        let of = report.slice.as_ref().map(|slice| format!(" (slice {slice})")).unwrap_or_default();
        let payloads = text::count(counts.payloads, "payload");
        facts.push(("payloads", format!("{payloads} in {}{of}", text::count(counts.packs, "pack"))));
    }
    facts.push(("heads", report.heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    facts.extend(report.recorded.map(|entry| ("recorded", entry.to_string())));
    screen.facts(facts);
    for problem in &report.problems {
        screen.labelled(Style::Red, "problem", problem.to_string());
    }
    for fix in fixes(report) {
        screen.line(format!("  fix: {fix}"));
    }
    for warning in &report.warnings {
        screen.labelled(Style::Yellow, "warning", warning);
    }
    if report.newest_may_be_missing {
        screen.line(
            "  note: no head was pinned, so it cannot be told whether the newest entries were removed; keep the heads \
             above elsewhere and give them next time with --pin-head",
        );
    }
    screen
}

/// Returns fixes for problems whose message has none.
fn fixes(report: &VerifyReport) -> Vec<&'static str> {
    let has = |wanted: &dyn Fn(&Problem) -> bool| report.problems.iter().any(wanted);
    let mut fixes = Vec::new();
    if has(&|problem| matches!(problem.kind, ProblemKind::Missing | ProblemKind::Damaged)) {
        fixes.push(
            "put these objects back from a copy of the repository or from an older version in the bucket; `keyhaven backup \
             --full` makes a snapshot that needs no older pack",
        );
    }
    if has(&|problem| problem.kind == ProblemKind::HeadMissing && problem.object.starts_with(names::LEDGER)) {
        fixes.push(
            "put these entries back from a copy of the repository (a backup by the host that wrote one does it); \
             custodians accept what is lost for good (`keyhaven ledger accept-loss`)",
        );
    }
    fixes
}
