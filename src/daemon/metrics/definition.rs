//! Definition of every metric: name, type and meaning. A test compares it with the table in `docs/monitoring.md`.

/// Prometheus type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Value that goes up and down.
    Gauge,
    /// Value that only goes up, and is kept across restarts.
    Counter,
    /// Distribution, counted in buckets.
    Histogram,
}

/// Subject of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricScope {
    /// One job of one instance.
    Job,
    /// One instance, from this host's record of its runs.
    Instance,
    /// One instance, from its repository: the same on every host.
    Repository,
    /// The program itself.
    Process,
}

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Full name.
    pub name: &'static str,
    /// Prometheus type.
    pub shape: MetricKind,
    /// Subject.
    pub scope: MetricScope,
    /// Help text with the unit, on one line.
    pub help: &'static str,
}

macro_rules! definitions {
    ($($id:ident = $shape:ident $scope:ident $name:literal $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Definition =
                Definition { name: concat!("keyhaven_", $name), shape: MetricKind::$shape, scope: MetricScope::$scope, help: $help };
        )*

        /// All metrics, in the order in which they are written.
        pub const ALL: &[Definition] = &[$($id),*];
    };
}

definitions! {
    BUILD_INFO = Gauge Process "build_info" "1, with the version of the program as a label.";
    ROLE = Gauge Process "daemon_role" "1 for the role that the daemon has now, 0 for the others.";
    RELOAD = Gauge Process "config_last_reload_successful"
        "1 when the newest configuration is in force, 0 when it was wrong and the one before is.";

    WRITTEN = Gauge Instance "metrics_timestamp_seconds" "Time when the metrics of this instance were written.";
    BACKUP_LAST_STATUS = Gauge Instance "backup_last_status"
        "1 when the last backup of this host succeeded, 0 when it did not, NaN before the first.";
    STANDBY_DRIFT = Gauge Instance "standby_drift_items"
        "Differences that the last drift run of this host found between the standby and what it should hold.";

    REPOSITORY_READ = Gauge Repository "repository_last_read_timestamp_seconds"
        "When the repository was last read for these numbers; 0 before the first time.";
    BACKUP_LAST_SUCCESS = Gauge Repository "backup_last_successful_timestamp_seconds"
        "When the last backup succeeded, on whichever host; 0 when none ever did.";
    LAST_GOOD_CUT = Gauge Repository "backup_last_good_cut_timestamp_seconds"
        "Point in time of the newest good snapshot: the start of its cut by the provider's clock; 0 without one.";
    RPO = Gauge Repository "rpo_seconds"
        "The achieved recovery point: how old the newest good snapshot is; infinite without one.";
    RPO_WORST = Gauge Repository "rpo_worst_seconds"
        "The longest time without a new good snapshot in the last 7 days, until now included; infinite without one.";
    RPO_OBJECTIVE = Gauge Repository "rpo_objective_seconds" "How old the newest good snapshot may become.";
    VERIFIED = Gauge Repository "last_verified_timestamp_seconds"
        "When a verification of at least that level was last passed; 0 when none ever was.";
    VERIFIED_OBJECTIVE = Gauge Repository "verified_objective_seconds"
        "Maximum age of the last verification that read every object.";
    VERIFICATION_FAILED = Gauge Repository "verification_failed" "1 from a failed verification until one of at least the same level passes.";
    STALE = Gauge Repository "stale" "1 for each reason why the repository was stale when it was read.";
    SUSPECT_SINCE = Gauge Repository "backup_suspect_since_timestamp_seconds"
        "Since when every newer snapshot is suspect; 0 when the newest is good.";
    SNAPSHOTS = Gauge Repository "snapshots"
        "Snapshots by state; a held one is also good or suspect.";
    SNAPSHOT_ITEMS = Gauge Repository "snapshot_items" "Items in the newest good snapshot.";
    SNAPSHOT_PACKS = Gauge Repository "snapshot_packs" "Packs that the newest good snapshot needs.";
    SNAPSHOT_BYTES = Gauge Repository "snapshot_sealed_bytes" "Sealed size of these packs.";
    ITEMS = Gauge Repository "items" "Items in the newest good snapshot by kind, plus versions and locks of secrets.";
    ITEMS_BY_CLASS = Gauge Repository "items_by_restorability"
        "Items in the newest good snapshot by how well they can be brought back.";
    ITEMS_BY_TYPE = Gauge Repository "items_by_type"
        "Items in the newest good snapshot by type and by how well they can be brought back.";
    EXPIRY = Gauge Repository "expiry_timestamp_seconds"
        "When the next certificate or secret of that type expires; renews: the provider renews it by itself.";
    EXPIRED = Gauge Repository "expired_items" "Items of that type whose expiry has passed.";
    ITEM_EXPIRY = Gauge Repository "item_expiry_timestamp_seconds"
        "When a certificate or secret expires, by name; the 200 that do so next.";
    LEDGER_HEADS = Gauge Repository "ledger_heads" "Entries that no other names as parent; 1 once all writers agree.";
    LEDGER_SEQUENCE = Gauge Repository "ledger_sequence" "The highest sequence among them.";
    LEDGER_ENTRIES = Gauge Repository "ledger_entries" "Entries that count.";
    POLICY_VERSION = Gauge Repository "trust_policy_version" "The version of the trust policy in force.";
    LEDGER_PROBLEMS = Gauge Repository "ledger_problems" "What is wrong with the ledger.";
    STANDBY_RESTORED = Gauge Repository "standby_last_restore_timestamp_seconds"
        "When something was last restored or synced into a standby and recorded.";
    STANDBY_BEHIND = Gauge Repository "standby_behind_snapshots"
        "Good snapshots that are newer than the one that was last restored.";
    STANDBY_BEHIND_SECONDS = Gauge Repository "standby_behind_seconds"
        "Age difference between the newest good snapshot and the last restored one.";
    STANDBY_FAILED = Gauge Repository "standby_failed_items" "Items that the last restore could not bring back.";

    ATTEMPT = Counter Job "job_attempt_total" "Runs that have ended, every retry counted for itself.";
    SUCCESS = Counter Job "job_success_total" "Successful runs.";
    PARTIAL = Counter Job "job_partial_failure_total" "Runs that recorded an incomplete result.";
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
        "Time when the last successful run ended; 0 if none.";
    LAST_DURATION = Gauge Job "job_last_duration_seconds" "How long the last run took; NaN before the first.";
    DURATION = Histogram Job "job_duration_seconds" "How long runs took.";
    REQUESTS = Counter Job "job_requests_total" "Requests to instances that runs spent.";
    RUNNING = Gauge Job "job_running" "1 while the job runs.";
    INTERVAL = Gauge Job "schedule_expected_interval_seconds"
        "Longest time between two scheduled runs.";
    NEXT_RUN = Gauge Job "schedule_next_run_timestamp_seconds" "When the job is due next, before any jitter.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_stand_once() {
        for (at, one) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(at + 1).all(|other| other.name != one.name), "{} twice", one.name);
            assert_eq!(one.name.ends_with("_total"), one.shape == MetricKind::Counter, "{}", one.name);
            assert!(!one.help.contains('\n') && one.help.ends_with('.'), "{}", one.name);
            let scoped = one.name.starts_with("keyhaven_job_") || one.name.starts_with("keyhaven_schedule_");
            assert_eq!(scoped, one.scope == MetricScope::Job, "{}", one.name);
        }
    }
}
