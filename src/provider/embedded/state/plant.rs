//! Secrets that tests plant without the API's checks, even of unknown types, and payload reads that a backup must not
//! make.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::InstanceState;
use super::data::{Secret, SecretState, SecretVersion};
use super::forbidden::{ForbiddenAct, Planted};
use super::fresh_version::payload_digest;
use super::kinds::iam_credentials::reuses_api_key;
use super::secret_kind::SecretKind;
use crate::model::json::JsonObject;
use crate::model::{Payload, Timestamp};

impl ForbiddenAct {
    /// Returns the forbidden act of reading this secret's payload; `None` if the read is harmless.
    pub(crate) fn of_reading(secret: &Secret) -> Option<Self> {
        let destroys = secret.secret_type == "iam_credentials" && !reuses_api_key(&secret.fields);
        let unheard_of = SecretKind::of(&secret.secret_type).is_none();
        (destroys || unheard_of).then(|| Self {
            secret_id: secret.id.clone(),
            secret_type: secret.secret_type.clone(),
            destroys,
        })
    }
}

impl InstanceState {
    /// Adds a secret and returns its id.
    pub(crate) fn plant(&mut self, now: Timestamp, planted: &Planted) -> String {
        let id = self.ids.uuid();
        let version = SecretVersion {
            id: self.ids.uuid(),
            created_at: now,
            auto_rotated: false,
            downloaded: false,
            payload_digest: payload_digest(planted.payload.expose()),
            payload: Some(Arc::new(Payload::new(Zeroizing::new(planted.payload.expose().to_owned())))),
            custom_metadata: None,
            expiration_date: None,
            fields: JsonObject::default(),
            locks: Vec::new(),
        };
        self.put_secret(Secret {
            id: id.clone(),
            group: planted.group.clone(),
            secret_type: planted.secret_type.clone(),
            name: planted.name.clone(),
            description: None,
            labels: Vec::new(),
            custom_metadata: None,
            created_at: now,
            updated_at: now,
            retrieved_at: None,
            downloaded: false,
            life: SecretState::Active,
            expiration_date: None,
            next_rotation_date: None,
            wake_at: None,
            fields: planted.fields.clone(),
            inner: None,
            versions: vec![Arc::new(version)],
            tasks: Vec::new(),
        });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;
    use super::*;

    fn planted(machine: &mut Machine, secret_type: &str, fields: &str, payload: &str) -> String {
        let planted = Planted {
            secret_type: secret_type.to_owned(),
            name: format!("planted-{secret_type}"),
            group: "default".to_owned(),
            fields: JsonObject::parse(fields).unwrap(),
            payload: Payload::new(Zeroizing::new(payload.to_owned())),
        };
        machine.state.plant(machine.now, &planted)
    }

    #[test]
    fn reading_an_iam_credential_without_reuse_deletes_its_key_and_is_counted() {
        let mut machine = Machine::new();
        let id = planted(&mut machine, "iam_credentials", r#"{"reuse_api_key":false}"#, r#"{"api_key":"live"}"#);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("reuse_api_key"), "false");
        machine.get(&format!("secrets/{id}/versions"));
        machine.get(&format!("secrets/{id}/versions/current/metadata"));
        assert!(machine.state.forbidden.is_empty());
        assert_ne!(machine.get(&format!("secrets/{id}/versions/current")).str("api_key"), "live");
        let by_name = "secret_groups/default/secret_types/iam_credentials/secrets/planted-iam_credentials";
        machine.get(by_name);
        assert_eq!(machine.state.forbidden.len(), 2);
        assert!(machine.state.forbidden[0].destroys);
        machine.locked(&id, "current", "held");
        assert_eq!(machine.get(&format!("secrets/{id}")).0, 412);
    }

    #[test]
    fn reading_one_with_reuse_is_harmless_and_an_unheard_of_type_is_counted() {
        let mut machine = Machine::new();
        let id = planted(&mut machine, "iam_credentials", r#"{"reuse_api_key":true}"#, r#"{"api_key":"live"}"#);
        assert_eq!(machine.get(&format!("secrets/{id}")).str("api_key"), "live");
        assert!(machine.state.forbidden.is_empty());
        let id = planted(&mut machine, "quantum_key", r#"{"qubits":7}"#, r#"{"key":"x"}"#);
        assert!(machine.get("secrets?search=quantum").1.contains(r#""qubits":7"#));
        machine.get(&format!("secrets/{id}"));
        assert_eq!(machine.state.forbidden.len(), 1);
        assert!(!machine.state.forbidden[0].destroys);
    }
}
