//! Custom credentials, from ordering a version to deleting the credentials.

use super::super::harness::{DAY, Got, Machine};
use crate::provider::embedded::options::Switches;

const ENGINE: &str = r#"{"config_type":"custom_credentials_configuration","name":"ldap","task_timeout":"1h",
    "code_engine":{"job_name":"ldap-job","project_id":"project-1","region":"eu-de"}}"#;
const MINUTE: i64 = 60_000;

fn ready(switches: Switches) -> Machine {
    let mut machine = Machine::with(switches);
    let got = machine.post("configurations", ENGINE);
    assert_eq!(got.0, 201, "{}", got.1);
    machine
}

fn ordered(machine: &mut Machine, more: &str) -> String {
    machine.create("custom_credentials", "ldap-user", &format!(r#""configuration":"ldap"{more}"#))
}

fn metadata(machine: &mut Machine, id: &str) -> Got {
    machine.get(&format!("secrets/{id}/metadata"))
}

/// Answers the task in progress.
fn answer(machine: &mut Machine, id: &str, body: &str) -> Got {
    let task = metadata(machine, id).str("processing_task_id");
    machine.put(&format!("secrets/{id}/tasks/{task}"), body)
}

fn created_text(name: &str) -> String {
    format!(r#"{{"status":"credentials_created","credentials":{{"id":"{name}","payload":{{"key":"{name}"}}}}}}"#)
}

fn created(machine: &mut Machine, id: &str, name: &str) {
    let got = answer(machine, id, &created_text(name));
    assert_eq!(got.0, 200, "{}", got.1);
}

const DELETED: &str = r#"{"status":"credentials_deleted"}"#;
const FAILED: &str = r#"{"status":"failed","errors":[{"code":"E1","description":"The directory is down."}]}"#;

/// Returns the job's ids of all valid credentials.
fn live(machine: &Machine) -> Vec<String> {
    let mut ids: Vec<_> = machine.state.items.live_credentials().into_iter().map(|live| live.credential_id).collect();
    ids.sort();
    ids
}

/// Creates a secret with the credentials `c1`, and `c2` if it has two versions.
fn with_credentials(machine: &mut Machine, more: &str, versions: usize) -> String {
    let id = ordered(machine, more);
    created(machine, &id, "c1");
    if versions > 1 {
        machine.post(&format!("secrets/{id}/versions"), "{}");
        created(machine, &id, "c2");
    }
    id
}

#[test]
fn a_secret_is_not_active_before_its_job_has_answered() {
    let mut machine = ready(Switches::default());
    let id = ordered(&mut machine, r#","ttl":"30d""#);
    let before = machine.get(&format!("secrets/{id}"));
    assert_eq!((before.raw("state"), before.str("state_description")), ("0".into(), "pre_activation".into()));
    assert!(!before.has("credentials_content") && !before.has("expiration_date"));
    assert_eq!((before.raw("task_count"), before.raw("queued_task_count")), ("1".into(), "0".into()));
    let task = &machine.get(&format!("secrets/{id}/tasks")).rows("tasks")[0];
    let member = |name: &str| task.str(name).unwrap();
    assert_eq!((member("type"), member("trigger")), ("create_credentials".into(), "secret_creation".into()));
    assert_eq!((member("status"), member("secret_id")), ("processing".into(), id.clone()));
    assert_eq!((member("id").len(), member("id").starts_with("sm-task-")), (44, true));
    machine.later(MINUTE);
    created(&mut machine, &id, "c1");
    let after = machine.get(&format!("secrets/{id}"));
    assert_eq!((after.raw("state"), after.raw("credentials_content")), ("1".into(), r#"{"key":"c1"}"#.into()));
    // The lifetime starts with the answer.
    assert_eq!(after.str("expiration_date"), "2026-12-22T14:01:00.250Z");
    assert!(!after.has("processing_task_id"));
    let version = machine.get(&format!("secrets/{id}/versions/current/metadata"));
    assert_eq!((version.str("credentials_id"), version.has("credentials_content")), ("c1".into(), false));
    assert_eq!(version.str("id"), member("secret_version_id"));
}

#[test]
fn a_rotation_is_a_task_and_what_it_pushes_out_another() {
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, "", 1);
    let versions = format!("secrets/{id}/versions");
    let pending = machine.post(&versions, r#"{"version_custom_metadata":{"n":1.0},"custom_metadata":{"a":1}}"#);
    assert_eq!((pending.0, pending.raw("payload_available"), pending.has("alias")), (201, "false".into(), false));
    assert_eq!(machine.get(&versions).raw("total_count"), "1");
    machine.post(&versions, "{}");
    assert_eq!(metadata(&mut machine, &id).raw("queued_task_count"), "1");
    created(&mut machine, &id, "c2");
    let current = machine.get(&format!("{versions}/current"));
    assert_eq!((current.str("id"), current.raw("version_custom_metadata")), (pending.str("id"), r#"{"n":1.0}"#.into()));
    assert_eq!(
        (live(&machine), metadata(&mut machine, &id).raw("custom_metadata")),
        (vec!["c1".into(), "c2".into()], r#"{"a":1}"#.into())
    );
    created(&mut machine, &id, "c3");
    // The first credentials are no longer in the instance, and the job is asked to delete them.
    assert_eq!(live(&machine), ["c2", "c3"]);
    let task = &machine.get(&format!("secrets/{id}/tasks")).rows("tasks")[0];
    assert_eq!(task.str("type").as_deref(), Some("delete_credentials"));
    assert_eq!(answer(&mut machine, &id, DELETED).str("status"), "credentials_deleted");
    assert_eq!(metadata(&mut machine, &id).raw("task_count"), "4");
}

#[test]
fn an_answer_has_to_fit_the_task() {
    let mut machine = ready(Switches::default());
    let id = ordered(&mut machine, "");
    let task = metadata(&mut machine, &id).str("processing_task_id");
    let path = format!("secrets/{id}/tasks/{task}");
    for body in [
        DELETED,
        r#"{"status":"queued"}"#,
        r#"{"status":"credentials_created"}"#,
        r#"{"status":"credentials_created","credentials":{"id":"c1"}}"#,
        r#"{"status":"credentials_created","credentials":{"id":"c1","payload":{}}}"#,
        r#"{"status":"failed"}"#,
        r#"{"status":"failed","errors":[]}"#,
        r#"{"status":"failed","errors":[{"code":"E1"}]}"#,
    ] {
        assert_eq!(machine.put(&path, body).0, 400, "{body}");
    }
    let many = [r#"{"code":"E1","description":"x"}"#; 11].join(",");
    assert_eq!(machine.put(&path, &format!(r#"{{"status":"failed","errors":[{many}]}}"#)).0, 400);
    assert_eq!(machine.put(&format!("secrets/{id}/tasks/none"), FAILED).0, 404);
    assert_eq!(metadata(&mut machine, &id).raw("state"), "0");
    created(&mut machine, &id, "c1");
    assert_eq!(machine.put(&path, FAILED).0, 400, "answered twice");
}

#[test]
fn a_failed_rotation_leaves_the_credentials_and_is_remembered_until_one_works() {
    for moves in [false, true] {
        let mut machine = ready(Switches { tasks_move_updated_at: moves, ..Switches::default() });
        let id = with_credentials(&mut machine, "", 1);
        machine.post(&format!("secrets/{id}/versions"), "{}");
        let before = metadata(&mut machine, &id);
        machine.later(MINUTE);
        let failed = answer(&mut machine, &id, FAILED);
        assert_eq!(failed.rows("errors")[0].str("code").as_deref(), Some("E1"));
        let after = metadata(&mut machine, &id);
        assert_eq!(after.str("last_failed_task_id"), failed.str("id"));
        assert_eq!((after.raw("last_rotation_failed"), after.raw("versions_total")), ("true".into(), "1".into()));
        assert_eq!(after.str("updated_at") != before.str("updated_at"), moves);
        machine.post(&format!("secrets/{id}/versions"), "{}");
        created(&mut machine, &id, "c2");
        assert_eq!(metadata(&mut machine, &id).raw("last_rotation_failed"), "false");
    }
}

#[test]
fn a_task_that_nobody_answers_fails_after_the_timeout_of_its_engine() {
    let mut machine = ready(Switches::default());
    let id = ordered(&mut machine, "");
    machine.later(60 * MINUTE - 1);
    assert!(metadata(&mut machine, &id).has("processing_task_id"));
    machine.later(1);
    let got = metadata(&mut machine, &id);
    assert_eq!(
        (got.raw("state"), got.has("processing_task_id"), got.has("last_failed_task_id")),
        ("0".into(), false, true)
    );
}

#[test]
fn the_switch_answers_in_the_place_of_a_job() {
    let mut machine = ready(Switches { task_answer_seconds: 60, ..Switches::default() });
    let id = ordered(&mut machine, "");
    machine.later(MINUTE - 1);
    assert_eq!(metadata(&mut machine, &id).raw("state"), "0");
    machine.later(1);
    let content = machine.get(&format!("secrets/{id}")).object().object("credentials_content").unwrap();
    assert!(content.str("api_key").is_some() && content.str("user_id").is_some());
    (0..2).for_each(|_| drop(machine.post(&format!("secrets/{id}/versions"), "{}")));
    // Two rotations and the deletion of the pushed-out credentials, one after the other.
    machine.later(3 * MINUTE);
    let got = metadata(&mut machine, &id);
    assert_eq!(
        (got.raw("versions_total"), got.raw("task_count"), got.has("processing_task_id")),
        ("3".into(), "4".into(), false)
    );
    assert_eq!(got.str("updated_at"), "2026-11-22T14:04:00.250Z");
}

#[test]
fn a_due_rotation_orders_one_version_and_not_one_with_every_request() {
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, r#","rotation":{"auto_rotate":true,"interval":6,"unit":"hour"}"#, 1);
    machine.later(DAY / 4);
    assert_eq!(metadata(&mut machine, &id).raw("task_count"), "2");
    machine.later(MINUTE);
    assert_eq!(metadata(&mut machine, &id).raw("task_count"), "2");
    created(&mut machine, &id, "c2");
    let version = machine.get(&format!("secrets/{id}/versions/current/metadata"));
    assert_eq!((version.raw("auto_rotated"), version.str("credentials_id")), ("true".into(), "c2".into()));
}

#[test]
fn the_data_of_a_version_goes_when_its_job_says_so() {
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, "", 2);
    let data = |version: &str| format!("secrets/{id}/versions/{version}/secret_data");
    machine.locked(&id, "previous", "held");
    assert_eq!(machine.delete(&data("previous")).0, 412);
    machine.delete(&format!("secrets/{id}/locks_bulk"));
    assert_eq!((machine.delete(&data("previous")).0, machine.delete(&data("previous")).0), (204, 204));
    assert_eq!(
        (live(&machine), metadata(&mut machine, &id).raw("task_count")),
        (vec!["c1".into(), "c2".into()], "3".into())
    );
    assert_eq!(answer(&mut machine, &id, DELETED).str("trigger"), "secret_version_data_deletion");
    assert_eq!(live(&machine), ["c2"]);
    assert_eq!(machine.delete(&data("previous")).0, 400);
}

#[test]
fn a_lock_that_came_after_the_order_keeps_the_previous_version() {
    for seconds in [0, 1] {
        let mut machine = ready(Switches::default());
        let id = with_credentials(&mut machine, "", 2);
        machine.state.switches.task_answer_seconds = seconds;
        machine.post(&format!("secrets/{id}/versions"), "{}");
        machine.locked(&id, "previous", "held");
        if seconds == 0 {
            assert_eq!(answer(&mut machine, &id, &created_text("c3")).0, 412);
        } else {
            machine.later(2_000);
        }
        assert_eq!(
            (live(&machine), metadata(&mut machine, &id).raw("locks_total")),
            (vec!["c1".into(), "c2".into()], "1".into())
        );
        machine.delete(&format!("secrets/{id}/locks_bulk"));
        if seconds == 0 {
            assert_eq!(answer(&mut machine, &id, &created_text("c3")).0, 200);
        } else {
            machine.later(1);
        }
        assert_eq!(metadata(&mut machine, &id).raw("versions_total"), "3");
    }
}

#[test]
fn the_end_of_the_lifetime_asks_the_job_to_end_what_it_made() {
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, r#","ttl":"2d""#, 2);
    machine.post(&format!("secrets/{id}/versions"), "{}");
    machine.later(2 * DAY);
    let got = metadata(&mut machine, &id);
    assert_eq!((got.raw("state"), live(&machine).len()), ("5".into(), 0));
    let tasks = machine.get(&format!("secrets/{id}/tasks")).rows("tasks");
    let open: Vec<_> =
        tasks.iter().filter(|task| task.str("trigger").as_deref() == Some("secret_version_expiration")).collect();
    assert_eq!(open.len(), 2);
    assert_eq!(answer(&mut machine, &id, DELETED).0, 200);
    assert_eq!(metadata(&mut machine, &id).raw("state"), "5");
}

#[test]
fn a_deleted_secret_waits_for_its_job_unless_it_is_forced_or_switched() {
    for waits in [true, false] {
        let mut machine = ready(Switches { custom_deletion_waits: waits, ..Switches::default() });
        let id = with_credentials(&mut machine, "", 2);
        let path = format!("secrets/{id}");
        assert_eq!(machine.delete(&path).0, 204);
        assert_eq!(machine.get(&path).0, if waits { 200 } else { 404 });
        if waits {
            assert_eq!(metadata(&mut machine, &id).str("state_description"), "deactivated");
            assert_eq!(machine.post(&format!("{path}/versions"), "{}").0, 400);
            answer(&mut machine, &id, DELETED);
            // The job failed to delete the second ones; a new deletion asks it again.
            answer(&mut machine, &id, FAILED);
            assert_eq!((live(&machine).len(), machine.delete(&path).0), (1, 204));
            answer(&mut machine, &id, DELETED);
        }
        assert_eq!(machine.get(&path).0, 404);
    }
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, "", 1);
    assert_eq!(machine.delete(&format!("secrets/{id}?force_delete=perhaps")).0, 400);
    assert_eq!(machine.delete(&format!("secrets/{id}?force_delete=true")).0, 204);
    assert_eq!(metadata(&mut machine, &id).0, 404);
    // Nothing was created yet, so there is nothing to wait for.
    let id = ordered(&mut machine, "");
    machine.delete(&format!("secrets/{id}"));
    assert_eq!(metadata(&mut machine, &id).0, 404);
}

#[test]
fn a_failed_end_is_asked_for_again_every_day_and_ten_times_at_most() {
    let mut machine = ready(Switches::default());
    let id = with_credentials(&mut machine, "", 2);
    machine.delete(&format!("secrets/{id}/versions/previous/secret_data"));
    for attempt in 1..=10 {
        assert_eq!(answer(&mut machine, &id, FAILED).str("trigger"), "secret_version_data_deletion", "{attempt}");
        machine.later(DAY - 1);
        assert!(!metadata(&mut machine, &id).has("processing_task_id"), "{attempt}");
        machine.later(1);
    }
    assert!(!metadata(&mut machine, &id).has("processing_task_id"), "asked for the eleventh time");
    assert_eq!((live(&machine).len(), metadata(&mut machine, &id).raw("task_count")), (2, "12".into()));
}

#[test]
fn a_hundred_tasks_are_remembered_and_one_can_be_forgotten() {
    let mut machine = ready(Switches { task_answer_seconds: 1, ..Switches::default() });
    let id = ordered(&mut machine, "");
    for _ in 0..60 {
        machine.post(&format!("secrets/{id}/versions"), "{}");
        machine.later(5000);
    }
    let tasks = machine.get(&format!("secrets/{id}/tasks")).rows("tasks");
    assert_eq!((tasks.len(), metadata(&mut machine, &id).raw("task_count")), (100, "100".into()));
    assert_eq!(metadata(&mut machine, &id).raw("versions_total"), "50");
    let path = format!("secrets/{id}/tasks/{}", tasks[0].str("id").unwrap());
    assert_eq!((machine.delete(&path).0, machine.delete(&path).0, machine.get(&path).0), (204, 404, 404));
    let plain = machine.arbitrary("plain");
    assert!(machine.get(&format!("secrets/{plain}/tasks")).rows("tasks").is_empty());
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let mut machine = ready(Switches::default());
    let login = machine.arbitrary("login");
    for (members, why) in [
        (String::new(), "no configuration"),
        (r#","configuration":"none""#.to_owned(), "unknown configuration"),
        (r#","configuration":"ldap","parameters":{"n":[1]}"#.to_owned(), "a list as a parameter"),
        (r#","configuration":"ldap","parameters":{"n":1.5}"#.to_owned(), "a fraction as a parameter"),
        (r#","configuration":"ldap","parameters":{"login_secret":"none"}"#.to_owned(), "unknown secret"),
        (r#","configuration":"ldap","parameters":{"valid_days":"7"}"#.to_owned(), "a text as a number"),
        (r#","configuration":"ldap","rotation":{"auto_rotate":true,"interval":5,"unit":"hour"}"#.to_owned(), "5 hours"),
        (
            r#","configuration":"ldap","ttl":"1h","rotation":{"auto_rotate":true,"interval":6,"unit":"hour"}"#
                .to_owned(),
            "late",
        ),
    ] {
        let body = format!(r#"{{"secret_type":"custom_credentials","name":"wrong"{members}}}"#);
        assert_eq!(machine.post("secrets", &body).0, 400, "{why}");
    }
    let good = format!(r#","parameters":{{"login_secret":"{login}","valid_days":7,"read_only":true,"other":"x"}}"#);
    let id = ordered(&mut machine, &good);
    let patched = machine.patch(&format!("secrets/{id}/metadata"), r#"{"parameters":{"valid_days":8,"other":null}}"#);
    assert_eq!(patched.raw("parameters"), format!(r#"{{"login_secret":"{login}","valid_days":8,"read_only":true}}"#));
}
