//! Secrets: create, read, patch, delete.

use std::sync::Arc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::credentials::references::referenced_by;
use super::data::{DEFAULT_GROUP, Secret, SecretState};
use super::forbidden::ForbiddenAct;
use super::fresh_version::{Expiry, Making, next_rotation};
use super::input::{InputBody, Patched};
use super::merge::merge;
use super::pki::Managed;
use super::query::Query;
use super::refusal::Refusal;
use super::rules::checked_metadata;
use super::secret_kind::SecretKind;
use super::tasks::{TaskKind, TaskTrigger};
use super::{Answer, InstanceState, rules};
use crate::model::Timestamp;
use crate::model::json::JsonObject;

const COMMON: [&str; 7] =
    ["name", "description", "labels", "custom_metadata", "secret_group_id", "version_custom_metadata", "secret_type"];
const COMMON_PATCH: [&str; 4] = ["name", "description", "labels", "custom_metadata"];

impl InstanceState {
    pub(crate) fn create_secret(&mut self, now: Timestamp, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let secret_type = body.required_string("secret_type")?;
        let kind = SecretKind::parse(&secret_type)?;
        body.only(&[&COMMON[..], kind.create_members()].concat())?;
        let name = body.required_string("name")?;
        rules::secret_name(&name)?;
        let description = body.string("description")?;
        description.as_deref().map_or(Ok(()), rules::description)?;
        let labels = body.strings("labels")?.unwrap_or_default();
        rules::labels(&labels)?;
        let custom_metadata = checked_metadata(&body, "custom_metadata")?;
        let group = body.string("secret_group_id")?.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
        if !self.items.groups.contains_key(group.as_str()) {
            return Err(Refusal::missing("The secret group"));
        }
        self.check_name_free(&secret_type, &name, &group, "")?;
        let version_metadata = checked_metadata(&body, "version_custom_metadata")?;
        let (version_id, id) = (self.ids.uuid(), self.ids.uuid());
        let mut fresh = self.first(kind, &Making { now, body: &body, group: &group, name: &name })?;
        let expiration_date = match fresh.expiry {
            Expiry::Own(date) => date,
            Expiry::OfSecret => None,
        };
        self.check_expiry(expiration_date, now)?;
        let fields = fresh.secret_fields.take().unwrap_or_default();
        let (life, inner) = (fresh.life, fresh.inner.take().map(Arc::new));
        let mut version = fresh.version(version_id, now, expiration_date);
        version.custom_metadata = version_metadata;
        let mut secret = Secret {
            id,
            group,
            secret_type,
            name,
            description,
            labels,
            custom_metadata,
            created_at: now,
            updated_at: now,
            retrieved_at: None,
            downloaded: false,
            life,
            expiration_date,
            next_rotation_date: self.next_rotation(&fields, now),
            wake_at: None,
            fields,
            inner,
            versions: vec![Arc::new(version)],
            tasks: Vec::new(),
        };
        match kind {
            SecretKind::CustomCredentials => {
                let version = secret.current().map(|version| version.id.clone()).unwrap_or_default();
                self.enqueue(now, &mut secret, TaskKind::CreateCredentials, TaskTrigger::SecretCreation, version, None);
            }
            SecretKind::PublicCert => self.order_first(now, &mut secret),
            // Every version of this type has a certificate, so there is none yet.
            SecretKind::ImportedCert if secret.life == SecretState::PreActivation => secret.versions.clear(),
            _ => {}
        }
        let answer = Answer::created(self.renderer.secret(&secret));
        self.put_secret(secret);
        Ok(answer)
    }

    /// Returns the next rotation of a secret, if the instance rotates automatically.
    pub(crate) fn next_rotation(&self, fields: &JsonObject, from: Timestamp) -> Option<Timestamp> {
        next_rotation(fields, from).filter(|_| self.switches.auto_rotates)
    }

    pub(crate) fn check_expiry(&self, expiration: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
        if self.switches.past_expiration_refused && expiration.is_some_and(|date| date <= now) {
            return Err(Refusal::invalid("The expiration date must be in the future."));
        }
        Ok(())
    }

    pub(crate) fn get_secret(&mut self, now: Timestamp, id: &str) -> Result<Answer, Refusal> {
        let found = self.secret(id)?;
        if found.versions.is_empty() {
            return Ok(Answer::ok(self.read_request(now, id)?));
        }
        let secret = self.read_version(now, id, "current")?;
        Ok(Answer::ok(self.renderer.secret(&secret)))
    }

