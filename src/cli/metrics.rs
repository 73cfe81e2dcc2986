//! Metrics of a finished command: its run in the state directory, and the textfile.
//!
//! Nothing here may change how the command ends: whatever goes wrong is a warning, and reading the repository for the
//! numbers of it is given up after a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::app::App;
use super::clock::SystemClock;
use super::failure::Failure;
use super::{configured_keys, services};
use crate::config::Settings;
use crate::daemon::metrics::{render, textfile};
use crate::daemon::{DaemonState, InstanceView, JobRun, RepositoryView, RunStatistics};
use crate::job::status;
use crate::model::Clock as _;
use crate::model::with_causes;
use crate::provider::ibm::convert::IbmConverter;
use crate::repository::{Repository, StateDirectory};

/// Timeout for reading the repository's metrics. A run has just used it, or failed to.
const READING: Duration = Duration::from_secs(120);
/// Interval at which a daemon looks for entries of other hosts.
const REFRESH: Duration = Duration::from_secs(300);

/// Counts a run, and writes the textfile where one is configured.
pub(super) async fn leave(app: &App, settings: &Settings, run: &JobRun) {
    let warn = |what: &str| {
        app.printer.warning(&format!("{what}; this does not change the result of the command"));
    };
    let tally = match state_folder(app, settings) {
        Some(folder) => {
            let run = run.clone();
            let counted = tokio::task::spawn_blocking(move || count(&folder, &run)).await;
            let Ok((tally, warnings)) = counted else { return warn("the run was not counted: a bug") };
            for warning in warnings {
                warn(&format!("the run was not counted: {warning}"));
            }
            tally
        }
        // Without a repository there is nothing to keep it beside: this run alone is what is known.
        None => {
            let mut tally = RunStatistics::forgetful();
            tally.take(run);
            tally
        }
    };
    let Some(path) = settings.metrics().textfile.clone() else { return };
    let mut instance = InstanceView::new(&run.instance);
    instance.tally = tally;
    instance.names = settings.metrics().names;
    let view = match read(settings, &app.context().cancel).await {
        Ok(view) => view,
        Err(failure) => {
            warn(&format!("the metrics keep what they had of the repository: {}", failure.chain().join(": ")));
            None
        }
    };
    instance.repository = view.map(Arc::new);
    // The file was read a moment ago; where it is gone by now, ours is the only instance that is sure.
    let instances = app.instances().unwrap_or_default();
    let written = tokio::task::spawn_blocking(move || {
        let text = render(&[&instance], None, SystemClock.now());
        let repository_read = instance.repository.is_some();
        let part =
            textfile::TextfilePart { instance: &instance.name, instances: &instances, text: &text, repository_read };
        textfile::write(&path, &part)
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn(&with_causes(&error)),
        Err(_) => warn("the metrics were not written: a bug"),
    }
}

/// What the repository says, with the inventory where a key for it is configured. The inventory of `before` is taken
/// over while its snapshot is the newest good one.
///
/// # Errors
/// When the repository cannot be read. An inventory that cannot be opened is a line in the log and left out.
async fn look(
    settings: &Settings,
    repository: &Repository,
    before: Option<RepositoryView>,
) -> Result<RepositoryView, Failure> {
    let ledger = repository.read_ledger().await?;
    repository.remember(&ledger).await;
    let objectives = services::objectives(settings);
    let status = status::measure(repository, &ledger, &objectives, SystemClock.now()).await?;
    let mut view = RepositoryView::new(&ledger, status);
    let digest = |view: &RepositoryView| view.status.backups.newest_good.as_ref().map(|newest| newest.digest);
    if let Some(before) = before.filter(|before| before.inventory.is_some() && digest(before) == digest(&view)) {
        view.inventory = before.inventory;
        return Ok(view);
    }
    let newest = ledger.latest_good().and_then(|entry| entry.snapshot());
    if let (Some(snapshot), Some(_)) = (newest, &settings.keys().catalogue_key) {
        let keys = Arc::new(configured_keys::catalogue_key(settings)?);
        match status::inventory(&IbmConverter, repository, snapshot, &keys).await {
            Ok(inventory) => view.inventory = Some(inventory),
            Err(error) => tracing::warn!("the metrics lack the inventory: {}", with_causes(&error)),
        }
    }
    Ok(view)
}

/// Keeps what a daemon shows of its repositories fresh: reads them after every run and every few minutes, for as long
/// as it is asked. `settings` are those in force, one for each instance. Runs beside the loop, which never waits for
/// it.
pub(super) async fn follow(mut settings: watch::Receiver<Vec<Settings>>, daemon_state: DaemonState) {
    let mut open: BTreeMap<String, Repository> = BTreeMap::new();
    loop {
        let current = settings.borrow_and_update().clone();
        open.retain(|name, _| current.iter().any(|settings| settings.instance() == name));
        for settings in current.iter().filter(|settings| settings.repository_id().is_some()) {
            let name = settings.instance().to_owned();
            let known = open.remove(&name);
            let reading = async {
                let repository = match known {
                    Some(repository) => repository,
                    None => services::repository(settings, None).await?,
                };
                let before = daemon_state.repository(&name).map(|view| view.as_ref().clone());
                let view = look(settings, &repository, before).await?;
                Ok::<_, Failure>((repository, view))
            };
            match tokio::time::timeout(READING, reading).await {
                Ok(Ok((repository, view))) => {
                    open.insert(name.clone(), repository);
                    daemon_state.set_repository(&name, view, settings.metrics().names);
                }
                // It is opened anew the next time, with credentials that may have been changed.
                Ok(Err(failure)) => {
                    let why = failure.chain().join(": ");
                    tracing::warn!(instance = name, "the metrics keep what they had of the repository: {why}");
                }
                Err(_) => tracing::warn!(instance = name, "the metrics keep what they had: the repository is silent"),
            }
        }
        tokio::select! {
            () = daemon_state.run_ended() => {}
            () = tokio::time::sleep(REFRESH) => {}
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

/// The state folder of the repository, where both are known.
pub(super) fn state_folder(app: &App, settings: &Settings) -> Option<StateDirectory> {
    let id = settings.repository_id().filter(|id| !id.is_empty())?;
    Some(StateDirectory::new(&app.state_folder(settings).ok()?, &id))
}

/// `None` if the user stopped the command, or no repository is configured.
async fn read(
    settings: &Settings,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<Option<RepositoryView>, Failure> {
    if settings.repository_id().is_none() {
        return Ok(None);
    }
    let reading = async { look(settings, &services::repository(settings, None).await?, None).await };
    tokio::select! {
        () = cancel.cancelled() => Ok(None),
        read = tokio::time::timeout(READING, reading) => match read {
            Ok(view) => view.map(Some),
            Err(_) => Err(Failure::new(
                crate::model::FailureKind::Failed,
                format!("the repository did not answer within {} seconds", READING.as_secs()),
            )),
        },
    }
}

fn count(folder: &StateDirectory, run: &JobRun) -> (RunStatistics, Vec<String>) {
    let (mut tally, damaged) = RunStatistics::load(folder);
    tally.take(run);
    let saved = tally.save().err();
    (tally, damaged.iter().chain(&saved).map(|error| with_causes(error)).collect())
}
