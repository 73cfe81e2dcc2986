//! `keyhaven restore activate`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;

use crate::cli::app::{App, read_plan};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::screen::Screen;
use crate::cli::table::Table;
use crate::cli::{key_file, services, text};
use crate::config::Settings;
use crate::job::activate::{Activation, ActivationReport, OldPrimary, PrimaryAccess, RotatesAtOnce, apply, plan};
use crate::job::plan_file::PlanFile as _;
use crate::job::restore::Selector;
use crate::provider::ibm::Client;

/// Wait before the result of a request without an answer is looked up.
const SETTLE: Duration = Duration::from_secs(2);

/// Turn on rotation that a restore held back
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Say what would be turned on, and what would rotate at once; changes nothing
    Plan(ActivatePlanArguments),
    /// Turn on what a plan says
    Apply(ApplyArguments),
}

/// Shows which rotations would be turned on once the standby is the primary. Changes nothing.
///
/// A restore holds rotation back, because two instances that rotate one credential break each other. The held-back
/// policies are in the marks of the restored secrets, so this needs neither the repository nor a recovery key. Asks the
/// old primary ([source]) whether it still rotates the same secrets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 15 means that there is something to turn on, 0 that there is nothing.

Examples:
  keyhaven restore activate plan --out activate.json
  keyhaven restore activate plan --source-is-dead --only 'group:payments' --out activate.json")]
pub(in crate::cli) struct ActivatePlanArguments {
    /// Save the plan here, for `restore activate apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<Selector>,
    #[command(flatten)]
    primary: PrimaryArguments,
}

/// Applies a saved plan: turns rotation on and removes it from the marks, with one request per secret.
///
/// Can be stopped at any time and run again with the same plan. Changes nothing unless the old primary reports that it
/// rotates none of these secrets, or --source-is-dead is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 16 means that the old primary still rotates the same, or that a secret has moved since the plan was made; 17 that
the old primary gives no answer.

Examples:
  keyhaven restore activate apply activate.json
  keyhaven restore activate apply activate.json --source-is-dead")]
pub(in crate::cli) struct ApplyArguments {
    /// The plan
    plan: PathBuf,
    #[command(flatten)]
    primary: PrimaryArguments,
}

/// Information about the old primary.
#[derive(Debug, Clone, clap::Args)]
struct PrimaryArguments {
    /// Do not ask the old primary: it is gone, or nobody uses its values any more. Should it come back and rotate, it
    /// makes the values of this instance invalid
    #[arg(long)]
    source_is_dead: bool,
}

impl PrimaryArguments {
    /// A client of the old primary, when it shall be asked and the settings say where it is.
    fn client(&self, settings: &Settings) -> Result<Option<Client>, Failure> {
        let ask = !self.source_is_dead && settings.is_set("source.url");
        ask.then(|| services::source(settings)).transpose()
    }

    fn primary<'a>(&self, client: Option<&'a Client>) -> PrimaryAccess<'a> {
        match client {
            _ if self.source_is_dead => PrimaryAccess::Dead,
            Some(client) => PrimaryAccess::Ask(client),
            None => PrimaryAccess::Unknown,
        }
    }
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Plan(arguments) => make(app, arguments).await,
        Command::Apply(arguments) => carry_out(app, arguments).await,
    }
}

async fn make(app: &App, arguments: ActivatePlanArguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let standby = services::standby(&settings)?;
    let client = arguments.primary.client(&settings)?;
    let primary = arguments.primary.primary(client.as_ref());
    let made = plan(&app.context(), &standby, primary, &arguments.only).await?;
    if let Some(path) = &arguments.out {
        key_file::replace(path, made.to_json()?.as_bytes())?;
    }
    app.printer.result(&made, |printer| printer.screen(&plan_screen(&made, arguments.out.as_deref())))?;
    Ok(CommandOutcome::reported(made.check()))
}

async fn carry_out(app: &App, arguments: ApplyArguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let plan = Activation::from_json(&read_plan(&arguments.plan)?)?;
    let standby = services::standby(&settings)?;
    let client = arguments.primary.client(&settings)?;
    let primary = arguments.primary.primary(client.as_ref());
    let report = app.change(apply(&app.context(), &plan, &standby, primary, SETTLE)).await?;
    app.printer.result(&report, |printer| printer.screen(&report_screen(&report)))?;
    Ok(CommandOutcome::reported(report.kind()).with(&report))
}

fn plan_screen(plan: &Activation, out: Option<&Path>) -> Screen {
    let target = plan.standby.full_name.as_deref().unwrap_or(&plan.standby.url);
    let mut screen = Screen::new(Style::Bold, format!("Rotation that a restore held back in {target}"));
    let mut table = Table::new(&[">", "type", "group", "name", "rotates at once", "due"]);
    for step in &plan.steps {
        let at_once = match step.at_once {
            RotatesAtOnce::Due => "yes: it is due",
            RotatesAtOnce::May => "it may: the provider does not say",
            RotatesAtOnce::Rotates => "it rotates already",
        };
        table.row([
            step.id.to_string(),
            step.item_type.clone(),
            step.group.clone().unwrap_or_default(),
            step.name.clone(),
            at_once.to_owned(),
            step.due.map(text::time).unwrap_or_default(),
        ]);
    }
    screen.table(table, "nothing is held back");
    let due = plan.steps.iter().filter(|step| step.at_once == RotatesAtOnce::Due).count() as u64;
    screen.facts([
        ("to turn on", text::count(plan.steps.len() as u64, "secret")),
        ("due already", text::thousands(due)),
        ("hold nothing back", text::thousands(plan.nothing_held)),
        ("old primary", said(&plan.old_primary)),
    ]);
    match out {
        Some(path) if !plan.steps.is_empty() => {
            screen.line(format!("Saved. To do it: keyhaven restore activate apply {}", path.display()));
        }
        Some(path) => screen.line(format!("Saved as {}.", path.display())),
        None => screen.line("Not saved; --out FILE saves it for `restore activate apply`."),
    }
    screen
}

/// Describes the answer of the old primary.
fn said(primary: &OldPrimary) -> String {
    match primary {
        OldPrimary::NotAsked => "not asked: the configuration names no [source]".to_owned(),
        OldPrimary::SaidDead => "gone, as --source-is-dead says".to_owned(),
        OldPrimary::Silent { why } => format!("no answer: {why}"),
        OldPrimary::Stranger => "[source] has none of these secrets; is it the old primary?".to_owned(),
        OldPrimary::Answered { rotates } if rotates.is_empty() => "answers, and rotates none of them".to_owned(),
        OldPrimary::Answered { rotates } => {
            format!("answers, and still rotates {}: turn that off there first", rotates.join(", "))
        }
    }
}

fn report_screen(report: &ActivationReport) -> Screen {
    let (style, headline) = match (&report.stopped, report.kind()) {
        (Some(why), _) => (Style::Red, format!("Stopped: {why}. The same plan can be applied again.")),
        (None, None) => (Style::Green, "Turned on.".to_owned()),
        (None, Some(_)) => (Style::Yellow, "Turned on, but not everything.".to_owned()),
    };
    let mut screen = Screen::new(style, headline);
    screen.facts([
        (
            "secrets",
            format!(
                "{} turned on, {} found turned on, {} left",
                text::thousands(report.done),
                text::thousands(report.already),
                text::thousands(report.left)
            ),
        ),
        ("old primary", said(&report.old_primary)),
    ]);
    screen.remarks(Style::Red, "failed", &report.failed);
    screen.remarks(Style::Red, "conflict", &report.conflicts);
    screen
}
