//! `iam_credentials`: an API key of a service id in the provider's identity service, with a lifetime.
//!
//! With `reuse_api_key`, each version is one key that all readers share. Without it, every payload read creates a new
//! key and deletes the previous one.

use std::sync::Arc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::credentials::{Limits, Ttl};
use super::super::data::{Secret, SecretState, SecretVersion};
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::rules::CREDENTIAL_ROTATION;
use super::super::text::ObjectText;
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh, Making, payload_digest};

pub(super) const CREATE: [&str; 6] = ["ttl", "access_groups", "service_id", "account_id", "reuse_api_key", "rotation"];
pub(super) const VERSION: [&str; 1] = ["restore_from_version"];
pub(super) const PATCH: [&str; 2] = ["ttl", "rotation"];

const LIMITS: Limits = Limits { ttl: 60..=90 * 86_400, endless: false, rotation: CREDENTIAL_ROTATION };
/// Message of the provider.
const NO_ROTATION: &str = "Rotating IAM credentials is not supported when reuse credentials is off.";

/// True if a secret keeps its API key when it is read.
pub(crate) fn reuses_api_key(fields: &JsonObject) -> bool {
    fields.bool("reuse_api_key") == Some(true)
}

/// A newly created API key.
struct Minted {
    payload: Zeroizing<String>,
    version_fields: JsonObject,
    end: Option<Timestamp>,
}

impl InstanceState {
    pub(super) fn first_iam_credentials(&mut self, making: &Making<'_>) -> Result<Fresh, Refusal> {
        let body = making.body;
        self.check_iam_engine()?;
        let mut fields = JsonObject::default();
        let groups = access_groups(body)?;
        let service_id = body.string("service_id")?;
        match (&groups, &service_id) {
            (Some(groups), None) => fields.set("access_groups", raw(groups)),
            (None, Some(id)) => service_id_of(id).map(|()| fields.set("service_id", raw(id)))?,
            _ => return Err(Refusal::invalid("Exactly one of 'access_groups' and 'service_id' is required.")),
        }
        if let Some(account) = body.string("account_id")? {
            if account.len() != 32 || !account.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Refusal::invalid("The field 'account_id' must have 32 letters and digits."));
            }
            fields.set("account_id", raw(&account));
        }
        let reuse = body.bool("reuse_api_key")?;
        let reuse = reuse.ok_or_else(|| Refusal::invalid("The field 'reuse_api_key' is required."))?;
        fields.set("service_id_is_static", raw(&service_id.is_some()));
        fields.set("reuse_api_key", raw(&reuse));
        self.credential_policy(body, making.now, &LIMITS, &mut fields)?;
        check_rotation(&fields)?;
        if !reuse && !self.switches.create_mints_api_key {
            return Ok(Fresh { secret_fields: Some(fields), ..no_key() });
        }
        let minted = self.mint(&mut fields, making.now);
        Ok(fresh(minted, fields))
    }

    pub(super) fn next_iam_credentials(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &Secret,
    ) -> Result<Fresh, Refusal> {
        if !reuses_api_key(&secret.fields) {
            return Err(Refusal::invalid(NO_ROTATION));
        }
        if let Some(wanted) = body.string("restore_from_version")? {
            return restored(secret, &wanted);
        }
        self.check_iam_engine()?;
        let mut fields = secret.fields.clone();
        let minted = self.mint(&mut fields, now);
        Ok(fresh(minted, fields))
    }

    pub(super) fn patch_iam_credentials(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        let rotates = self.patch_credential_policy(body, secret, now, &LIMITS)?;
        check_rotation(&secret.fields)?;
        Ok(rotates)
    }

    /// Fails unless the engine has an enabled configuration or the services are authorized.
    fn check_iam_engine(&self) -> Result<(), Refusal> {
        let mut engines = self.items.configurations.values();
        let engine = engines.find(|found| found.config_type == "iam_credentials_configuration");
        match engine {
            Some(engine) if engine.fields.bool("disabled") == Some(true) => {
                Err(Refusal::invalid("The IAM credentials engine is disabled."))
            }
            None if !self.switches.iam_service_authorization => {
                Err(Refusal::invalid("The IAM credentials engine is not configured."))
            }
            _ => Ok(()),
        }
    }

    /// Creates an API key and records its identity in `fields`.
    fn mint(&mut self, fields: &mut JsonObject, now: Timestamp) -> Minted {
        let is_static = fields.bool("service_id_is_static") == Some(true);
        // A shared key keeps its service id; every other key gets a new one.
        let stays = is_static || reuses_api_key(fields) && fields.get("service_id").is_some();
        if !stays {
            fields.set("service_id", raw(&format!("ServiceId-{}", self.ids.uuid())));
        }
        fields.set("api_key_id", raw(&format!("ApiKey-{}", self.ids.uuid())));
        let mut payload = ObjectText::new();
        payload.str("api_key", &self.ids.api_key());
        Minted {
            payload: payload.finish(),
            version_fields: identity(fields),
            end: Ttl::of(fields).and_then(|ttl| ttl.end(now)),
        }
    }

    /// Applies the effect of a read without `reuse_api_key`: deletes the key and creates another one.
    pub(in super::super) fn replace_api_key(&mut self, now: Timestamp, secret: &mut Secret) {
        let minted = self.mint(&mut secret.fields, now);
        secret.expiration_date = minted.end;
        if let Some(current) = secret.versions.first_mut().map(Arc::make_mut) {
            current.payload_digest = payload_digest(&minted.payload);
            current.payload = Some(Arc::new(Payload::new(minted.payload)));
            current.fields = minted.version_fields;
            current.expiration_date = minted.end;
        }
    }
}

