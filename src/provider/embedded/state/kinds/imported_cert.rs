//! `imported_cert`: an external certificate, or one for a signing request that the instance created.

use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::certificate::{self, Facts};
use super::super::data::{Secret, SecretState};
use super::super::input::{InputBody, Patched};
use super::super::pki::Managed;
use super::super::refusal::Refusal;
use super::super::rules;
use super::super::text::ObjectText;
use crate::model::json::{JsonObject, raw};
use crate::provider::embedded::state::fresh_version::{Expiry, Fresh};
use crate::provider::embedded::state::rules::checked_metadata;

pub(super) const CREATE: [&str; 4] = ["certificate", "intermediate", "private_key", "managed_csr"];
pub(super) const VERSION: [&str; 3] = ["certificate", "intermediate", "private_key"];
pub(super) const PATCH: [&str; 1] = ["managed_csr"];

impl InstanceState {
    /// Creates the first version. With a certificate the secret is active at once; otherwise the signing request waits
    /// for its certificate.
    pub(super) fn first_imported_cert(&mut self, body: &InputBody<'_>) -> Result<Fresh, Refusal> {
        let managed = match body.object("managed_csr")? {
            Some(member) => Some(self.manage_csr(&member, None)?),
            None => None,
        };
        let Some(mut managed) = managed else { return make(body, None) };
        if body.get("certificate").is_some() {
            let mut fresh = make(body, None)?;
            if let Some(fields) = &mut fresh.secret_fields {
                fields.set("managed_csr", managed.field());
            }
            return Ok(Fresh { inner: Some(managed.to_inner()), ..fresh });
        }
        if ["intermediate", "private_key"].iter().any(|name| body.get(name).is_some()) {
            return Err(Refusal::invalid(
                "The field 'certificate' is required beside 'intermediate' or 'private_key'.",
            ));
        }
        managed.version_custom_metadata = checked_metadata(body, "version_custom_metadata")?;
        let mut fields = JsonObject::default();
        fields.set("managed_csr", managed.field());
        Ok(Fresh {
            payload: None,
            expiry: Expiry::Own(None),
            secret_fields: Some(fields),
            version_fields: JsonObject::default(),
            life: SecretState::PreActivation,
            inner: Some(managed.to_inner()),
        })
    }

    /// Replaces the signing request. The certificate in use stays until the next version.
    pub(super) fn patch_imported_cert(&mut self, body: &InputBody<'_>, secret: &mut Secret) -> Result<(), Refusal> {
        match body.patched_object("managed_csr")? {
            Patched::Absent => Ok(()),
            Patched::Clear => Err(Refusal::invalid("The field 'managed_csr' cannot be cleared.")),
            Patched::Set(member) => {
                let managed = self.manage_csr(&member, Managed::of(secret).as_ref())?;
                secret.fields.set("managed_csr", managed.field());
                secret.inner = Some(std::sync::Arc::new(managed.to_inner()));
                Ok(())
            }
        }
    }
}

/// Creates a later version. A certificate for the instance's signing request gets that request's key.
pub(super) fn next(body: &InputBody<'_>, secret: &Secret) -> Result<Fresh, Refusal> {
    let managed = Managed::of(secret);
    let mut fresh = make(body, managed.as_ref())?;
    if let (Some(managed), Some(fields)) = (&managed, &mut fresh.secret_fields) {
        fields.set("managed_csr", managed.field());
    }
    Ok(fresh)
}

fn make(body: &InputBody<'_>, managed: Option<&Managed>) -> Result<Fresh, Refusal> {
    let certificate = body.required_string("certificate")?;
    let intermediate = body.string("intermediate")?;
    let given = body.string("private_key")?.map(Zeroizing::new);
    rules::pem("certificate", &certificate)?;
    intermediate.as_deref().map_or(Ok(()), |pem| rules::pem("intermediate", pem))?;
    given.as_deref().map_or(Ok(()), |pem| rules::pem("private_key", pem))?;
    let managed = managed.filter(|_| given.is_none());
    let private_key = given.or_else(|| managed.map(Managed::key));
    let facts = certificate::inspect(&certificate, intermediate.as_deref(), private_key.as_deref().map(String::as_str));
    let facts = facts.map_err(|refusal| {
        let unfitting = managed.is_some() && refusal.message.contains("does not match");
        if unfitting { Refusal::invalid("The certificate is not for the key of the signing request.") } else { refusal }
    })?;
    let mut payload = ObjectText::new();
    for name in ["certificate", "intermediate"] {
        payload.opt_raw(name, body.get(name).map(serde_json::value::RawValue::get));
    }
    match body.get("private_key") {
        Some(text) => payload.raw("private_key", text.get()),
        None => payload.opt_str("private_key", private_key.as_deref().map(String::as_str)),
    };
    payload.opt_str("csr", managed.map(|managed| managed.csr.as_str()));
    Ok(Fresh {
        expiry: Expiry::Own(Some(facts.not_after)),
        version_fields: facts.version_fields(),
        secret_fields: Some(secret_fields(&facts, intermediate.is_some(), private_key.is_some())),
        ..Fresh::plain(payload.finish())
    })
}

fn secret_fields(facts: &Facts, intermediate: bool, private_key: bool) -> JsonObject {
    let mut fields = facts.secret_fields();
    fields.set("intermediate_included", raw(&intermediate));
    fields.set("private_key_included", raw(&private_key));
    fields
}
