//! `imported_cert`: a certificate from elsewhere.

use zeroize::Zeroizing;

use super::super::certificate::{self, Facts};
use super::super::input::Body;
use super::super::refusal::Refusal;
use super::super::rules;
use super::{Expiry, Fresh, take};
use crate::model::json::{Object, raw};

pub(super) const CREATE: [&str; 4] = ["certificate", "intermediate", "private_key", "managed_csr"];
pub(super) const VERSION: [&str; 3] = ["certificate", "intermediate", "private_key"];
pub(super) const PATCH: [&str; 1] = ["managed_csr"];

pub(super) fn make(body: &Body<'_>) -> Result<Fresh, Refusal> {
    patch(body)?;
    let certificate = body.required_string("certificate")?;
    let intermediate = body.string("intermediate")?;
    let private_key = body.string("private_key")?.map(Zeroizing::new);
    rules::pem("certificate", &certificate)?;
    intermediate.as_deref().map_or(Ok(()), |pem| rules::pem("intermediate", pem))?;
    private_key.as_deref().map_or(Ok(()), |pem| rules::pem("private_key", pem))?;
    let facts =
        certificate::inspect(&certificate, intermediate.as_deref(), private_key.as_deref().map(String::as_str))?;
    Ok(Fresh {
        expiry: Expiry::Own(Some(facts.not_after)),
        version_fields: facts.version_fields(),
        secret_fields: Some(secret_fields(&facts, intermediate.is_some(), private_key.is_some())),
        ..Fresh::plain(take(body, &["certificate", "intermediate", "private_key"]))
    })
}

pub(super) fn patch(body: &Body<'_>) -> Result<(), Refusal> {
    if body.get("managed_csr").is_some() {
        return Err(Refusal::invalid("The embedded instance does not make managed certificate signing requests."));
    }
    Ok(())
}

fn secret_fields(facts: &Facts, intermediate: bool, private_key: bool) -> Object {
    let mut fields = facts.secret_fields();
    fields.set("intermediate_included", raw(&intermediate));
    fields.set("private_key_included", raw(&private_key));
    fields
}
