//! `service_credentials`: a resource key for an instance of another service, with the payload that the service defines.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::credentials::{Limits, Ttl};
use super::super::data::{Secret, SecretState};
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::rules::CREDENTIAL_ROTATION;
use super::super::text::ObjectText;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh, Making};

pub(super) const CREATE: [&str; 3] = ["source_service", "ttl", "rotation"];
pub(super) const VERSION: [&str; 0] = [];
pub(super) const PATCH: [&str; 2] = ["ttl", "rotation"];

const LIMITS: Limits = Limits { ttl: 86_400..=90 * 86_400, endless: true, rotation: CREDENTIAL_ROTATION };
/// Role of a key if none is given.
const ROLE: &str = "crn:v1:bluemix:public:iam::::serviceRole:Writer";

impl InstanceState {
    pub(super) fn first_service_credentials(&mut self, making: &Making<'_>) -> Result<Fresh, Refusal> {
        let source = making.body.object("source_service")?;
        let source = source.ok_or_else(|| Refusal::invalid("The field 'source_service' is required."))?;
        check_source(&source)?;
        let mut fields = JsonObject::default();
        fields.set("source_service", source);
        self.credential_policy(making.body, making.now, &LIMITS, &mut fields)?;
        Ok(self.resource_key(making.now, making.name, fields))
    }

    pub(super) fn next_service_credentials(&mut self, now: Timestamp, secret: &Secret) -> Fresh {
        self.resource_key(now, &secret.name, secret.fields.clone())
    }

    pub(super) fn patch_service_credentials(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        self.patch_credential_policy(body, secret, now, &LIMITS)
    }

    /// Creates a resource key and records the service's data about it.
    fn resource_key(&mut self, now: Timestamp, name: &str, mut fields: JsonObject) -> Fresh {
        let source = fields.object("source_service").unwrap_or_default();
        let instance = source.object("instance").and_then(|instance| instance.str("crn")).unwrap_or_default();
        let parameters = source.object("parameters").unwrap_or_default();
        let role = source.object("role").and_then(|role| role.str("crn")).unwrap_or_else(|| ROLE.to_owned());
        let made = NewResourceKey {
            service_id: parameters.str("serviceid_crn").unwrap_or_else(|| {
                let account = instance.split(':').nth(6).unwrap_or_default().to_owned();
                format!("crn:v1:bluemix:public:iam-identity::{account}::serviceid:ServiceId-{}", self.ids.uuid())
            }),
            api_key_id: format!("ApiKey-{}", self.ids.uuid()),
            api_key_name: format!("{name}-{}", self.ids.uuid()),
            role,
            key_crn: format!("{}:resource-key:{}", instance.trim_end_matches(':'), self.ids.uuid()),
        };
        let hmac = parameters.bool("HMAC") == Some(true);
        let payload = self.service_payload(&made, &instance, hmac);
        let key = made.resource_key(name);
        fields.set("source_service", made.read_side(&source, &key));
        let end = Ttl::of(&fields).and_then(|ttl| ttl.end(now));
        Fresh {
            payload: Some(payload),
            expiry: Expiry::Own(end),
            secret_fields: Some(fields),
            version_fields: [("resource_key".to_owned(), key)].into_iter().collect(),
            life: SecretState::Active,
            inner: None,
        }
    }

    /// Returns the payload, using Object Storage as the example: an API key and, on request, a pair of HMAC keys.
    fn service_payload(&mut self, made: &NewResourceKey, instance: &str, hmac: bool) -> Zeroizing<String> {
        let mut credentials = ObjectText::new();
        credentials.str("apikey", &self.ids.api_key());
        if hmac {
            let mut keys = ObjectText::new();
            let (id, key) = (self.ids.uuid(), Zeroizing::new(self.ids.uuid()));
            keys.str("access_key_id", &id.replace('-', "")).str("secret_access_key", &key.replace('-', ""));
            credentials.raw("cos_hmac_keys", &keys.finish());
        }
        credentials.str("iam_apikey_description", &made.description()).str("iam_apikey_id", &made.api_key_id);
        credentials.str("iam_apikey_name", &made.api_key_name).str("iam_role_crn", &made.role);
        credentials.str("iam_serviceid_crn", &made.service_id).str("resource_instance_id", instance);
        let mut payload = ObjectText::new();
        payload.raw("credentials", &credentials.finish());
        payload.finish()
    }
}

/// Identity of a new resource key.
struct NewResourceKey {
    service_id: String,
    api_key_id: String,
    api_key_name: String,
    role: String,
    key_crn: String,
}

impl NewResourceKey {
    fn description(&self) -> String {
        format!("Auto-generated for key {}", self.key_crn)
    }

    fn resource_key(&self, name: &str) -> Box<RawValue> {
        let member = |name: &str, value: &str| (name.to_owned(), raw(value));
        [member("crn", &self.key_crn), member("name", name)].into_iter().collect::<JsonObject>().to_raw()
    }

    /// Returns `source_service` for reading: the given members plus the identity of the key.
    fn read_side(&self, given: &JsonObject, key: &RawValue) -> Box<RawValue> {
        let object = |members: &[(&str, &str)]| -> Box<RawValue> {
            let members = members.iter().map(|&(name, value)| (name.to_owned(), raw(value)));
            members.collect::<JsonObject>().to_raw()
        };
        let (id, name) = (self.api_key_id.as_str(), self.api_key_name.as_str());
        let mut iam = JsonObject::default();
        iam.set("apikey", object(&[("description", &self.description()), ("id", id), ("name", name)]));
        iam.set("role", object(&[("crn", &self.role)]));
        iam.set("serviceid", object(&[("crn", &self.service_id)]));
        let mut source = given.clone();
        source.set("iam", iam.to_raw());
        source.set("resource_key", key.to_owned());
        source.to_raw()
    }
}

