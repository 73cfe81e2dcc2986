//! Invariants of credentials and their tasks after any sequence of valid or invalid requests.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::super::harness::{DAY, Machine};
use super::super::items::Index;
use super::super::{Items, SecretState};
use super::{TaskKind, TaskStatus};
use crate::provider::embedded::options::Switches;

const ANSWERS: [&str; 3] = [
    r#"{"status":"credentials_created","credentials":{"id":"c","payload":{"k":1}}}"#,
    r#"{"status":"credentials_deleted"}"#,
    r#"{"status":"failed","errors":[{"code":"E1","description":"x"}]}"#,
];

fn engine(name: &str, key: &str) -> String {
    format!(
        r#"{{"config_type":"custom_credentials_configuration","name":"{name}","api_key_ref":"{key}",
            "code_engine":{{"job_name":"{name}","project_id":"p1","region":"eu-de"}}}}"#
    )
}

/// Sends a random request or advances the clock. Uses few names, so that requests collide.
fn step(machine: &mut Machine, rng: &mut ChaCha20Rng) {
    let ids: Vec<String> = machine.state.items.secrets.keys().map(ToString::to_string).collect();
    let id = match ids.len() {
        0 => "none".to_owned(),
        many => ids[rng.random_range(0..many)].clone(),
    };
    let name = format!("name-{}", rng.random_range(0..3));
    let version = ["current", "previous"][rng.random_range(0..2)];
    let ttl = rng.random_range(1..9);
    let rotation = r#""rotation":{"auto_rotate":true,"interval":1,"unit":"day"}"#;
    match rng.random_range(0..15) {
        0 | 1 => {
            let body = format!(
                r#"{{"secret_type":"custom_credentials","name":"{name}","configuration":"{name}","ttl":"{ttl}d",{rotation}}}"#
            );
            machine.post("secrets", &body);
        }
        2 => {
            let reuse: bool = rng.random();
            let identity = r#""access_groups":["AccessGroupId-1"]"#;
            let body = format!(
                r#"{{"secret_type":"iam_credentials","name":"{name}","ttl":"{ttl}d","reuse_api_key":{reuse},{identity}}}"#
            );
            machine.post("secrets", &body);
        }
        3 => drop(machine.post("configurations", &engine(&name, &id))),
        4 => drop(machine.delete(&format!("configurations/{name}"))),
        5 => drop(machine.post(&format!("secrets/{id}/versions"), "{}")),
        6 => drop(machine.get(&format!("secrets/{id}/versions/{version}"))),
        7 => drop(machine.delete(&format!("secrets/{id}/versions/{version}/secret_data"))),
        8 => {
            let body = r#"{"locks":[{"name":"held"}]}"#;
            machine.post(&format!("secrets/{id}/versions/{version}/locks_bulk"), body);
        }
        9 => drop(machine.delete(&format!("secrets/{id}/locks_bulk"))),
        10 => {
            let force = ["", "?force_delete=true"][rng.random_range(0..2)];
            machine.delete(&format!("secrets/{id}{force}"));
        }
        11 => machine.later(rng.random_range(1..2 * DAY)),
        _ => {
            let secret = machine.state.items.secrets.get(id.as_str());
            let task = secret.and_then(|secret| secret.processing_task()).map_or("none".into(), |task| task.id.clone());
            machine.put(&format!("secrets/{id}/tasks/{task}"), ANSWERS[rng.random_range(0..3)]);
        }
    }
}

fn check(machine: &Machine, told: &Items, made: &mut BTreeSet<(String, String)>) {
    let items = &machine.state.items;
    assert_eq!(machine.state.index, Index::of(items), "the index follows the items");
    let live: BTreeSet<_> =
        items.live_credentials().into_iter().map(|live| (live.secret_id, live.version_id)).collect();
    for secret in items.secrets.values() {
        let count = |status: TaskStatus| secret.tasks.iter().filter(|task| task.status == status).count();
        let (processing, queued) = (count(TaskStatus::Processing), count(TaskStatus::Queued));
        assert!(processing == 1 || (processing == 0 && queued == 0), "{processing} are processed, {queued} wait");
        let old = secret.versions.iter().skip(2);
        assert!(old.clone().all(|version| version.locks.is_empty()), "a locked version was pushed out");
        assert!(old.clone().all(|version| version.payload.is_none()), "an old payload is kept");
        assert!(
            secret.life != SecretState::Destroyed || live.iter().all(|(id, _)| *id != secret.id),
            "alive when destroyed"
        );
        let users =
            items.configurations.values().filter(|found| found.fields.str("api_key_ref").as_ref() == Some(&secret.id));
        let users: Vec<String> = users.map(|found| format!("\"{}\"", found.name)).collect();
        let said = secret.fields.get("referenced_by").map_or("[]", |names| names.get());
        assert_eq!(said, format!("[{}]", users.join(",")), "references follow the configurations");
    }
    // All credentials that a job created are valid, or the job was asked to delete them: none are lost.
    made.extend(live.iter().cloned());
    for (id, version) in made.iter() {
        let Some(secret) = items.secrets.get(id.as_str()).filter(|it| it.secret_type == "custom_credentials") else {
            continue;
        };
        let ends =
            secret.tasks.iter().any(|task| task.kind == TaskKind::DeleteCredentials && task.version_id == *version);
        assert!(ends || live.contains(&(id.clone(), version.clone())), "version {version} is forgotten");
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
        let mut machine = Machine::with(Switches {
            iam_service_authorization: true,
            iam_keeps_history: seed % 2 == 0,
            dynamic_credentials_end: seed % 3 == 0,
            create_mints_api_key: seed % 5 != 0,
            custom_deletion_waits: seed % 7 != 0,
            task_answer_seconds: if seed % 4 == 0 { 30 } else { 0 },
            ..Switches::default()
        });
        let (mut told, mut made) = (Items::default(), BTreeSet::new());
        for _ in 0..150 {
            step(&mut machine, &mut rng);
            machine.state.changes.drain(..).for_each(|change| told.apply(&change));
            check(&machine, &told, &mut made);
        }
    }
}
