//! Origin of a setting, for messages and `config show`.

use std::fmt;

/// Origin of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// In a file.
    File {
        /// The file, as messages name it.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1; only where something else comes before it on that line.
        column: Option<usize>,
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
            Self::File { name, line, column: None } => write!(f, "{name}, line {line}"),
            Self::File { name, line, column: Some(column) } => write!(f, "{name}, line {line}, column {column}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One setting as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownEntry {
    /// Such as `source.url`, `policies.public_cert` or `rules[1]`; entries count from 1.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its origin.
    pub origin: SettingOrigin,
}
