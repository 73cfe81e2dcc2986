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
pub use repository::{Addressing, Checksum, RepositorySection};
pub use restore::{ConflictRule, RestoreSection};
pub use retention::RetentionSection;
pub use source::SourceSection;
pub use standby::StandbySection;
pub use sync::SyncSection;
pub(super) use top::SECTIONS;
pub use top::Sections;

pub use super::section::{ConfigKey, Section};

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
