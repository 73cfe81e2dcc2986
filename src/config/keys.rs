//! The keys of all sections: by path, by environment variable, by likeness.

use super::error::ConfigError;
use super::origin::SettingOrigin;
use super::section::ConfigKey;
use super::sections::SECTIONS;
use crate::model::nearest::nearest;

pub use super::section::variable;

/// The provider's own address for tokens.
pub const IAM_URL: &str = "https://iam.cloud.ibm.com";

/// Tables beside the sections.
const TABLES: &[&str] = &["policies", "rules", "overrides", "transforms", "notify", "jobs", "instances"];

/// Keys of earlier versions, each with what took its place.
const REMOVED: &[(&str, &str)] = &[("keys.recovery_recipients", SEALED_TO), ("keys.auditors", SEALED_TO)];
const SEALED_TO: &str = "whom backups are sealed to is in the trust policy: `keyhaven recipients list`";

/// Variables of the program that set no key: those of the command line, and those of hooks and jobs of the daemon,
/// which may run the program again.
const OTHER_VARIABLES: &[&str] = &[
    "CONFIG",
    "INSTANCE",
    "LOG_LEVEL",
    "RUN_CONFIG",
    "RUN_DUE",
    "RUN_ID",
    "RUN_PARENT",
    "ATTEMPT",
    "DUE",
    "ENDED",
    "ENDING",
    "EXIT",
    "HOOK",
    "JOB",
    "JSON",
    "KIND",
    "SECONDS",
    "SEQUENCE",
    "SNAPSHOT",
    "STARTED",
    "WHY",
];

/// Every key, in the order of the commented file.
pub fn all() -> impl Iterator<Item = &'static ConfigKey> {
    SECTIONS.iter().flat_map(|section| section.keys)
}

/// The key of that path.
#[must_use]
pub fn find(path: &str) -> Option<&'static ConfigKey> {
    all().find(|key| key.path == path)
}

/// Returns true if a variable that sets no key is expected all the same.
pub(super) fn is_other_variable(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("KEYHAVEN_") else { return true };
    // Kubernetes sets such variables for a Service whose name begins with ours.
    let port = rest == "PORT" || rest.starts_with("PORT_") || rest.ends_with("_PORT") || rest.contains("_PORT_");
    let service = port || rest.ends_with("SERVICE_HOST");
    OTHER_VARIABLES.contains(&rest) || rest.starts_with("TEST_") || service
}

/// The error for a variable that sets nothing.
pub(super) fn unknown_variable(name: &str) -> ConfigError {
    if let Some((key, instead)) = REMOVED.iter().find(|(key, _)| variable(key) == name) {
        let place = SettingOrigin::Environment(name.to_owned());
        return ConfigError::RemovedKey { place, key, instead };
    }
    let known: Vec<String> = all().map(ConfigKey::variable).collect();
    let nearest = nearest_end(name, known.iter().map(String::as_str)).map(str::to_owned);
    ConfigError::UnknownVariable { name: name.to_owned(), nearest }
}

/// The nearest without what all of them begin with, which would make every name look alike.
fn nearest_end<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let end = |name: &'k str| name.strip_prefix("KEYHAVEN_");
    let ends = known.filter_map(|known| Some((known, end(known)?))).collect::<Vec<_>>();
    let found = nearest(name.strip_prefix("KEYHAVEN_").unwrap_or(name), ends.iter().map(|(_, end)| *end))?;
    ends.iter().find(|(_, end)| *end == found).map(|(known, _)| *known)
}

/// The error for a key or section that does not exist.
pub(super) fn unknown(path: &str, place: &SettingOrigin) -> ConfigError {
    let place = place.clone();
    if let Some((key, instead)) = REMOVED.iter().find(|(key, _)| *key == path) {
        return ConfigError::RemovedKey { place, key, instead };
    }
    ConfigError::UnknownKey { place, key: path.to_owned(), nearest: nearest_key(path).map(str::to_owned) }
}

/// The known key, section or table that looks most like an unknown one.
fn nearest_key(path: &str) -> Option<&'static str> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    // A key of the same section, or the right name in the wrong one, or a part of the right name.
    let own = || all().filter(|key| key.split().0 == section);
    let named = |name: &str| own().find(|key| key.split().1 == name);
    let same = || named(nearest(name, own().map(|key| key.split().1))?);
    let moved = || all().find(|key| key.split().1 == name);
    let part = || own().find(|key| name.len() > 3 && key.split().1.contains(name));
    if section.is_empty() {
        let top = SECTIONS.iter().map(|section| section.name).chain(TABLES.iter().copied()).chain(["state_dir"]);
        return nearest(name, top).or_else(|| moved().map(|key| key.path));
    }
    moved().or_else(same).or_else(part).map(|key| key.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_in_its_section() {
        let mut paths: Vec<&str> = all().map(|key| key.path).collect();
        for section in SECTIONS {
            assert!(section.keys.iter().all(|key| key.split().0 == section.name), "{}", section.name);
        }
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(nearest_key("source.urll"), Some("source.url"));
        assert_eq!(nearest_key("repository.regoin"), Some("repository.region"));
        assert_eq!(nearest_key("source.compression_level"), Some("backup.compression_level"));
        assert_eq!(nearest_key("source.api_key_file"), Some("source.api_key"));
        assert_eq!(nearest_key("retention.last"), Some("retention.keep_last"));
        assert_eq!(nearest_key("sorce"), Some("source"));
        assert_eq!(nearest_key("rule"), Some("rules"));
        assert_eq!(nearest_key("xyzzy"), None);
    }

    #[test]
    fn variables_of_platforms_and_hooks_are_no_slips() {
        for name in ["KEYHAVEN_JOB", "KEYHAVEN_CONFIG", "KEYHAVEN_SERVICE_HOST", "KEYHAVEN_COLLECTOR_SERVICE_PORT_HTTP"]
        {
            assert!(is_other_variable(name), "{name}");
        }
        for name in ["KEYHAVEN_PORT", "KEYHAVEN_PORT_9464_TCP", "KEYHAVEN_PORT_9464_TCP_ADDR"] {
            assert!(is_other_variable(name), "{name}");
        }
        assert!(!is_other_variable("KEYHAVEN_SOURCE_URLL") && !is_other_variable("KEYHAVEN_SUPPORT"));
    }
}
