//! Versions: creation, removal of old ones, and metadata.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::data::{Secret, SecretState, SecretVersion};
use super::fresh_version::{Expiry, Fresh, payload_digest};
use super::input::InputBody;
use super::pki::Managed;
use super::refusal::Refusal;
use super::rules::{check_room, checked_metadata};
use super::secret_kind::SecretKind;
use super::tasks::TaskTrigger;
use super::text::{ObjectText, list};
use super::{Answer, InstanceState, rules};
use crate::model::Timestamp;
use crate::model::json::JsonObject;

impl InstanceState {
    pub(crate) fn create_version(&mut self, now: Timestamp, id: &str, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let mut secret = (**self.secret(id)?).clone();
        let kind = SecretKind::parse(&secret.secret_type)?;
        body.only(&[&["custom_metadata", "version_custom_metadata"][..], kind.version_members()].concat())?;
        let custom_metadata = checked_metadata(&body, "custom_metadata")?;
        let version_metadata = checked_metadata(&body, "version_custom_metadata")?;
        if kind == SecretKind::PublicCert {
            return self.reorder_public_cert(now, &body, secret);
        }
        check_room(&secret)?;
        if custom_metadata.is_some() && self.switches.version_sets_custom_metadata {
            secret.custom_metadata = custom_metadata;
        }
        if kind == SecretKind::CustomCredentials {
            return self.order_by_request(now, secret, version_metadata);
        }
        check_payload(&secret, kind)?;
        let fresh = self.next(kind, now, &body, &secret)?;
        let expiration = match fresh.expiry {
            Expiry::Own(date) => {
                self.check_expiry(date, now)?;
                date
            }
            Expiry::OfSecret => secret.expiration_date.filter(|_| self.switches.expiration_carries),
        };
        let waiting = Managed::of(&secret).filter(|_| secret.versions.is_empty());
        let mut version = self.take_over(&mut secret, fresh, now, expiration);
        version.custom_metadata = version_metadata.or(waiting.and_then(|managed| managed.version_custom_metadata));
        self.push(&mut secret, version, now);
        let answer = Answer::created(self.renderer.version(&secret, 0));
        self.put_secret(secret);
        Ok(answer)
    }

    /// Rotates a secret automatically.
    pub(crate) fn rotate(&mut self, now: Timestamp, id: &str) -> Result<(), Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        check_room(&secret)?;
        let kind = SecretKind::parse(&secret.secret_type)?;
        if kind == SecretKind::CustomCredentials {
            self.order_version(now, &mut secret, TaskTrigger::AutomaticSecretRotation, None)?;
            self.put_secret(secret);
            return Ok(());
        }
        check_payload(&secret, kind)?;
        let fresh = self.next(kind, now, &InputBody::parse("{}")?, &secret)?;
        let expiration = match fresh.expiry {
            Expiry::Own(date) => date,
            Expiry::OfSecret => secret.expiration_date.filter(|_| self.switches.expiration_carries),
        };
        let mut version = self.take_over(&mut secret, fresh, now, expiration);
        version.auto_rotated = true;
        self.push(&mut secret, version, now);
        self.put_secret(secret);
        Ok(())
    }

    /// Orders a version from a job. Answers with the future version, without an alias and a payload.
    fn order_by_request(
        &mut self,
        now: Timestamp,
        mut secret: Secret,
        version_metadata: Option<Box<RawValue>>,
    ) -> Result<Answer, Refusal> {
        let trigger = TaskTrigger::ManualSecretRotation;
        let id = self.order_version(now, &mut secret, trigger, version_metadata.clone())?;
        let version = SecretVersion {
            id,
            created_at: now,
            auto_rotated: false,
            downloaded: false,
            payload: None,
            payload_digest: payload_digest(""),
            custom_metadata: version_metadata,
            expiration_date: None,
            fields: JsonObject::default(),
            locks: Vec::new(),
        };
        let answer = Answer::created(self.renderer.ordered_version(&secret, &version));
        self.put_secret(secret);
        Ok(answer)
    }

    /// Moves the secret's part of a fresh version to the secret, and returns the rest as the version.
    fn take_over(
        &mut self,
        secret: &mut Secret,
        mut fresh: Fresh,
        now: Timestamp,
        expiration: Option<Timestamp>,
    ) -> SecretVersion {
        if let Some(fields) = fresh.secret_fields.take() {
            secret.fields = fields;
        }
        if let Some(inner) = fresh.inner.take() {
            secret.inner = Some(Arc::new(inner));
        }
        secret.life = fresh.life;
        fresh.version(self.ids.uuid(), now, expiration)
    }

    pub(super) fn push(&self, secret: &mut Secret, version: SecretVersion, now: Timestamp) {
        secret.expiration_date = version.expiration_date;
        secret.updated_at = now;
        secret.next_rotation_date = self.next_rotation(&secret.fields, now);
        secret.versions.insert(0, Arc::new(version));
        if let Some(old) = secret.versions.get_mut(2).filter(|old| old.payload.is_some()) {
            Arc::make_mut(old).payload = None;
        }
        let two = secret.secret_type == "iam_credentials" && !self.switches.iam_keeps_history;
        secret.versions.truncate(if two { 2 } else { rules::VERSIONS });
    }

    pub(crate) fn list_versions(&self, id: &str) -> Result<Answer, Refusal> {
        let secret = self.secret(id)?;
        let mut body = ObjectText::new();
        body.raw("versions", &list(self.renderer.versions(secret).iter().map(|row| row.as_str())));
        body.num("total_count", secret.versions.len() as u64);
        Ok(Answer::ok(body.finish()))
    }

    pub(crate) fn get_version(&mut self, now: Timestamp, id: &str, version: &str) -> Result<Answer, Refusal> {
        let secret = self.read_version(now, id, version)?;
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        Ok(Answer::ok(self.renderer.version(&secret, index)))
    }

    pub(crate) fn get_version_metadata(&self, id: &str, version: &str) -> Result<Answer, Refusal> {
        let secret = self.secret(id)?;
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        Ok(Answer::ok(self.renderer.version_metadata(secret, index)))
    }

    pub(crate) fn patch_version_metadata(
        &mut self,
        now: Timestamp,
        id: &str,
        version: &str,
        text: &str,
    ) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["version_custom_metadata"])?;
        let mut secret = (**self.secret(id)?).clone();
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        if let Some(version) = secret.versions.get_mut(index) {
            let version = Arc::make_mut(version);
            self.patch_custom_metadata(&body, "version_custom_metadata", &mut version.custom_metadata)?;
        }
        if self.switches.version_metadata_moves_updated_at {
            secret.updated_at = now;
        }
        let answer = Answer::ok(self.renderer.version_metadata(&secret, index));
        self.put_secret(secret);
        Ok(answer)
    }

    /// Deletes every payload, as at expiry.
    pub(crate) fn destroy(&mut self, now: Timestamp, id: &str) {
        let Ok(secret) = self.secret(id) else { return };
        let mut secret = (**secret).clone();
        secret.life = SecretState::Destroyed;
        secret.next_rotation_date = None;
        secret.wake_at = None;
        secret.updated_at = now;
        let mut ended = Vec::new();
        for version in secret.versions.iter_mut().filter(|version| version.payload.is_some()) {
            ended.push(version.id.clone());
            Arc::make_mut(version).payload = None;
        }
        match secret.secret_type.as_str() {
            "custom_credentials" => self.end_credentials(now, &mut secret, &ended),
            // The order's version can no longer be issued.
            "public_cert" => secret.inner = None,
            _ => {}
        }
        self.put_secret(secret);
    }
}

