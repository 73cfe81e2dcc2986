//! `private_cert`: issued by a certificate authority of the instance, from a template.

use super::super::InstanceState;
use super::super::data::{Secret, SecretState};
use super::super::input::{InputBody, Patched};
use super::super::merge::merge;
use super::super::pki::{Asked, Issued, members};
use super::super::refusal::Refusal;
use super::super::rules;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh, Making, next_rotation};
use members::{MemberShape, MemberTable};

const INPUTS: MemberTable = &[
    ("alt_names", MemberShape::Texts),
    ("ip_sans", MemberShape::Text),
    ("uri_sans", MemberShape::Text),
    ("other_sans", MemberShape::Texts),
    ("format", MemberShape::Text),
    ("private_key_format", MemberShape::Text),
    ("exclude_cn_from_sans", MemberShape::Flag),
    ("ttl", MemberShape::Text),
];
pub(super) const CREATE: [&str; 12] = [
    "certificate_template",
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "other_sans",
    "format",
    "private_key_format",
    "exclude_cn_from_sans",
    "ttl",
    "csr",
    "rotation",
];
pub(super) const VERSION: [&str; 1] = ["csr"];
pub(super) const PATCH: [&str; 1] = ["rotation"];

impl InstanceState {
    pub(super) fn first_private_cert(&mut self, making: &Making<'_>) -> Result<Fresh, Refusal> {
        let body = making.body;
        let members = members::given(body, &[INPUTS])?;
        members::one_of(&members, "format", &["pem", "pem_bundle"])?;
        members::one_of(&members, "private_key_format", &["der", "pkcs8"])?;
        let asked = Asked {
            template: body.required_string("certificate_template")?,
            common_name: body.required_string("common_name")?,
            members,
            csr: body.string("csr")?,
        };
        let mut fields = JsonObject::default();
        if let Some(rotation) = body.object("rotation")? {
            rules::rotation(&rotation)?;
            fields.set("rotation", rotation);
        } else {
            fields.set("rotation", raw(&std::collections::BTreeMap::from([("auto_rotate", false)])));
        }
        let issued = self.issue_private(making.now, &asked, making.group)?;
        check_rotation(&fields, making.now, issued.end)?;
        Ok(fresh(issued, fields, &asked))
    }

    pub(super) fn next_private_cert(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &Secret,
    ) -> Result<Fresh, Refusal> {
        let mut asked = Asked::of(secret.inner.as_deref())?;
        asked.csr = body.string("csr")?.or(asked.csr);
        let issued = self.issue_private(now, &asked, &secret.group)?;
        let mut fields = secret.fields.clone();
        fields.remove("revocation_time_seconds");
        fields.remove("revocation_time_rfc3339");
        Ok(fresh(issued, fields, &asked))
    }

    pub(super) fn patch_private_cert(
        &mut self,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        match body.patched_object("rotation")? {
            Patched::Absent => return Ok(false),
            Patched::Clear => return Err(Refusal::invalid("The field 'rotation' cannot be cleared.")),
            Patched::Set(patch) => {
                let merged = merge(secret.fields.get("rotation"), &patch)?;
                rules::rotation(&merged)?;
                secret.fields.set("rotation", merged);
            }
        }
        if let Some(end) = secret.expiration_date {
            check_rotation(&secret.fields, now, end)?;
        }
        secret.next_rotation_date = self.next_rotation(&secret.fields, now);
        Ok(secret.next_rotation_date.is_some())
    }
}

/// Rejects a rotation after the end of the certificate.
fn check_rotation(fields: &JsonObject, now: Timestamp, end: Timestamp) -> Result<(), Refusal> {
    if next_rotation(fields, now).is_some_and(|next| next > end) {
        return Err(Refusal::interval());
    }
    Ok(())
}

fn fresh(issued: Issued, mut fields: JsonObject, asked: &Asked) -> Fresh {
    fields.remove("alt_names");
    for (name, value) in issued.secret_fields.iter() {
        fields.set(name, value.to_owned());
    }
    Fresh {
        payload: Some(issued.payload),
        expiry: Expiry::Own(Some(issued.end)),
        secret_fields: Some(fields),
        version_fields: issued.version_fields,
        life: SecretState::Active,
        inner: Some(asked.to_inner()),
    }
}
