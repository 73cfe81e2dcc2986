//! Invariants after any sequence of valid or invalid requests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::harness::{DAY, Machine};
use super::items::Index;
use super::{Items, SecretState, rules};
use crate::provider::embedded::options::Switches;

/// Sends a random request or advances the clock. Uses few names and versions, so that requests collide.
fn step(machine: &mut Machine, rng: &mut ChaCha20Rng) {
    let ids: Vec<String> = machine.state.items.secrets.keys().map(ToString::to_string).collect();
    let id = match ids.len() {
        0 => "none".to_owned(),
        many => ids[rng.random_range(0..many)].clone(),
    };
    let name = format!("name-{}", rng.random_range(0..4));
    let version = ["current", "previous", "none"][rng.random_range(0..3)];
    let lock = format!(r#"{{"locks":[{{"name":"lock-{}"}}]}}"#, rng.random_range(0..3));
    let day = rng.random_range(10..29);
    match rng.random_range(0..15) {
        0 | 1 => {
            let expires =
                if rng.random() { format!(r#","expiration_date":"2026-12-{day}T00:00:00Z""#) } else { String::new() };
            let body = format!(r#"{{"secret_type":"arbitrary","name":"{name}","payload":"v"{expires}}}"#);
            machine.post("secrets", &body);
        }
        2 => {
            let rotation = r#""rotation":{"auto_rotate":true,"interval":5,"unit":"day"}"#;
            let body = format!(r#"{{"secret_type":"username_password","name":"{name}","username":"svc",{rotation}}}"#);
            machine.post("secrets", &body);
        }
        3 | 4 => drop(machine.post(&format!("secrets/{id}/versions"), r#"{"payload":"w"}"#)),
        5 => drop(machine.patch(&format!("secrets/{id}/metadata"), &format!(r#"{{"name":"{name}"}}"#))),
        6 => {
            let body = format!(r#"{{"expiration_date":"2026-12-{day}T00:00:00Z"}}"#);
            machine.patch(&format!("secrets/{id}/metadata"), &body);
        }
        7 => drop(machine.patch(&format!("secrets/{id}/metadata"), r#"{"expiration_date":null}"#)),
        8 => drop(machine.post(&format!("secrets/{id}/versions/{version}/locks_bulk"), &lock)),
        9 => {
            let mode = ["remove_previous", "remove_previous_and_delete"][rng.random_range(0..2)];
            machine.post(&format!("secrets/{id}/locks_bulk?mode={mode}"), &lock);
        }
        10 | 11 => drop(machine.delete(&format!("secrets/{id}/locks_bulk"))),
        12 => drop(machine.delete(&format!("secrets/{id}"))),
        13 => drop(machine.get(&format!("secrets/{id}/versions/{version}"))),
        _ => machine.later(rng.random_range(1..3 * DAY)),
    }
}

fn check(machine: &Machine, told: &Items) {
    let items = &machine.state.items;
    assert_eq!(machine.state.index, Index::of(items), "the index follows the items");
    let mut names: Vec<_> = items.secrets.values().map(|secret| (&secret.secret_type, &secret.name)).collect();
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "names are unique");
    for secret in items.secrets.values() {
        assert!(!secret.versions.is_empty() && secret.versions.len() <= rules::VERSIONS);
        for (index, version) in secret.versions.iter().enumerate() {
            assert!(index < 2 || version.payload.is_none(), "an old payload is kept");
            assert!(index < 2 || version.locks.is_empty(), "an old version is locked");
            assert!(version.locks.windows(2).all(|pair| pair[0].name < pair[1].name), "locks are sorted");
        }
        let destroyed = secret.life == SecretState::Destroyed;
        assert_eq!(secret.current().unwrap().payload.is_none(), destroyed, "only expiry takes the current payload");
    }
    let rows = |items: &Items| -> Vec<String> {
        items.secrets.values().map(|secret| machine.state.renderer.secret_metadata(secret).to_string()).collect()
    };
    assert_eq!(rows(told), rows(items), "the changes that are logged lead to what is there");
}

#[test]
fn they_hold_after_any_requests() {
    for seed in 0..60 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let switches = Switches { past_expiration_refused: seed % 2 == 0, ..Switches::default() };
        let mut machine = Machine::with(switches);
        let mut told = Items::default();
        for _ in 0..150 {
            step(&mut machine, &mut rng);
            machine.state.changes.drain(..).for_each(|change| told.apply(&change));
            check(&machine, &told);
        }
    }
}
