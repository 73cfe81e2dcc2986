//! Renders plain data as API answers, limited to what each answer may show.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::data::{Configuration, Group, Lock, Registration, Secret, SecretVersion};
use super::pki::Managed;
use super::renderer::Renderer;
use super::tasks::SecretTask;
use super::text::{self, ObjectText};
use crate::model::json::{JsonObject, Members};
use crate::model::{Payload, Timestamp};

const IMPORTED: &str = "imported_cert";
const MANAGED_CSR: &str = "managed_csr";

impl Renderer {
    fn stamp(&self, time: Timestamp) -> String {
        text::stamp(time, self.precision)
    }

    /// Renders the metadata of a secret, as the list and the metadata endpoint show it.
    #[must_use]
    pub fn secret_metadata(&self, secret: &Secret) -> Zeroizing<String> {
        self.secret_object(secret, self.show_managed_csr_key).finish()
    }

    /// Renders a secret with the payload of its current version.
    #[must_use]
    pub fn secret(&self, secret: &Secret) -> Zeroizing<String> {
        let mut object = self.secret_object(secret, true);
        // Without a version, the signing request is the only readable content.
        let waiting = (secret.versions.is_empty() && secret.secret_type == IMPORTED).then(|| Managed::of(secret));
        object.opt_str("csr", waiting.flatten().as_ref().map(|managed| managed.csr.as_str()));
        if let Some(payload) = secret.current().and_then(|version| version.payload.as_deref()) {
            object.members_of(payload.expose());
        }
        object.finish()
    }

    fn secret_object(&self, secret: &Secret, shows_key: bool) -> ObjectText {
        let mut object = ObjectText::new();
        object.str("created_by", &self.created_by).str("created_at", &self.stamp(secret.created_at));
        object.str("crn", &format!("{}:secret:{}", self.crn.trim_end_matches(':'), secret.id));
        object.opt_raw("custom_metadata", secret.custom_metadata.as_deref().map(RawValue::get));
        object.opt_str("description", secret.description.as_deref()).bool("downloaded", secret.downloaded);
        object.str("id", &secret.id).raw("labels", &text::list(secret.labels.iter().map(|label| text::string(label))));
        object.num("locks_total", secret.locks_total() as u64).str("name", &secret.name);
        let never = Timestamp::from_millis(0);
        object.str("retrieved_at", &self.stamp(secret.retrieved_at.unwrap_or(never)));
        object.str("secret_group_id", &secret.group).str("secret_type", &secret.secret_type);
        object.num("state", secret.life.number()).str("state_description", secret.life.word());
        object.str("updated_at", &self.stamp(secret.updated_at));
        object.num("versions_total", secret.versions.len() as u64);
        object.opt_str("expiration_date", secret.expiration_date.map(text::date).as_deref());
        object.opt_str("next_rotation_date", secret.next_rotation_date.map(text::date).as_deref());
        let managed = (secret.secret_type == IMPORTED).then(|| Managed::of(secret)).flatten();
        let shown = |name: &str| name != MANAGED_CSR || managed.is_none();
        for (name, value) in secret.fields.iter().filter(|(name, _)| shown(name)) {
            object.raw(name, value.get());
        }
        if let Some(managed) = &managed {
            object.raw(MANAGED_CSR, &managed.object(shows_key));
        } else if self.show_managed_csr_key && secret.secret_type == IMPORTED {
            let payload = secret.current().and_then(|version| version.payload.as_deref());
            if let Some(managed) = payload.and_then(managed_csr) {
                object.raw(MANAGED_CSR, &managed);
            }
        }
        object
    }

    /// Renders the metadata of one version.
    #[must_use]
    pub fn version_metadata(&self, secret: &Secret, index: usize) -> Zeroizing<String> {
        self.version_object(secret, index).finish()
    }

    /// Renders an ordered version that does not exist yet.
    pub(crate) fn ordered_version(&self, secret: &Secret, version: &SecretVersion) -> Zeroizing<String> {
        self.version_members(secret, version, None).finish()
    }