    /// Reads a secret without versions: a signing request including its key, or an order.
    fn read_request(&mut self, now: Timestamp, id: &str) -> Result<Zeroizing<String>, Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let answer = self.renderer.secret(&secret);
        if Managed::of(&secret).is_some() {
            secret.downloaded = true;
            secret.retrieved_at = Some(now);
            self.put_secret(secret);
        }
        Ok(answer)
    }

    pub(crate) fn get_secret_by_name(
        &mut self,
        now: Timestamp,
        group_name: &str,
        secret_type: &str,
        name: &str,
    ) -> Result<Answer, Refusal> {
        let secrets = self.index.named(secret_type, name).filter_map(|id| self.items.secrets.get(id));
        let in_group = |secret: &&Arc<Secret>| {
            self.items.groups.get(secret.group.as_str()).is_some_and(|group| group.name == group_name)
        };
        let found = secrets.into_iter().find(in_group).map(|secret| secret.id.clone());
        self.get_secret(now, &found.ok_or_else(|| Refusal::missing("The secret"))?)
    }

    /// Applies all effects of reading a version's payload.
    pub(crate) fn read_version(&mut self, now: Timestamp, id: &str, version: &str) -> Result<Arc<Secret>, Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        // A destroyed secret gets no new key.
        let alive = secret.life != SecretState::Destroyed;
        if let Some(act) = ForbiddenAct::of_reading(&secret).filter(|_| alive) {
            if act.destroys && secret.locks_total() > 0 {
                return Err(Refusal::locked());
            }
            if act.destroys {
                self.replace_api_key(now, &mut secret);
            }
            self.forbidden.push(act);
        }
        let Some(read) = secret.versions.get_mut(index).filter(|version| version.payload.is_some()) else {
            return Ok(Arc::new(secret));
        };
        Arc::make_mut(read).downloaded = true;
        secret.downloaded = true;
        secret.retrieved_at = Some(now);
        if self.switches.reads_move_updated_at {
            secret.updated_at = now;
        }
        self.put_secret(secret);
        self.secret(id).cloned()
    }

    pub(crate) fn get_metadata(&self, id: &str) -> Result<Answer, Refusal> {
        Ok(Answer::ok(self.renderer.secret_metadata(self.secret(id)?)))
    }

    pub(crate) fn patch_metadata(&mut self, now: Timestamp, id: &str, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let mut secret = (**self.secret(id)?).clone();
        // Planted secrets of unknown types accept the common members.
        let kind = SecretKind::of(&secret.secret_type);
        body.only(&[&COMMON_PATCH[..], kind.map_or(&[], SecretKind::patch_members)].concat())?;
        self.patch_common(&body, &mut secret)?;
        let rotates = match kind {
            Some(kind) => self.patch_kind(kind, now, &body, &mut secret)?,
            None => false,
        };
        // The policy of a destroyed secret may be changed, but has no effect.
        let over = secret.life == SecretState::Destroyed;
        secret.next_rotation_date = secret.next_rotation_date.filter(|_| !over);
        secret.updated_at = now;
        let (before, noted) = (Arc::clone(self.secret(id)?), self.changes.len());
        self.put_secret(secret);
        if rotates && !over && self.switches.rotation_patch_rotates {
            let rotated = self.rotate(now, id);
            if rotated.is_err() {
                // The request is atomic: if the rotation fails, undo the patch.
                self.put_secret((*before).clone());
                self.changes.truncate(noted);
            }
            rotated?;
        }
        self.get_metadata(id)
    }

    fn patch_common(&self, body: &InputBody<'_>, secret: &mut Secret) -> Result<(), Refusal> {
        match body.patched_string("name")? {
            Patched::Absent => {}
            Patched::Clear => return Err(Refusal::invalid("The field 'name' cannot be cleared.")),
            Patched::Set(name) => {
                rules::secret_name(&name)?;
                self.check_name_free(&secret.secret_type, &name, &secret.group, &secret.id)?;
                secret.name = name;
            }
        }
        body.patched_string("description")?.apply(&mut secret.description);
        secret.description.as_deref().map_or(Ok(()), rules::description)?;
        let mut labels = Some(std::mem::take(&mut secret.labels));
        body.patched_strings("labels")?.apply(&mut labels);
        secret.labels = labels.unwrap_or_default();
        rules::labels(&secret.labels)?;
        self.patch_custom_metadata(body, "custom_metadata", &mut secret.custom_metadata)
    }

    /// Merges or replaces, depending on the switch, and checks the resulting size.
    pub(crate) fn patch_custom_metadata(
        &self,
        body: &InputBody<'_>,
        member: &str,
        target: &mut Option<Box<RawValue>>,
    ) -> Result<(), Refusal> {
        match body.patched_object(member)? {
            Patched::Set(patch) if self.switches.nested_merge => *target = Some(merge(target.as_deref(), &patch)?),
            patched => drop(patched.apply(target)),
        }
        target.as_deref().map_or(Ok(()), |text| rules::custom_metadata(member, text))
    }

    pub(crate) fn patch_expiry(
        &self,
        body: &InputBody<'_>,
        secret: &mut Secret,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let patched = body.patched_date("expiration_date")?;
        if let Patched::Set(date) = &patched {
            self.check_expiry(Some(*date), now)?;
        }
        if patched.apply(&mut secret.expiration_date) {
            let date = secret.expiration_date;
            if let Some(current) = secret.versions.first_mut() {
                Arc::make_mut(current).expiration_date = date;
            }
        }
        Ok(())
    }

    /// Returns `true` if rotation was patched and is now on.
    pub(crate) fn patch_rotation(
        &self,
        body: &InputBody<'_>,
        secret: &mut Secret,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        for member in ["rotation", "password_generation_policy"] {
            match body.patched_object(member)? {
                Patched::Absent => {}
                Patched::Clear if member == "rotation" => {
                    return Err(Refusal::invalid("The field 'rotation' cannot be cleared."));
                }
                Patched::Clear => drop(secret.fields.remove(member)),
                Patched::Set(patch) => {
                    let merged = merge(secret.fields.get(member), &patch)?;
                    if member == "rotation" {
                        rules::rotation(&merged)?;
                    }
                    secret.fields.set(member, merged);
                }
            }
        }
        let patched = body.get("rotation").is_some();
        if patched {
            secret.next_rotation_date = self.next_rotation(&secret.fields, now);
        }
        Ok(patched && secret.next_rotation_date.is_some())
    }

    pub(crate) fn delete_secret(&mut self, now: Timestamp, id: &str, query: &Query) -> Result<Answer, Refusal> {
        let force = match query.get("force_delete") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Refusal::invalid("The parameter 'force_delete' must be true or false.")),
        };
        let secret = self.secret(id)?;
        if secret.locks_total() > 0 {
            return Err(Refusal::locked());
        }
        if !self.switches.referenced_secrets_deletable && !referenced_by(&secret.fields).is_empty() {
            return Err(Refusal::invalid("The secret is used by a configuration."));
        }
        if force || !self.end_with_credentials(now, id)? {
            self.drop_secret(id);
        }
        Ok(Answer::no_content())
    }
}

