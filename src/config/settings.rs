//! The validated settings of one run.

use std::path::PathBuf;

use super::error::ConfigError;
use super::jobs::JobConfig;
use super::keys;
use super::layer::{Layer, defaults, typed};
use super::node::Node;
use super::notify::{self, NotifyTarget};
use super::origin::{SettingOrigin, ShownEntry};
use super::sections::{
    Addressing, AuditSection, BackupSection, Checksum, ConfigKey, ConflictRule, DaemonSection, HooksSection,
    KeysSection, LogFormat, MetricsSection, ObjectivesSection, RetentionSection, Sections, SyncSection,
};
use super::tables::Tables;
use super::value::{HttpUrl, Location, SecretRef, is_loopback};
use crate::model::tag::TAGS;

/// The settings of one run, each with its origin.
#[derive(Debug, Clone)]
pub struct Settings {
    sections: Sections,
    /// The same as a tree, for the origins.
    tree: Node,
    tables: Tables,
    notify: Vec<NotifyTarget>,
    jobs: Vec<JobConfig>,
    instance: String,
    references: Vec<String>,
    unknown: Vec<String>,
}

/// Connection settings of an instance.
#[derive(Debug, Clone)]
pub struct InstanceSettings {
    /// The service URL.
    pub url: String,
    /// The identity service's URL.
    pub iam_url: String,
    /// The CRN, if the configuration has it.
    pub crn: Option<String>,
    /// Reference to the API key.
    pub api_key: SecretRef,
    /// CA certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The pace of all requests together.
    pub requests_per_second: f64,
    /// Unknown secret types whose payloads are read all the same. Empty for a standby.
    pub read_types: Vec<String>,
}

