//! The jobs of the daemon: when they run next, and whether that meets the objectives.

use std::sync::Arc;
use std::time::Duration;

use super::host::file_row;
use super::limit::Limit;
use super::row::Rows;
use crate::cli::app::App;
use crate::cli::clock::SystemClock;
use crate::cli::failure::Failure;
use crate::cli::{services, text};
use crate::config::{JobConfig, Settings};
use crate::model::{FailureKind, Timestamp};
use crate::repository::lease::Leases;

/// The rows.
pub(super) async fn rows(app: &App, settings: &Settings, backs_up: bool, limit: Limit) -> Rows {
    let mut rows = Rows::new("Schedule");
    let now = app.context().clock.now();
    let jobs: Vec<&JobConfig> = settings.jobs().iter().filter(|job| job.is_for(settings.instance())).collect();
    for job in &jobs {
        next(&mut rows, job, now);
        super::jobs::rows(&mut rows, &app.program, settings, job);
    }
    let objectives = services::objectives(settings);
    interval(&mut rows, &jobs, "backup", objectives.rpo, "objectives.rpo", now);
    interval(&mut rows, &jobs, "verify", objectives.verified_within, "objectives.verified_within", now);
    if backs_up && objectives.rpo.is_none() {
        rows.warning(
            "objective",
            "no recovery point objective is set: nothing says when the backups are stale",
            "set objectives.rpo, such as twice the time between two backups",
        );
    }
    if jobs.is_empty() {
        rows.good("jobs", "none in the configuration: cron, systemd or whoever else runs the commands");
    }
    leases(&mut rows, settings, limit).await;
    if let Some(file) = &settings.metrics().textfile {
        let mend = "make its folder, owned by the user that runs keyhaven, or set metrics.textfile to another file";
        file_row(&mut rows, "metrics file", file, mend);
    }
    rows
}

fn next(rows: &mut Rows, job: &JobConfig, now: Timestamp) {
    match job.schedule.next_after(now) {
        Some(next) => rows.good("job", format!("{} ({}): next {}", job.name, job.kind, text::time(next))),
        None => rows.bad(
            "job",
            FailureKind::Usage,
            format!("{} ({}) never runs again: {}", job.name, job.kind, job.schedule.line()),
            format!("correct jobs.{}.cron; `keyhaven schedule next` shows the coming runs", job.name),
        ),
    }
}

/// Checks that daemons can agree over leases there: tried with an object that is made and deleted again.
async fn leases(rows: &mut Rows, settings: &Settings, limit: Limit) {
    let (what, mend) = (
        "leases",
        "name a bucket without versions and without locks, or a folder that all hosts see, in daemon.lease_url; without \
         it daemons go by the ledger alone",
    );
    let place = match settings.leases() {
        Ok(Some(place)) => place,
        Ok(None) => return,
        Err(error) => return rows.failed(what, &error.into(), mend),
    };
    let trying = async {
        let store = services::store(&place)?;
        let shown = store.place();
        let leases = Leases::new(store, Arc::new(SystemClock), "keyhaven doctor", settings.daemon().lease_term.0);
        let unfit = |error| Failure::from_error(FailureKind::Failed, error);
        leases.probe().await.map_err(unfit).map(|()| shown)
    };
    match limit.within(FailureKind::Failed, trying).await {
        Ok(shown) => rows.good(what, format!("{shown}: one of several writers wins there")),
        Err(failure) => {
            let found = failure.chain().join(": ");
            rows.warning(what, format!("{found}; daemons go by the ledger alone"), mend);
        }
    }
}

/// Checks that the jobs of a kind run often enough for an objective, with the jitter that each run may have.
fn interval(rows: &mut Rows, jobs: &[&JobConfig], kind: &str, objective: Option<Duration>, key: &str, now: Timestamp) {
    let Some(objective) = objective else { return };
    let gap = |job: &&JobConfig| Some(job.schedule.interval(now)? + job.jitter);
    let Some(gap) = jobs.iter().filter(|job| job.kind == kind).filter_map(gap).min() else { return };
    let what = "objective";
    let found = format!(
        "{kind}: up to {} between two runs, the objective is {}",
        text::seconds(gap.as_secs()),
        text::seconds(objective.as_secs())
    );
    if gap > objective {
        rows.bad(what, FailureKind::Usage, found, format!("run it more often, or give {key} more time"));
    } else if gap.saturating_mul(2) > objective {
        let found = format!("{found}: one run that fails misses it");
        rows.warning(what, found, format!("run it twice as often, or give {key} twice the time"));
    } else {
        rows.good(what, found);
    }
}
