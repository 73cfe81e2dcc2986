//! The whole file but its tables.

use serde::{Deserialize, Serialize};

use super::*;
use crate::config::value::{FilePath, SettingType as _};

/// Every section, and the keys above them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the section of that name")]
pub struct Sections {
    /// The directory of what this host remembers.
    pub state_dir: Option<FilePath>,
    pub source: SourceSection,
    pub standby: StandbySection,
    pub repository: RepositorySection,
    pub keys: KeysSection,
    pub backup: BackupSection,
    pub retention: RetentionSection,
    pub restore: RestoreSection,
    pub prepare: PrepareSection,
    pub sync: SyncSection,
    pub objectives: ObjectivesSection,
    pub hooks: HooksSection,
    pub audit: AuditSection,
    pub log: LogSection,
    pub daemon: DaemonSection,
    pub metrics: MetricsSection,
}

/// All sections, in the order of the commented file.
pub(in crate::config) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        about: "",
        keys: &[ConfigKey {
            path: "state_dir",
            expected: FilePath::expected,
            default: None,
            example: r#""/var/lib/keyhaven""#,
            about: "Local state of this host for each repository: last known ledger heads, trust policy, pending \
                    entries. No secrets. Default: $STATE_DIRECTORY, else $XDG_STATE_HOME/keyhaven, else \
                    ~/.local/state/keyhaven.",
        }],
    },
    SourceSection::SECTION,
    StandbySection::SECTION,
    RepositorySection::SECTION,
    KeysSection::SECTION,
    BackupSection::SECTION,
    RetentionSection::SECTION,
    RestoreSection::SECTION,
    PrepareSection::SECTION,
    SyncSection::SECTION,
    ObjectivesSection::SECTION,
    HooksSection::SECTION,
    AuditSection::SECTION,
    LogSection::SECTION,
    DaemonSection::SECTION,
    MetricsSection::SECTION,
];
