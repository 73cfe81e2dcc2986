//! `[daemon]`.

use super::section;
use crate::config::value::{Location, Period, Whole};

section! {
    /// How `keyhaven run` runs the jobs of the tables [jobs.NAME].
    pub struct DaemonSection in "daemon" {
        /// Where /metrics, /healthz and /readyz are served. Without it they are not.
        listen: Option<String>, r#""127.0.0.1:9464""#;
        /// How long a daemon that did not run a job last waits for the one that did before it takes the run over;
        /// longer where runs are seen to take longer.
        takeover_after: Period = "60s", r#""60s""#;
        /// How many jobs run at once at most.
        max_running: Whole<1, 1_000> = "4", "4";
        /// How long jobs may take to end when the daemon is asked to; then they are killed. They end at their next safe
        /// point; less than the default may kill one whose entry is on its way to a slow store.
        stop_within: Period = "15m", r#""15m""#;
        /// Where daemons that share a repository agree on who runs a job: a bucket without versions and without locks,
        /// at the repository's endpoint and with its credentials, or a directory that all of them see. Without it what
        /// the ledger shows decides alone.
        lease_url: Option<Location>, r#""s3://LEASE-BUCKET/keyhaven""#;
        /// How long after the last sign of a daemon its lease ends. It is renewed three times in that time while a job
        /// runs.
        lease_term: Period = "60s", r#""60s""#;
    }
}
