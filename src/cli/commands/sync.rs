//! `keyhaven sync`.

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::commands::restore::{ConsentArguments, conflict_policy};
use crate::cli::failure::Failure;
use crate::cli::identity::{self, RecoveryArguments};
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::snapshot::{self, OpenedSnapshot, SnapshotVerdict};
use crate::cli::table::Table;
use crate::cli::{configured_keys, services, text};

use crate::config::sections::SyncSection;
use crate::config::value::{Period, Share, parse_flag};
use crate::job::restore::plan::Step;
use crate::job::restore::{ApplyOptions, OnConflict, PlanOptions, RepositorySnapshot, Selector, record};
use crate::job::sync::choose::{SyncChoice, choose};
use crate::job::sync::{SyncOptions, SyncReport, sync};
use crate::model::{FailureKind, Timestamp};
use crate::repository::find::SnapshotQuery;
use crate::repository::ledger::Ledger;

/// Keeps a warm standby in sync: restores the changes of the newest good snapshot of a minimum age into it.
///
/// A dry run unless [sync] apply = true or --apply is given. Takes no snapshot younger than [sync] delay, so that
/// corruption of the source does not spread at once. Stops if more than [sync] max_change of the standby's items would
/// be overwritten or deleted. Never goes back to an older snapshot. Deletes only on request, and then only items that a
/// restore created and the source has lost. Needs the recovery key, so it must not run on the collector. Can be stopped
/// and run again: it skips completed steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0 means that the standby is in step, 15 that there is something to do (dry run), 3 that it stopped before changing \
anything or that not everything came back, 16 that items of the standby are in the way.

Examples:
  keyhaven sync --identity recovery-identity.txt
  keyhaven sync --apply
  keyhaven sync --apply --delete
  keyhaven sync --apply --record
  keyhaven sync --snapshot 41 --allow-older --apply")]
pub(in crate::cli) struct Arguments {
    /// Change the standby [default: sync.apply]
    #[arg(long)]
    apply: bool,
    /// Only say what would be done, whatever the configuration says
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Delete what a restore made and the source has lost since [default: sync.delete]
    #[arg(long)]
    delete: bool,
    /// How old a snapshot has to be [default: sync.delay]
    #[arg(long, value_name = "TIME", value_parser = parse_flag::<Period>, conflicts_with_all = ["snapshot", "at"])]
    delay: Option<Period>,
    /// The share of the standby's items that may be overwritten or deleted [default: sync.max_change]
    #[arg(long, value_name = "SHARE", value_parser = parse_flag::<Share>)]
    max_change: Option<Share>,
    /// This snapshot, however young it is: `latest`, a sequence number, or the start of a digest
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<SnapshotQuery>,
    /// The newest good snapshot that is not younger than this moment (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "snapshot")]
    at: Option<Timestamp>,
    /// Take the standby back to a snapshot that is older than the one it has
    #[arg(long)]
    allow_older: bool,
    /// Only what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<Selector>,
    /// Never what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<Selector>,
    /// Sign what was restored into the ledger with this key, which needs the role of a restorer [without a value: the
    /// configured signing key]
    #[arg(long, value_name = "KEY-FILE", num_args = 0..=1)]
    record: Option<Option<PathBuf>>,
    #[command(flatten)]
    consent: ConsentArguments,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let OpenedRepository { settings, repository, keys, ledger, .. } =
        OpenedRepository::begin_with_packs(app, &arguments.recovery).await?;
    let recorder = match arguments.record.clone() {
        Some(Some(path)) => Some(identity::signing_key(path, arguments.recovery.passphrase_file.clone()).await?),
        Some(None) => Some(configured_keys::signing_key(&settings)?),
        None => None,
    };
    let configured = settings.sync();
    let found = match pick(app, &ledger, &arguments, configured)? {
        SyncSnapshot::Snapshot(found) => *found,
        SyncSnapshot::NoneYet(why) => {
            app.printer.result(&serde_json::json!({ "nothing_to_do": why }), |printer| printer.line(&why))?;
            return Ok(CommandOutcome::done());
        }
    };
    let backup = RepositorySnapshot::new(&repository, &found.entry, &found.event, keys);
    let standby = services::standby(&settings)?;
    let options = SyncOptions {
        plan: PlanOptions {
            only: arguments.only.clone(),
            exclude: arguments.exclude.clone(),
            on_conflict: match conflict_policy(&settings, None, false) {
                // Nobody looks at the plan of a sync, and it deletes only what a restore made and the source has lost.
                OnConflict::Replace => OnConflict::Fail,
                policy => policy,
            },
            policies: settings.tables().policies().clone(),
            ..PlanOptions::default()
        },
        apply: !arguments.dry_run && (arguments.apply || configured.apply),
        delete: arguments.delete || configured.delete,
        max_change: arguments.max_change.unwrap_or(configured.max_change).0,
        allow_older: arguments.allow_older,
        known: ledger.snapshots().into_iter().map(|entry| (entry.digest, entry.sequence)).collect(),
        steps: ApplyOptions::default(),
    };
    let (context, consent) = (app.context(), arguments.consent.consent());
    let report = app.change(sync(&context, &backup, &standby, &options, &consent)).await?;
    let named = arguments.snapshot.is_some() || arguments.at.is_some();
    if report.ahead && named {
        return Err(Failure::new(
            FailureKind::Moved,
            format!(
                "the standby has snapshot {} already, and {} is older; nothing was changed",
                report.has.unwrap_or_default(),
                report.snapshot.sequence
            ),
        )
        .hinted("--allow-older takes it back"));
    }
    app.printer.run_result(&report, |printer| printer.screen(&screen(&report)))?;
    if let (Some(key), Some(applied)) = (recorder, &report.applied) {
        let writer = services::writer_with(key, app, &settings, repository.id())?;
        let done = record(&repository, &writer, applied).await.map_err(|error| Failure::from(error).after(&report))?;
        app.printer.note(&format!("recorded as entry {} ({})", done.entry.sequence, done.entry.digest.short()));
        done.into_warnings().for_each(|warning| app.printer.warning(&warning));
    }
    Ok(CommandOutcome::reported(report.kind()).with(&report))
}