fn check_payload(secret: &Secret, kind: SecretKind) -> Result<(), Refusal> {
    // True for the first certificate of the instance's own signing request.
    let awaits = kind == SecretKind::ImportedCert && secret.life == SecretState::PreActivation;
    if !awaits && !kind.mints() && secret.current().is_none_or(|version| version.payload.is_none()) {
        return Err(Refusal::invalid("The secret has no current payload."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::harness::Machine;
    use crate::provider::embedded::options::Switches;

    #[test]
    fn only_current_and_previous_keep_their_payload() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let first = machine.get(&format!("secrets/{id}/versions/current")).str("id");
        machine.rotate_to(&id, "v2");
        assert_eq!(machine.get(&format!("secrets/{id}/versions/previous")).str("payload"), "v1");
        machine.rotate_to(&id, "v3");
        assert_eq!(machine.get(&format!("secrets/{id}")).str("payload"), "v3");
        assert_eq!(machine.get(&format!("secrets/{id}/versions/previous")).str("payload"), "v2");
        let old = machine.get(&format!("secrets/{id}/versions/{first}"));
        assert_eq!((old.0, old.raw("payload_available")), (200, "false".into()));
        assert!(!old.has("payload") && !old.has("alias"));
        let list = machine.get(&format!("secrets/{id}/versions"));
        let aliases: Vec<_> = list.rows("versions").iter().map(|row| row.str("alias")).collect();
        assert_eq!(aliases, [Some("current".into()), Some("previous".into()), None]);
    }

    #[test]
    fn fifty_entries_of_metadata_are_kept() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let first = machine.get(&format!("secrets/{id}/versions/current")).str("id");
        for index in 2..=50 {
            machine.rotate_to(&id, &format!("v{index}"));
        }
        assert_eq!(machine.get(&format!("secrets/{id}/versions/{first}/metadata")).0, 200);
        machine.rotate_to(&id, "v51");
        assert_eq!(machine.get(&format!("secrets/{id}/versions")).raw("total_count"), "50");
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("versions_total"), "50");
        assert_eq!(machine.get(&format!("secrets/{id}/versions/{first}/metadata")).0, 404);
    }

    #[test]
    fn a_locked_previous_version_blocks_a_new_one_and_a_locked_current_one_travels() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        machine.locked(&id, "current", "held");
        machine.rotate_to(&id, "v2");
        let previous = &machine.get("secrets_locks").rows("secrets_locks")[0].array("versions").unwrap()[1];
        assert!(previous.get().contains(r#""version_alias":"previous","locks":["held"]"#), "{previous}");
        let refused = machine.post(&format!("secrets/{id}/versions"), r#"{"payload":"v3"}"#);
        assert_eq!(refused.0, 412);
        assert!(refused.1.contains("The requested action can't be completed because the secret version is locked."));
        assert_eq!(machine.get(&format!("secrets/{id}")).str("payload"), "v2");
        assert_eq!(machine.delete(&format!("secrets/{id}/versions/previous/locks_bulk")).0, 200);
        machine.rotate_to(&id, "v3");
    }

    #[test]
    fn metadata_of_a_version_is_its_own_and_patched_alone() {
        let mut machine = Machine::new();
        let id = machine.create("arbitrary", "token", r#""payload":"v1","version_custom_metadata":{"n":1.0}"#);
        machine.rotate_to(&id, "v2");
        let before = machine.get(&format!("secrets/{id}/metadata")).str("updated_at");
        machine.later(7);
        let path = format!("secrets/{id}/versions/previous/metadata");
        let got = machine.patch(&path, r#"{"version_custom_metadata":{"m":2.50}}"#);
        assert_eq!(got.raw("version_custom_metadata"), r#"{"n":1.0,"m":2.50}"#);
        assert!(!machine.get(&format!("secrets/{id}/versions/current/metadata")).has("version_custom_metadata"));
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).str("updated_at"), before);
        assert!(!machine.patch(&path, r#"{"version_custom_metadata":null}"#).has("version_custom_metadata"));
        assert_eq!(machine.patch(&path, r#"{"payload":"x"}"#).0, 400);
    }

    #[test]
    fn a_version_takes_the_secrets_metadata_and_expiry_as_switched() {
        for on in [true, false] {
            let switches = Switches { version_sets_custom_metadata: on, expiration_carries: on, ..Switches::default() };
            let mut machine = Machine::with(switches);
            let members = r#""payload":"v1","custom_metadata":{"a":1},"expiration_date":"2030-01-01T00:00:00Z""#;
            let id = machine.create("arbitrary", "token", members);
            let body = r#"{"payload":"v2","custom_metadata":{"b":2}}"#;
            machine.post(&format!("secrets/{id}/versions"), body);
            let got = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!(got.raw("custom_metadata"), if on { r#"{"b":2}"# } else { r#"{"a":1}"# });
            assert_eq!(got.has("expiration_date"), on);
            let previous = machine.get(&format!("secrets/{id}/versions/previous/metadata"));
            assert_eq!(previous.str("expiration_date"), "2030-01-01T00:00:00Z");
        }
    }

    #[test]
    fn the_version_list_can_start_with_the_oldest() {
        let mut machine = Machine::with(Switches { versions_newest_first: false, ..Switches::default() });
        let id = machine.arbitrary("token");
        machine.rotate_to(&id, "v2");
        let rows = machine.get(&format!("secrets/{id}/versions")).rows("versions");
        assert_eq!(rows[0].str("alias").as_deref(), Some("previous"));
    }

    #[test]
    fn a_patch_of_a_destroyed_secret_plans_no_rotation() {
        for at_once in [false, true] {
            let mut machine = Machine::with(Switches { rotation_patch_rotates: at_once, ..Switches::default() });
            let members = r#""username":"svc","expiration_date":"2026-11-23T00:00:00Z""#;
            let id = machine.create("username_password", "user", members);
            machine.later(crate::provider::embedded::state::harness::DAY);
            let on = r#"{"rotation":{"auto_rotate":true,"interval":30,"unit":"day"}}"#;
            let got = machine.patch(&format!("secrets/{id}/metadata"), on);
            assert_eq!((got.0, got.raw("state")), (200, "5".into()), "{}", got.1);
            assert!(!got.has("next_rotation_date"));
        }
    }

    #[test]
    fn a_patch_whose_rotation_is_refused_changes_nothing() {
        let mut machine = Machine::with(Switches { rotation_patch_rotates: true, ..Switches::default() });
        let id = machine.create("username_password", "user", r#""username":"svc","password":"123456""#);
        machine.post(&format!("secrets/{id}/versions"), "{}");
        machine.locked(&id, "previous", "held");
        let before = machine.get(&format!("secrets/{id}/metadata")).1;
        machine.state.changes.clear();
        let on = r#"{"name":"other","rotation":{"auto_rotate":true,"interval":30,"unit":"day"}}"#;
        assert_eq!(machine.patch(&format!("secrets/{id}/metadata"), on).0, 412);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).1, before);
        assert!(machine.state.changes.is_empty(), "a refused request is in the log");
        machine.create("username_password", "other", r#""username":"svc""#);
    }
}