/// Connection settings of a repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its location.
    pub location: Location,
    /// Its pinned id as configured; not parsed here.
    pub id: Option<String>,
    /// The S3 endpoint.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Position of the bucket's name in a request.
    pub addressing: Addressing,
    /// The checksum header of a write.
    pub checksum: Checksum,
    /// Reference to the access key id.
    pub access_key_id: Option<SecretRef>,
    /// Reference to the secret access key.
    pub secret_access_key: Option<SecretRef>,
    /// Further CA certificates to trust.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Puts later layers over earlier ones, and all of them over the defaults.
    ///
    /// # Errors
    /// When values do not go together.
    pub fn build(layers: impl IntoIterator<Item = Layer>) -> Result<Self, ConfigError> {
        let mut all = Layer::default();
        for layer in layers {
            all.sections.merge(layer.sections);
            all.tables.extend(layer.tables);
            all.notify.extend(layer.notify);
            all.jobs.extend(layer.jobs);
            all.references.extend(layer.references);
            all.unknown.extend(layer.unknown);
            all.instance = layer.instance.or(all.instance);
        }
        let mut tree = defaults();
        let sections = typed(&all.sections)?;
        tree.merge(all.sections);
        let Layer { tables, notify, jobs, references, unknown, .. } = all;
        let instance = all.instance.unwrap_or_default();
        let settings = Self { sections, tree, tables, notify, jobs, instance, references, unknown };
        settings.check()?;
        Ok(settings)
    }

    /// Checks that every `KEYHAVEN_…` variable sets a key, or is one that a reference to a secret names.
    ///
    /// # Errors
    /// When one does not.
    pub fn check_variables(&self) -> Result<(), ConfigError> {
        match self.unknown.iter().find(|name| !self.references.contains(name)) {
            Some(name) => Err(keys::unknown_variable(name)),
            None => Ok(()),
        }
    }

    /// Every key that has a value, in the order of the commented file. Nothing secret can be among them, because no key
    /// holds a secret.
    #[must_use]
    pub fn effective(&self) -> Vec<SetKey<'_>> {
        set_keys(&self.sections, &self.tree)
    }

    /// The instance that is backed up.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn source(&self) -> Result<InstanceSettings, ConfigError> {
        self.source_with(needed_secret(self.sections.source.api_key.as_ref(), "source.api_key"))
    }

    fn source_with(&self, api_key: Result<SecretRef, ConfigError>) -> Result<InstanceSettings, ConfigError> {
        let source = &self.sections.source;
        Ok(InstanceSettings {
            url: needed(source.url.as_ref(), "source.url")?.0,
            iam_url: source.iam_url.0.clone(),
            crn: source.crn.clone(),
            api_key: api_key?,
            ca_file: source.ca_file.clone().map(|path| path.0),
            requests_per_second: source.requests_per_second.0,
            read_types: source.read_types.clone(),
        })
    }

    /// The source as one whose authorities sign those of the standby: with the key that was named for that, else with
    /// the one that backs up.
    ///
    /// # Errors
    /// When its URL or both keys are not set.
    pub fn signer(&self) -> Result<InstanceSettings, ConfigError> {
        match &self.sections.prepare.source_api_key {
            Some(key) => self.source_with(Ok(key.clone())),
            None => self.source(),
        }
    }

    /// The instance that a restore writes into.
    ///
    /// # Errors
    /// When its URL or its API key is not set.
    pub fn standby(&self) -> Result<InstanceSettings, ConfigError> {
        let standby = &self.sections.standby;
        Ok(InstanceSettings {
            url: needed(standby.url.as_ref(), "standby.url")?.0,
            iam_url: standby.iam_url.0.clone(),
            crn: standby.crn.clone(),
            api_key: needed_secret(standby.api_key.as_ref(), "standby.api_key")?,
            ca_file: standby.ca_file.clone().map(|path| path.0),
            requests_per_second: standby.requests_per_second.0,
            read_types: Vec::new(),
        })
    }

    /// The repository.
    ///
    /// # Errors
    /// When its URL is not set.
    pub fn repository(&self) -> Result<Repository, ConfigError> {
        let repository = &self.sections.repository;
        Ok(Repository {
            location: needed(repository.url.as_ref(), "repository.url")?,
            id: repository.id.clone(),
            endpoint: repository.endpoint.clone().map(|url| url.0),
            region: repository.region.clone(),
            addressing: repository.addressing,
            checksum: repository.checksum,
            access_key_id: repository.access_key_id.clone(),
            secret_access_key: repository.secret_access_key.clone(),
            ca_file: repository.ca_file.clone().map(|path| path.0),
        })
    }

    /// Returns the location of the daemons' leases, with the repository's other settings. `None` if not configured.
    ///
    /// # Errors
    /// When the repository's URL is not set.
    pub fn leases(&self) -> Result<Option<Repository>, ConfigError> {
        let Some(location) = self.sections.daemon.lease_url.clone() else { return Ok(None) };
        Ok(Some(Repository { location, ..self.repository()? }))
    }

    /// Returns the settings of the daemon.
    #[must_use]
    pub fn daemon(&self) -> &DaemonSection {
        &self.sections.daemon
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &KeysSection {
        &self.sections.keys
    }

    /// Returns the settings of backups.
    #[must_use]
    pub fn backup(&self) -> &BackupSection {
        &self.sections.backup
    }

    /// Which snapshots are kept.
    #[must_use]
    pub fn retention(&self) -> &RetentionSection {
        &self.sections.retention
    }

    /// Returns the settings of syncs.
    #[must_use]
    pub fn sync(&self) -> &SyncSection {
        &self.sections.sync
    }

    /// The objectives for the backups.
    #[must_use]
    pub fn objectives(&self) -> &ObjectivesSection {
        &self.sections.objectives
    }

    /// The tables that shape a restore.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The targets of notifications.
    #[must_use]
    pub fn notify(&self) -> &[NotifyTarget] {
        &self.notify
    }

    /// The targets of notifications for people, without what is secret.
    #[must_use]
    pub fn notify_shown(&self) -> Vec<ShownEntry> {
        self.notify.iter().map(notify::shown).collect()
    }

    /// The programs that run around a job.
    #[must_use]
    pub fn hooks(&self) -> &HooksSection {
        &self.sections.hooks
    }

    /// The audit trail.
    #[must_use]
    pub fn audit(&self) -> &AuditSection {
        &self.sections.audit
    }

    /// The CRN of the source as configured.
    #[must_use]
    pub fn source_crn(&self) -> Option<String> {
        self.sections.source.crn.clone()
    }

    /// The CRN of the standby as configured.
    #[must_use]
    pub fn standby_crn(&self) -> Option<String> {
        self.sections.standby.crn.clone()
    }

    /// Returns the configured log format.
    #[must_use]
    pub fn log_format(&self) -> Option<LogFormat> {
        self.sections.log.format
    }

    /// The jobs of the daemon, in the order of their names; those of all instances.
    #[must_use]
    pub fn jobs(&self) -> &[JobConfig] {
        &self.jobs
    }

    /// Which instance of the file these are the settings of; empty where it has no `[[instances]]`, and for what holds
    /// for all of them.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the conflict rule of restores.
    #[must_use]
    pub fn on_conflict(&self) -> ConflictRule {
        self.sections.restore.on_conflict
    }

    /// The pinned repository id as configured, if there is one; not parsed here.
    #[must_use]
    pub fn repository_id(&self) -> Option<String> {
        self.sections.repository.id.clone()
    }

    /// Returns the token service of the standby, else that of the source.
    #[must_use]
    pub fn iam_url(&self) -> &HttpUrl {
        let own = self.is_set("standby.iam_url");
        if own { &self.sections.standby.iam_url } else { &self.sections.source.iam_url }
    }

    /// The pins of the trust policy as configured; not parsed here.
    #[must_use]
    pub fn policy_pins(&self) -> &[String] {
        &self.sections.repository.policy.0
    }

    /// Returns true if the pin was given for this command alone: then it replaces all others.
    #[must_use]
    pub fn is_policy_chosen(&self) -> bool {
        matches!(self.origin("repository.policy"), SettingOrigin::Flag(_))
    }

    /// Prometheus metrics.
    #[must_use]
    pub fn metrics(&self) -> &MetricsSection {
        &self.sections.metrics
    }

    /// The state directory, if one is set.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.sections.state_dir.clone().map(|path| path.0)
    }

    /// Returns true if a key is set by anything but its default.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        *self.origin(path) != SettingOrigin::Default
    }

    /// The error for a key that this command needs and that is nowhere.
    #[must_use]
    pub fn missing(path: &'static str) -> ConfigError {
        ConfigError::Missing { key: path, variable: keys::variable(path) }
    }

    /// The error for a value that does not go together with others.
    pub(super) fn unfit(&self, key: &'static str, problem: &str) -> ConfigError {
        ConfigError::Unfit { key, origin: self.origin(key).clone(), problem: problem.to_owned() }
    }

    /// Returns the origin of a key's value.
    fn origin(&self, path: &str) -> &SettingOrigin {
        self.tree.find(path).map_or(&SettingOrigin::Default, |node| &node.origin)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Sections { source, standby, repository, .. } = &self.sections;
        for (path, url) in [
            ("source.url", source.url.as_ref()),
            ("source.iam_url", Some(&source.iam_url)),
            ("standby.url", standby.url.as_ref()),
            ("standby.iam_url", Some(&standby.iam_url)),
            ("repository.endpoint", repository.endpoint.as_ref()),
        ] {
            if url.is_some_and(|url| url.0.starts_with("http://") && !is_loopback(&url.0)) {
                let problem = "plain http is for loopback only: secrets would cross the network in clear; use https";
                return Err(self.unfit(path, problem));
            }
        }
        let same = |(one, other): (&HttpUrl, &HttpUrl)| one.0.trim_end_matches('/') == other.0.trim_end_matches('/');
        if source.url.as_ref().zip(standby.url.as_ref()).is_some_and(same) {
            return Err(self.unfit("standby.url", "the standby is the source; name another instance"));
        }
        let hex = |id: &String| id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if repository.id.as_ref().is_some_and(|id| !hex(id)) {
            let problem = "a repository id is 64 lower-case hexadecimal digits, as `keyhaven init` prints it; leave the key \
                           out until then";
            return Err(self.unfit("repository.id", problem));
        }
        let stream = |to: &String| to == "stdout" || to == "stderr";
        if self.sections.audit.to.as_ref().is_some_and(|to| !stream(to) && !to.starts_with('/')) {
            return Err(self.unfit("audit.to", "must be a path from the root, or the word stdout or stderr"));
        }
        if matches!(repository.url, Some(Location::Bucket { .. })) && repository.endpoint.is_none() {
            return Err(self.unfit("repository.url", "a bucket needs `repository.endpoint`; set it"));
        }
        let tags = self.sections.backup.tags.0.len();
        if tags > TAGS {
            let problem = format!("a snapshot has at most {TAGS} tags, and these are {tags}");
            return Err(self.unfit("backup.tags", &problem));
        }
        Ok(())
    }
}

