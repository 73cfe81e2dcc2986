//! The validated settings of one run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::jobs::Job;
use super::keys::{self, KEYS, Key};
use super::layer::{Layer, Origin};
use super::notify::{Notify, Target};
use super::tables::{Shown, Tables};
use super::value::Value;

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
pub struct Instance {
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
    /// Recipients of packs; not parsed here.
    pub recovery_recipients: Vec<String>,
    /// Further recipients of catalogues; not parsed here.
    pub auditors: Vec<String>,
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

/// The settings of one run, each with where it came from.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, (Value, Origin)>,
    tables: Tables,
    notify: Notify,
    jobs: Vec<Job>,
    instance: String,
}

impl Settings {
    /// Puts later layers over earlier ones and adds the defaults. A secret given one way replaces the same secret given
    /// another way by an earlier layer.
    ///
    /// # Errors
    /// When values do not go together.
    pub fn build(layers: impl IntoIterator<Item = Layer>) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<&'static str, (Value, Origin)> = BTreeMap::new();
        for key in KEYS {
            if let Some(default) = key.default
                && let Ok(value) = key.kind.read_text(default, std::path::Path::new(""))
            {
                values.insert(key.path, (value, Origin::Default));
            }
        }
        let mut tables = Tables::default();
        let mut notify = Notify::default();
        let mut jobs = Vec::new();
        let mut instance = String::new();
        for layer in layers {
            tables.extend(layer.tables);
            notify.targets.extend(layer.notify.targets);
            jobs.extend(layer.jobs);
            instance = layer.instance.unwrap_or(instance);
            for (path, value) in layer.values {
                if let Some(secret) = keys::secret_of(path) {
                    values.retain(|other, _| keys::secret_of(other) != Some(secret));
                }
                values.insert(path, value);
            }
        }
        let settings = Self { values, tables, notify, jobs, instance };
        settings.check()?;
        settings.retention()?;
        settings.backup_tags()?;
        Ok(settings)
    }

    /// Every key that has a value, in the order of the commented file: key, value as text, origin. Nothing secret can be
    /// among them, because no key holds a secret.
    pub fn effective(&self) -> impl Iterator<Item = (&'static Key, &Value, &Origin)> {
        KEYS.iter().filter_map(|key| self.values.get(key.path).map(|(value, origin)| (key, value, origin)))
    }

    /// The instance that is backed up.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn source(&self) -> Result<Instance, ConfigError> {
        self.source_with("source.api_key")
    }

    fn source_with(&self, api_key: &'static str) -> Result<Instance, ConfigError> {
        Ok(Instance {
            url: self.needed("source.url")?,
            iam_url: self.needed("source.iam_url")?,
            crn: self.text("source.crn"),
            api_key: self.needed_secret(api_key)?,
            ca_file: self.path("source.ca_file"),
            requests_per_second: self.number("source.requests_per_second", 5.0),
            read_types: self.texts("source.read_types"),
        })
    }

    /// The source as one whose authorities sign those of the standby: with the key that was named for that, else with the
    /// one that backs up.
    ///
    /// # Errors
    /// When its URL or both keys are not set.
    pub fn signer(&self) -> Result<Instance, ConfigError> {
        let own = self.secret("prepare.source_api_key").is_some();
        self.source_with(if own { "prepare.source_api_key" } else { "source.api_key" })
    }

    /// The instance that a restore writes into.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn standby(&self) -> Result<Instance, ConfigError> {
        Ok(Instance {
            url: self.needed("standby.url")?,
            iam_url: self.needed("standby.iam_url")?,
            crn: self.text("standby.crn"),
            api_key: self.needed_secret("standby.api_key")?,
            ca_file: self.path("standby.ca_file"),
            requests_per_second: self.number("standby.requests_per_second", 20.0),
            read_types: Vec::new(),
        })
    }

    /// The repository.
    ///
    /// # Errors
    /// When its URL is not set.
    pub fn repository(&self) -> Result<Repository, ConfigError> {
        let url = self.needed("repository.url")?;
        Ok(Repository {
            location: place(&url),
            id: self.text("repository.id"),
            endpoint: self.text("repository.endpoint"),
            region: self.text("repository.region"),
            access_key_id: self.secret("repository.access_key_id"),
            secret_access_key: self.secret("repository.secret_access_key"),
            ca_file: self.path("repository.ca_file"),
        })
    }

    /// Where the leases of daemons are: the repository in every other respect. Nothing when none are configured.
    ///
    /// # Errors
    /// When the repository's URL is not set.
    pub fn leases(&self) -> Result<Option<Repository>, ConfigError> {
        let Some(url) = self.text("daemon.lease_url") else { return Ok(None) };
        Ok(Some(Repository { location: place(&url), ..self.repository()? }))
    }

    /// How the daemon runs jobs.
    #[must_use]
    pub fn daemon(&self) -> Daemon {
        let period = |path| match self.value(path) {
            Some(Value::Period(period)) => *period,
            _ => Duration::from_secs(60),
        };
        let max_running = match self.value("daemon.max_running") {
            Some(Value::Whole(most)) => usize::try_from(*most).unwrap_or(1),
            _ => 4,
        };
        Daemon {
            listen: self.text("daemon.listen"),
            takeover_after: period("daemon.takeover_after"),
            max_running,
            stop_within: period("daemon.stop_within"),
            lease_term: period("daemon.lease_term"),
        }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys {
            signing_key: self.secret("keys.signing_key"),
            catalogue_key: self.secret("keys.catalogue_key"),
            recovery_recipients: self.texts("keys.recovery_recipients"),
            auditors: self.texts("keys.auditors"),
            recovery_identity_file: self.path("keys.recovery_identity_file"),
            recovery_key_on_collector: self.flag("keys.recovery_key_on_collector"),
        }
    }

    /// How a backup runs.
    #[must_use]
    pub fn backup(&self) -> Backup {
        let full_every = match self.value("backup.full_every") {
            Some(Value::Period(period)) => *period,
            _ => Duration::from_secs(7 * 86_400),
        };
        let compression_level = match self.value("backup.compression_level") {
            Some(Value::Whole(level)) => *level,
            _ => 3,
        };
        Backup {
            full_every,
            max_shrink: self.number("backup.max_shrink", 0.2),
            allow_empty: self.flag("backup.allow_empty"),
            allow_partial: self.flag("backup.allow_partial"),
            compression_level,
        }
    }

    /// How a standby is kept in step.
    #[must_use]
    pub fn sync(&self) -> Sync {
        let delay = match self.value("sync.delay") {
            Some(Value::Period(period)) => *period,
            _ => Duration::from_secs(3_600),
        };
        Sync {
            apply: self.flag("sync.apply"),
            delay,
            delete: self.flag("sync.delete"),
            max_change: self.number("sync.max_change", 0.2),
        }
    }

    /// What is wanted of the backups.
    #[must_use]
    pub fn objectives(&self) -> Objectives {
        let period = |path| match self.value(path) {
            Some(Value::Period(period)) => Some(*period),
            _ => None,
        };
        Objectives { rpo: period("objectives.rpo"), verified_within: period("objectives.verified_within") }
    }

    /// The tables that shape a restore.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The targets of notifications.
    #[must_use]
    pub fn notify(&self) -> &[Target] {
        &self.notify.targets
    }

    /// The targets of notifications for people, without what is secret.
    #[must_use]
    pub fn notify_shown(&self) -> Vec<Shown> {
        Notify::shown(&self.notify.targets)
    }

    /// The programs that run around a job.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let timeout = match self.value("hooks.timeout") {
            Some(Value::Period(period)) => *period,
            _ => Duration::from_secs(300),
        };
        Hooks {
            before: self.texts("hooks.run_before"),
            after: self.texts("hooks.run_after"),
            failed: self.texts("hooks.run_failed"),
            finally: self.texts("hooks.run_finally"),
            timeout,
        }
    }

    /// Where the audit trail goes, and whether it names what was revealed.
    #[must_use]
    pub fn audit(&self) -> Option<Audit> {
        let to = self.text("audit.to")?;
        Some(Audit { to, names: self.flag("audit.names") })
    }

    /// The CRN of the source as configured.
    #[must_use]
    pub fn source_crn(&self) -> Option<String> {
        self.text("source.crn")
    }

    /// The CRN of the standby as configured.
    #[must_use]
    pub fn standby_crn(&self) -> Option<String> {
        self.text("standby.crn")
    }

    /// How the log is written, where the configuration says it: `text` or `json`.
    #[must_use]
    pub fn log_format(&self) -> Option<String> {
        self.text("log.format")
    }

    /// The jobs of the daemon, in the order of their names; those of all instances.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Which instance of the file these are the settings of; empty where it has no `[[instances]]`, and for what holds for
    /// all of them.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What a restore does about an item that holds something of its own: the word as configured.
    #[must_use]
    pub fn on_conflict(&self) -> String {
        self.text("restore.on_conflict").unwrap_or_default()
    }

    /// The pinned repository id as configured, if there is one; not parsed here.
    #[must_use]
    pub fn repository_id(&self) -> Option<String> {
        self.text("repository.id")
    }

    /// What Prometheus is told.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics { textfile: self.path("metrics.textfile"), names: self.flag("metrics.names") }
    }

    /// The state folder, if one is set.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.path("state_dir")
    }

    /// Whether a key is set by anything but its default.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        self.values.get(path).is_some_and(|(_, origin)| *origin != Origin::Default)
    }

    /// The error for a key that this command needs and that is nowhere.
    #[must_use]
    pub fn missing(path: &'static str) -> ConfigError {
        ConfigError::Missing { key: path, variable: keys::variable(path) }
    }

    /// The error for a value that does not go together with others.
    pub(super) fn unfit(&self, path: &str, problem: &str) -> ConfigError {
        let origin = self.values.get(path).map_or(Origin::Default, |(_, origin)| origin.clone());
        unfit(path, &origin, problem)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for path in ["source.url", "source.iam_url", "standby.url", "standby.iam_url", "repository.endpoint"] {
            if let Some((Value::Text(url), origin)) = self.values.get(path)
                && url.starts_with("http://")
                && !is_loopback(url)
            {
                let problem = "plain http is for loopback only: secrets would cross the network in clear; use https";
                return Err(unfit(path, origin, problem));
            }
        }
        if let (Some((Value::Text(source), _)), Some((Value::Text(standby), origin))) =
            (self.values.get("source.url"), self.values.get("standby.url"))
            && source.trim_end_matches('/') == standby.trim_end_matches('/')
        {
            return Err(unfit("standby.url", origin, "the standby is the source; name another instance"));
        }
        if let Some((Value::Text(id), origin)) = self.values.get("repository.id")
            && !(id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
        {
            return Err(unfit(
                "repository.id",
                origin,
                "a repository id is 64 lower-case hexadecimal digits, as `keyhaven init` prints it; leave the key out until then",
            ));
        }
        if let Some((Value::Text(to), origin)) = self.values.get("audit.to")
            && !["stdout", "stderr"].contains(&to.as_str())
            && !to.starts_with('/')
        {
            return Err(unfit("audit.to", origin, "must be a path from the root, or the word stdout or stderr"));
        }
        for path in ["keys.recovery_recipients", "keys.auditors"] {
            if let Some((Value::Texts(recipients), origin)) = self.values.get(path)
                && let Some(at) = recipients.iter().position(|one| !one.starts_with("age1") && !one.starts_with("ssh-"))
            {
                let secret = recipients.get(at).is_some_and(|one| one.to_uppercase().starts_with("AGE-SECRET-KEY-"));
                let problem = if secret {
                    "an age identity (a secret key) stands in the place of a recipient; put the recipient there \
                     (`age1…`), and make a new identity: this one has been written to a configuration"
                        .to_owned()
                } else {
                    format!("entry {} is no age recipient (`age1…`)", at + 1)
                };
                return Err(unfit(path, origin, &problem));
            }
        }
        if let Some((Value::Text(url), origin)) = self.values.get("repository.url")
            && url.starts_with("s3://")
            && !self.values.contains_key("repository.endpoint")
        {
            return Err(unfit("repository.url", origin, "a bucket needs `repository.endpoint`; set it"));
        }
        Ok(())
    }

    pub(super) fn value(&self, path: &str) -> Option<&Value> {
        debug_assert!(keys::find(path).is_some(), "no such key: {path}");
        self.values.get(path).map(|(value, _)| value)
    }

    /// Where the value of a key came from.
    pub(super) fn origin(&self, path: &str) -> &Origin {
        self.values.get(path).map_or(&Origin::Default, |(_, origin)| origin)
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn needed(&self, path: &'static str) -> Result<String, ConfigError> {
        self.text(path).ok_or_else(|| Self::missing(path))
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        match self.value(path) {
            Some(Value::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    fn number(&self, path: &str, default: f64) -> f64 {
        match self.value(path) {
            Some(Value::Number(number)) => *number,
            _ => default,
        }
    }

    fn flag(&self, path: &str) -> bool {
        matches!(self.value(path), Some(Value::Flag(true)))
    }

    fn secret(&self, secret: &str) -> Option<SecretRef> {
        let file = self.path(&format!("{secret}_file")).map(SecretRef::File);
        let env = || self.text(&format!("{secret}_env")).map(SecretRef::Env);
        let credential = || self.text(&format!("{secret}_credential")).map(SecretRef::Credential);
        file.or_else(env).or_else(credential)
    }

    fn needed_secret(&self, secret: &'static str) -> Result<SecretRef, ConfigError> {
        self.secret(secret).ok_or_else(|| {
            let key = keys::SECRETS.iter().find(|one| **one == secret).copied().unwrap_or(secret);
            ConfigError::MissingSecret { key, variable: keys::variable(key) }
        })
    }
}

pub(super) fn unfit(path: &str, origin: &Origin, problem: &str) -> ConfigError {
    let key = keys::find(path).map_or("", |key| key.path);
    ConfigError::Unfit { key, origin: origin.clone(), problem: problem.to_owned() }
}

/// Whether a URL points at this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    })
}

/// The place that a URL names.
fn place(url: &str) -> Location {
    match url.strip_prefix("s3://") {
        Some(rest) => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Location::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() }
        }
        None => Location::Folder(url.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(text: &str) -> Layer {
        Layer::file(text, "keyhaven.toml", Path::new("/etc/keyhaven")).unwrap()
    }

    fn fails(text: &str) -> String {
        Settings::build([file(text)]).unwrap_err().to_string()
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let layers = [
            file("[source]\nurl = \"https://file.example\"\niam_url = \"https://file.example\"\ncrn = \"file\"\n"),
            Layer::environment(
                [("KEYHAVEN_SOURCE_URL", "https://env.example"), ("KEYHAVEN_SOURCE_IAM_URL", "https://env.example")],
                Path::new("/srv"),
            )
            .unwrap(),
            Layer::flags([("source.url", "--source-url", "https://flag.example")], Path::new("/srv")).unwrap(),
        ];
        let settings = Settings::build(layers).unwrap();
        let shown: Vec<_> =
            settings.effective().map(|(key, value, from)| (key.path, value.to_string(), from)).collect();
        let line = |path: &str| shown.iter().find(|(key, ..)| *key == path).unwrap();
        assert_eq!(line("source.url").1, "https://flag.example");
        assert_eq!(line("source.iam_url").2.to_string(), "environment variable KEYHAVEN_SOURCE_IAM_URL");
        assert_eq!(line("source.crn").2.to_string(), "keyhaven.toml, line 4");
        assert_eq!(line("backup.full_every").2, &Origin::Default);
    }

    #[test]
    fn a_secret_in_the_environment_replaces_the_file_named_in_the_configuration() {
        let settings = Settings::build([
            file("[source]\nurl = \"https://a.example\"\napi_key_file = \"key\"\n"),
            Layer::environment([("KEYHAVEN_SOURCE_API_KEY", "hunter2")], Path::new("/srv")).unwrap(),
        ])
        .unwrap();
        assert_eq!(settings.source().unwrap().api_key, SecretRef::Env("KEYHAVEN_SOURCE_API_KEY".into()));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn paths_in_the_file_start_at_the_file() {
        let settings = Settings::build([file("[repository]\nurl = \"repo\"\n[keys]\nsigning_key_file = \"s.pem\"\n")]);
        let settings = settings.unwrap();
        assert_eq!(settings.repository().unwrap().location, Location::Folder("/etc/keyhaven/repo".into()));
        assert_eq!(settings.keys().signing_key, Some(SecretRef::File("/etc/keyhaven/s.pem".into())));
    }

    #[test]
    fn paths_in_a_flag_start_at_the_working_folder() {
        let layer = Layer::flags([("repository.url", "--repository", "repo")], Path::new("/srv")).unwrap();
        let location = Settings::build([layer]).unwrap().repository().unwrap().location;
        assert_eq!(location, Location::Folder("/srv/repo".into()));
    }

    #[test]
    fn buckets_split_into_bucket_and_prefix() {
        let text = "[repository]\nurl = \"s3://b/p/q/\"\nendpoint = \"https://s3.example\"\n";
        let location = Settings::build([file(text)]).unwrap().repository().unwrap().location;
        assert_eq!(location, Location::Bucket { bucket: "b".into(), prefix: "p/q".into() });
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        assert!(fails("[source]\nurl = \"http://sm.example\"\n").contains("plain http is for loopback only"));
        assert!(Settings::build([file("[source]\nurl = \"http://127.0.0.1:9\"\n")]).is_ok());
        let same = "[source]\nurl = \"https://a.example\"\n[standby]\nurl = \"https://a.example/\"\n";
        assert!(fails(same).contains("the standby is the source"));
        assert!(fails("[repository]\nid = \"E3B0\"\n").contains("64 lower-case"));
        assert!(fails("[repository]\nurl = \"s3://b\"\n").contains("repository.endpoint"));
        assert!(fails("[keys]\nauditors = [\"bob\"]\n").contains("entry 1 is no age recipient"));
    }

    #[test]
    fn an_identity_among_the_recipients_is_refused_and_not_repeated() {
        let message = fails("[keys]\nrecovery_recipients = [\"AGE-SECRET-KEY-1QQQ\"]\n");
        assert!(message.contains("a secret key") && !message.contains("1QQQ"), "{message}");
    }

    #[test]
    fn every_getter_reads_existing_keys() {
        // The getters check their key names in debug builds.
        let text = "[source]\nurl = \"https://a.example\"\napi_key_env = \"A\"\n\
                    [standby]\nurl = \"https://b.example\"\napi_key_env = \"B\"\n[repository]\nurl = \"r\"\n";
        let settings = Settings::build([file(text)]).unwrap();
        assert_eq!(settings.source().unwrap().requests_per_second, 5.0);
        assert_eq!(settings.standby().unwrap().requests_per_second, 20.0);
        assert!(settings.repository().unwrap().access_key_id.is_none());
        assert_eq!(settings.backup().max_shrink, 0.2);
        let daemon = settings.daemon();
        assert_eq!((daemon.max_running, daemon.takeover_after), (4, Duration::from_secs(60)));
        assert!(daemon.listen.is_none() && settings.leases().unwrap().is_none());
        let sync = settings.sync();
        assert_eq!((sync.apply, sync.delete, sync.max_change), (false, false, 0.2));
        assert_eq!(sync.delay, Duration::from_secs(3_600));
        assert!(!settings.keys().recovery_key_on_collector);
        assert!(settings.state_dir().is_none());
        assert_eq!(settings.objectives(), Objectives::default());
        let settings = Settings::build([file("[objectives]\nrpo = \"90m\"\nverified_within = \"7d\"\n")]).unwrap();
        let Objectives { rpo, verified_within } = settings.objectives();
        assert_eq!(rpo.map(|period| period.as_secs()), Some(5_400));
        assert_eq!(verified_within.map(|period| period.as_secs()), Some(604_800));
    }

    #[test]
    fn what_is_missing_names_its_variable() {
        let message = Settings::build([]).unwrap().source().unwrap_err().to_string();
        assert_eq!(
            message,
            "`source.url` is not set; set it in the configuration, or KEYHAVEN_SOURCE_URL in the environment"
        );
        let layer = file("[source]\nurl = \"https://a.example\"\n");
        let message = Settings::build([layer]).unwrap().source().unwrap_err().to_string();
        assert!(message.contains("source.api_key_file") && message.contains("KEYHAVEN_SOURCE_API_KEY"), "{message}");
    }
}