/// Checks `source_service` of a create body: an instance CRN, and optional parameters and role.
fn check_source(source: &RawValue) -> Result<(), Refusal> {
    let body = InputBody::parse(source.get())?;
    body.only(&["instance", "parameters", "role"])?;
    body.object("parameters")?;
    for (member, required) in [("instance", true), ("role", false)] {
        let object = body.object(member)?;
        let crn = object.as_deref().and_then(|object| JsonObject::parse(object.get()).ok()).and_then(|o| o.str("crn"));
        let fits = crn.as_ref().is_some_and(|crn| crn.starts_with("crn:") && (9..=512).contains(&crn.len()));
        if !fits && (required || object.is_some()) {
            return Err(Refusal::invalid(format!("The field 'source_service.{member}.crn' must be a CRN.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::harness::{DAY, Machine};
    use crate::model::json::JsonObject;

    const COS: &str = r#""instance":{"crn":"crn:v1:bluemix:public:cloud-object-storage:global:a/1:2::"}"#;

    fn create(machine: &mut Machine, parameters: &str, more: &str) -> String {
        let source = format!(r#""source_service":{{{COS},"parameters":{parameters}}}{more}"#);
        machine.create("service_credentials", "cos", &source)
    }

    #[test]
    fn the_key_is_in_payloads_only_and_its_identity_in_metadata() {
        let mut machine = Machine::new();
        let id = create(&mut machine, r#"{"HMAC":true,"n":1.50}"#, "");
        let got = machine.get(&format!("secrets/{id}"));
        let credentials = got.object().object("credentials").unwrap();
        assert!(credentials.object("cos_hmac_keys").unwrap().str("secret_access_key").is_some());
        let key = credentials.str("apikey").unwrap();
        for path in [format!("secrets/{id}/metadata"), "secrets".into(), format!("secrets/{id}/versions")] {
            let got = machine.get(&path);
            assert!(got.0 == 200 && !got.1.contains(&key), "{path}: {}", got.1);
        }
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        let source = metadata.object().object("source_service").unwrap();
        assert_eq!(source.get("parameters").unwrap().get(), r#"{"HMAC":true,"n":1.50}"#);
        let iam = source.object("iam").unwrap();
        assert_eq!(iam.object("apikey").unwrap().str("id"), credentials.str("iam_apikey_id"));
        let version = machine.get(&format!("secrets/{id}/versions/current/metadata"));
        assert_eq!(version.raw("resource_key"), source.get("resource_key").unwrap().get());
        assert!(!metadata.has("expiration_date") && machine.state.forbidden.is_empty());
    }

    #[test]
    fn a_rotation_makes_another_resource_key_and_the_ttl_counts_from_it() {
        let mut machine = Machine::new();
        let id = create(&mut machine, "{}", r#","ttl":"7d","rotation":{"auto_rotate":true,"interval":5,"unit":"day"}"#);
        let first = machine.state.items.live_credentials();
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).str("expiration_date"), "2026-11-29T14:00:00.250Z");
        machine.later(5 * DAY);
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!(metadata.str("expiration_date"), "2026-12-04T14:00:00.250Z");
        let live = machine.state.items.live_credentials();
        assert_eq!((first.len(), live.len()), (1, 2));
        assert!(live.contains(&first[0]));
        machine.later(3 * DAY);
        assert!(!machine.state.items.live_credentials().contains(&first[0]));
        machine.delete(&format!("secrets/{id}"));
        assert!(machine.state.items.live_credentials().is_empty());
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let mut machine = Machine::new();
        let hourly = r#""rotation":{"auto_rotate":true,"interval":6,"unit":"hour"}"#;
        for members in [
            String::new(),
            r#""source_service":{"instance":{}}"#.to_owned(),
            r#""source_service":{"instance":{"crn":"nothing at all"}}"#.to_owned(),
            format!(r#""source_service":{{{COS},"role":{{}}}}"#),
            format!(r#""source_service":{{{COS},"iam":{{}}}}"#),
            format!(r#""source_service":{{{COS}}},"ttl":"23h""#),
            format!(r#""source_service":{{{COS}}},"ttl":"91d""#),
            format!(r#""source_service":{{{COS}}},{hourly}"#),
        ] {
            let comma = if members.is_empty() { "" } else { "," };
            let body = format!(r#"{{"secret_type":"service_credentials","name":"cos"{comma}{members}}}"#);
            assert_eq!(machine.post("secrets", &body).0, 400, "{members}");
        }
        let id = create(&mut machine, "{}", r#","ttl":0"#);
        assert!(!machine.get(&format!("secrets/{id}/metadata")).has("expiration_date"));
        let role = r#"{"secret_type":"service_credentials","name":"with-role","source_service":{"instance":{"crn":"crn:v1:x:y"},"role":{"crn":"crn:v1:role"}}}"#;
        let made = machine.post("secrets", role);
        let credentials = JsonObject::parse(&made.raw("credentials")).unwrap();
        assert_eq!(credentials.str("iam_role_crn").as_deref(), Some("crn:v1:role"));
    }
}
