//! `keyhaven notify`.

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Style;
use crate::cli::{run_hooks, text};
use crate::model::FailureKind;

/// A command about notifications.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Send a test to every target, or to one
    Test(TestArguments),
}

/// Sends a test notification to the targets of `[[notify]]`, whatever events they subscribe to.
///
/// A ping goes to `/log`, which does not change the state of the check. A test contains no names or values.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven notify test
  keyhaven notify test operators")]
pub(in crate::cli) struct TestArguments {
    /// Only this target, by its name
    #[arg(value_name = "NAME")]
    target: Option<String>,
}

#[derive(Serialize)]
struct TestReport {
    targets: Vec<DeliveryRow>,
}

#[derive(Serialize)]
struct DeliveryRow {
    target: String,
    notified: bool,
    why: Option<String>,
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    let Command::Test(arguments) = command;
    let settings = app.settings()?;
    let notifier = run_hooks::notifier(app, &settings);
    let names: Vec<&str> = match &arguments.target {
        Some(name) => notifier.names().filter(|known| known == name).collect(),
        None => notifier.names().collect(),
    };
    if names.is_empty() {
        let known = notifier.names().collect::<Vec<_>>().join(", ");
        let failure = Failure::usage(match &arguments.target {
            Some(name) => format!("there is no notification `{name}`"),
            None => "there is nobody to tell".to_owned(),
        });
        return Err(match known.as_str() {
            "" => failure.hinted("add a [[notify]] to the configuration; `keyhaven config init` shows some"),
            known => failure.hinted(format!("there are {known}")),
        });
    }
    let mut targets = Vec::new();
    for name in names {
        let why = notifier.test(name).await.err().map(|warning| warning.why);
        targets.push(DeliveryRow { target: name.to_owned(), notified: why.is_none(), why });
    }
    let tested = TestReport { targets };
    app.printer.result(&tested, |printer| {
        tested.targets.iter().try_for_each(|line| match &line.why {
            None => printer.line(format!("{} {}", printer.paint(Style::Green, "notified:"), line.target)),
            Some(why) => {
                let label = printer.paint(Style::Red, "not notified:");
                printer.line(format!("{label} {}: {}", line.target, text::safe(why)))
            }
        })
    })?;
    let all = tested.targets.iter().all(|line| line.notified);
    Ok(CommandOutcome::reported((!all).then_some(FailureKind::Failed)))
}
