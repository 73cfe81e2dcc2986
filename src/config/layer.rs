//! One source of settings: the file, the environment, the flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::ConfigError;
use super::instances::{self, INSTANCES};
use super::jobs::{self, JOBS, JobConfig};
use super::keys::{self, ConfigKey, KEYS, REMOVED, SECRETS, SECTIONS};
use super::notify::Notify;
use super::tables::Tables;
use super::value::{SettingValue, ValueKind};

/// Where a setting was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// In the file of that name, on that line (from 1).
    File {
        /// The file.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// By an environment variable.
    Environment(String),
    /// By a flag, as it is typed.
    Flag(String),
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Settings from one origin, each checked against the type of its key.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(super) values: BTreeMap<&'static str, (SettingValue, SettingOrigin)>,
    pub(super) tables: Tables,
    pub(super) notify: Notify,
    pub(super) jobs: Vec<JobConfig>,
    pub(super) instances: Vec<instances::InstanceEntry>,
    /// The instance that this is the layer of.
    pub(super) instance: Option<String>,
}

impl Layer {
    /// Reads the text of a configuration file.
    ///
    /// `name` is what messages call the file; relative paths in it start at `base`.
    ///
    /// # Errors
    /// When the text is no TOML, has an unknown key, a value of the wrong type, a secret written inline, or one secret
    /// given in two ways.
    pub fn file(text: &str, name: &str, base: &Path) -> Result<Self, ConfigError> {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let place = |at: usize| SettingOrigin::File { name: name.to_owned(), line: line(at) };
        let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            place: place(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let mut layer = Self::default();
        for (name, value) in document.get_ref() {
            match name.get_ref().as_ref() {
                JOBS => layer.jobs = jobs::read(value, &place)?,
                INSTANCES => layer.instances = instances::read(value, &place, base)?,
                _ => layer.take_member(name, value, &place, base)?,
            }
        }
        jobs::check_instances(&layer.jobs, &layer.instances())?;
        layer.checked()
    }

    /// Reads the environment: every `KEYHAVEN_…` variable that belongs to a key. Others are left alone, because
    /// platforms set variables of their own under any prefix.
    ///
    /// `KEYHAVEN_SOURCE_API_KEY` and the like hold a secret themselves; its value is not looked at here, only that it is
    /// there. Relative paths start at `base`, the working folder.
    ///
    /// # Errors
    /// When a value has the wrong type, or one secret is given in two ways.
    pub fn environment<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (name, text) in variables {
            let origin = SettingOrigin::Environment(name.to_owned());
            if let Some(key) = KEYS.iter().find(|key| keys::variable(key.path) == name) {
                layer.take_text(key, text, origin, base)?;
            } else if let Some(secret) = SECRETS.iter().find(|secret| keys::variable(secret) == name)
                && let Some(key) = keys::find(&format!("{secret}_env"))
            {
                layer.values.insert(key.path, (SettingValue::Text(name.to_owned()), origin));
            } else if let Some((key, instead)) = REMOVED.iter().find(|(key, _)| keys::variable(key) == name) {
                return Err(ConfigError::RemovedKey { place: origin, key, instead });
            }
        }
        layer.checked()
    }

    /// Takes flags: key, the flag as it is typed, value. Relative paths start at `base`, the working folder.
    ///
    /// # Errors
    /// When a value has the wrong type.
    pub fn flags<'a>(
        flags: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for (path, flag, text) in flags {
            if let Some(key) = keys::find(path) {
                layer.take_text(key, text, SettingOrigin::Flag(flag.to_owned()), base)?;
            }
        }
        layer.checked()
    }

    /// Takes a section, a table or a key at the top of the file or of an instance.
    pub(super) fn take_member(
        &mut self,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        place: &dyn Fn(usize) -> SettingOrigin,
        base: &Path,
    ) -> Result<(), ConfigError> {
        let origin = place(name.span().start);
        if self.tables.take(name.get_ref(), value, place)? || self.notify.take(name.get_ref(), value, place, base)? {
            return Ok(());
        }
        match value.get_ref() {
            DeValue::Table(section) if is_section(name.get_ref()) => {
                for (member, value) in section {
                    let path = format!("{}.{}", name.get_ref(), member.get_ref());
                    self.take(&path, value.get_ref(), place(member.span().start), base)?;
                }
                Ok(())
            }
            _ if is_section(name.get_ref()) => {
                Err(ConfigError::Section { place: origin, section: name.get_ref().to_string() })
            }
            value => self.take(name.get_ref(), value, origin, base),
        }
    }

    fn take(&mut self, path: &str, value: &DeValue<'_>, place: SettingOrigin, base: &Path) -> Result<(), ConfigError> {
        let Some(key) = keys::find(path) else {
            if SECRETS.contains(&path) {
                return Err(ConfigError::InlineSecret { place, key: path.to_owned() });
            }
            if let Some((key, instead)) = REMOVED.iter().find(|(key, _)| *key == path) {
                return Err(ConfigError::RemovedKey { place, key, instead });
            }
            let nearest = keys::nearest(path).map(str::to_owned);
            return Err(ConfigError::UnknownKey { place, key: path.to_owned(), nearest });
        };
        match key.kind.read_toml(value, base) {
            Ok(value) => {
                self.values.insert(key.path, (value, place));
                Ok(())
            }
            Err(found) => Err(wrong(key, place, found)),
        }
    }

    fn take_text(
        &mut self,
        key: &'static ConfigKey,
        text: &str,
        origin: SettingOrigin,
        base: &Path,
    ) -> Result<(), ConfigError> {
        match key.kind.read_text(text, base) {
            Ok(value) => {
                self.values.insert(key.path, (value, origin));
                Ok(())
            }
            Err(found) => Err(wrong(key, origin, found)),
        }
    }

    /// One secret, one way.
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let mut seen: BTreeMap<&str, &'static str> = BTreeMap::new();
        for (path, (_, origin)) in &self.values {
            if let Some(secret) = keys::secret_of(path)
                && let Some(first) = seen.insert(secret, path)
            {
                return Err(ConfigError::TwoWays { place: origin.clone(), first, second: path });
            }
        }
        Ok(self)
    }
}

fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

fn wrong(key: &'static ConfigKey, place: SettingOrigin, found: String) -> ConfigError {
    // A secret in the place of a reference to it must not be repeated.
    let found =
        if keys::secret_of(key.path).is_some() && key.kind == ValueKind::Text { "that".to_owned() } else { found };
    ConfigError::WrongValue { place, key: key.path, expected: key.kind.expected(), found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str) -> String {
        Layer::file(text, "keyhaven.toml", Path::new("/etc")).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest() {
        let message = fails("[source]\nurl = \"https://a.example\"\nrequest_per_second = 5\n");
        assert_eq!(
            message,
            "keyhaven.toml, line 3: unknown key `source.request_per_second`; did you mean `source.requests_per_second`?"
        );
    }

    #[test]
    fn unknown_sections_and_top_level_keys_are_refused() {
        assert!(fails("[sources]\nurl = \"https://a.example\"\n").contains("line 1: unknown key `sources`"));
        assert!(fails("url = \"x\"\n").contains("did you mean"));
        assert!(fails("[source.extra]\na = 1\n").contains("unknown key `source.extra`"));
    }

    #[test]
    fn a_wrong_type_names_file_line_and_key() {
        let message = fails("\n[source]\nrequests_per_second = \"fast\"\n");
        assert_eq!(
            message,
            "keyhaven.toml, line 3: `source.requests_per_second` must be a number above 0 and up to 1000, not \"fast\""
        );
        assert!(fails("source = 3\n").contains("line 1: `source` is a section; write it as `[source]`"));
        assert!(fails("[source]\nurl = 3\n").contains("`source.url` must be"));
        assert!(fails("[backup]\ntags = [1]\n").contains("a list with 1"));
    }

    #[test]
    fn a_key_of_an_earlier_version_names_what_took_its_place() {
        let message = fails("[keys]\nauditors = [\"age1x\"]\n");
        assert_eq!(
            message,
            "keyhaven.toml, line 2: unknown key `keys.auditors`: whom backups are sealed to is in the trust policy: \
             `keyhaven recipients list`"
        );
        let variable = [("KEYHAVEN_KEYS_RECOVERY_RECIPIENTS", "age1x")];
        assert!(Layer::environment(variable, Path::new("/")).unwrap_err().to_string().contains("recipients list"));
    }

    #[test]
    fn one_pin_needs_no_list() {
        let read =
            |text: &str| Layer::file(text, "x", Path::new("/")).unwrap().values["repository.policy"].0.to_string();
        assert_eq!(read("[repository]\npolicy = \"000002-ab AAAA\"\n"), "000002-ab AAAA");
        assert_eq!(read("[repository]\npolicy = [\"000002-ab\", \"000003-cd\"]\n"), "000002-ab, 000003-cd");
    }

    #[test]
    fn broken_toml_names_its_line() {
        assert!(fails("[source]\nurl = \n").starts_with("keyhaven.toml, line 2: not valid TOML"));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        let message = fails("[source]\napi_key = \"hunter2\"\n");
        assert!(message.contains("holds a secret inline") && message.contains("source.api_key_file"), "{message}");
        assert!(!message.contains("hunter2"));
    }

    #[test]
    fn one_secret_has_one_way() {
        let message = fails("[source]\napi_key_file = \"a\"\napi_key_env = \"B\"\n");
        assert!(message.contains("exclude each other"), "{message}");
    }
}