fn needed<T: Clone>(value: Option<&T>, path: &'static str) -> Result<T, ConfigError> {
    value.cloned().ok_or_else(|| Settings::missing(path))
}

fn needed_secret(secret: Option<&SecretRef>, key: &'static str) -> Result<SecretRef, ConfigError> {
    secret.cloned().ok_or_else(|| ConfigError::MissingSecret { key, variable: keys::variable(key) })
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct SetKey<'s> {
    /// The key.
    pub key: &'static ConfigKey,
    /// Its value, as the file would set it.
    pub value: toml::Value,
    /// Its origin.
    pub origin: &'s SettingOrigin,
}

impl SetKey<'_> {
    /// For `config show`.
    #[must_use]
    pub fn shown(&self) -> ShownEntry {
        let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = match self.value.as_array() {
            Some(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
            None => text(&self.value),
        };
        ShownEntry { key: self.key.path.to_owned(), value, origin: self.origin.clone() }
    }
}

/// The keys with a value, each with its origin in a tree.
fn set_keys<'s>(sections: &Sections, tree: &'s Node) -> Vec<SetKey<'s>> {
    // Every type of a setting is written as text, number, flag or list, so that this cannot fail.
    let values = toml::Value::try_from(sections).unwrap_or(toml::Value::Boolean(false));
    let of = |key: &'static ConfigKey| {
        let value = key.path.split('.').try_fold(&values, |value, name| value.get(name))?.clone();
        let origin = &tree.find(key.path)?.origin;
        let none = *origin == SettingOrigin::Default && value.as_array().is_some_and(Vec::is_empty);
        (!none).then_some(SetKey { key, value, origin })
    };
    keys::all().filter_map(of).collect()
}

/// Lists the settings of a tree, for people.
pub(super) fn shown(tree: &Node) -> Vec<ShownEntry> {
    typed(tree).map(|sections| set_keys(&sections, tree).iter().map(SetKey::shown).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
