//! The demo, as the README has it, and what it leaves behind.

use std::process::Command;

use crate::kit::program::Machine;

#[test]
fn the_demo_brings_every_value_back_and_what_it_keeps_can_be_opened() {
    let machine = Machine::new();
    let story = machine.run(&["demo", "--secrets", "60", "--keep", "demo", "--json"]).json(0);
    assert_eq!(story["compared"]["differences"].as_array().map(Vec::len), Some(0), "{story:#}");
    assert!(story["compared"]["secrets"].as_u64() >= Some(60), "{story:#}");
    assert!(story["compared"]["converted"].as_u64() >= Some(3), "{story:#}");
    assert!(story["compared"]["anew"].as_u64() >= Some(3), "{story:#}");
    assert_eq!(story["coverage"]["classes"]["converted"], story["compared"]["converted"], "{story:#}");
    assert!(story["changes_during_backup"].as_u64() > Some(0), "nobody wrote while it was backed up");
    assert!(story["verify"]["ok"].as_bool().unwrap());
    assert!(story["incremental_requests"].as_u64() < story["full_requests"].as_u64(), "{story:#}");
    assert_eq!(story["status"]["stale"], false, "{story:#}");
    assert_eq!(story["status"]["status"]["verified"]["level"], "objects", "{story:#}");
    let jobs = story["status"]["jobs"].as_array().unwrap();
    assert!(jobs.len() == 1 && jobs.iter().all(|job| job["next"].is_string()), "{jobs:#?}");
    if story["claim"]["cut"] == "point_in_time" {
        assert_eq!(story["claim"]["holds"], true, "{story:#}");
    }
    for name in ["folder", "collector", "recovery", "repository", "identity", "config", "plan", "pack"] {
        let path = story["paths"][name].as_str().unwrap();
        assert!(std::path::Path::new(path).exists(), "{name}: {path}");
    }
    for command in story["stock_tools"].as_array().unwrap() {
        let output = Command::new("sh").args(["-c", command.as_str().unwrap()]).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{command}: {output:?}");
    }
    // What is left is a place like any other: its commands work there.
    let config = story["paths"]["config"].as_str().unwrap();
    let snapshots = machine.run(&["snapshots", "--config", config, "--json"]).json(0);
    assert_eq!(snapshots["snapshots"].as_array().map(Vec::len), Some(2), "{snapshots:#}");
}

#[test]
fn the_configuration_of_the_machine_is_not_the_demos() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("home/keyhaven")).unwrap();
    let ran = machine.path("ran").display().to_string();
    let config = format!(
        "[repository]\nurl = \"/no/such/place\"\n[hooks]\nrun_before = [\"/usr/bin/touch\", \"{ran}\"]\n\
         [audit]\nto = \"{ran}\"\n"
    );
    machine.write("home/keyhaven/keyhaven.toml", &config);
    let home = machine.path("home").display().to_string();
    let environment = [("XDG_CONFIG_HOME", home.as_str())];
    let shown = machine.run_with(&environment, &["config", "show"]);
    assert!(shown.out.contains("/no/such/place"), "it is in force here: {shown:#?}");
    let story = machine.run_with(&environment, &["demo", "--secrets", "20", "--json"]).json(0);
    assert_eq!(story["compared"]["differences"].as_array().map(Vec::len), Some(0), "{story:#}");
    assert!(!std::path::Path::new(&ran).exists());
}

#[test]
fn the_demo_overwrites_nothing_and_leaves_nothing_unasked() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("there")).unwrap();
    machine.run(&["demo", "--keep", "there"]).fails(2, &["there already"]);
    let temporary = machine.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = machine.run_with(&[("TMPDIR", temporary.to_str().unwrap())], &["demo", "--secrets", "20"]);
    assert_eq!(run.code, 0, "{run:#?}");
    assert!(run.out.contains("Every plain value is back"), "{run:#?}");
    assert!(run.out.contains("  Backups: fresh\n") && run.out.contains(" backup; last good "), "{run:#?}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}