/// The snapshot to bring, or why there is none yet.
enum SyncSnapshot {
    Snapshot(Box<OpenedSnapshot>),
    NoneYet(String),
}

fn pick(app: &App, ledger: &Ledger, arguments: &Arguments, configured: &SyncSection) -> Result<SyncSnapshot, Failure> {
    let named = arguments.snapshot.clone().or_else(|| arguments.at.map(SnapshotQuery::At));
    if let Some(wanted) = named {
        let found = snapshot::pick_to_read(&app.printer, ledger, &wanted)?;
        if found.judgement == SnapshotVerdict::Suspect {
            return Err(Failure::new(
                FailureKind::Partial,
                format!("snapshot {} is suspect, and nothing was changed", found.entry.sequence),
            )
            .hinted("`keyhaven show` says why; `keyhaven snapshots accept` signs that it is right"));
        }
        return Ok(SyncSnapshot::Snapshot(Box::new(found)));
    }
    let newest = ledger.live().next_back();
    if let Some(newest) = newest.filter(|newest| !ledger.is_good(newest)) {
        app.printer
            .warning(&format!("snapshot {} is suspect and passed over; `keyhaven show` says why", newest.sequence));
    }
    let delay = arguments.delay.unwrap_or(configured.delay);
    let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    match choose(ledger, app.context().clock.now(), millis) {
        SyncChoice::Take(entry, _) => Ok(SyncSnapshot::Snapshot(Box::new(snapshot::pick(
            ledger,
            &SnapshotQuery::Named(entry.digest.to_string()),
        )?))),
        SyncChoice::Wait(until) => Ok(SyncSnapshot::NoneYet(format!(
            "no good snapshot is {} old yet; the first one is at {}",
            delay,
            text::time(until)
        ))),
        SyncChoice::None => Err(Failure::new(FailureKind::Failed, "there is no good snapshot yet")),
    }
}

fn screen(report: &SyncReport) -> Screen {
    let of = format!("snapshot {} ({})", report.snapshot.sequence, text::time(report.snapshot.time));
    let (style, headline) = match (&report.stopped, &report.applied, report.kind()) {
        (Some(why), _, _) => (Style::Red, format!("Stopped, nothing was changed: {why}.")),
        (None, Some(applied), _) if applied.stopped.is_some() => {
            (Style::Red, "Stopped on the way; run it again to go on.".to_owned())
        }
        (None, Some(_), None) => (Style::Green, format!("The standby is in step with {of}.")),
        (None, Some(_), Some(_)) => {
            (Style::Yellow, format!("The standby is in step with {of}, but not in everything."))
        }
        (None, None, _) if report.aborted.is_some() => {
            let why = report.aborted.as_ref().map(|stopped| stopped.reason.as_str()).unwrap_or_default();
            (Style::Red, format!("Stopped on the way: {why}. Run it again to go on."))
        }
        (None, None, _) if report.ahead => {
            let has = report.has.unwrap_or_default();
            (Style::Green, format!("Nothing to do: the standby has snapshot {has} already, newer than {of}."))
        }
        (None, None, None) => (Style::Green, format!("Nothing to do: the standby is in step with {of}.")),
        (None, None, Some(FailureKind::Different)) => {
            (Style::Bold, format!("Would bring {of} into the standby; --apply does it."))
        }
        (None, None, Some(_)) => (Style::Yellow, format!("Nothing to do for {of}, and not everything is in step.")),
    };
    let mut screen = Screen::new(style, headline);
    if let (Some(plan), None, None) = (&report.plan, &report.applied, &report.aborted) {
        let mut table = Table::new(&["do", "type", "group", "name", "why"]);
        for Step { action, name, item_type, group, reason, .. } in &plan.steps {
            let group = group.clone().unwrap_or_default();
            table.row([action.as_str().replace('_', " "), item_type.clone(), group, name.clone(), reason.clone()]);
        }
        screen.table(table, "");
        screen.remarks(Style::Yellow, "conflict", &plan.conflicts);
        screen.remarks(Style::Yellow, "loss", &plan.losses);
    }
    if report.aborted.is_some() {
        screen.facts([("deleted", text::thousands(report.deleted))]);
    }
    let label = match (report.delete, report.applied.is_some() || report.aborted.is_some()) {
        (false, _) => "left alone",
        (true, false) => "to delete",
        (true, true) => "lost by the source",
    };
    screen.remarks(Style::Yellow, label, &report.lost);
    screen.remarks(Style::Yellow, "left alone", &report.spared);
    screen.remarks(Style::Yellow, "not deleted", &report.undeleted);
    let Some(applied) = &report.applied else { return screen };
    screen.remarks(Style::Yellow, "failed", &applied.failed);
    screen.remarks(Style::Yellow, "conflict", &applied.conflicts);
    screen.remarks(Style::Yellow, "loss", &applied.losses);
    let actions: Vec<String> =
        applied.actions.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    screen.facts([
        ("steps", format!("{} done, {} left", text::thousands(applied.done), text::thousands(applied.left))),
        ("done", if actions.is_empty() { "nothing".to_owned() } else { actions.join(", ") }),
        ("deleted", text::thousands(report.deleted)),
        ("took", text::millis(i64::try_from(applied.restore_millis).unwrap_or(i64::MAX))),
    ]);
    screen
}
