//! `public_cert`: ordered from a public certificate authority.

use super::super::InstanceState;
use super::super::data::{Secret, SecretState};
use super::super::input::{InputBody, Patched};
use super::super::merge::merge;
use super::super::pki::members::{self, MemberShape, MemberTable};
use super::super::pki::{Algorithm, checked_rotation, is_host, ordered_version, strings};
use super::super::refusal::Refusal;
use super::super::{Answer, rules};
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh};
use crate::provider::embedded::state::rules::checked_metadata;

/// Maximum number of alternative names.
const ALT_NAMES: usize = 99;
const INPUTS: MemberTable = &[
    ("common_name", MemberShape::Text),
    ("alt_names", MemberShape::Texts),
    ("key_algorithm", MemberShape::Text),
    ("ca", MemberShape::Text),
    ("dns", MemberShape::Text),
    ("bundle_certs", MemberShape::Flag),
];
pub(super) const CREATE: [&str; 7] =
    ["common_name", "alt_names", "key_algorithm", "ca", "dns", "bundle_certs", "rotation"];
pub(super) const VERSION: [&str; 1] = ["rotation"];
pub(super) const PATCH: [&str; 1] = ["rotation"];

impl InstanceState {
    pub(super) fn first_public_cert(&self, body: &InputBody<'_>) -> Result<Fresh, Refusal> {
        let mut fields = members::given(body, &[INPUTS])?;
        for required in ["ca", "dns"] {
            body.required_string(required)?;
        }
        let mut names = strings(&fields, "alt_names");
        if names.len() > ALT_NAMES {
            return Err(Refusal::invalid("The field 'alt_names' must have at most 99 items."));
        }
        names.extend(fields.str("common_name"));
        if names.is_empty() {
            return Err(Refusal::invalid("One of the fields 'common_name' and 'alt_names' is required."));
        }
        if !names.iter().all(|name| is_host(name)) {
            return Err(Refusal::invalid("The fields 'common_name' and 'alt_names' must be names of hosts."));
        }
        for (name, otherwise) in [("key_algorithm", raw("RSA2048")), ("bundle_certs", raw(&true))] {
            if fields.get(name).is_none() {
                fields.set(name, otherwise);
            }
        }
        Algorithm::of_public(&fields.str("key_algorithm").unwrap_or_default())?;
        fields.set("rotation", checked_rotation(body.get("rotation"))?);
        Ok(Fresh {
            payload: None,
            expiry: Expiry::Own(None),
            secret_fields: Some(fields),
            version_fields: JsonObject::default(),
            life: SecretState::PreActivation,
            inner: None,
        })
    }

    /// Places the first order of a new secret.
    pub(in super::super) fn order_first(&mut self, now: Timestamp, secret: &mut Secret) {
        let metadata = secret.current().and_then(|version| version.custom_metadata.clone());
        let mut order = self.place_order(now, &secret.fields, true, false, metadata);
        if self.switches.ordered_has_version {
            order.version_id = secret.current().map_or(order.version_id, |version| version.id.clone());
        } else {
            secret.versions.clear();
        }
        secret.wait_for(&order);
    }

    /// Orders a new version, which is issued later.
    pub(in super::super) fn reorder_public_cert(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        mut secret: Secret,
    ) -> Result<Answer, Refusal> {
        if !matches!(secret.life, SecretState::Active | SecretState::Deactivated) || secret.inner.is_some() {
            return Err(Refusal::invalid("The secret has an order that is not done."));
        }
        rules::check_room(&secret)?;
        let rotation = body.object("rotation")?;
        let rotation = rotation.ok_or_else(|| Refusal::invalid("The field 'rotation' is required."))?;
        let rotation = JsonObject::parse(rotation.get()).unwrap_or_default();
        let metadata = checked_metadata(body, "version_custom_metadata")?;
        let rotate_keys = rotation.bool("rotate_keys").unwrap_or(false);
        let fields = secret.fields.clone();
        let order = self.place_order(now, &fields, rotate_keys, false, metadata);
        if secret.life == SecretState::Deactivated {
            secret.life = SecretState::PreActivation;
            if self.switches.ordered_has_version {
                // The version of a failed order never had a payload.
                secret.versions.clear();
                secret.versions.push(std::sync::Arc::new(ordered_version(&order, now)));
            }
        }
        let custom_metadata = checked_metadata(body, "custom_metadata")?;
        if custom_metadata.is_some() && self.switches.version_sets_custom_metadata {
            secret.custom_metadata = custom_metadata;
        }
        secret.wait_for(&order);
        secret.updated_at = now;
        let version = ordered_version(&order, now);
        let answer = Answer::created(self.renderer.ordered_version(&secret, &version));
        self.put_secret(secret);
        Ok(answer)
    }

    pub(super) fn patch_public_cert(&mut self, body: &InputBody<'_>, secret: &mut Secret) -> Result<bool, Refusal> {
        match body.patched_object("rotation")? {
            Patched::Absent => {}
            Patched::Clear => return Err(Refusal::invalid("The field 'rotation' cannot be cleared.")),
            Patched::Set(patch) => {
                let merged = merge(secret.fields.get("rotation"), &patch)?;
                secret.fields.set("rotation", checked_rotation(Some(&merged))?);
                if secret.inner.is_none() {
                    secret.wake_at = self.reorder_at(secret);
                }
            }
        }
        Ok(false)
    }
}