/// Removes the key of a secret without `reuse_api_key`, because it expired or its data was deleted. The next read
/// creates another one.
pub(in super::super) fn drop_api_key(secret: &mut Secret) {
    secret.expiration_date = None;
    secret.fields.remove("api_key_id");
    if let Some(current) = secret.versions.first_mut().map(Arc::make_mut) {
        forget(current);
    }
}

fn forget(version: &mut SecretVersion) {
    version.payload = None;
    version.expiration_date = None;
    version.fields.remove("api_key_id");
}

fn no_key() -> Fresh {
    Fresh {
        payload: None,
        expiry: Expiry::Own(None),
        secret_fields: None,
        version_fields: JsonObject::default(),
        life: SecretState::Active,
        inner: None,
    }
}

fn fresh(minted: Minted, fields: JsonObject) -> Fresh {
    Fresh {
        payload: Some(minted.payload),
        expiry: Expiry::Own(minted.end),
        secret_fields: Some(fields),
        version_fields: minted.version_fields,
        ..no_key()
    }
}

/// Returns a version with the key of an earlier version.
fn restored(secret: &Secret, wanted: &str) -> Result<Fresh, Refusal> {
    let index = secret.position(wanted).ok_or_else(|| Refusal::missing("The secret version"))?;
    let version = secret.versions.get(index).ok_or_else(|| Refusal::missing("The secret version"))?;
    let payload = version.payload.as_ref();
    let payload = payload.ok_or_else(|| Refusal::invalid(format!("Version {wanted} is not active.")))?;
    let mut fields = secret.fields.clone();
    for (name, value) in version.fields.iter() {
        fields.set(name, value.to_owned());
    }
    Ok(Fresh {
        payload: Some(Zeroizing::new(payload.expose().to_owned())),
        expiry: Expiry::Own(version.expiration_date),
        secret_fields: Some(fields),
        version_fields: version.fields.clone(),
        ..no_key()
    })
}

/// Returns the version's metadata members that identify its key.
fn identity(fields: &JsonObject) -> JsonObject {
    let member = |name: &str| Some((name.to_owned(), fields.get(name)?.to_owned()));
    ["api_key_id", "service_id"]
        .into_iter()
        .filter_map(member)
        .collect::<Vec<(String, Box<RawValue>)>>()
        .into_iter()
        .collect()
}

/// Checks that rotation is used only with a shared key and a lifetime of whole hours.
fn check_rotation(fields: &JsonObject) -> Result<(), Refusal> {
    let on = fields.object("rotation").and_then(|rotation| rotation.bool("auto_rotate")) == Some(true);
    if on && !reuses_api_key(fields) {
        return Err(Refusal::invalid(NO_ROTATION));
    }
    if on && Ttl::of(fields).is_some_and(|ttl| ttl.is_fine()) {
        return Err(Refusal::invalid("Rotation needs a 'ttl' of whole hours."));
    }
    Ok(())
}

