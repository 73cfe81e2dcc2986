//! Credentials in every state: reused, created anew by every read, from another service, and from a job that succeeded,
//! failed or has not answered yet.

use super::seeder::{DAY, Seeder};
use crate::model::Timestamp;
use crate::provider::embedded::error::EmbeddedError;
use crate::provider::embedded::state::Verb;
use crate::provider::embedded::state::text::{ObjectText, string};

const ENGINE: &str = "directory-engine";
const GROUP: &str = r#"["AccessGroupId-9f0b3bb5-5fd3-4f0a-8f4c-6f1f2a8b7a10"]"#;

/// Creates all credentials. IAM credentials live for at most 90 days, so they are created at the current time of the
/// instance's clock.
pub(super) fn fill(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    let key = iam(seeder)?;
    service(seeder)?;
    custom(seeder, &key)
}

/// Creates reused credentials with two versions, rotated ones, and ones that every read replaces. Returns the id of the
/// first.
fn iam(seeder: &mut Seeder<'_>) -> Result<String, EmbeddedError> {
    let service_id = format!("ServiceId-{}", seeder.state.ids.uuid());
    let now = seeder.now;
    let shared = seeder.credential(
        now,
        "iam_credentials",
        "iam-shared",
        &[("ttl", r#""90d""#), ("access_groups", GROUP), ("reuse_api_key", "true")],
    )?;
    seeder.request(now, Verb::Post, &format!("secrets/{shared}/versions"), "{}")?;
    seeder.credential(
        now,
        "iam_credentials",
        "iam-rotated",
        &[
            ("ttl", r#""60d""#),
            ("service_id", &string(&service_id)),
            ("reuse_api_key", "true"),
            ("rotation", r#"{"auto_rotate":true,"interval":30,"unit":"day"}"#),
        ],
    )?;
    let members = [("ttl", r#""12h""#), ("access_groups", GROUP), ("reuse_api_key", "false")];
    seeder.credential(now, "iam_credentials", "iam-dynamic", &members)?;
    Ok(shared)
}

/// Creates Object Storage credentials with HMAC keys and two versions.
fn service(seeder: &mut Seeder<'_>) -> Result<(), EmbeddedError> {
    let source = concat!(
        r#"{"instance":{"crn":"crn:v1:bluemix:public:cloud-object-storage:global:"#,
        r#"a/791f5fb10986423e97aa8512f18b7e65:2d9f0c41-5f5c-4d63-9a0b-1f1c5c5a7b5e::"},"parameters":{"HMAC":true}}"#
    );
    let members = [("source_service", source), ("ttl", "0")];
    let id = seeder.credential(seeder.start, "service_credentials", "object-storage", &members)?;
    let later = seeder.start.plus_millis(DAY);
    seeder.request(later, Verb::Post, &format!("secrets/{id}/versions"), "{}").map(drop)
}

/// Creates credentials with two versions, ones with a failed rotation, and pending ones.
fn custom(seeder: &mut Seeder<'_>, key: &str) -> Result<(), EmbeddedError> {
    let job = r#"{"job_name":"directory-users","project_id":"8f6f5d2e-2c35-4d9e-8f0e-0d2b5f0e3c11","region":"eu-de"}"#;
    let mut body = ObjectText::new();
    body.str("config_type", "custom_credentials_configuration").str("name", ENGINE).str("api_key_ref", key);
    body.raw("code_engine", job).str("task_timeout", "24h");
    seeder.request(seeder.now, Verb::Post, "configurations", &body.finish())?;
    let (start, now) = (seeder.start, seeder.now);
    let engine = string(ENGINE);
    let parameters = format!(r#"{{"username":"orders","valid_days":90,"read_only":true,"login_secret":"{key}"}}"#);
    let members = [("configuration", engine.as_str()), ("parameters", parameters.as_str())];
    for name in ["directory-orders", "directory-failed"] {
        let id = seeder.credential(start, "custom_credentials", name, &members)?;
        answer(seeder, start.plus_millis(60_000), &id, true)?;
        let later = start.plus_millis(DAY);
        seeder.request(later, Verb::Post, &format!("secrets/{id}/versions"), "{}")?;
        answer(seeder, later.plus_millis(60_000), &id, name == "directory-orders")?;
    }
    seeder.credential(now, "custom_credentials", "directory-pending", &members).map(drop)
}

/// Answers the task in progress of a secret.
fn answer(seeder: &mut Seeder<'_>, at: Timestamp, id: &str, works: bool) -> Result<(), EmbeddedError> {
    let metadata = seeder.request(at, Verb::Get, &format!("secrets/{id}/metadata"), "")?;
    let task = metadata.str("processing_task_id").unwrap_or_default();
    let mut body = ObjectText::new();
    if works {
        let mut content = ObjectText::new();
        content.str("user_id", "orders").str("api_key", &super::payloads::token(&mut seeder.rng));
        let mut credentials = ObjectText::new();
        credentials.str("id", &seeder.state.ids.uuid()).raw("payload", &content.finish());
        body.str("status", "credentials_created").raw("credentials", &credentials.finish());
    } else {
        let errors = r#"[{"code":"unreachable","description":"The directory did not answer."}]"#;
        body.str("status", "failed").raw("errors", errors);
    }
    seeder.request(at, Verb::Put, &format!("secrets/{id}/tasks/{task}"), &body.finish()).map(drop)
}

impl Seeder<'_> {
    /// Creates credentials in the default group and returns their id.
    fn credential(
        &mut self,
        at: Timestamp,
        secret_type: &str,
        name: &str,
        members: &[(&str, &str)],
    ) -> Result<String, EmbeddedError> {
        let mut body = ObjectText::new();
        body.str("secret_type", secret_type).str("name", name);
        for (member, value) in members {
            body.raw(member, value);
        }
        let made = self.request(at, Verb::Post, "secrets", &body.finish())?;
        Ok(made.str("id").unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::every_type;
    use crate::provider::embedded::{EmbeddedInstance, Options, SecretState};

    #[test]
    fn every_condition_of_credentials_is_there_and_outlives_the_first_request() {
        let instance = EmbeddedInstance::new(Options::default());
        every_type(&instance, 1).unwrap();
        instance.change(|_, _| ());
        let items = instance.snapshot().items;
        let named = |name: &str| items.secrets.values().find(|secret| secret.name == name).unwrap();
        for (name, versions) in
            [("iam-shared", 2), ("iam-rotated", 1), ("iam-dynamic", 1), ("object-storage", 2), ("directory-orders", 2)]
        {
            assert_eq!((named(name).life, named(name).versions.len()), (SecretState::Active, versions), "{name}");
            assert!(named(name).current().unwrap().payload.is_some(), "{name}");
        }
        assert!(named("directory-failed").fields.str("last_failed_task_id").is_some());
        assert_eq!(named("directory-pending").life, SecretState::PreActivation);
        assert_eq!(named("iam-shared").fields.get("referenced_by").unwrap().get(), r#"["directory-engine"]"#);
        assert_eq!(items.live_credentials().len(), 2 + 1 + 1 + 2 + 2 + 1);
    }
}
