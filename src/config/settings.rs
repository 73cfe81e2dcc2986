//! The validated settings of one run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::jobs::JobConfig;
use super::keys::{self, ConfigKey, KEYS};
use super::layer::{Layer, SettingOrigin};
use super::notify::{Notify, NotifyTarget};
use super::sections::{
    Audit, Backup, Daemon, Hooks, InstanceSettings, Keys, Location, Metrics, Objectives, Repository, SecretRef, Sync,
};
use super::tables::{ShownEntry, Tables};
use super::value::SettingValue;

/// The settings of one run, each with where it came from.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, (SettingValue, SettingOrigin)>,
    tables: Tables,
    notify: Notify,
    jobs: Vec<JobConfig>,
    instance: String,
}

impl Settings {
    /// Puts later layers over earlier ones and adds the defaults. A secret given one way replaces the same secret given
    /// another way by an earlier layer.
    ///
    /// # Errors
    /// When values do not go together.
    pub fn build(layers: impl IntoIterator<Item = Layer>) -> Result<Self, ConfigError> {
        let mut values: BTreeMap<&'static str, (SettingValue, SettingOrigin)> = BTreeMap::new();
        for key in KEYS {
            if let Some(default) = key.default
                && let Ok(value) = key.kind.read_text(default, std::path::Path::new(""))
            {
                values.insert(key.path, (value, SettingOrigin::Default));
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
    pub fn effective(&self) -> impl Iterator<Item = (&'static ConfigKey, &SettingValue, &SettingOrigin)> {
        KEYS.iter().filter_map(|key| self.values.get(key.path).map(|(value, origin)| (key, value, origin)))
    }

    /// The instance that is backed up.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn source(&self) -> Result<InstanceSettings, ConfigError> {
        self.source_with("source.api_key")
    }

    fn source_with(&self, api_key: &'static str) -> Result<InstanceSettings, ConfigError> {
        Ok(InstanceSettings {
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
    pub fn signer(&self) -> Result<InstanceSettings, ConfigError> {
        let own = self.secret("prepare.source_api_key").is_some();
        self.source_with(if own { "prepare.source_api_key" } else { "source.api_key" })
    }

    /// The instance that a restore writes into.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn standby(&self) -> Result<InstanceSettings, ConfigError> {
        Ok(InstanceSettings {
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
            Some(SettingValue::Period(period)) => *period,
            _ => Duration::from_secs(60),
        };
        let max_running = match self.value("daemon.max_running") {
            Some(SettingValue::Whole(most)) => usize::try_from(*most).unwrap_or(1),
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
            recovery_identity_file: self.path("keys.recovery_identity_file"),
            recovery_key_on_collector: self.flag("keys.recovery_key_on_collector"),
        }
    }

    /// How a backup runs.
    #[must_use]
    pub fn backup(&self) -> Backup {
        let full_every = match self.value("backup.full_every") {
            Some(SettingValue::Period(period)) => *period,
            _ => Duration::from_secs(7 * 86_400),
        };
        let compression_level = match self.value("backup.compression_level") {
            Some(SettingValue::Whole(level)) => *level,
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
            Some(SettingValue::Period(period)) => *period,
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
            Some(SettingValue::Period(period)) => Some(*period),
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
    pub fn notify(&self) -> &[NotifyTarget] {
        &self.notify.targets
    }

    /// The targets of notifications for people, without what is secret.
    #[must_use]
    pub fn notify_shown(&self) -> Vec<ShownEntry> {
        Notify::shown(&self.notify.targets)
    }

    /// The programs that run around a job.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let timeout = match self.value("hooks.timeout") {
            Some(SettingValue::Period(period)) => *period,
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
    pub fn jobs(&self) -> &[JobConfig] {
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

    /// Where tokens for the standby come from: as set for it, else for the source.
    #[must_use]
    pub fn iam_url(&self) -> Option<String> {
        let path = if self.is_set("standby.iam_url") { "standby.iam_url" } else { "source.iam_url" };
        self.text(path)
    }

    /// The pins of the trust policy as configured; not parsed here.
    #[must_use]
    pub fn policy_pins(&self) -> Vec<String> {
        self.texts("repository.policy")
    }

    /// Whether the pin was given for this command alone: then it replaces all others.
    #[must_use]
    pub fn is_policy_chosen(&self) -> bool {
        matches!(self.origin("repository.policy"), SettingOrigin::Flag(_))
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
        self.values.get(path).is_some_and(|(_, origin)| *origin != SettingOrigin::Default)
    }

    /// The error for a key that this command needs and that is nowhere.
    #[must_use]
    pub fn missing(path: &'static str) -> ConfigError {
        ConfigError::Missing { key: path, variable: keys::variable(path) }
    }

    /// The error for a value that does not go together with others.
    pub(super) fn unfit(&self, path: &str, problem: &str) -> ConfigError {
        let origin = self.values.get(path).map_or(SettingOrigin::Default, |(_, origin)| origin.clone());
        unfit(path, &origin, problem)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for path in ["source.url", "source.iam_url", "standby.url", "standby.iam_url", "repository.endpoint"] {
            if let Some((SettingValue::Text(url), origin)) = self.values.get(path)
                && url.starts_with("http://")
                && !is_loopback(url)
            {
                let problem = "plain http is for loopback only: secrets would cross the network in clear; use https";
                return Err(unfit(path, origin, problem));
            }
        }
        if let (Some((SettingValue::Text(source), _)), Some((SettingValue::Text(standby), origin))) =
            (self.values.get("source.url"), self.values.get("standby.url"))
            && source.trim_end_matches('/') == standby.trim_end_matches('/')
        {
            return Err(unfit("standby.url", origin, "the standby is the source; name another instance"));
        }
        if let Some((SettingValue::Text(id), origin)) = self.values.get("repository.id")
            && !(id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
        {
            return Err(unfit(
                "repository.id",
                origin,
                "a repository id is 64 lower-case hexadecimal digits, as `keyhaven init` prints it; leave the key out until then",
            ));
        }
        if let Some((SettingValue::Text(to), origin)) = self.values.get("audit.to")
            && !["stdout", "stderr"].contains(&to.as_str())
            && !to.starts_with('/')
        {
            return Err(unfit("audit.to", origin, "must be a path from the root, or the word stdout or stderr"));
        }
        if let Some((SettingValue::Text(url), origin)) = self.values.get("repository.url")
            && url.starts_with("s3://")
            && !self.values.contains_key("repository.endpoint")
        {
            return Err(unfit("repository.url", origin, "a bucket needs `repository.endpoint`; set it"));
        }
        Ok(())
    }

    pub(super) fn value(&self, path: &str) -> Option<&SettingValue> {
        debug_assert!(keys::find(path).is_some(), "no such key: {path}");
        self.values.get(path).map(|(value, _)| value)
    }

    /// Where the value of a key came from.
    pub(super) fn origin(&self, path: &str) -> &SettingOrigin {
        self.values.get(path).map_or(&SettingOrigin::Default, |(_, origin)| origin)
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(SettingValue::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn needed(&self, path: &'static str) -> Result<String, ConfigError> {
        self.text(path).ok_or_else(|| Self::missing(path))
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        match self.value(path) {
            Some(SettingValue::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(SettingValue::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    fn number(&self, path: &str, default: f64) -> f64 {
        match self.value(path) {
            Some(SettingValue::Number(number)) => *number,
            _ => default,
        }
    }

    fn flag(&self, path: &str) -> bool {
        matches!(self.value(path), Some(SettingValue::Flag(true)))
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

pub(super) fn unfit(path: &str, origin: &SettingOrigin, problem: &str) -> ConfigError {
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
mod tests;