fn access_groups(body: &InputBody<'_>) -> Result<Option<Vec<String>>, Refusal> {
    let Some(groups) = body.strings("access_groups")? else { return Ok(None) };
    let named = |group: &String| group.strip_prefix("AccessGroupId-").is_some_and(|id| !id.is_empty());
    if (1..=10).contains(&groups.len()) && groups.iter().all(named) {
        return Ok(Some(groups));
    }
    Err(Refusal::invalid("The field 'access_groups' must have 1 to 10 ids of access groups."))
}

fn service_id_of(id: &str) -> Result<(), Refusal> {
    let uuid = id.strip_prefix("ServiceId-").and_then(|id| uuid::Uuid::parse_str(id).ok());
    uuid.map(drop).ok_or_else(|| Refusal::invalid("The field 'service_id' must be the id of a service id."))
}

#[cfg(test)]
mod tests {
    use super::super::super::harness::{DAY, Machine};
    use crate::provider::embedded::options::Switches;

    const ENGINE: &str = r#"{"config_type":"iam_credentials_configuration","name":"iam","api_key":"hunter2"}"#;
    const GROUPS: &str = r#""access_groups":["AccessGroupId-1"]"#;

    fn ready(switches: Switches) -> Machine {
        let mut machine = Machine::with(switches);
        assert_eq!(machine.post("configurations", ENGINE).0, 201);
        machine
    }

