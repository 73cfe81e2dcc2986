//! The edge: arguments, output, exit codes, and the wiring of everything below. The only place that prints.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::model::FailureKind;

mod app;
mod args;
mod audit;
mod clock;
mod command_line;
mod commands;
mod configured_keys;
#[cfg(feature = "sandbox")]
mod demo;
#[cfg(test)]
mod documented;
mod draft;
mod env;
mod escape;
mod failure;
mod identity;
mod inventory;
mod invocation;
mod jobs;
mod key_file;
mod logging;
mod memory;
mod metrics;
mod opened_repository;
mod outcome;
mod pin_file;
mod pins;
mod printer;
mod process_hardening;
mod progress;
mod prompt;
mod recovery_file;
mod recovery_sheet;
mod report;
mod run_hooks;
mod scheduled;
mod screen;
mod services;
mod signals;
mod signatures;
mod snapshot;
mod table;
mod text;
mod timeline;
mod trust;

use app::App;
use command_line::Arguments;
use failure::Failure;
use invocation::Invocation;
use outcome::CommandOutcome;
use printer::Printer;

/// Time after the first signal in which a command that has changed nothing may end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the program: reads the arguments, does what they say, prints, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let invocation = Invocation::of(&matches);
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let mut printer = Printer::new(&arguments.globals);
    let result = process_hardening::apply().and_then(|()| scheduled::follow_daemon()).and_then(|()| {
        let app = App::new(Arguments::command(), arguments.globals.clone(), printer.clone(), CancellationToken::new());
        printer.log_as(logging::start(&app.globals, app.log_format(), &invocation));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot start the runtime").because(error))?;
        let result = runtime.block_on(run(arguments, &invocation, &printer));
        // A blocking read (a prompt, a file) must not hold the exit up.
        runtime.shutdown_background();
        prompt::restore_terminal();
        result
    });
    if let Err(failure) = &result {
        printer.failure(failure);
    }
    outcome::kind(&result).map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.exit_code()))
}

/// Runs the command inside the audit trail, hooks and notifications.
async fn run(arguments: Arguments, invocation: &Invocation, printer: &Printer) -> Result<CommandOutcome, Failure> {
    let mut app = App::new(Arguments::command(), arguments.globals, printer.clone(), signals::listen()?);
    if app.globals.policy.is_some() {
        printer.warning(
            "--policy replaces every other pin of the trust policy for this command: configuration, recovery \
                         identity and what this host remembers",
        );
    }
    // Settings that are wrong say nothing of a trail, and the command itself will say what is wrong with them.
    let trail = app.settings().ok().map_or(Ok(None), |settings| audit::begin(&settings, invocation));
    let (trail, refused) = trail.map_or_else(|failure| (None, Some(failure)), |trail| (trail, None));
    app.trail = trail.map(Arc::new);
    let app = app;
    let daemon = arguments.command.is_daemon();
    let command = async {
        // Returned inside the command, so that failure notifications cover it.
        if let Some(failure) = refused {
            return Err(failure);
        }
        let command = commands::run(&app, arguments.command);
        if daemon { command.await } else { until_stopped(&app, command).await }
    };
    let result = run_hooks::around(&app, invocation, unbroken(command)).await;
    report::superseded_warning(&app.printer, &app.superseded());
    if let Some(trail) = &app.trail {
        trail.end(&app.printer, &result);
    }
    result
}

/// Runs a command until it ends. A signal drops it only as long as it has changed nothing: a command that was dropped
/// while it writes could not say what it did, nor remember it.
async fn until_stopped(
    app: &App,
    command: impl Future<Output = Result<CommandOutcome, Failure>>,
) -> Result<CommandOutcome, Failure> {
    let mut command = std::pin::pin!(command);
    tokio::select! {
        biased;
        result = &mut command => return result,
        () = app.cancel().cancelled() => {}
    }
    if app.is_changing() {
        app.printer.note("stopping at the next safe point, to report what was done; a second signal ends it at once");
        return command.await;
    }
    // It changes nothing any more: `App::change` begins nothing after a signal.
    tokio::time::timeout(GRACE, command).await.unwrap_or_else(|_| Err(Failure::interrupted()))
}

/// The command, with a panic as a failure: what surrounds a run must hear of that one more than of any other.
async fn unbroken(command: impl Future<Output = Result<CommandOutcome, Failure>>) -> Result<CommandOutcome, Failure> {
    // Nothing of the command is looked at afterwards.
    AssertUnwindSafe(command).catch_unwind().await.unwrap_or_else(|_| {
        Err(Failure::new(FailureKind::Failed, "the command stopped at a fault of its own, which stands above")
            .hinted("report it; nothing that was recorded before is touched by that, and it can be run again"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        let globals = args::Globals { quiet: true, ..args::Globals::default() };
        App::new(Arguments::command(), globals.clone(), Printer::new(&globals), CancellationToken::new())
    }

    /// Needs a minute, and a signal comes when it has begun.
    async fn work(app: &App) -> Result<CommandOutcome, Failure> {
        app.cancel().cancel();
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(CommandOutcome::done())
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_drops_what_has_changed_nothing_and_nothing_else() {
        let changing = app();
        assert!(until_stopped(&changing, changing.change(work(&changing))).await.is_ok());
        let reading = app();
        let begun = tokio::time::Instant::now();
        assert_eq!(until_stopped(&reading, work(&reading)).await.unwrap_err().kind(), FailureKind::Interrupted);
        assert!(begun.elapsed() < Duration::from_secs(6));
        let late = app();
        let command = async {
            late.cancel().cancel();
            late.change(async { panic!("it begins after the signal") as Result<CommandOutcome, Failure> }).await
        };
        assert_eq!(until_stopped(&late, command).await.unwrap_err().kind(), FailureKind::Interrupted);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_that_can_be_told() {
        let failure = unbroken(async { panic!("a bug") }).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Failed);
        assert!(unbroken(async { Ok(CommandOutcome::done()) }).await.is_ok());
    }
}
