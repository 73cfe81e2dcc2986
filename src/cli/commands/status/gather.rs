//! Collects the parts of the screen. A part that cannot be read shows the reason and does not affect the others.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::daemon::{self, DaemonStatus};
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::memory::MemoryReport;
use crate::cli::{configured_keys, metrics, services, text};
use crate::config::Settings;
use crate::daemon::{JobRun, RunStatistics};
use crate::job::status::{Expiring, Status, inventory, measure};
use crate::model::{FailureKind, Timestamp};
use crate::provider::ibm::convert::IbmConverter;
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

/// Timeout of the repository.
const PATIENCE: Duration = Duration::from_secs(60);
/// Days within which expiring items are shown.
const SOON_DAYS: i64 = 30;

/// One instance.
#[derive(Debug, Serialize)]
pub(super) struct InstanceStatus {
    /// Its name in the configuration; empty where there is only one.
    pub(super) instance: String,
    /// True if it is stale.
    pub(super) stale: bool,
    /// Why, in words.
    pub(super) reasons: Vec<String>,
    /// Location of its repository; `None` if not set.
    pub(super) place: Option<String>,
    /// Doubts about the repository.
    pub(super) memory: MemoryReport,
    /// State of the repository; `None` if it cannot be read.
    pub(super) status: Option<Status>,
    /// Why the repository cannot be read.
    pub(super) unreadable: Option<String>,
    /// The jobs of the configuration.
    pub(super) jobs: Vec<JobStatus>,
    /// State of the standby, as known to this host.
    pub(super) standby: StandbyStatus,
    /// The daemon; `None` where none is configured to listen.
    pub(super) daemon: Option<DaemonStatus>,
    /// Expiring items; `None` if not known.
    pub(super) expiring: Option<ExpiringSoon>,
    /// Why it is not known what ends soon.
    pub(super) expiring_unknown: Option<String>,
    /// Notes.
    pub(super) warnings: Vec<String>,
    #[serde(skip)]
    pub(super) failure: Option<FailureKind>,
}

/// A job and its runs.
#[derive(Debug, Serialize)]
pub(super) struct JobStatus {
    pub(super) name: String,
    pub(super) kind: String,
    /// When it is due next; nothing: never again.
    pub(super) next: Option<Timestamp>,
    /// Outcome of its last run on this host.
    pub(super) last: Option<RunStatus>,
}

/// A run that is over.
#[derive(Debug, Serialize)]
pub(super) struct RunStatus {
    pub(super) ended: Timestamp,
    /// True if it did everything.
    pub(super) good: bool,
    /// Problems or differences that it found.
    pub(super) problems: Option<u64>,
}

/// The last runs that looked at the standby, or changed it, on this host.
#[derive(Debug, Default, Serialize)]
pub(super) struct StandbyStatus {
    pub(super) drift: Option<RunStatus>,
    pub(super) sync: Option<RunStatus>,
}

/// Expiring items.
#[derive(Debug, Serialize)]
pub(super) struct ExpiringSoon {
    /// Number of days to look ahead.
    pub(super) within_days: i64,
    /// Items that expire in that time or have expired, soonest first.
    pub(super) items: Vec<Expiring>,
}

/// Gathers everything; never fails.
pub(super) async fn gather(app: &App, settings: &Settings) -> InstanceStatus {
    let now = app.context().clock.now();
    let tally = tally(app, settings).await;
    let mut shown = InstanceStatus {
        instance: settings.instance().to_owned(),
        stale: false,
        reasons: Vec::new(),
        place: None,
        memory: MemoryReport::default(),
        status: None,
        unreadable: None,
        jobs: jobs(settings, &tally, now),
        standby: StandbyStatus { drift: last_of(&tally, "drift"), sync: last_of(&tally, "sync") },
        daemon: daemon::ask(settings).await,
        expiring: None,
        expiring_unknown: None,
        warnings: Vec::new(),
        failure: None,
    };
    match read(settings, now).await {
        Ok((repository, ledger, status)) => {
            shown.place = Some(repository.store().place());
            shown.memory = MemoryReport::of(&ledger);
            shown.stale = !status.stale.is_empty();
            shown.reasons = status.stale.iter().map(ToString::to_string).collect();
            shown.warnings.extend(repository.warnings().iter().cloned());
            shown.warnings.extend(warnings(&status));
            shown.status = Some(status);
            match expiring(settings, &repository, &ledger, now).await {
                Ok(soon) => shown.expiring = Some(soon),
                Err(why) => shown.expiring_unknown = Some(why),
            }
        }
        Err(failure) => {
            shown.failure = Some(failure.kind());
            shown.unreadable = Some(failure.chain().join(": "));
            shown.expiring_unknown = Some("the repository cannot be read".to_owned());
        }
    }
    shown
}

