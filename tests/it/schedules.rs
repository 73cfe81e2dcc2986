//! What lies in `schedules/`, each file tried with the tool that reads it in a house.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::command_line_kit::{arguments, takes};
use crate::program::{Machine, files};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schedules").join(name)
}

/// The files of a folder below `schedules/` whose names end so, each as (name, text); there are at least `least`.
fn texts(name: &str, end: &str, least: usize) -> Vec<(String, String)> {
    let root = folder(name);
    let found: Vec<_> = files(&root).into_iter().filter(|file| file.ends_with(end)).collect();
    assert!(found.len() >= least, "schedules/{name}: {found:?}");
    found.into_iter().map(|file| (file.clone(), std::fs::read_to_string(root.join(&file)).unwrap())).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The values of a key of a unit file, in their order.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

// --- systemd --------------------------------------------------------------------------------------------------------

/// The units with the program of this build in the place of the installed one.
fn units(machine: &Machine) -> Vec<PathBuf> {
    let units =
        files(&folder("systemd")).into_iter().filter(|name| name.ends_with(".service") || name.ends_with(".timer"));
    units
        .map(|name| {
            let text = std::fs::read_to_string(folder("systemd").join(&name)).unwrap();
            machine.write(&name, &text.replace("/usr/bin/keyhaven", env!("CARGO_BIN_EXE_keyhaven")))
        })
        .collect()
}

fn systemd_analyze(arguments: &[&str], paths: &[PathBuf]) -> Output {
    let mut command = Command::new("systemd-analyze");
    // Colours and pages are for a person.
    command.args(["--no-pager"]).args(arguments).args(paths).env("SYSTEMD_COLORS", "0");
    command.output().expect("systemd-analyze: tests/run installs it")
}

#[test]
fn systemd_takes_every_unit_without_a_word() {
    let machine = Machine::new();
    let units = units(&machine);
    assert!(units.len() >= 9, "{units:?}");
    // It exits with 0 on a key that it does not know: only its silence says that all is well.
    let verified = systemd_analyze(&["verify", "--man=no"], &units);
    assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
    let wrong = machine.write("wrong.service", "[Service]\nExecStart=/bin/true\nProtectSystm=strict\n");
    let verified = systemd_analyze(&["verify", "--man=no"], &[wrong]);
    assert!(said(&verified).contains("ProtectSystm"), "the tool no longer says what this test listens for");
}

#[test]
fn every_timer_has_its_service_and_a_time_that_systemd_understands() {
    let timers = texts("systemd", ".timer", 4);
    for (name, text) in &timers {
        assert!(folder("systemd").join(name.replace(".timer", ".service")).is_file(), "{name} starts nothing");
        let [when] = values(text, "OnCalendar")[..] else { panic!("{name}: one OnCalendar") };
        let understood = systemd_analyze(&["calendar", "--iterations=2", when], &[]);
        assert!(understood.status.success(), "{name}: {}", said(&understood));
        assert!(said(&understood).contains("Iter. #2"), "{name} runs once and never again: {}", said(&understood));
        for (key, value) in [("Persistent", "yes"), ("FixedRandomDelay", "yes"), ("AccuracySec", "1s")] {
            assert_eq!(values(text, key), [value], "{name}");
        }
        assert_eq!(values(text, "RandomizedDelaySec").len(), 1, "{name}");
    }
    let wrong = systemd_analyze(&["calendar", "*-*-* 25:00:00"], &[]);
    assert!(!wrong.status.success());
}

#[test]
fn services_are_as_closed_as_systemd_can_make_what_needs_the_network() {
    let machine = Machine::new();
    let units = units(&machine);
    for unit in units.iter().filter(|unit| unit.extension().is_some_and(|end| end == "service")) {
        // Of 100. What is left: the network itself, local sockets for the journal, and the root folder.
        let judged = systemd_analyze(&["security", "--offline=true", "--threshold=11"], std::slice::from_ref(unit));
        assert!(judged.status.success(), "{}", said(&judged));
    }
    let bare = machine.write("bare.service", "[Service]\nExecStart=/bin/true\n");
    assert!(!systemd_analyze(&["security", "--offline=true", "--threshold=11"], &[bare]).status.success());
    let hardening =
        |text: &str| text.split_once("# Hardening:").unwrap().1.split("\n\n").next().unwrap().trim().to_owned();
    let services = texts("systemd", ".service", 5);
    let first = hardening(&services[0].1);
    for (name, text) in &services {
        assert_eq!(hardening(text), first, "{name}: not the lines of {}", services[0].0);
    }
}

#[test]
fn services_run_commands_that_exist_as_their_own_user_with_keys_by_credential() {
    let machine = Machine::new();
    for (name, text) in texts("systemd", ".service", 5) {
        if name.starts_with("keyhaven-failed@") {
            continue;
        }
        let [start] = values(&text, "ExecStart")[..] else { panic!("{name}: one ExecStart") };
        takes(&machine, &name, &arguments(start).unwrap());
        assert_eq!(values(&text, "User"), ["keyhaven"], "{name}");
        assert_eq!(values(&text, "OnFailure"), ["keyhaven-failed@%n.service"], "{name}");
        credentials(&name, &text);
    }
    let (name, text) = &texts("systemd/recovery-host", ".conf", 1)[0];
    credentials(name, text);
    let users = Command::new("systemd-sysusers").arg("--dry-run").arg(folder("systemd/keyhaven.sysusers")).output();
    let users = users.expect("systemd-sysusers");
    assert!(users.status.success() && said(&users).contains("keyhaven"), "{}", said(&users));
}

/// Every credential of a unit is named by a setting that exists, and every such setting by a credential.
fn credentials(name: &str, text: &str) {
    let loaded: Vec<&str> =
        values(text, "LoadCredential").into_iter().filter_map(|value| Some(value.split_once(':')?.0)).collect();
    let mut named = Vec::new();
    for line in values(text, "Environment") {
        let Some((variable, value)) = line.split_once('=') else { continue };
        let known =
            keyhaven::config::keys::KEYS.iter().any(|key| keyhaven::config::keys::variable(key.path) == variable);
        assert!(known || variable == "KEYHAVEN_CONFIG", "{name}: {variable} sets nothing");
        if variable != "KEYHAVEN_CONFIG" {
            named.push(value.rsplit('/').next().unwrap());
        }
    }
    assert_eq!(loaded, named, "{name}");
    assert!(loaded.len() >= 4, "{name}: {loaded:?}");
}
