//! `custom_credentials`: credentials that a customer's job creates. Every version starts as a task for that job.

use serde_json::value::RawValue;

use super::super::InstanceState;
use super::super::credentials::{Limits, engine};
use super::super::data::{Secret, SecretState};
use super::super::input::{InputBody, Patched};
use super::super::merge::merge;
use super::super::refusal::Refusal;
use super::super::rules::CUSTOM_ROTATION;
use super::super::tasks::{TaskKind, TaskTrigger};
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh, Making};

pub(super) const CREATE: [&str; 4] = ["configuration", "parameters", "ttl", "rotation"];
pub(super) const VERSION: [&str; 0] = [];
pub(super) const PATCH: [&str; 3] = ["ttl", "rotation", "parameters"];

const LIMITS: Limits = Limits { ttl: 60..=90 * 86_400, endless: true, rotation: CUSTOM_ROTATION };

impl InstanceState {
    pub(super) fn first_custom_credentials(&mut self, making: &Making<'_>) -> Result<Fresh, Refusal> {
        let mut fields = JsonObject::default();
        let name = making.body.required_string("configuration")?;
        if !self.items.configurations.contains_key(format!("{}/{name}", engine::ENGINE).as_str()) {
            return Err(Refusal::invalid("The configuration that 'configuration' names was not found."));
        }
        fields.set("configuration", raw(&name));
        if let Some(parameters) = making.body.object("parameters")? {
            self.check_parameters(&parameters)?;
            fields.set("parameters", parameters);
        }
        self.credential_policy(making.body, making.now, &LIMITS, &mut fields)?;
        Ok(Fresh {
            payload: None,
            expiry: Expiry::Own(None),
            secret_fields: Some(fields),
            version_fields: JsonObject::default(),
            life: SecretState::PreActivation,
            inner: None,
        })
    }

    pub(super) fn patch_custom_credentials(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        match body.patched_object("parameters")? {
            Patched::Absent => {}
            Patched::Clear => drop(secret.fields.remove("parameters")),
            Patched::Set(patch) => {
                let merged = merge(secret.fields.get("parameters"), &patch)?;
                self.check_parameters(&merged)?;
                secret.fields.set("parameters", merged);
            }
        }
        self.patch_credential_policy(body, secret, now, &LIMITS)
    }

    /// Orders a new version of a secret and returns its future id.
    pub(in super::super) fn order_version(
        &mut self,
        now: Timestamp,
        secret: &mut Secret,
        trigger: TaskTrigger,
        version_custom_metadata: Option<Box<RawValue>>,
    ) -> Result<String, Refusal> {
        if secret.life == SecretState::Deactivated {
            return Err(Refusal::invalid("The secret is deleted."));
        }
        if self.engine_of(secret).is_none() {
            return Err(Refusal::invalid("The configuration of the secret was not found."));
        }
        let version_id = self.ids.uuid();
        self.enqueue(now, secret, TaskKind::CreateCredentials, trigger, version_id.clone(), version_custom_metadata);
        secret.next_rotation_date = self.next_rotation(&secret.fields, now);
        if self.switches.tasks_move_updated_at {
            secret.updated_at = now;
        }
        Ok(version_id)
    }
}
