//! Sections of the file and their keys.

use super::SecretRef;
use super::value::SettingType as _;

/// A section of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name; empty for the keys at the top.
    pub name: &'static str,
    /// Its purpose.
    pub about: &'static str,
    /// Its keys, in the order of the commented file.
    pub keys: &'static [ConfigKey],
}

/// A key of the configuration.
#[derive(Debug)]
pub struct ConfigKey {
    /// `section.name`; a name alone for the keys at the top.
    pub path: &'static str,
    /// Name of its type in messages.
    pub expected: fn() -> String,
    /// Its default, as an environment variable would set it.
    pub default: Option<&'static str>,
    /// A value for the commented file, as TOML.
    pub example: &'static str,
    /// Its effect.
    pub about: &'static str,
}

impl ConfigKey {
    /// Its section and its name.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        self.path.rsplit_once('.').unwrap_or(("", self.path))
    }

    /// Its environment variable: that of `source.url` is `KEYHAVEN_SOURCE_URL`.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(self.path)
    }

    /// Returns true if its value is a reference to a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        (self.expected)() == SecretRef::expected()
    }
}

/// The environment variable of a key: `source.url` is `KEYHAVEN_SOURCE_URL`.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("KEYHAVEN_{}", path.replace('.', "_").to_uppercase())
}
