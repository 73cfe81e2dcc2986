//! Metrics of jobs, from the statistics of their runs and from their schedules.

use std::collections::BTreeMap;

use super::definition as metric;
use super::page::{Labels, MetricsPage, SampleValue};
use super::{flag, of_instance, seconds};
use crate::daemon::daemon_state::{InstanceView, JobView};
use crate::daemon::run_statistics::{BOUNDS, Counters, Durations, JobStatistics};

/// Job kind that the backup metrics are taken from.
const BACKUP: &str = "backup";
/// Job kind that compares the standby.
const DRIFT: &str = "drift";

/// A job that is in the configuration, in the statistics, or in both.
struct JobSample<'a> {
    kind: &'a str,
    view: Option<&'a JobView>,
    tally: Option<&'a JobStatistics>,
}

/// Adds the jobs of an instance. Configured jobs are present from the first start, with all counters at 0.
pub(super) fn add(page: &mut MetricsPage, instance: &InstanceView) {
    let mut known: BTreeMap<&str, JobSample<'_>> = BTreeMap::new();
    for (name, tally) in instance.tally.jobs() {
        known.insert(name, JobSample { kind: &tally.last.kind, view: None, tally: Some(tally) });
    }
    for view in &instance.jobs {
        let tally = instance.tally.job(&view.name);
        known.insert(&view.name, JobSample { kind: &view.kind, view: Some(view), tally });
    }
    for (name, job) in &known {
        let labels = || -> Labels {
            let mut labels = of_instance(instance);
            labels.extend([("job_name", (*name).to_owned()), ("kind", job.kind.to_owned())]);
            labels
        };
        runs(page, labels, job.tally);
        if let Some(view) = job.view {
            schedule(page, labels, view);
        }
    }
    summary(page, instance);
}

fn runs(page: &mut MetricsPage, labels: impl Fn() -> Labels, tally: Option<&JobStatistics>) {
    let none = (Counters::default(), Durations::default());
    let (counters, durations) = tally.map_or((&none.0, &none.1), |tally| (&tally.counters, &tally.durations));
    for (definition, count) in [
        (&metric::ATTEMPT, counters.attempts),
        (&metric::SUCCESS, counters.successes),
        (&metric::PARTIAL, counters.partials),
        (&metric::SUSPECT, counters.suspects),
        (&metric::FAILURE, counters.failures),
        (&metric::TIMEOUT, counters.timeouts),
        (&metric::INTERRUPTED, counters.interruptions),
        (&metric::REQUESTS, tally.map_or(0, |tally| tally.requests)),
    ] {
        page.add(definition, labels(), SampleValue::Count(count));
    }
    let in_row = tally.map_or(0, |tally| tally.bad_in_a_row);
    page.gauge(&metric::FAILURES_IN_ROW, labels(), count(in_row));
    let last = tally.map(|tally| &tally.last);
    page.gauge(&metric::LAST_STATUS, labels(), last.map_or(f64::NAN, |run| flag(run.is_good())));
    page.gauge(&metric::LAST_RUN, labels(), seconds(last.map(|run| run.ended)));
    page.gauge(&metric::LAST_SUCCESS, labels(), seconds(tally.and_then(|tally| tally.last_success)));
    let duration = last.map_or(f64::NAN, |run| millis(run.ended.millis_since(run.started).max(0).unsigned_abs()));
    page.gauge(&metric::LAST_DURATION, labels(), duration);
    page.add(&metric::DURATION, labels(), buckets(durations));
}

fn schedule(page: &mut MetricsPage, labels: impl Fn() -> Labels, view: &JobView) {
    page.gauge(&metric::RUNNING, labels(), flag(view.running));
    if let Some(interval) = view.interval {
        page.gauge(&metric::INTERVAL, labels(), interval.as_secs_f64());
    }
    if let Some(next) = view.next {
        page.gauge(&metric::NEXT_RUN, labels(), seconds(Some(next)));
    }
}

/// Adds the metrics of the instance as a whole.
fn summary(page: &mut MetricsPage, instance: &InstanceView) {
    let newest = |kind: &str| {
        let runs = instance.tally.jobs().map(|(_, tally)| &tally.last).filter(|run| run.kind == kind);
        runs.max_by_key(|run| run.ended)
    };
    let status = newest(BACKUP).map_or(f64::NAN, |run| flag(run.ending.is_good()));
    page.gauge(&metric::BACKUP_LAST_STATUS, of_instance(instance), status);
    if let Some(found) = newest(DRIFT).and_then(|run| run.facts.problems) {
        page.gauge(&metric::STANDBY_DRIFT, of_instance(instance), count(found));
    }
}

/// Returns when the last successful backup known to this host ended.
pub(super) fn last_backup(instance: &InstanceView) -> Option<crate::model::Timestamp> {
    instance
        .tally
        .jobs()
        .filter(|(_, tally)| tally.last.kind == BACKUP)
        .filter_map(|(_, tally)| tally.last_success)
        .max()
}

fn buckets(durations: &Durations) -> SampleValue {
    let bounds = BOUNDS.iter().map(|bound| f64::from(*bound)).chain([f64::INFINITY]);
    SampleValue::Buckets(millis(durations.total_millis), bounds.zip(durations.buckets).collect())
}

/// Converts a count. Above 2^53 the last digits are lost; no count here comes close.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(super) fn count(count: u64) -> f64 {
    count as f64
}

fn millis(millis: u64) -> f64 {
    count(millis) / 1000.0
}
