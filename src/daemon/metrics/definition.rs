//! Every metric there is, once: its name, type and meaning. `docs/monitoring.md` has the same table, and a test compares.

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Goes up and down.
    Gauge,
    /// Only goes up, and is kept over restarts.
    Counter,
    /// A distribution, counted in buckets.
    Histogram,
}

/// What a metric speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One job of one instance.
    Job,
    /// One instance, from what this host knows of its runs.
    Instance,
    /// One instance, from its repository: the same on every host.
    Repository,
    /// The program itself.
    Process,
}

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Its whole name.
    pub name: &'static str,
    /// What it is to Prometheus.
    pub shape: Shape,
    /// What it speaks of.
    pub scope: Scope,
    /// What it says, with its unit. One line.
    pub help: &'static str,
}

macro_rules! definitions {
    ($($id:ident = $shape:ident $scope:ident $name:literal $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Definition =
                Definition { name: concat!("keyhaven_", $name), shape: Shape::$shape, scope: Scope::$scope, help: $help };
        )*

        /// Every metric, in the order in which they are written.
        pub const ALL: &[Definition] = &[$($id),*];
    };
}

definitions! {
    BUILD_INFO = Gauge Process "build_info" "1, with the version of the program as a label.";
    ROLE = Gauge Process "daemon_role" "1 for the role that the daemon has now, 0 for the others.";
    RELOAD = Gauge Process "config_last_reload_successful"
        "1 when the newest configuration is in force, 0 when it was wrong and the one before is.";

    WRITTEN = Gauge Instance "metrics_timestamp_seconds" "When the numbers of this instance were put together.";
    BACKUP_LAST_SUCCESS = Gauge Instance "backup_last_successful_timestamp_seconds"
        "When the last backup ended in a good snapshot, on whichever host; 0 when none ever did.";
    BACKUP_LAST_STATUS = Gauge Instance "backup_last_status"
        "1 when the last backup of this host succeeded, 0 when it did not, NaN before the first.";
    STANDBY_DRIFT = Gauge Instance "standby_drift_items"
        "Differences that the last drift run of this host found between the standby and what it should hold.";

    ATTEMPT = Counter Job "job_attempt_total" "Runs that have ended, every retry counted for itself.";
    SUCCESS = Counter Job "job_success_total" "Runs that did everything.";
    PARTIAL = Counter Job "job_partial_failure_total" "Runs that recorded something which lacks something.";
    SUSPECT = Counter Job "job_suspect_total" "Runs that recorded a suspect snapshot.";
    FAILURE = Counter Job "job_failure_total" "Runs that failed.";
    TIMEOUT = Counter Job "job_timeout_total" "Runs that were stopped at their deadline.";
    INTERRUPTED = Counter Job "job_interrupted_total" "Runs that were asked to stop.";
    FAILURES_IN_ROW = Gauge Job "job_failures_in_row"
        "Runs since the last success that ended in anything but a success or an interruption.";
    LAST_STATUS = Gauge Job "job_last_status"
        "1 when the last run succeeded, 0 when it did not, NaN before the first.";
    LAST_RUN = Gauge Job "job_last_run_timestamp_seconds" "When the last run ended; 0 before the first.";
    LAST_SUCCESS = Gauge Job "job_last_success_timestamp_seconds"
        "When the last run that did everything ended; 0 when none ever did.";
    LAST_DURATION = Gauge Job "job_last_duration_seconds" "How long the last run took; NaN before the first.";
    DURATION = Histogram Job "job_duration_seconds" "How long runs took.";
    REQUESTS = Counter Job "job_requests_total" "Requests to instances that runs spent.";
    RUNNING = Gauge Job "job_running" "1 while the job runs.";
    INTERVAL = Gauge Job "schedule_expected_interval_seconds"
        "The longest time that the schedule lets pass between two runs.";
    NEXT_RUN = Gauge Job "schedule_next_run_timestamp_seconds" "When the job is due next, before any jitter.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_stand_once() {
        for (at, one) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(at + 1).all(|other| other.name != one.name), "{} twice", one.name);
            assert_eq!(one.name.ends_with("_total"), one.shape == Shape::Counter, "{}", one.name);
            assert!(!one.help.contains('\n') && one.help.ends_with('.'), "{}", one.name);
            let scoped = one.name.starts_with("keyhaven_job_") || one.name.starts_with("keyhaven_schedule_");
            assert_eq!(scoped, one.scope == Scope::Job, "{}", one.name);
        }
    }
}
