//! Configuration errors.

use super::origin::SettingOrigin;

/// A configuration that cannot be used. All of these are usage errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is no TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        place: SettingOrigin,
        /// The parser's words.
        message: String,
    },
    /// A key or section that does not exist.
    #[error("{place}: unknown key `{key}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        place: SettingOrigin,
        /// The key as written, with its section.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A key of an earlier version.
    #[error("{place}: unknown key `{key}`: {instead}")]
    RemovedKey {
        /// Where.
        place: SettingOrigin,
        /// The key with its section.
        key: &'static str,
        /// The key that replaced it.
        instead: &'static str,
    },
    /// A section that was written as a key.
    #[error("{place}: `{section}` is a section; write it as `[{section}]` on a line of its own")]
    Section {
        /// Where.
        place: SettingOrigin,
        /// The section.
        section: String,
    },
    /// A value of the wrong type or outside its bounds.
    #[error("{place}: `{key}` must be {expected}, not {found}")]
    WrongValue {
        /// Where.
        place: SettingOrigin,
        /// The key with its section or table.
        key: String,
        /// Description of a valid value.
        expected: String,
        /// The value found, omitted if it may be a secret.
        found: String,
    },
    /// An environment variable that sets nothing.
    #[error("unknown environment variable {name}{}", nearest.as_ref().map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The known one that looks most like it.
        nearest: Option<String>,
    },
    /// Something in a table that is no plain section: those that shape a restore, jobs, instances.
    #[error("{place}: {what}: {problem}")]
    Table {
        /// Where.
        place: SettingOrigin,
        /// The table or its member.
        what: String,
        /// Description of the problem and its fix.
        problem: String,
    },
    /// Which of the file's instances is meant is not clear.
    #[error("{problem}")]
    Instance {
        /// Description of the problem, with the known names.
        problem: String,
    },
    /// A key that this command needs is nowhere.
    #[error("`{key}` is not set; set it in the configuration, or {variable} in the environment")]
    Missing {
        /// The key with its section.
        key: &'static str,
        /// Its environment variable.
        variable: String,
    },
    /// A secret that this command needs is nowhere.
    #[error(
        "`{key}` is not set; set it to \"file:PATH\", \"env:NAME\" or \"credential:NAME\" in the configuration, or \
         {variable} in the environment to one of these"
    )]
    MissingSecret {
        /// The key with its section.
        key: &'static str,
        /// Its environment variable.
        variable: String,
    },
    /// Values that do not go together.
    #[error("`{key}` ({origin}): {problem}")]
    Unfit {
        /// The key with its section.
        key: &'static str,
        /// Its origin.
        origin: SettingOrigin,
        /// Description of the problem and its fix.
        problem: String,
    },
}
