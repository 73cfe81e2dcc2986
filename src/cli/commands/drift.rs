//! `keyhaven drift`.

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::opened_repository::OpenedRepository;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::{Screen, item_name};
use crate::cli::services;
use crate::cli::snapshot::{self, SnapshotArguments};
use crate::cli::table::Table;
use crate::cli::text;
use crate::config::Settings;
use crate::job::drift::{ComparedWith, ComparisonBasis, DriftReport, LiveInstance, OverallBasis, drift};
use crate::job::restore::backup::Backup as _;
use crate::job::restore::{PlanOptions, RepositorySnapshot, Selector};

/// Shows the differences between the standby and a snapshot, or between the standby and the live source. Shows no
/// value.
///
/// With a recovery key, reads and compares every payload of the standby. Without one, compares the marks that a restore
/// left. The result names the basis of each comparison. Differences that the configuration makes ([[rules]],
/// [[transforms]], [[overrides]], held-back rotation) are not drift; held-back rotations are listed with the date on
/// which they become due.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 15 means drift, 0 none, 3 that nothing differs as far as it could be compared and something could not.

Examples:
  keyhaven drift
  keyhaven drift --identity recovery-identity.txt --only 'group:payments'
  keyhaven drift --snapshot 41 --json
  keyhaven drift --against-source
  keyhaven drift --against-source --values")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    snapshot: SnapshotArguments,
    /// Compare with the source as it is now instead of with a snapshot; needs no repository
    #[arg(long, conflicts_with_all = ["snapshot", "at"])]
    against_source: bool,
    /// With --against-source: read the payloads of both instances and compare them in memory, where reading is safe
    #[arg(long, requires = "against_source")]
    values: bool,
    /// Go by marks although a recovery key is at hand: quicker, and no payload of the standby is read
    #[arg(long, conflicts_with = "values")]
    by_marks: bool,
    /// Only what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<Selector>,
    /// Never what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<Selector>,
    /// Restored secrets may rotate by themselves, as the restore was told
    #[arg(long)]
    allow_rotation: bool,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let options = PlanOptions {
        only: arguments.only.clone(),
        exclude: arguments.exclude.clone(),
        allow_rotation: arguments.allow_rotation,
        ..PlanOptions::default()
    };
    let found = if arguments.against_source {
        against_source(app, &arguments, &options).await?
    } else {
        against_snapshot(app, &arguments, &options).await?
    };
    app.printer.run_result(&found, |printer| printer.screen(&screen(&found)))?;
    Ok(CommandOutcome::reported(found.kind()).with(&found))
}

async fn against_snapshot(app: &App, arguments: &Arguments, options: &PlanOptions) -> Result<DriftReport, Failure> {
    let OpenedRepository { settings, repository, keys, ledger, opens_packs } =
        OpenedRepository::begin(app, &arguments.recovery).await?;
    let found = snapshot::pick_to_read(&app.printer, &ledger, &arguments.snapshot.wanted())?;
    let backup = RepositorySnapshot::new(&repository, &found.entry, &found.event, keys);
    let standby = services::standby(&settings)?;
    let options = &shaped(options, &settings);
    let expected = ComparedWith::Snapshot(backup.name().clone());
    let values = opens_packs && !arguments.by_marks;
    Ok(drift(&app.context(), &backup, expected, &standby, options, values).await?)
}

async fn against_source(app: &App, arguments: &Arguments, options: &PlanOptions) -> Result<DriftReport, Failure> {
    let settings = app.settings()?;
    let source = services::source(&settings)?;
    let standby = services::standby(&settings)?;
    let options = &shaped(options, &settings);
    let context = app.context();
    let live = LiveInstance::take(&context, &source, arguments.values).await?;
    let expected = ComparedWith::Source { full_name: live.name().source.clone(), at: live.name().time };
    Ok(drift(&context, &live, expected, &standby, options, arguments.values).await?)
}

/// Applies the policies of the configuration, so that intended differences are not drift.
fn shaped(options: &PlanOptions, settings: &Settings) -> PlanOptions {
    PlanOptions { policies: settings.tables().policies().clone(), ..options.clone() }
}

fn screen(found: &DriftReport) -> Screen {
    let with = match &found.expected {
        ComparedWith::Snapshot(name) => format!("snapshot {} ({})", name.sequence, text::time(name.time)),
        ComparedWith::Source { full_name, at } => format!("the source {full_name} ({})", text::time(*at)),
    };
    let (style, headline) = match (found.differences.is_empty(), found.unknown.is_empty()) {
        (true, true) => (Style::Green, format!("No drift: the standby is as {with}.")),
        (true, false) => (Style::Yellow, format!("No drift from {with} in what could be compared.")),
        (false, _) => (Style::Red, format!("The standby has drifted from {with}.")),
    };
    let mut screen = Screen::new(style, headline);
    let mut table = Table::new(&["differs", "type", "group", "name", "what", "compared by"]);
    for one in &found.differences {
        table.row([
            one.kind.as_str().to_owned(),
            one.item_type.clone(),
            one.group.clone().unwrap_or_default(),
            one.name.clone(),
            one.what.clone(),
            basis(one.basis).to_owned(),
        ]);
    }
    screen.table(table, "");
    screen.remarks(Style::Yellow, "not compared", &found.unknown);
    screen.remarks(Style::Dim, "never restored", &found.unrestorable);
    for held in &found.held {
        let by = match held.next {
            Some(next) if held.due => format!("since {}", text::time(next)),
            Some(next) => format!("from {}", text::time(next)),
            None => "at a date that the snapshot does not say".to_owned(),
        };
        let style = if held.due { Style::Yellow } else { Style::Dim };
        let name = item_name(held.group.as_deref(), &held.name);
        let rotated = format!("the source rotates it, and the standby's value is out of date {by}");
        screen.labelled(style, "held back", format!("{name} ({}): {rotated}", held.item_type));
    }
    let count = |basis: ComparisonBasis| found.compared.get(&basis).copied().unwrap_or_default();
    let how = match found.basis {
        OverallBasis::Values => "by value",
        OverallBasis::Marks => "by the marks of restored versions, not by value",
        OverallBasis::Mixed => "some by value, some by marks",
    };
    screen.facts([
        ("compared", how.to_owned()),
        (
            "items",
            format!(
                "{} the same; {} by value, {} by marks, {} by metadata, {} not",
                text::thousands(found.same),
                text::thousands(count(ComparisonBasis::Values)),
                text::thousands(count(ComparisonBasis::Marks)),
                text::thousands(count(ComparisonBasis::Metadata)),
                text::thousands(count(ComparisonBasis::Nothing))
            ),
        ),
        ("differences", text::thousands(found.differences.len() as u64)),
        ("rotation held back", text::thousands(found.held.len() as u64)),
        ("requests", format!("{} listing, {} reading", found.requests.listing, found.requests.reading)),
    ]);
    screen
}

const fn basis(basis: ComparisonBasis) -> &'static str {
    match basis {
        ComparisonBasis::Values => "value",
        ComparisonBasis::Marks => "marks",
        ComparisonBasis::Metadata => "metadata",
        ComparisonBasis::Nothing => "-",
    }
}