#[cfg(test)]
mod tests {
    use super::super::harness::{DAY, Machine};
    use crate::provider::embedded::options::{NameScope, Switches};

    #[test]
    fn the_payload_is_in_reads_of_it_and_in_no_metadata() {
        let mut machine = Machine::new();
        let id = machine.create("arbitrary", "token", r#""payload":"hunter2","description":"d","labels":["prod"]"#);
        assert_eq!(machine.get(&format!("secrets/{id}")).str("payload"), "hunter2");
        for path in [
            format!("secrets/{id}/metadata"),
            "secrets".into(),
            format!("secrets/{id}/versions"),
            "secrets_locks".into(),
        ] {
            let got = machine.get(&path);
            assert_eq!(got.0, 200);
            assert!(!got.1.contains("hunter2"), "{path}: {}", got.1);
        }
        let metadata = machine.get(&format!("secrets/{id}/metadata"));
        assert_eq!((metadata.raw("state"), metadata.str("state_description")), ("1".into(), "active".into()));
        assert_eq!((metadata.raw("versions_total"), metadata.raw("locks_total")), ("1".into(), "0".into()));
        assert_eq!(metadata.str("secret_group_id"), "default");
        assert!(metadata.str("crn").ends_with(&format!(":5c1a3b2e-0f4d-4a6b-8c7d-9e0f1a2b3c4d:secret:{id}")));
    }

    #[test]
    fn a_read_is_remembered_and_moves_updated_at_only_when_switched() {
        for moves in [false, true] {
            let mut machine = Machine::with(Switches { reads_move_updated_at: moves, ..Switches::default() });
            let id = machine.arbitrary("token");
            let before = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!(
                (before.raw("downloaded"), before.str("retrieved_at")),
                ("false".into(), "1970-01-01T00:00:00.000Z".into())
            );
            machine.later(5);
            machine.get(&format!("secrets/{id}"));
            let after = machine.get(&format!("secrets/{id}/metadata"));
            assert_eq!(
                (after.raw("downloaded"), after.str("retrieved_at")),
                ("true".into(), "2026-11-22T14:00:00.255Z".into())
            );
            assert_eq!(after.str("updated_at") != before.str("updated_at"), moves);
        }
    }

    #[test]
    fn names_are_unique_with_their_type_in_the_scope_of_the_switch() {
        for (scope, second) in [(NameScope::Instance, 409), (NameScope::Group, 201)] {
            let switches = Switches { unique_names: scope, name_conflict_status: 409, ..Switches::default() };
            let mut machine = Machine::with(switches);
            let group = machine.post("secret_groups", r#"{"name":"other"}"#).str("id");
            machine.arbitrary("token");
            let again = r#"{"secret_type":"arbitrary","name":"token","payload":"v"}"#;
            assert_eq!(machine.post("secrets", again).0, 409);
            let elsewhere = again.replacen('{', &format!(r#"{{"secret_group_id":"{group}","#), 1);
            assert_eq!(machine.post("secrets", &elsewhere).0, second);
            machine.create("kv", "token", r#""data":{"a":1}"#);
            let other = machine.arbitrary("other");
            assert_eq!(machine.patch(&format!("secrets/{other}/metadata"), r#"{"name":"token"}"#).0, 409);
            assert_eq!(machine.patch(&format!("secrets/{other}/metadata"), r#"{"name":"other"}"#).0, 200);
        }
    }

    #[test]
    fn a_freed_name_can_be_taken_again() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        machine.patch(&format!("secrets/{id}/metadata"), r#"{"name":"renamed"}"#);
        machine.arbitrary("token");
        assert_eq!(machine.delete(&format!("secrets/{id}")).0, 204);
        machine.arbitrary("renamed");
    }

    #[test]
    fn a_secret_is_found_by_group_type_and_name() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let path = "secret_groups/default/secret_types/arbitrary/secrets/token";
        let got = machine.get(path);
        assert_eq!((got.str("id"), got.str("payload")), (id, "v1".into()));
        assert_eq!(machine.get(&path.replace("default", "elsewhere")).0, 404);
        assert_eq!(machine.get(&path.replace("arbitrary", "kv")).0, 404);
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_clears() {
        let mut machine = Machine::new();
        let id = machine.create(
            "arbitrary",
            "token",
            r#""payload":"v","description":"d","labels":["prod"],"custom_metadata":{"a":1.0,"b":{"c":1}},"expiration_date":"2030-01-01T00:00:00Z""#,
        );
        let path = format!("secrets/{id}/metadata");
        let got = machine.patch(&path, r#"{"custom_metadata":{"b":{"d":1e400}}}"#);
        assert_eq!(got.raw("custom_metadata"), r#"{"a":1.0,"b":{"c":1,"d":1e400}}"#);
        assert_eq!((got.str("description"), got.raw("labels")), ("d".into(), r#"["prod"]"#.into()));
        assert_eq!(got.str("expiration_date"), "2030-01-01T00:00:00Z");
        let got =
            machine.patch(&path, r#"{"description":null,"labels":null,"custom_metadata":null,"expiration_date":null}"#);
        assert!(!got.has("description") && !got.has("custom_metadata") && !got.has("expiration_date"));
        assert_eq!(got.raw("labels"), "[]");
        let version = machine.get(&format!("secrets/{id}/versions/current/metadata"));
        assert!(!version.has("expiration_date"));
        assert_eq!(machine.patch(&path, r#"{"name":null}"#).0, 400);
        assert_eq!(machine.patch(&path, r#"{"secret_group_id":"default"}"#).0, 400);
        assert_eq!(machine.patch(&path, "[]").0, 400);
    }

    #[test]
    fn a_patch_replaces_custom_metadata_when_switched() {
        let mut machine = Machine::with(Switches { nested_merge: false, ..Switches::default() });
        let id = machine.create("kv", "token", r#""data":{"a":1},"custom_metadata":{"a":1}"#);
        let got = machine.patch(&format!("secrets/{id}/metadata"), r#"{"custom_metadata":{"b":null}}"#);
        assert_eq!(got.raw("custom_metadata"), r#"{"b":null}"#);
    }

    #[test]
    fn a_refused_patch_changes_nothing() {
        let mut machine = Machine::new();
        let id = machine.arbitrary("token");
        let before = machine.get(&format!("secrets/{id}/metadata")).1;
        machine.later(5);
        let bad = format!(r#"{{"description":"new","labels":["{}"]}}"#, "x".repeat(65));
        assert_eq!(machine.patch(&format!("secrets/{id}/metadata"), &bad).0, 400);
        assert_eq!(machine.get(&format!("secrets/{id}/metadata")).1, before);
    }

    #[test]
    fn create_refuses_what_breaks_a_rule() {
        let mut machine = Machine::new();
        for (body, why) in [
            (r#"{"name":"ab","payload":"v"}"#, "no type"),
            (r#"{"secret_type":"unheard_of","name":"ab"}"#, "unknown type"),
            (r#"{"secret_type":"public_cert","name":"ab"}"#, "not issued here"),
            (r#"{"secret_type":"arbitrary","name":"ab"}"#, "no payload"),
            (r#"{"secret_type":"arbitrary","name":"ab","payload":7}"#, "payload is no string"),
            (r#"{"secret_type":"arbitrary","name":"a","payload":"v"}"#, "short name"),
            (r#"{"secret_type":"arbitrary","name":"ab","payload":"v","id":"x"}"#, "read-only member"),
            (r#"{"secret_type":"arbitrary","name":"ab","payload":"v","labels":"x"}"#, "labels are no list"),
            (r#"{"secret_type":"arbitrary","name":"ab","payload":"v","expiration_date":"tomorrow"}"#, "no date"),
            (
                r#"{"secret_type":"arbitrary","name":"ab","payload":"v","expiration_date":"2020-01-01T00:00:00Z"}"#,
                "past",
            ),
            (r#"{"secret_type":"kv","name":"ab","data":{}}"#, "empty data"),
            (
                r#"{"secret_type":"kv","name":"ab","data":{"a":1},"expiration_date":"2030-01-01T00:00:00Z"}"#,
                "kv expires",
            ),
            (r#"{"secret_type":"username_password","name":"ab","password":"123456"}"#, "no username"),
            (r#"{"secret_type":"username_password","name":"ab","username":"ab","password":"12345"}"#, "short password"),
            (r#"{"secret_type":"imported_cert","name":"ab","managed_csr":{}}"#, "managed request"),
        ] {
            assert_eq!(machine.post("secrets", body).0, 400, "{why}");
        }
        let lost = r#"{"secret_type":"arbitrary","name":"ab","payload":"v","secret_group_id":"none"}"#;
        assert_eq!(machine.post("secrets", lost).0, 404);
        assert_eq!(machine.get("secrets").raw("total_count"), "0");
    }

    #[test]
    fn a_password_is_generated_by_its_policy_when_none_is_given() {
        let mut machine = Machine::new();
        let id = machine.create(
            "username_password",
            "user",
            r#""username":"svc","password_generation_policy":{"length":12,"include_symbols":false}"#,
        );
        let first = machine.get(&format!("secrets/{id}"));
        assert_eq!((first.str("username"), first.str("password").len()), ("svc".into(), 12));
        assert_eq!(first.raw("rotation"), r#"{"auto_rotate":false}"#);
        let next = machine.post(&format!("secrets/{id}/versions"), "{}");
        assert_eq!((next.str("username"), next.str("password").len()), ("svc".into(), 12));
        assert_ne!(next.str("password"), first.str("password"));
        assert_eq!(machine.post(&format!("secrets/{id}/versions"), r#"{"username":"other"}"#).0, 400);
    }

    #[test]
    fn turning_rotation_on_rotates_at_once_only_when_switched() {
        for (rotates, versions) in [(false, "1"), (true, "2")] {
            let mut machine = Machine::with(Switches { rotation_patch_rotates: rotates, ..Switches::default() });
            let id = machine.create("username_password", "user", r#""username":"svc","password":"123456""#);
            let on = r#"{"rotation":{"auto_rotate":true,"interval":30,"unit":"day"}}"#;
            let got = machine.patch(&format!("secrets/{id}/metadata"), on);
            assert_eq!(got.raw("versions_total"), versions);
            assert_eq!(got.str("next_rotation_date"), "2026-12-22T14:00:00.250Z");
            let off = machine.patch(&format!("secrets/{id}/metadata"), r#"{"rotation":{"auto_rotate":false}}"#);
            assert!(!off.has("next_rotation_date"));
            machine.later(400 * DAY);
            assert_eq!(machine.get(&format!("secrets/{id}/metadata")).raw("versions_total"), versions);
        }
    }
}