async fn read(settings: &Settings, now: Timestamp) -> Result<(Repository, Ledger, Status), Failure> {
    let reading = async {
        let repository = services::repository(settings, None).await?;
        let ledger = repository.read_ledger().await?;
        repository.remember(&ledger).await;
        let status = measure(&repository, &ledger, &services::objectives(settings), now).await?;
        Ok((repository, ledger, status))
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| {
        Err(Failure::new(FailureKind::Failed, format!("no answer from the repository within {} s", PATIENCE.as_secs())))
    })
}

/// Returns this host's record of its runs; empty without a state directory.
async fn tally(app: &App, settings: &Settings) -> RunStatistics {
    let Some(folder) = metrics::state_folder(app, settings) else { return RunStatistics::forgetful() };
    let loaded = tokio::task::spawn_blocking(move || RunStatistics::load(&folder).0).await;
    loaded.unwrap_or_else(|_| RunStatistics::forgetful())
}

fn run(run: &JobRun) -> RunStatus {
    RunStatus { ended: run.ended, good: run.is_good(), problems: run.facts.problems }
}

/// The newest run of a kind, by whichever job.
fn last_of(tally: &RunStatistics, kind: &str) -> Option<RunStatus> {
    let runs = tally.jobs().map(|(_, job)| &job.last).filter(|last| last.kind == kind);
    runs.max_by_key(|last| last.ended).map(run)
}

fn jobs(settings: &Settings, tally: &RunStatistics, now: Timestamp) -> Vec<JobStatus> {
    let jobs = settings.jobs().iter().filter(|job| job.is_for(settings.instance()));
    let mut jobs: Vec<_> = jobs
        .map(|job| JobStatus {
            name: job.name.clone(),
            kind: job.kind.clone(),
            next: job.schedule.next_after(now),
            last: tally.last(&job.name).map(run),
        })
        .collect();
    jobs.sort_by_key(|job| (job.next.is_none(), job.next));
    jobs
}

fn warnings(status: &Status) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(newest) = status.backups.newest.as_ref().filter(|newest| !newest.suspect.is_empty()) {
        let why = newest.suspect.join("; ");
        warnings.push(format!("snapshot {} is suspect: {why}", newest.sequence));
    }
    if let Some(newest) = status.backups.newest_good.as_ref().filter(|newest| !newest.hidden.is_empty()) {
        warnings.push(format!("the collector may not list {}: none of it is backed up", newest.hidden.join(", ")));
    }
    if let Some(check) = &status.failed_check {
        let found = text::count(check.problems, "problem");
        let (level, at) = (&check.level, text::time(check.at));
        warnings.push(format!("a verification (level {level}, {at}) found {found}; none as deep has passed since"));
    }
    if status.heads.len() > 1 {
        warnings.push(format!("the ledger has {} heads; the next backup joins them", status.heads.len()));
    }
    warnings.extend(status.problems.named.iter().cloned());
    let all = status.problems.errors + status.problems.warnings;
    let named = status.problems.named.len() as u64;
    if all > named {
        warnings.push(format!("and {} more; `keyhaven verify --level ledger` lists all", all - named));
    }
    warnings
}

async fn expiring(
    settings: &Settings,
    repository: &Repository,
    ledger: &Ledger,
    now: Timestamp,
) -> Result<ExpiringSoon, String> {
    let Some(snapshot) = ledger.latest_good().and_then(|entry| entry.snapshot()) else {
        return Err("there is no good snapshot to look into".to_owned());
    };
    if settings.keys().catalogue_key.is_none() {
        return Err("no catalogue key is named here".to_owned());
    }
    let said = |failure: Failure| failure.chain().join(": ");
    let keys = Arc::new(configured_keys::catalogue_key(settings).map_err(said)?);
    let reading = inventory(&IbmConverter, repository, snapshot, &keys);
    let read = tokio::time::timeout(PATIENCE, reading).await;
    let read = read.map_err(|_| format!("no answer from the repository within {} s", PATIENCE.as_secs()))?;
    let mut items = read.map_err(|error| said(error.into()))?.expiring;
    let until = now.plus_millis(SOON_DAYS * 86_400_000);
    items.retain(|item| item.at <= until);
    Ok(ExpiringSoon { within_days: SOON_DAYS, items })
}