    /// Renders a task.
    #[must_use]
    pub fn task(&self, secret_id: &str, task: &SecretTask) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        object.str("id", &task.id).str("created_by", &self.created_by).str("updated_by", &self.created_by);
        object.str("creation_date", &self.stamp(task.created_at));
        object.str("last_update_date", &self.stamp(task.updated_at));
        object.str("type", task.kind.word()).str("status", task.status.word()).str("trigger", task.trigger.word());
        object.str("secret_id", secret_id).str("secret_version_id", &task.version_id);
        if !task.errors.is_empty() {
            let errors = task.errors.iter().map(|error| {
                let mut object = ObjectText::new();
                object.str("code", &error.code).str("description", &error.description);
                object.finish()
            });
            object.raw("errors", &text::list(errors));
        }
        object.finish()
    }

    /// Renders a version with its payload, if it still has one.
    #[must_use]
    pub fn version(&self, secret: &Secret, index: usize) -> Zeroizing<String> {
        let mut object = self.version_object(secret, index);
        if let Some(payload) = secret.versions.get(index).and_then(|version| version.payload.as_deref()) {
            object.members_of(payload.expose());
        }
        object.finish()
    }

    fn version_object(&self, secret: &Secret, index: usize) -> ObjectText {
        let version = secret.versions.get(index);
        version.map_or_else(ObjectText::new, |version| self.version_members(secret, version, alias(index)))
    }

    fn version_members(&self, secret: &Secret, version: &SecretVersion, alias: Option<&str>) -> ObjectText {
        let mut object = ObjectText::new();
        object.bool("auto_rotated", version.auto_rotated).str("created_by", &self.created_by);
        object.str("created_at", &self.stamp(version.created_at)).bool("downloaded", version.downloaded);
        object.str("id", &version.id).str("secret_name", &secret.name).str("secret_type", &secret.secret_type);
        object.str("secret_group_id", &secret.group).str("secret_id", &secret.id);
        object.bool("payload_available", version.payload.is_some()).opt_str("alias", alias);
        object.opt_raw("version_custom_metadata", version.custom_metadata.as_deref().map(RawValue::get));
        object.opt_str("expiration_date", version.expiration_date.map(text::date).as_deref());
        add_fields(&mut object, &version.fields);
        object
    }

    /// Renders the metadata of every version, in the instance's order.
    #[must_use]
    pub fn versions(&self, secret: &Secret) -> Vec<Zeroizing<String>> {
        let mut rows: Vec<_> = (0..secret.versions.len()).map(|index| self.version_metadata(secret, index)).collect();
        if !self.versions_newest_first {
            rows.reverse();
        }
        rows
    }

    /// Renders a secret's row in the instance-wide lock list: its current and previous versions with their lock names.
    #[must_use]
    pub fn locks_row(&self, secret: &Secret) -> Zeroizing<String> {
        let rows = secret.versions.iter().take(2).enumerate();
        let rows = rows.map(|(index, version)| {
            let mut row = ObjectText::new();
            row.str("version_id", &version.id).opt_str("version_alias", alias(index));
            row.raw("locks", &text::list(version.locks.iter().map(|lock| text::string(&lock.name))));
            row.bool("payload_available", version.payload.is_some());
            row.finish()
        });
        let mut object = ObjectText::new();
        object.str("secret_id", &secret.id).str("secret_group_id", &secret.group);
        object.str("secret_type", &secret.secret_type).str("secret_name", &secret.name);
        object.raw("versions", &text::list(rows.map(|row| row.to_string())));
        object.finish()
    }

    /// Renders a lock with all details.
    #[must_use]
    pub fn lock(&self, secret: &Secret, version: &SecretVersion, index: usize, lock: &Lock) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        object.str("name", &lock.name).opt_str("description", lock.description.as_deref());
        object.opt_raw("attributes", lock.attributes.as_deref().map(RawValue::get));
        object.str("created_at", &self.stamp(lock.created_at)).str("updated_at", &self.stamp(lock.updated_at));
        object.str("created_by", &self.created_by).str("secret_group_id", &secret.group).str("secret_id", &secret.id);
        object.str("secret_version_id", &version.id).opt_str("secret_version_alias", alias(index));
        object.finish()
    }

    /// Renders a group.
    #[must_use]
    pub fn group(&self, group: &Group) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        object.str("id", &group.id).str("name", &group.name).str("description", &group.description);
        object.str("created_at", &self.stamp(group.created_at)).str("updated_at", &self.stamp(group.updated_at));
        object.str("created_by", &self.created_by);
        object.finish()
    }

    /// Renders a configuration without its secret values.
    #[must_use]
    pub fn configuration_metadata(&self, configuration: &Configuration) -> Zeroizing<String> {
        self.configuration_object(configuration).finish()
    }

    /// Renders a configuration with its secret values.
    #[must_use]
    pub fn configuration(&self, configuration: &Configuration) -> Zeroizing<String> {
        let mut object = self.configuration_object(configuration);
        if let Some(value) = configuration.value.as_deref() {
            object.members_of(value.expose());
        }
        object.finish()
    }

    fn configuration_object(&self, configuration: &Configuration) -> ObjectText {
        let mut object = ObjectText::new();
        object.str("name", &configuration.name).str("config_type", &configuration.config_type);
        object.str("secret_type", super::configurations::secret_type(&configuration.config_type));
        object.str("created_by", &self.created_by).str("created_at", &self.stamp(configuration.created_at));
        object.str("updated_at", &self.stamp(configuration.updated_at));
        add_fields(&mut object, &configuration.fields);
        object
    }

    /// Renders the registration: only the CRN is returned.
    #[must_use]
    pub fn registration(&self, registration: &Registration) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        object.str("event_notifications_instance_crn", &registration.instance_crn);
        object.finish()
    }
}

fn add_fields(object: &mut ObjectText, fields: &JsonObject) {
    for (name, value) in fields.iter() {
        object.raw(name, value.get());
    }
}

/// Returns `current`, `previous` or `None`.
pub(crate) fn alias(index: usize) -> Option<&'static str> {
    ["current", "previous"].get(index).copied()
}

/// Returns the model's `ImportedCertificateManagedCsrResponse`, with the private key of the payload.
fn managed_csr(payload: &Payload) -> Option<Zeroizing<String>> {
    let members = Members::parse(payload.expose()).ok()?.0;
    let (_, key) = members.iter().find(|(name, _)| name == "private_key")?;
    let mut object = ObjectText::new();
    for list in ["ou", "organization", "country", "locality", "province", "street_address", "postal_code"] {
        object.raw(list, "[]");
    }
    object.bool("require_cn", true).bool("exclude_cn_from_sans", false).bool("server_flag", true);
    object.bool("client_flag", true).bool("code_signing_flag", false).bool("email_protection_flag", false);
    object.str("key_type", "ec").num("key_bits", 256);
    object.str("csr", "-----BEGIN CERTIFICATE REQUEST-----\nnone\n-----END CERTIFICATE REQUEST-----\n");
    object.raw("private_key", key.get());
    Some(object.finish())
}
