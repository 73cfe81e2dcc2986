//! Every message of the configuration, beside the mistake that causes it.
//!
//! `tests/fixtures/config-messages.txt` has one case between two lines of dashes: what it is about, the mistake, and the
//! message behind `> `. With `UPDATE_FIXTURES=1` the test writes the messages, so that a change of them is reviewed as a
//! difference of that file.

use std::path::Path;

use keyhaven::config::jobs::check_kinds;
use keyhaven::config::{ConfigError, Layer, Settings};
use keyhaven::model::Treatment;

const FIXTURE: &str = "tests/fixtures/config-messages.txt";
const TYPES: &[(&str, &[Treatment])] =
    &[("kv", &[Treatment::Exact]), ("public_cert", &[Treatment::Convert, Treatment::Reissue])];

#[test]
fn every_mistake_has_the_message_that_was_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE);
    let recorded = std::fs::read_to_string(&path).unwrap();
    let current: Vec<String> = recorded.split("----\n").map(with_message).collect();
    let current = current.join("----\n");
    assert!(!current.lines().any(|line| line.starts_with("> ") && line.contains("hunter2")), "a secret in a message");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    for (recorded, current) in recorded.split("----\n").zip(current.split("----\n")) {
        assert_eq!(recorded, current, "UPDATE_FIXTURES=1 writes {FIXTURE}");
    }
}

/// The case with the message that it has now.
fn with_message(case: &str) -> String {
    let mistake: String = case.lines().filter(|line| !line.starts_with("> ")).map(|line| format!("{line}\n")).collect();
    let (kind, text) = mistake.split_once('\n').unwrap();
    let message = check(kind, text).map_or_else(|error| error.to_string(), |()| "no error".to_owned());
    format!("{mistake}> {message}\n")
}

fn check(kind: &str, text: &str) -> Result<(), ConfigError> {
    let file = |text| Layer::file(text, "keyhaven.toml", Path::new("/etc/keyhaven"));
    let here = Path::new("/srv");
    let layer = match kind {
        "env" => Layer::environment(text.lines().filter_map(|line| line.split_once('=')), here)?,
        "flag" => {
            let words: Vec<&str> = text.split_whitespace().collect();
            Layer::flags([(words[0], words[1], words[2])], here)?
        }
        _ => file(text)?,
    };
    let settings = Settings::build([layer])?;
    settings.check_variables()?;
    settings.tables().check_types(TYPES)?;
    check_kinds(settings.jobs(), &["backup", "verify", "sync"])?;
    match kind {
        "source" => settings.source().map(drop),
        "standby" => settings.standby().map(drop),
        "repository" => settings.repository().map(drop),
        _ => Ok(()),
    }
}

#[test]
fn the_configuration_reference_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let current = keyhaven::config::reference::markdown();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, current, "UPDATE_FIXTURES=1 writes docs/configuration.md");
}
