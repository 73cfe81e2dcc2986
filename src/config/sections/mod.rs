//! The sections of the file. Each declares its keys once: name, type, default, example and description. The type, the
//! defaults, the commented file, the reference, the environment variables and `config show` come from there.

mod audit;
mod backup;
mod daemon;
mod hooks;
mod keys;
mod log;
mod metrics;
mod objectives;
mod prepare;
mod repository;
mod restore;
mod retention;
mod source;
mod standby;
mod sync;
mod top;

pub use audit::AuditSection;
pub use backup::BackupSection;
pub use daemon::DaemonSection;
pub use hooks::HooksSection;
pub use keys::KeysSection;
pub use log::{LogFormat, LogSection};
pub use metrics::MetricsSection;
pub use objectives::ObjectivesSection;
pub use prepare::PrepareSection;
pub use repository::RepositorySection;
pub use restore::{ConflictRule, RestoreSection};
pub use retention::RetentionSection;
pub use source::SourceSection;
pub use standby::StandbySection;
pub use sync::SyncSection;
pub(super) use top::SECTIONS;
pub use top::Sections;

use super::value::SettingType;

/// A section of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name; empty for the keys at the top.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its keys, in the order of the commented file.
    pub keys: &'static [ConfigKey],
}

/// A key of the configuration.
#[derive(Debug)]
pub struct ConfigKey {
    /// `section.name`; a name alone for the keys at the top.
    pub path: &'static str,
    /// What messages call its type.
    pub expected: fn() -> String,
    /// Its default, as an environment variable would set it.
    pub default: Option<&'static str>,
    /// A value for the commented file, as TOML.
    pub example: &'static str,
    /// What it does.
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
        super::keys::variable(self.path)
    }

    /// Whether its value is a reference to a secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        (self.expected)() == super::SecretRef::expected()
    }
}

/// Declares a section: `name: type = default, example;`, the default only where there is one.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident in $name:literal {
            $( $(#[doc = $doc:literal])+ $key:ident: $type:ty $(= $default:literal)?, $example:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Section {
            $( $(#[doc = $doc])+ pub $key: $type, )+
        }

        impl $Section {
            pub(in crate::config) const SECTION: super::Section = super::Section {
                name: $name,
                about: concat!($($about),+),
                keys: &[$(super::ConfigKey {
                    path: concat!($name, ".", stringify!($key)),
                    expected: <$type as crate::config::value::SettingType>::expected,
                    default: super::default!($($default)?),
                    example: $example,
                    about: concat!($($doc),+),
                }),+],
            };
        }
    };
}
macro_rules! default {
    () => {
        None
    };
    ($default:literal) => {
        Some($default)
    };
}
use {default, section};
