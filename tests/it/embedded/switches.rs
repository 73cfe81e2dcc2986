//! Every switch of the embedded instance does what it says, both ways.
//!
//! A switch that nobody tests is a behaviour of the provider that nobody has thought through: a new one fails here until
//! it has a probe, or the name of the test beside its code that turns it both ways.

use std::collections::BTreeSet;
use std::path::Path;

use keyhaven::model::Timestamp;
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Switches, Verb};
use serde_json::{Value, json};

use crate::kit::program::{Machine, SandboxProcess};

/// With milliseconds, so that a precision can be seen.
const START: i64 = 1_800_000_000_250;
const DAY: i64 = 86_400_000;

/// An instance and the requests of a probe.
struct Probe {
    instance: EmbeddedInstance,
}

/// A status and a body.
struct Got(u16, Value);

impl Probe {
    fn new(switch: &str, value: &str) -> Self {
        let mut switches = Switches::default();
        switches.set(switch, value).unwrap();
        let clock = InstanceClock::manual(Timestamp::from_millis(START));
        Self { instance: EmbeddedInstance::new(Options { switches, clock, ids: Some(1), ..Options::default() }) }
    }

    fn send(&self, verb: Verb, path: &str, body: &Value) -> Got {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.instance.call(verb, &format!("/api/v2/{path}"), &body);
        Got(reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
    }

    fn get(&self, path: &str) -> Value {
        self.send(Verb::Get, path, &Value::Null).1
    }

    fn post(&self, path: &str, body: &Value) -> Got {
        self.send(Verb::Post, path, body)
    }

    fn patch(&self, path: &str, body: &Value) -> Got {
        self.send(Verb::Patch, path, body)
    }

    /// A new secret with these members; its id.
    fn secret(&self, secret_type: &str, members: &Value) -> String {
        let mut body = json!({"secret_type": secret_type, "name": "probe"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let got = self.post("secrets", &body);
        assert_eq!(got.0, 201, "{}", got.1);
        got.1["id"].as_str().unwrap().to_owned()
    }

    fn arbitrary(&self) -> String {
        self.secret("arbitrary", &json!({"payload": "p"}))
    }

    fn user(&self, rotation: &Value) -> String {
        self.secret("username_password", &json!({"username": "user", "password": "password", "rotation": rotation}))
    }

    /// Whether `act` moves `updated_at` of a secret, when some time has gone by.
    fn moves(&self, act: impl FnOnce(&Self, &str)) -> String {
        let id = self.arbitrary();
        let updated = || self.get(&format!("secrets/{id}/metadata"))["updated_at"].clone();
        let before = updated();
        self.instance.clock().advance(5_000);
        act(self, &id);
        (updated() != before).to_string()
    }

    fn versions_total(&self, id: &str) -> String {
        self.get(&format!("secrets/{id}/metadata"))["versions_total"].to_string()
    }
}

/// Switch, the values with what is seen then, and how to look.
type Row = (&'static str, [(&'static str, &'static str); 2], fn(&Probe) -> String);

const PROBES: &[Row] = &[
    ("precision", [("millis", "2027-01-15T08:00:00.250Z"), ("seconds", "2027-01-15T08:00:00Z")], |probe| {
        let id = probe.arbitrary();
        probe.get(&format!("secrets/{id}/metadata"))["created_at"].as_str().unwrap().to_owned()
    }),
    ("reads_move_updated_at", [("false", "false"), ("true", "true")], |probe| {
        probe.moves(|probe, id| drop(probe.get(&format!("secrets/{id}"))))
    }),
    ("locks_move_updated_at", [("false", "false"), ("true", "true")], |probe| {
        probe.moves(|probe, id| {
            drop(probe.post(&format!("secrets/{id}/locks_bulk"), &json!({"locks": [{"name": "held"}]})));
        })
    }),
    ("version_metadata_moves_updated_at", [("false", "false"), ("true", "true")], |probe| {
        probe.moves(|probe, id| {
            let body = json!({"version_custom_metadata": {"a": 1}});
            drop(probe.patch(&format!("secrets/{id}/versions/current/metadata"), &body));
        })
    }),
    ("unique_names", [("instance", "400"), ("group", "201")], |probe| {
        let group = probe.post("secret_groups", &json!({"name": "other"})).1;
        probe.arbitrary();
        let body = json!({"secret_type": "arbitrary", "name": "probe", "payload": "p", "secret_group_id": group["id"]});
        probe.post("secrets", &body).0.to_string()
    }),
    ("name_conflict_status", [("400", "400"), ("409", "409")], |probe| {
        probe.arbitrary();
        let body = json!({"secret_type": "arbitrary", "name": "probe", "payload": "p"});
        probe.post("secrets", &body).0.to_string()
    }),
    ("versions_newest_first", [("true", "current"), ("false", "previous")], |probe| {
        let id = probe.arbitrary();
        probe.post(&format!("secrets/{id}/versions"), &json!({"payload": "q"}));
        probe.get(&format!("secrets/{id}/versions"))["versions"][0]["alias"].as_str().unwrap().to_owned()
    }),
    ("rotation_patch_rotates", [("false", "1"), ("true", "2")], |probe| {
        let id = probe.user(&json!({"auto_rotate": false}));
        let body = json!({"rotation": {"auto_rotate": true, "interval": 1, "unit": "month"}});
        assert_eq!(probe.patch(&format!("secrets/{id}/metadata"), &body).0, 200);
        probe.versions_total(&id)
    }),
    ("past_expiration_refused", [("true", "400"), ("false", "201")], |probe| {
        let expires = "2026-01-01T00:00:00Z";
        let body = json!({"secret_type": "arbitrary", "name": "probe", "payload": "p", "expiration_date": expires});
        probe.post("secrets", &body).0.to_string()
    }),
    ("expiration_carries", [("true", "true"), ("false", "false")], |probe| {
        let id = probe.secret("arbitrary", &json!({"payload": "p", "expiration_date": "2039-01-01T00:00:00Z"}));
        let version = probe.post(&format!("secrets/{id}/versions"), &json!({"payload": "q"})).1;
        (version["expiration_date"] != Value::Null).to_string()
    }),
    ("version_sets_custom_metadata", [("true", r#"{"b":1}"#), ("false", r#"{"a":1}"#)], |probe| {
        let id = probe.secret("arbitrary", &json!({"payload": "p", "custom_metadata": {"a": 1}}));
        let body = json!({"payload": "q", "custom_metadata": {"b": 1}});
        assert_eq!(probe.post(&format!("secrets/{id}/versions"), &body).0, 201);
        probe.get(&format!("secrets/{id}/metadata"))["custom_metadata"].to_string()
    }),
    ("nested_merge", [("true", r#"{"a":1,"b":1}"#), ("false", r#"{"b":1}"#)], |probe| {
        let id = probe.secret("arbitrary", &json!({"payload": "p", "custom_metadata": {"a": 1}}));
        let patched = probe.patch(&format!("secrets/{id}/metadata"), &json!({"custom_metadata": {"b": 1}}));
        patched.1["custom_metadata"].to_string()
    }),
    ("default_group_patchable", [("true", "200"), ("false", "400")], |probe| {
        probe.patch("secret_groups/default", &json!({"description": "d"})).0.to_string()
    }),
    ("bulk_locks_atomic", [("true", "0"), ("false", "1")], |probe| {
        let id = probe.arbitrary();
        let body = json!({"locks": [{"name": "good"}, {"name": "-"}]});
        probe.post(&format!("secrets/{id}/locks_bulk"), &body);
        probe.get(&format!("secrets/{id}/metadata"))["locks_total"].to_string()
    }),
    ("unlocked_in_lock_list", [("true", "2"), ("false", "1")], |probe| {
        let id = probe.arbitrary();
        probe.user(&json!({"auto_rotate": false}));
        assert_eq!(probe.post(&format!("secrets/{id}/locks_bulk"), &json!({"locks": [{"name": "held"}]})).0, 201);
        probe.get("secrets_locks")["total_count"].to_string()
    }),
    ("registration_test_status", [("204", "204"), ("200", "200")], |probe| {
        let body = json!({"event_notifications_instance_crn": "crn:v1:event", "event_notifications_source_name": "xy"});
        assert_eq!(probe.post("notifications/registration", &body).0, 201);
        probe.send(Verb::Get, "notifications/registration/test", &Value::Null).0.to_string()
    }),
    ("auto_rotates", [("true", "2"), ("false", "1")], |probe| {
        let id = probe.user(&json!({"auto_rotate": true, "interval": 1, "unit": "day"}));
        probe.instance.clock().advance(DAY + 1);
        probe.versions_total(&id)
    }),
];

/// Switches whose test lies beside their code: the file, and the test that turns them both ways.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("show_managed_csr_key", "state/pki/managed_tests.rs", "metadata_shows_the_request_and_its_key_only_by_the_switch"),
    ("show_ca_private_key", "state/pki/tests.rs", "the_key_of_an_authority_is_shown_only_by_its_switch"),
    (
        "revocation_deactivates",
        "state/pki/tests.rs",
        "a_revoked_certificate_is_on_the_list_and_its_secret_says_since_when",
    ),
    ("order_seconds", "state/pki/order_tests.rs", "an_order_is_done_after_the_seconds_of_the_switch"),
    ("ordered_has_version", "state/pki/order_tests.rs", "what_is_only_ordered_has_an_empty_version_or_none"),
    (
        "ttl_reads_as_seconds",
        "state/kinds/iam_credentials.rs",
        "ttl_reads_back_as_it_was_written_or_in_seconds_as_switched",
    ),
    (
        "iam_service_authorization",
        "state/kinds/iam_credentials.rs",
        "the_engine_has_to_be_configured_unless_services_are_authorized",
    ),
    (
        "create_mints_api_key",
        "state/kinds/iam_credentials.rs",
        "a_dynamic_one_has_a_key_before_its_first_read_as_switched",
    ),
    ("iam_keeps_history", "state/kinds/iam_credentials.rs", "two_versions_are_listed_or_all_of_them_as_switched"),
    (
        "dynamic_credentials_end",
        "state/kinds/iam_credentials.rs",
        "the_end_of_a_dynamic_key_destroys_its_secret_only_when_switched",
    ),
    (
        "task_timeout_reads_as_seconds",
        "state/credentials/engine.rs",
        "only_the_timeout_changes_and_reads_back_as_switched",
    ),
    ("task_answer_seconds", "state/tasks/tests.rs", "the_switch_answers_in_the_place_of_a_job"),
    (
        "tasks_move_updated_at",
        "state/tasks/tests.rs",
        "a_failed_rotation_leaves_the_credentials_and_is_remembered_until_one_works",
    ),
    (
        "custom_deletion_waits",
        "state/tasks/tests.rs",
        "a_deleted_secret_waits_for_its_job_unless_it_is_forced_or_switched",
    ),
    (
        "references_move_updated_at",
        "state/credentials/engine.rs",
        "a_secret_says_which_configurations_use_it_and_stays_while_they_do",
    ),
    (
        "referenced_secrets_deletable",
        "state/credentials/engine.rs",
        "a_secret_says_which_configurations_use_it_and_stays_while_they_do",
    ),
    (
        "hidden_status",
        "state/authorize.rs",
        "a_policy_on_a_group_shows_that_group_and_answers_with_the_switch_for_another",
    ),
    ("hidden_groups_listed", "state/authorize.rs", "groups_that_are_not_granted_are_listed_only_when_switched"),
];

/// Tested in this file by themselves, because they belong to the transport.
const BY_HTTP: [&str; 1] = ["max_body"];

#[test]
fn every_switch_does_what_it_says_both_ways() {
    for (switch, values, look) in PROBES {
        for (value, wanted) in values {
            assert_eq!(look(&Probe::new(switch, value)), *wanted, "{switch}={value}");
        }
    }
}

#[test]
fn no_switch_is_without_a_test() {
    let here = PROBES.iter().map(|(switch, ..)| *switch);
    let tested: BTreeSet<&str> = here.chain(ELSEWHERE.iter().map(|(switch, ..)| *switch)).chain(BY_HTTP).collect();
    let known: BTreeSet<&str> = Switches::NAMES.iter().copied().collect();
    assert_eq!(tested, known, "left: tested, right: known");
    for (switch, file, test) in ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider/embedded").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, rest) = text.split_once(&format!("fn {test}(")).unwrap_or_else(|| panic!("{file} has no test {test}"));
        let body = rest.split("#[test]").next().unwrap_or(rest);
        assert!(body.contains(switch), "{test} in {file} does not speak of {switch}");
    }
}

#[test]
fn the_documentation_names_every_switch_with_its_default() {
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sandbox.md")).unwrap();
    for (name, default) in Switches::default().values() {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/sandbox.md has no row of `{name}`"));
        let shown = row.split('|').nth(2).unwrap().trim();
        assert_eq!(shown, default, "docs/sandbox.md on `{name}`");
    }
}

#[tokio::test]
async fn a_switch_reaches_a_sandbox_by_its_flag() {
    let machine = Machine::new();
    for (given, statuses) in [(&["--switch", "max_body=300"][..], [201, 413]), (&[], [201, 201])] {
        let sandbox = SandboxProcess::start(&machine, given);
        let client = reqwest::Client::new();
        let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", &sandbox.api_key)];
        let token = client.post(format!("{}/identity/token", sandbox.iam_url)).form(&form).send().await.unwrap();
        let token: Value = token.json().await.unwrap_or_default();
        let mut seen = Vec::new();
        for (name, long) in [("one", 1), ("two", 400)] {
            let answer = client
                .post(format!("{}/api/v2/secret_groups", sandbox.url))
                .bearer_auth(token["access_token"].as_str().unwrap_or_default())
                .json(&json!({"name": name, "description": "d".repeat(long)}))
                .send()
                .await
                .unwrap();
            seen.push(answer.status().as_u16());
        }
        assert_eq!(seen, statuses, "{given:?}");
    }
}
