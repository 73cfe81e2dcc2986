//! Secrets: create, read, patch, delete.

use std::sync::Arc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::data::{DEFAULT_GROUP, Life, Secret};
use super::input::{Body, Patched};
use super::kinds::{Kind, next_rotation};
use super::merge::merge;
use super::plant::ForbiddenAct;
use super::refusal::Refusal;
use super::{Answer, State, rules};
use crate::model::Timestamp;
use crate::model::json::Object;

const COMMON: [&str; 7] =
    ["name", "description", "labels", "custom_metadata", "secret_group_id", "version_custom_metadata", "secret_type"];
const COMMON_PATCH: [&str; 4] = ["name", "description", "labels", "custom_metadata"];

impl State {
    pub(crate) fn create_secret(&mut self, now: Timestamp, text: &str) -> Result<Answer, Refusal> {
        let body = Body::parse(text)?;
        let secret_type = body.required_string("secret_type")?;
        let kind = Kind::parse(&secret_type)?;
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
        let mut fresh = kind.first(&body, &mut self.ids)?;
        let expiration_date = match kind {
            Kind::Arbitrary | Kind::UsernamePassword => body.date("expiration_date")?,
            Kind::Kv | Kind::ImportedCert => fresh.expiration_date,
        };
        self.check_expiry(expiration_date, now)?;
        fresh.expiration_date = expiration_date;
        let fields = fresh.secret_fields.take().unwrap_or_default();
        let mut version = fresh.version(self.ids.uuid(), now);
        version.custom_metadata = version_metadata;
        let secret = Secret {
            id: self.ids.uuid(),
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
            life: Life::Active,
            expiration_date,
            next_rotation_date: self.next_rotation(&fields, now),
            fields,
            versions: vec![Arc::new(version)],
        };
        let answer = Answer::created(self.renderer.secret(&secret));
        self.put_secret(secret);
        Ok(answer)
    }

    /// When a secret rotates next, if the instance rotates at all.
    pub(crate) fn next_rotation(&self, fields: &Object, from: Timestamp) -> Option<Timestamp> {
        next_rotation(fields, from).filter(|_| self.switches.auto_rotates)
    }

    pub(crate) fn check_expiry(&self, expiration: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
        if self.switches.past_expiration_refused && expiration.is_some_and(|date| date <= now) {
            return Err(Refusal::invalid("The expiration date must be in the future."));
        }
        Ok(())
    }

    pub(crate) fn get_secret(&mut self, now: Timestamp, id: &str) -> Result<Answer, Refusal> {
        let secret = self.read_version(now, id, "current")?;
        Ok(Answer::ok(self.renderer.secret(&secret)))
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

    /// Everything that happens to a secret when the payload of one of its versions is read.
    pub(crate) fn read_version(&mut self, now: Timestamp, id: &str, version: &str) -> Result<Arc<Secret>, Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        if let Some(act) = ForbiddenAct::of_reading(&secret) {
            if act.destroys && secret.locks_total() > 0 {
                return Err(Refusal::locked());
            }
            if act.destroys {
                self.replace_api_key(&mut secret);
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
        let body = Body::parse(text)?;
        let mut secret = (**self.secret(id)?).clone();
        let kind = Kind::parse(&secret.secret_type)?;
        body.only(&[&COMMON_PATCH[..], kind.patch_members()].concat())?;
        self.patch_common(&body, &mut secret)?;
        let mut rotates = false;
        match kind {
            Kind::Kv => {}
            Kind::ImportedCert => {
                if body.get("managed_csr").is_some() {
                    let message = "The embedded instance does not make managed certificate signing requests.";
                    return Err(Refusal::invalid(message));
                }
            }
            Kind::Arbitrary => self.patch_expiry(&body, &mut secret, now)?,
            Kind::UsernamePassword => {
                self.patch_expiry(&body, &mut secret, now)?;
                rotates = self.patch_rotation(&body, &mut secret, now)?;
            }
        }
        secret.updated_at = now;
        self.put_secret(secret);
        if rotates && self.switches.rotation_patch_rotates {
            self.rotate(now, id)?;
        }
        self.get_metadata(id)
    }

    fn patch_common(&self, body: &Body<'_>, secret: &mut Secret) -> Result<(), Refusal> {
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

    /// Merges or replaces, as the switch says, and checks the size of what comes out.
    pub(crate) fn patch_custom_metadata(
        &self,
        body: &Body<'_>,
        member: &str,
        target: &mut Option<Box<RawValue>>,
    ) -> Result<(), Refusal> {
        match body.patched_object(member)? {
            Patched::Set(patch) if self.switches.nested_merge => *target = Some(merge(target.as_deref(), &patch)?),
            patched => drop(patched.apply(target)),
        }
        target.as_deref().map_or(Ok(()), |text| rules::custom_metadata(member, text))
    }

    fn patch_expiry(&self, body: &Body<'_>, secret: &mut Secret, now: Timestamp) -> Result<(), Refusal> {
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

    /// Says whether rotation is on after the patch, and was in it.
    fn patch_rotation(&self, body: &Body<'_>, secret: &mut Secret, now: Timestamp) -> Result<bool, Refusal> {
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

    pub(crate) fn delete_secret(&mut self, id: &str) -> Result<Answer, Refusal> {
        if self.secret(id)?.locks_total() > 0 {
            return Err(Refusal::locked());
        }
        self.drop_secret(id);
        Ok(Answer::no_content())
    }

    /// What the real service does when the payload of an IAM credential without `reuse_api_key` is read.
    fn replace_api_key(&mut self, secret: &mut Secret) {
        let key = format!("minted-by-a-read-{}", self.ids.uuid());
        let mut payload = super::text::ObjectText::new();
        payload.str("api_key", &key);
        let payload: Zeroizing<String> = payload.finish();
        secret.fields.set("api_key_id", crate::model::json::raw(&format!("ApiKey-{}", self.ids.uuid())));
        if let Some(current) = secret.versions.first_mut() {
            let current = Arc::make_mut(current);
            current.payload_digest = super::payload_digest(&payload);
            current.payload = Some(Arc::new(crate::model::Payload::new(payload)));
        }
    }
}

pub(crate) fn checked_metadata(body: &Body<'_>, member: &str) -> Result<Option<Box<RawValue>>, Refusal> {
    let metadata = body.object(member)?;
    metadata.as_deref().map_or(Ok(()), |text| rules::custom_metadata(member, text))?;
    Ok(metadata)
}

/// Whether a list row says that the API key outlives a read.
pub(crate) fn reuses_api_key(secret: &Secret) -> bool {
    secret.fields.get("reuse_api_key").is_some_and(|value| value.get() == "true")
}
