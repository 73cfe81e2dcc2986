//! Hooks, notifications and the run record around commands that a scheduler runs.
//!
//! The same around a command by hand and in the daemon, which builds its own [`Notifier`] with [`notifier`] and
//! switches this off in the processes that it starts.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use super::app::App;
use super::clock::SystemClock;
use super::failure::Failure;
use super::invocation::Invocation;
use super::outcome::CommandOutcome;
use super::{env, key_file, metrics, outcome, scheduled, services};
use crate::config::Settings;
use crate::config::notify;
use crate::daemon::notify::{Freshness, HookFailure, Hooks, NotifyEndpoint, NotifyWarning, RunStart};
use crate::daemon::{JobRun, Notifier, RunOutcome};
use crate::model::{Clock as _, FailureKind};
use crate::repository::StateDirectory;

/// Commands that trigger hooks and notifications, each with its kind of job.
const NOTIFIED_COMMANDS: &[(&str, &str)] = &[
    ("backup", "backup"),
    ("verify", "verify"),
    ("sync", "sync"),
    ("drift", "drift"),
    ("forget", "forget"),
    ("sweep", "sweep"),
    ("doctor", "doctor"),
    ("restore apply", "restore"),
];

/// Variables that hooks inherit. Everything else stays here: no key of ours can be among these.
const INHERITED: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "INVOCATION_ID"];

/// Runs `work`, the command, with hooks and notifications around it. Only a failing run-before hook changes anything:
/// the command does not begin then.
///
/// # Errors
/// Those of `work`, and kind 1 if the run-before hook failed.
pub(super) async fn around(
    app: &App,
    invocation: &Invocation,
    work: impl Future<Output = Result<CommandOutcome, Failure>>,
) -> Result<CommandOutcome, Failure> {
    let kind = NOTIFIED_COMMANDS.iter().find(|(typed, _)| *typed == invocation.path).map(|(_, kind)| *kind);
    let Some(kind) = kind else {
        return work.await;
    };
    // If the configuration is invalid, the command reports it; there are no targets to notify.
    let Ok(settings) = app.settings() else { return work.await };
    // The daemon notifies of the jobs that it runs.
    let notifier =
        if scheduled::by_daemon() { Notifier::silent(Arc::new(SystemClock)) } else { notifier(app, &settings) };
    run(app, &settings, &notifier, kind, work).await
}

async fn run(
    app: &App,
    settings: &Settings,
    notifier: &Notifier,
    kind: &str,
    work: impl Future<Output = Result<CommandOutcome, Failure>>,
) -> Result<CommandOutcome, Failure> {
    let due = scheduled::due()?;
    let start = RunStart {
        job: due.as_ref().map_or(kind, |due| due.job.as_str()).to_owned(),
        kind: kind.to_owned(),
        instance: settings.instance().to_owned(),
        due,
        started: SystemClock.now(),
        attempt: 1,
    };
    let started = notifier.run_started(&start, &app.context().cancel).await;
    tracing::info!(job = start.job, kind, run = %started.id(), "run started");
    let result = match started.veto() {
        Some(HookFailure::Stopped { .. }) => Err(Failure::interrupted()),
        Some(veto) => Err(Failure::from_error(FailureKind::Failed, veto.clone())
            .hinted("nothing was done; mend the hook, or take it out of the configuration (`hooks.run_before`)")),
        None => work.await,
    };
    let run = record(&start, &result);
    log(&run, started.id());
    #[cfg(feature = "otel")]
    if env::variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
        warn(app, crate::daemon::otel::export(&run, started.id()).await.into_iter().collect());
    }
    warn(app, notifier.run_finished(started, &run, false).await);
    // It counts them, too: a run that both counted would be two.
    if !scheduled::by_daemon() {
        metrics::leave(app, settings, &run).await;
    }
    result
}

/// One line for the run: job, snapshot, duration.
fn log(run: &JobRun, id: uuid::Uuid) {
    tracing::info!(
        job = run.job,
        kind = run.kind,
        run = %id,
        ending = run.ending.word(),
        snapshot = run.facts.snapshot.map(tracing::field::display),
        sequence = run.facts.sequence,
        duration_ms = run.ended.millis_since(run.started),
        "run ended"
    );
}

/// The record of a run that has just ended.
fn record(start: &RunStart, result: &Result<CommandOutcome, Failure>) -> JobRun {
    let facts = outcome::facts(result);
    JobRun {
        job: start.job.clone(),
        kind: start.kind.clone(),
        instance: start.instance.clone(),
        due: start.due.clone(),
        started: start.started,
        ended: SystemClock.now(),
        attempt: start.attempt,
        ending: RunOutcome::of(outcome::kind(result), facts.suspect),
        facts,
        why: result.as_ref().err().map(|failure| failure.chain().join(": ")),
    }
}

/// Notifies of what `status` found: why an instance is stale, or that it no longer is. Not in a job of the daemon,
/// which does this itself.
pub(super) async fn notify_freshness(app: &App, settings: &Settings, stale: &[String]) {
    if scheduled::by_daemon() {
        return;
    }
    let freshness =
        Freshness { instance: settings.instance().to_owned(), stale: stale.to_vec(), at: SystemClock.now() };
    warn(app, notifier(app, settings).freshness(&freshness).await);
}

fn warn(app: &App, warnings: Vec<NotifyWarning>) {
    for warning in warnings {
        app.printer.warning(&format!("not notified: {warning}; this does not change the result of the command"));
    }
}

/// The configured notifier. A target whose secret cannot be read is a warning in every run.
pub(super) fn notifier(app: &App, settings: &Settings) -> Notifier {
    let environment = INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), env::variable(name)?)));
    let hooks = Hooks::new(settings.hooks().clone(), environment.collect());
    let id = settings.repository_id().unwrap_or_default();
    let folder =
        app.state_folder(settings).ok().filter(|_| !id.is_empty()).map(|folder| StateDirectory::new(&folder, &id));
    let mut targets = Vec::new();
    let mut broken = Vec::new();
    for target in settings.notify() {
        match resolve(target) {
            Ok(target) => targets.push(target),
            Err(why) => broken.push(NotifyWarning { who: target.name.clone(), why }),
        }
    }
    let mut notifier = Notifier::new(targets, hooks, folder.as_ref(), &id, &env::host(), Arc::new(SystemClock));
    for warning in broken {
        notifier.add_broken(warning);
    }
    notifier
}

fn resolve(target: &notify::NotifyTarget) -> Result<NotifyEndpoint, String> {
    let words = |failure: &Failure| failure.chain().join(": ");
    let ca_pem = target.ca_file.as_deref().map(|path: &Path| services::read_ca(path)).transpose();
    let ca_pem = ca_pem.map_err(|failure| words(&failure))?;
    let secret = |place: &_, what: &str| {
        key_file::resolve_line(place, &format!("{what} of the notification {}", target.name))
            .map_err(|failure| words(&failure))
    };
    NotifyEndpoint::new(target, ca_pem.as_deref(), &secret)
}