    fn shared(machine: &mut Machine, more: &str) -> String {
        machine.create("iam_credentials", "shared", &format!(r#""ttl":"2d","reuse_api_key":true,{GROUPS}{more}"#))
    }

    fn dynamic(machine: &mut Machine) -> String {
        machine.create("iam_credentials", "dynamic", &format!(r#""ttl":"1h","reuse_api_key":false,{GROUPS}"#))
    }

    #[test]
    fn a_shared_key_is_read_without_changing_and_ends_with_its_ttl() {
        let mut machine = ready(Switches::default());
        let id = shared(&mut machine, "");
        let before = machine.state.items.live_credentials();
        assert_eq!(before.len(), 1);
        let got = machine.get(&format!("secrets/{id}"));
        assert_eq!(got.str("api_key").len(), 44);
        assert_eq!(machine.get(&format!("secrets/{id}")).str("api_key"), got.str("api_key"));
        assert_eq!(machine.state.items.live_credentials(), before);
        assert!(machine.state.forbidden.is_empty());
        assert_eq!(got.str("expiration_date"), "2026-11-24T14:00:00.250Z");
        assert_eq!((got.raw("service_id_is_static"), got.raw("reuse_api_key")), ("false".into(), "true".into()));
        assert_eq!(got.str("api_key_id"), before[0].credential_id);
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert!(!metadata.has("api_key") && metadata.has("api_key_id") && metadata.has("service_id"));
        machine.later(2 * DAY);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), "5");
        assert!(machine.state.items.live_credentials().is_empty());
    }

    #[test]
    fn every_read_of_a_dynamic_one_replaces_its_key_and_a_lock_refuses_it() {
        let mut machine = ready(Switches::default());
        let id = dynamic(&mut machine);
        let before = machine.state.items.live_credentials();
        machine.get(&format!("secrets/{id}/metadata"));
        machine.get(&format!("secrets/{id}/versions"));
        assert_eq!(machine.state.items.live_credentials(), before);
        let first = machine.get(&format!("secrets/{id}"));
        let after = machine.state.items.live_credentials();
        assert_ne!(after, before);
        let second = machine.get(&format!("secrets/{id}/versions/current"));
        assert_ne!(first.str("api_key"), second.str("api_key"));
        assert_ne!(first.str("service_id"), second.str("service_id"));
        assert_eq!((machine.state.forbidden.len(), machine.state.items.live_credentials().len()), (2, 1));
        machine.locked(&id, "current", "held");
        let held = machine.state.items.live_credentials();
        assert_eq!(machine.get(&format!("secrets/{id}")).0, 412);
        assert_eq!(machine.state.items.live_credentials(), held);
        let refused = machine.post(&format!("secrets/{id}/versions"), "{}");
        assert!(refused.0 == 400 && refused.1.contains("not supported when reuse credentials is off"), "{}", refused.1);
    }

    #[test]
    fn the_end_of_a_dynamic_key_destroys_its_secret_only_when_switched() {
        for ends in [false, true] {
            let mut machine = ready(Switches { dynamic_credentials_end: ends, ..Switches::default() });
            let id = dynamic(&mut machine);
            machine.later(DAY);
            assert!(machine.state.items.live_credentials().is_empty());
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("state"), if ends { "5" } else { "1" });
            assert_eq!(machine.get(&format!("secrets/{id}")).has("api_key"), !ends);
        }
    }

    #[test]
    fn a_dynamic_one_has_a_key_before_its_first_read_as_switched() {
        for mints in [true, false] {
            let mut machine = ready(Switches { create_mints_api_key: mints, ..Switches::default() });
            let id = dynamic(&mut machine);
            assert_eq!(machine.state.items.live_credentials().len(), usize::from(mints));
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).has("expiration_date"), mints);
            assert!(machine.get(&format!("secrets/{id}")).has("api_key"));
        }
    }

    #[test]
    fn a_rotation_keeps_the_service_id_and_the_key_before_and_restoring_brings_that_back() {
        let mut machine = ready(Switches::default());
        let id = shared(&mut machine, "");
        let versions = format!("secrets/{id}/versions");
        let first = machine.get(&format!("secrets/{id}"));
        machine.later(1000);
        let second = machine.post(&versions, "{}");
        assert_eq!(second.0, 201);
        assert_ne!(second.str("api_key"), first.str("api_key"));
        assert_eq!(second.str("service_id"), first.str("service_id"));
        assert_eq!(machine.get(&format!("{versions}/previous")).str("api_key"), first.str("api_key"));
        let restored = machine.post(&versions, r#"{"restore_from_version":"previous"}"#);
        assert_eq!(restored.str("api_key"), first.str("api_key"));
        // It keeps its original end.
        assert_eq!(restored.str("expiration_date"), first.str("expiration_date"));
        assert_eq!(machine.get(&format!("secrets/{id}")).str("api_key_id"), first.str("api_key_id"));
        assert_eq!(machine.get(&format!("{versions}/previous")).str("api_key"), second.str("api_key"));
        assert_eq!(machine.post(&versions, r#"{"restore_from_version":"none"}"#).0, 404);
    }

    #[test]
    fn two_versions_are_listed_or_all_of_them_as_switched() {
        for (keeps, total) in [(false, "2"), (true, "4")] {
            let mut machine = ready(Switches { iam_keeps_history: keeps, ..Switches::default() });
            let id = shared(&mut machine, "");
            let oldest = machine.get(&format!("secrets/{id}/versions/current")).str("id");
            (0..3).for_each(|_| drop(machine.post(&format!("secrets/{id}/versions"), "{}")));
            assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), total);
            let body = format!(r#"{{"restore_from_version":"{oldest}"}}"#);
            let refused = machine.post(&format!("secrets/{id}/versions"), &body);
            assert_eq!(refused.0, if keeps { 400 } else { 404 });
            assert!(!keeps || refused.1.contains("is not active."), "{}", refused.1);
        }
    }

    #[test]
    fn a_due_rotation_comes_before_the_end_and_the_previous_key_ends_alone() {
        let mut machine = ready(Switches::default());
        let id = shared(&mut machine, r#","rotation":{"auto_rotate":true,"interval":2,"unit":"day"}"#);
        machine.later(2 * DAY);
        let got = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!((got.raw("state"), got.raw("versions_total")), ("1".into(), "2".into()));
        assert_eq!(got.str("expiration_date"), "2026-11-26T14:00:00.250Z");
        // The first key ended at the same time.
        assert_eq!(machine.get(&format!("secrets/{id}/versions/previous/metadata")).raw("payload_available"), "false");
        assert_eq!(machine.state.items.live_credentials().len(), 1);
    }

    #[test]
    fn the_data_of_the_current_version_can_be_deleted_unless_it_is_locked() {
        let mut machine = ready(Switches::default());
        let id = shared(&mut machine, "");
        machine.post(&format!("secrets/{id}/versions"), "{}");
        let data = |version: &str| format!("secrets/{id}/versions/{version}/secret_data");
        assert_eq!(machine.delete(&data("previous")).0, 400);
        machine.locked(&id, "current", "held");
        assert_eq!(machine.delete(&data("current")).0, 412);
        machine.delete(&format!("secrets/{id}/locks_bulk"));
        assert_eq!(machine.delete(&data("current")).0, 204);
        assert_eq!(machine.delete(&data("current")).0, 400);
        assert!(!machine.get(&format!("secrets/{id}")).has("api_key"));
        assert_eq!(machine.state.items.live_credentials().len(), 1);
        assert_eq!(machine.post(&format!("secrets/{id}/versions"), "{}").0, 201);
        let plain = machine.arbitrary("plain");
        assert_eq!(machine.delete(&format!("secrets/{plain}/versions/current/secret_data")).0, 400);
        // Without a shared key, the next read creates one.
        let id = dynamic(&mut machine);
        assert_eq!(machine.delete(&format!("secrets/{id}/versions/current/secret_data")).0, 204);
        assert!(machine.get(&format!("secrets/{id}")).has("api_key"));
    }

    #[test]
    fn the_engine_has_to_be_configured_unless_services_are_authorized() {
        let body =
            format!(r#"{{"secret_type":"iam_credentials","name":"shared","ttl":"2d","reuse_api_key":true,{GROUPS}}}"#);
        for authorized in [false, true] {
            let mut machine = Machine::with(Switches { iam_service_authorization: authorized, ..Switches::default() });
            assert_eq!(machine.post("secrets", &body).0, if authorized { 201 } else { 400 });
        }
        let mut machine = ready(Switches::default());
        machine.patch("configurations/iam", r#"{"disabled":true}"#);
        assert_eq!(machine.post("secrets", &body).0, 400);
    }

    #[test]
    fn ttl_reads_back_as_it_was_written_or_in_seconds_as_switched() {
        for (seconds, shown) in [(false, "2d"), (true, "172800")] {
            let mut machine = ready(Switches { ttl_reads_as_seconds: seconds, ..Switches::default() });
            let id = shared(&mut machine, "");
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).str("ttl"), shown);
            let patched = machine.patch(&format!("secrets/{id}/metadata"), r#"{"ttl":3600}"#);
            // The existing key keeps its end.
            assert_eq!(
                (patched.str("ttl"), patched.str("expiration_date")),
                ("3600".into(), "2026-11-24T14:00:00.250Z".into())
            );
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let mut machine = ready(Switches::default());
        let static_id = r#""service_id":"ServiceId-5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d""#;
        let daily = r#""rotation":{"auto_rotate":true,"interval":1,"unit":"day"}"#;
        for (members, why) in [
            (format!(r#""ttl":"1d","reuse_api_key":true,{GROUPS},{static_id}"#), "both identities"),
            (r#""ttl":"1d","reuse_api_key":true"#.to_owned(), "no identity"),
            (r#""ttl":"1d","reuse_api_key":true,"access_groups":[]"#.to_owned(), "no group"),
            (r#""ttl":"1d","reuse_api_key":true,"access_groups":["x"]"#.to_owned(), "no id of a group"),
            (r#""ttl":"1d","reuse_api_key":true,"service_id":"ServiceId-x"#.to_owned() + "\"", "no service id"),
            (format!(r#""reuse_api_key":true,{GROUPS}"#), "no ttl"),
            (format!(r#""ttl":"1d",{GROUPS}"#), "no reuse_api_key"),
            (format!(r#""ttl":"59s","reuse_api_key":true,{GROUPS}"#), "short ttl"),
            (format!(r#""ttl":"91d","reuse_api_key":true,{GROUPS}"#), "long ttl"),
            (format!(r#""ttl":"2d","reuse_api_key":false,{GROUPS},{daily}"#), "rotation without reuse"),
            (format!(r#""ttl":"2890m","reuse_api_key":true,{GROUPS},{daily}"#), "rotation with minutes"),
            (format!(r#""ttl":"23h","reuse_api_key":true,{GROUPS},{daily}"#), "rotation after the end"),
            (format!(r#""ttl":"1d","reuse_api_key":true,{GROUPS},"account_id":"short""#), "no account"),
        ] {
            let body = format!(r#"{{"secret_type":"iam_credentials","name":"wrong",{members}}}"#);
            assert_eq!(machine.post("secrets", &body).0, 400, "{why}");
        }
        let id = shared(&mut machine, "");
        let late = r#"{"rotation":{"auto_rotate":true,"interval":3,"unit":"day"}}"#;
        assert!(machine.patch(&format!("secrets/{id}/metadata"), late).1.contains("secrets-manager.Error02009"));
        machine.create("iam_credentials", "static", &format!(r#""ttl":"1d","reuse_api_key":true,{static_id}"#));
    }
}
