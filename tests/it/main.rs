//! The one integration-test binary: it links once, which matters on small machines.

#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests have files, clocks and tasks of their own")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod activate;
mod attacks;
mod attacks_custodians;
mod attacks_guards;
mod attacks_kit;
mod attacks_mistakes;
mod attacks_readers;
mod attacks_restore;
mod attacks_rollback;
mod audit;
mod audit_script;
mod bad_input;
mod bucket_kit;
mod cache_of_program;
mod canary;
mod capture;
mod capture_bad_input;
mod capture_base;
mod capture_kit;
mod capture_renewal;
mod capture_types;
mod circles;
mod cli;
mod client_embedded;
mod client_kit;
mod client_listing;
mod client_reading;
mod client_wire;
mod command_line_kit;
mod config;
mod config_messages;
mod coverage;
mod daemon;
mod daemon_kit;
mod daemon_simulated;
mod demo;
mod doctor;
mod doctor_backups;
mod doctor_bucket;
mod doctor_clock;
mod drift;
mod embedded;
mod embedded_credentials;
mod embedded_pki;
mod embedded_roles;
mod every_byte;
mod every_object;
mod faults;
mod folder_bucket;
mod forbidden;
mod forget;
mod forget_facts;
mod forget_meanwhile;
mod format_1;
mod hooks;
mod idmap;
mod install;
mod issued_kill;
mod keys;
mod layering;
mod lease;
mod ledger;
mod ledger_cache;
mod ledger_kit;
mod ledger_snapshots;
mod ledger_trust;
mod logs;
mod metrics;
mod mock_instance;
mod names;
mod notify;
mod oracle;
mod pki_kit;
mod policy_kit;
mod prepare_standby;
mod program;
mod prometheus;
mod readers_agree;
mod recover;
mod repository;
mod repository_kit;
mod restore;
mod restore_authorities;
mod restore_conflicts;
mod restore_kill;
mod restore_kit;
mod restore_limits;
mod restore_policies;
mod restore_property;
mod restore_refused;
mod restore_reissue;
mod restore_transforms;
mod rubbish;
mod s3;
mod schedule;
mod schedules;
mod sdk;
mod second_reader;
mod signals;
mod site;
mod small_world;
mod status;
mod sweep;
mod sweep_beside;
mod sweep_cut_off;
mod sweep_guards;
mod sweep_hostile;
mod sweep_kit;
mod sweep_stops;
mod sweep_world;
mod switches;
mod sync;
mod tell_kit;
mod terminal;
mod trust;
mod trust_commands;
mod trust_pins;
mod trust_put_back;
mod trust_words;
mod verify;

/// Every file of this folder is declared above; a forgotten one would silently test nothing.
#[test]
fn no_test_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem != "main" {
            assert!(main.contains(&format!("mod {stem};\n")), "tests/it/main.rs does not declare {stem}");
        }
    }
}

/// Tests that need a server skip themselves without one, and the output of a test that passes is not shown: under
/// `tests/run` a skip must be a failure. The tests of the tools are strict as soon as the server is named.
#[test]
fn nothing_is_skipped_where_everything_is_set_up() {
    if std::env::var_os("KEYHAVEN_TEST_EVERYTHING").is_none() {
        return;
    }
    for name in ["KEYHAVEN_TEST_S3", "KEYHAVEN_TEST_S3_TLS", "KEYHAVEN_TEST_S3_CA", "KEYHAVEN_TEST_PYTHON"] {
        assert!(std::env::var_os(name).is_some_and(|value| !value.is_empty()), "{name} is not set");
    }
}
