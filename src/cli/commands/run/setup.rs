//! A configuration made ready for the run loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::ledgers::Repositories;
use super::observers::DaemonObserver;
use crate::cli::app::App;
use crate::cli::clock::SystemClock;
use crate::cli::failure::Failure;
use crate::cli::{env, jobs, scheduled, services};
use crate::config::Settings;
use crate::config::jobs::JobConfig;
use crate::daemon::engine::{Ports, Setup};
use crate::daemon::kinds;
use crate::daemon::lease_manager::LeaseManager;
use crate::daemon::plan::{RetryDecision, TakeoverPolicy, retry_decision};
use crate::daemon::process_runner::{ProcessRunner, in_memory};
use crate::daemon::systemd::ServiceManager;
use crate::daemon::task::JobTask;
use crate::daemon::{DaemonState, RunStatistics};
use crate::format::RepositoryId;
use crate::model::{FailureKind, Timestamp};
use crate::repository::StateDirectory;
use crate::repository::lease::Leases;

/// Variables that belong to the daemon and its service manager alone.
const HIDDEN: &[&str] = &["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Prepares the settings of all instances, so that an error in them shows before any is used. `text` is that of their
/// file: every job reads it in place of the file. Reads files and may wait for a lock: not for the thread of the run
/// loop.
pub(super) fn load(
    app: &App,
    settings: &[Settings],
    text: Option<&str>,
    daemon_state: &DaemonState,
    manager: &Arc<ServiceManager>,
) -> Result<Setup, Failure> {
    for settings in settings {
        jobs::check(&app.program, settings)?;
    }
    let mut tasks = Vec::new();
    let mut remembered = BTreeMap::new();
    let mut leases = LeaseManager::default();
    let mut tallies = BTreeMap::new();
    let mut salt = env::host();
    for settings in settings {
        let mine = of_instance(settings)?;
        if mine.is_empty() {
            continue;
        }
        refuse_recovery_key(settings, &mine)?;
        let id = repository_id(settings)?;
        let state = app.state_folder(settings)?;
        // Two daemons on one host have two state folders.
        salt = format!("{}:{}", env::host(), state.display());
        let folder = StateDirectory::new(&state, &id.to_string());
        let (tally, warning) = RunStatistics::load(&folder);
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
        remembered.extend(mine.iter().filter_map(|task| Some((task.id(), last_done(&tally, &task.name)?))));
        tallies.insert(settings.instance().to_owned(), tally);
        if let Some(place) = settings.leases()? {
            let owner = format!("{} ({}, process {})", env::host(), state.display(), std::process::id());
            let term = settings.daemon().lease_term.0;
            let place = Leases::new(services::store(&place)?, Arc::new(SystemClock), &owner, term);
            leases.add(settings.instance(), place, &id.to_string());
        }
        tasks.extend(mine.into_iter().map(Arc::new));
    }
    let Some(daemon) = settings.first().map(Settings::daemon).filter(|_| !tasks.is_empty()) else {
        return Err(Failure::usage("there is nothing to run: the configuration has no jobs").hinted(
            "add a table such as [jobs.backup] with kind = \"backup\" and cron = \"*/15 * * * *\"; `keyhaven config init` \
             prints an example, `keyhaven schedule next` shows when jobs are due",
        ));
    };
    let repositories = Arc::new(Repositories::new(settings));
    let audience = DaemonObserver::new(app, settings, tallies, daemon_state, manager, Arc::clone(&repositories));
    Ok(Setup {
        tasks,
        remembered,
        turns: TakeoverPolicy { salt, takeover_after: daemon.takeover_after.0 },
        max_running: daemon.max_running.get(),
        stop_within: daemon.stop_within.0,
        ports: Ports {
            runner: Arc::new(processes(app, text)?),
            ledgers: repositories,
            leases,
            audience: Arc::new(audience),
            clock: Arc::new(SystemClock),
        },
    })
}

/// The jobs of one instance.
fn of_instance(settings: &Settings) -> Result<Vec<JobTask>, Failure> {
    let mine = settings.jobs().iter().filter(|job| job.is_for(settings.instance()));
    mine.map(|job| task(settings, job)).collect()
}

fn task(settings: &Settings, job: &JobConfig) -> Result<JobTask, Failure> {
    // Checked when the settings were read; a table that has lost a line in between is a bug, and no reason to die.
    let kind = kinds::find(&job.kind).ok_or_else(|| {
        Failure::usage(format!("`jobs.{}.kind` is \"{}\", which is none of {}", job.name, job.kind, kinds::names()))
    })?;
    Ok(JobTask {
        instance: settings.instance().to_owned(),
        name: job.name.clone(),
        kind,
        schedule: job.schedule.clone(),
        jitter: job.jitter,
        deadline: job.deadline.unwrap_or(kind.deadline),
        retries: job.retries,
        retry_after: job.retry_after,
        catch_up: job.catch_up,
        arguments: job.args.clone(),
    })
}

/// A process that has a backup job holds no recovery identity, unless that is accepted.
fn refuse_recovery_key(settings: &Settings, tasks: &[JobTask]) -> Result<(), Failure> {
    let keys = settings.keys();
    let Some(backup) = tasks.iter().find(|task| task.kind.name == "backup") else { return Ok(()) };
    match &keys.recovery_identity_file {
        Some(file) if keys.recovery_key_on_collector.is_none() => Err(Failure::usage(format!(
            "the job `{}` backs up, and keys.recovery_identity_file names {}: a host that backs up must not be able to open \
             its backups",
            backup.name,
            file.display()
        ))
        .hinted(
            "run sync, drills and payload checks on another host, or accept it with \
             keys.recovery_key_on_collector = \"accepted\"; every entry then says so",
        )),
        _ => Ok(()),
    }
}

/// The pinned id: a daemon runs without anybody who could look at another.
fn repository_id(settings: &Settings) -> Result<RepositoryId, Failure> {
    let text = settings.repository_id().ok_or_else(|| Settings::missing("repository.id"))?;
    text.parse().map_err(|error| Failure::from_error(FailureKind::Usage, error))
}

/// The run that this host brought to its end last, as far as it remembers.
fn last_done(tally: &RunStatistics, job: &str) -> Option<Timestamp> {
    let last = tally.last(job)?;
    (retry_decision(&last.ending) == RetryDecision::Done).then(|| last.due.as_ref().map(|due| due.at))?
}

fn processes(app: &App, text: Option<&str>) -> Result<ProcessRunner, Failure> {
    let failed = |error| {
        Failure::new(FailureKind::Failed, "cannot keep the configuration in memory for the jobs").because(error)
    };
    let input = text.map(in_memory).transpose().map_err(failed)?.map(Arc::new);
    let mut environment = vec![(scheduled::RUN_PARENT, std::process::id().to_string())];
    environment.extend(input.iter().map(|_| (scheduled::RUN_CONFIG.0, scheduled::RUN_CONFIG.1.to_owned())));
    let mut flags: Vec<std::ffi::OsString> = Vec::new();
    if let Some(path) = app.config_path() {
        flags.push("--config".into());
        flags.push(std::path::absolute(&path).unwrap_or(path).into());
    }
    for (_, flag, value) in app.globals.settings().into_iter().filter(|(_, flag, _)| *flag != "--log-format") {
        flags.push(flag.into());
        flags.push(value.into());
    }
    // Their lines become members of ours.
    flags.extend(["--log-format".into(), "text".into()]);
    if let Some(level) = &app.globals.log_level {
        flags.push("--log-level".into());
        flags.push(level.into());
    }
    Ok(ProcessRunner {
        // This very program, also when another was installed in its place meanwhile.
        program: Path::new("/proc/self/exe").into(),
        flags,
        instance_flag: "--instance",
        due: |due| (scheduled::RUN_DUE, scheduled::text(due)),
        input,
        environment,
        hidden: HIDDEN,
        event: crate::cli::audit::hand_on,
    })
}
