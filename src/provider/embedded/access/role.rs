//! The provider's service roles and the actions that each one allows.

use std::fmt;
use std::str::FromStr;

/// Actions of every role except [`ServiceRole::SecretTaskUpdater`].
const READER: &[&str] = &[
    "secrets.list",
    "secret-metadata.read",
    "secret-versions.list",
    "secret-version-metadata.read",
    "secret-groups.list",
    "secret-group.read",
    "secrets-locks.list",
    "secret-locks.list",
    "secret-version-locks.list",
    "secret-tasks.list",
    "secret-task.read",
    "notifications-registration.read",
];
const PAYLOADS: &[&str] = &["secret.read", "secret-version.read"];
const CONFIGURATION_LIST: &str = "configurations.list";
const WRITER: &[&str] = &[
    "secret.create",
    "secret-version.create",
    "secret-metadata.update",
    "secret-version-metadata.update",
    "secret-action.create",
    "secret-version-action.create",
    "secret-locks.create",
    "secret-version-locks.create",
];
const TASK_UPDATE: &str = "secret-task.update";

/// A service role, or a custom one. The actions are the provider's documented ones. If its table does not list an
/// action that changes something, only a Manager may perform it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRole {
    /// Everything except answering tasks.
    Manager,
    /// Reads payloads and creates secrets, versions and locks.
    Writer,
    /// Reads metadata and payloads. Cannot list configurations, because the provider's table does not include that.
    SecretsReader,
    /// Reads metadata and lists configurations.
    Reader,
    /// Answers tasks only.
    SecretTaskUpdater,
    /// Only these actions, such as `configuration.read`.
    Custom(Vec<String>),
}

impl ServiceRole {
    /// True if the role allows an action.
    #[must_use]
    pub fn allows(&self, action: &str) -> bool {
        let reads = READER.contains(&action);
        match self {
            Self::Manager => action != TASK_UPDATE,
            Self::Writer => {
                reads || action == CONFIGURATION_LIST || PAYLOADS.contains(&action) || WRITER.contains(&action)
            }
            Self::SecretsReader => reads || PAYLOADS.contains(&action),
            Self::Reader => reads || action == CONFIGURATION_LIST,
            Self::SecretTaskUpdater => action == TASK_UPDATE,
            Self::Custom(actions) => actions.iter().any(|allowed| allowed == action),
        }
    }
}

/// Error for a text that is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no role; use Manager, Writer, SecretsReader, Reader, SecretTaskUpdater, or actions joined by a plus sign")]
pub struct UnknownRole;

impl FromStr for ServiceRole {
    type Err = UnknownRole;

    /// Parses a role name, or the actions of a custom role joined by `+`: `configuration.read+configurations.list`.
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Ok(match text {
            "Manager" => Self::Manager,
            "Writer" => Self::Writer,
            "SecretsReader" => Self::SecretsReader,
            "Reader" => Self::Reader,
            "SecretTaskUpdater" => Self::SecretTaskUpdater,
            // Every action consists of an object, a dot and a verb.
            actions
                if actions.split('+').all(|action| action.split('.').filter(|part| !part.is_empty()).count() == 2) =>
            {
                Self::Custom(actions.split('+').map(str::to_owned).collect())
            }
            _ => return Err(UnknownRole),
        })
    }
}

impl fmt::Display for ServiceRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("Manager"),
            Self::Writer => f.write_str("Writer"),
            Self::SecretsReader => f.write_str("SecretsReader"),
            Self::Reader => f.write_str("Reader"),
            Self::SecretTaskUpdater => f.write_str("SecretTaskUpdater"),
            Self::Custom(actions) => f.write_str(&actions.join("+")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_manager_reads_configuration_values_and_only_the_updater_answers_tasks() {
        let roles = [
            ServiceRole::Manager,
            ServiceRole::Writer,
            ServiceRole::SecretsReader,
            ServiceRole::Reader,
            ServiceRole::SecretTaskUpdater,
        ];
        let allowed = |action: &str| roles.each_ref().map(|role| role.allows(action));
        assert_eq!(allowed("configuration.read"), [true, false, false, false, false]);
        assert_eq!(allowed("configurations.list"), [true, true, false, true, false]);
        assert_eq!(allowed("secret.read"), [true, true, true, false, false]);
        assert_eq!(allowed("secrets.list"), [true, true, true, true, false]);
        assert_eq!(allowed("secret.create"), [true, true, false, false, false]);
        assert_eq!(allowed("secret.delete"), [true, false, false, false, false]);
        assert_eq!(allowed("secret-locks.delete"), [true, false, false, false, false]);
        assert_eq!(allowed("secret-task.update"), [false, false, false, false, true]);
    }

    #[test]
    fn a_role_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in ["Manager", "Writer", "SecretsReader", "Reader", "SecretTaskUpdater", "configuration.read+a.b"] {
            assert_eq!(text.parse::<ServiceRole>().unwrap().to_string(), text);
        }
        for text in ["manager", "", "a", "a.", ".b", "a.b+", "Reader+a.b"] {
            assert_eq!(text.parse::<ServiceRole>(), Err(UnknownRole), "{text}");
        }
    }
}
