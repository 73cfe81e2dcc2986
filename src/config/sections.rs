//! What each section of the file says, as values.

use std::path::PathBuf;
use std::time::Duration;

/// Where a secret is. Never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In a file.
    File(PathBuf),
    /// In an environment variable of that name.
    Env(String),
    /// In a systemd credential of that name.
    Credential(String),
}

/// How an instance is reached.
#[derive(Debug, Clone)]
pub struct InstanceSettings {
    /// The service URL.
    pub url: String,
    /// The identity service's URL.
    pub iam_url: String,
    /// The CRN, if the configuration says it.
    pub crn: Option<String>,
    /// Where the API key is.
    pub api_key: SecretRef,
    /// CA certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The pace of all requests together.
    pub requests_per_second: f64,
    /// Unknown secret types whose payloads are read all the same. Empty for a standby.
    pub read_types: Vec<String>,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends; may be empty.
        prefix: String,
    },
}

/// The repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Where it is.
    pub location: Location,
    /// Its pinned id as configured; not parsed here.
    pub id: Option<String>,
    /// The S3 endpoint.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Where the access key id is.
    pub access_key_id: Option<SecretRef>,
    /// Where the secret access key is.
    pub secret_access_key: Option<SecretRef>,
    /// Further CA certificates to trust.
    pub ca_file: Option<PathBuf>,
}

/// Keys by reference.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Where the signing key is.
    pub signing_key: Option<SecretRef>,
    /// Where the catalogue key is.
    pub catalogue_key: Option<SecretRef>,
    /// A recovery identity on this host.
    pub recovery_identity_file: Option<PathBuf>,
    /// Whether a backup may run although this host holds a recovery identity.
    pub recovery_key_on_collector: bool,
}

/// How a backup runs.
#[derive(Debug, Clone, Copy)]
pub struct Backup {
    /// Every item is read again within this time.
    pub full_every: Duration,
    /// The share of items that may be missing before a snapshot is suspect.
    pub max_shrink: f64,
    /// Whether a listing without any secret is taken for the truth.
    pub allow_empty: bool,
    /// Whether values that the identity may not read are accepted as missing.
    pub allow_partial: bool,
    /// zstd level.
    pub compression_level: i32,
}

/// How a standby is kept in step.
#[derive(Debug, Clone, Copy)]
pub struct Sync {
    /// Whether the standby is changed; else only what would be done is said.
    pub apply: bool,
    /// How old a snapshot is at least.
    pub delay: Duration,
    /// Whether what the source has lost is deleted from the standby.
    pub delete: bool,
    /// The share of the standby's items that one run may change or delete.
    pub max_change: f64,
}

/// What is wanted of the backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Objectives {
    /// How old the newest good snapshot may become.
    pub rpo: Option<Duration>,
    /// How long ago the last verification may be.
    pub verified_within: Option<Duration>,
}

/// Programs that run around a job, each as its path and arguments; empty for none.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// Before a run; what fails here stops the run.
    pub before: Vec<String>,
    /// After a run that did everything.
    pub after: Vec<String>,
    /// After one that did not.
    pub failed: Vec<String>,
    /// After every run.
    pub finally: Vec<String>,
    /// How long each may take.
    pub timeout: Duration,
}

/// The audit trail.
#[derive(Debug, Clone)]
pub struct Audit {
    /// A path from the root, `stdout` or `stderr`.
    pub to: String,
    /// Whether it names what was revealed, besides its id.
    pub names: bool,
}

/// What Prometheus is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where one-shot commands leave their metrics; nothing: nowhere.
    pub textfile: Option<PathBuf>,
    /// Whether names of items may stand in metrics.
    pub names: bool,
}

/// How the daemon runs jobs.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Where its HTTP server listens, as written; nothing: nowhere.
    pub listen: Option<String>,
    /// How long a daemon that did not run a job last waits for the one that did.
    pub takeover_after: Duration,
    /// How many jobs run at once at most.
    pub max_running: usize,
    /// How long jobs may take to end when the daemon ends.
    pub stop_within: Duration,
    /// How long a lease lasts without renewal.
    pub lease_term: Duration,
}
