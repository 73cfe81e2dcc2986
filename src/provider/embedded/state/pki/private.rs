//! Private certificates: issued from a template, reissued, revoked.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::certificate;
use super::super::refusal::Refusal;
use super::super::text::{ObjectText, date};
use super::authority::{INTERMEDIATE, later, pem_list};
use super::duration;
use super::issue::{self, CertificateRequest, CertificateSpec, Issuer, SubjectRole, ValidityPeriod};
use super::key::CertificateKey;
use super::members::flag;
use super::names::{self, Sans};
use super::policy;
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};

/// Inputs of a certificate request, stored for reissuing. Answers do not show most of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) template: String,
    pub(crate) common_name: String,
    /// `alt_names`, `ip_sans`, `uri_sans`, `other_sans`, `format`, `private_key_format`, `exclude_cn_from_sans`, `ttl`.
    pub(crate) members: JsonObject,
    /// The customer's signing request; with one, the instance has no private key.
    pub(crate) csr: Option<String>,
}

impl Asked {
    /// Reads the internal data of a secret.
    pub(crate) fn of(inner: Option<&Payload>) -> Result<Self, Refusal> {
        let asked = inner.and_then(|inner| serde_json::from_str(inner.expose()).ok());
        asked.ok_or_else(|| Refusal::invalid("The original request of this certificate is not available."))
    }

    /// Returns the text that [`Asked::of`] reads.
    pub(crate) fn to_inner(&self) -> Payload {
        // Plain data with string keys always serializes.
        Payload::new(Zeroizing::new(serde_json::to_string(self).unwrap_or_default()))
    }
}

/// An issued certificate.
pub(crate) struct Issued {
    pub(crate) payload: Zeroizing<String>,
    /// Metadata members derived from it.
    pub(crate) secret_fields: JsonObject,
    pub(crate) version_fields: JsonObject,
    pub(crate) end: Timestamp,
}

impl InstanceState {
    /// Issues a certificate for a secret of this group.
    pub(crate) fn issue_private(&mut self, now: Timestamp, asked: &Asked, group: &str) -> Result<Issued, Refusal> {
        let template = self.template(&asked.template);
        let template =
            template.ok_or_else(|| Refusal::invalid("The field 'certificate_template' names no template."))?;
        if !template.takes_group(group) {
            return Err(Refusal::invalid("The certificate template does not allow this secret group."));
        }
        let authority = self
            .authority_of(INTERMEDIATE, &template.certificate_authority)
            .ok_or_else(|| Refusal::invalid("The certificate authority of the template does not exist any more."))?;
        let (issuer, issuer_key, issuer_end) = authority.signer(now)?;
        let request = asked.csr.as_deref().map(CertificateRequest::parse).transpose()?;
        let (common_name, sans) = names_of(asked, request.as_ref(), |name| template.flag(name))?;
        policy::check(&template, &common_name, &sans)?;
        let seconds = match asked.members.str("ttl") {
            Some(ttl) => duration::seconds("ttl", &ttl)?,
            None => template.ttl.or(template.max_ttl).unwrap_or(authority.max_ttl),
        };
        if seconds == 0 || template.max_ttl.is_some_and(|most| seconds > most) {
            return Err(Refusal::invalid("The field 'ttl' is longer than the certificate template allows."));
        }
        let mut wanted = CertificateSpec {
            subject: names::subject(&template.settings, Some(&common_name))?,
            sans,
            role: if template.flag("basic_constraints_valid_for_non_ca") {
                SubjectRole::EndEntity
            } else {
                SubjectRole::Plain
            },
            key_usage: template.usage()?,
            extended_key_usage: template.extended_usage()?,
            policies: template.policies()?,
            ..CertificateSpec::default()
        };
        self.add_urls(&mut wanted, &authority);
        let key = match request {
            Some(_) => None,
            None => Some(CertificateKey::generate(template.algorithm()?, &mut self.ids)?),
        };
        let public = match (request, &key) {
            (Some(request), _) => request.public,
            (None, Some(key)) => key.public()?,
            (None, None) => return Err(Refusal::missing("The key")),
        };
        let before = i64::try_from(template.not_before.saturating_mul(1000)).unwrap_or(0);
        let life = ValidityPeriod {
            from: now.plus_millis(-before),
            to: later(now, seconds.min(authority.max_ttl)).min(issuer_end),
        };
        let signer = Issuer { certificate: Some(&issuer), key: &issuer_key };
        let serial = issue::serial(&mut self.ids);
        let signed = issue::to_pem(&issue::certificate(&wanted, public, &signer, &serial, life)?)?;
        let facts = certificate::inspect(&signed, None, None)?;
        let mut secret_fields = facts.secret_fields();
        secret_fields.remove("alt_names");
        if let Some(names) = asked.members.get("alt_names") {
            secret_fields.set("alt_names", names.to_owned());
        }
        secret_fields.set("common_name", raw(&common_name));
        secret_fields.set("certificate_template", raw(&asked.template));
        secret_fields.set("certificate_authority", raw(&authority.name));
        Ok(Issued {
            payload: payload(&asked.members, &signed, key.as_ref(), &authority.with_chain())?,
            secret_fields,
            version_fields: facts.version_fields(),
            end: facts.not_after,
        })
    }
}

/// Returns the names of a certificate: the given ones or, if the template says so, those of the signing request.
fn names_of(
    asked: &Asked,
    request: Option<&CertificateRequest>,
    template: impl Fn(&str) -> bool,
) -> Result<(String, Sans), Refusal> {
    let mut common_name = asked.common_name.clone();
    let mut sans = Sans::parse(&asked.members)?;
    if let Some(request) = request {
        if template("use_csr_common_name") {
            let requested = request.subject.common_name().ok().flatten();
            common_name = requested.map_or(common_name, |name| name.value().into_owned());
        }
        if template("use_csr_sans") {
            sans = request.sans.clone();
        }
    }
    if !flag(&asked.members, "exclude_cn_from_sans", false) {
        sans.add_common_name(&common_name);
    }
    Ok((common_name, sans))
}

/// Returns the payload in the provider's format.
fn payload(
    members: &JsonObject,
    certificate: &str,
    key: Option<&CertificateKey>,
    chain: &[String],
) -> Result<Zeroizing<String>, Refusal> {
    let key = match (key, members.str("private_key_format").as_deref()) {
        (None, _) => None,
        (Some(key), Some("pkcs8")) => Some(key.to_pem()?),
        (Some(key), _) => Some(key.to_traditional_pem()?),
    };
    let mut payload = ObjectText::new();
    if members.str("format").as_deref() == Some("pem_bundle") {
        let mut bundle = Zeroizing::new(String::new());
        if let Some(key) = &key {
            bundle.push_str(key);
        }
        bundle.push_str(certificate);
        // A verifier already trusts the root, the last of a complete chain, so it is not bundled.
        let known = chain.len().saturating_sub(1).max(1);
        chain.iter().take(known).for_each(|pem| bundle.push_str(pem));
        payload.str("certificate", &bundle);
    } else {
        payload.str("certificate", certificate);
    }
    payload.opt_str("private_key", key.as_deref().map(String::as_str));
    payload.opt_str("issuing_ca", chain.first().map(String::as_str)).raw("ca_chain", &pem_list(chain));
    Ok(payload.finish())
}

/// Adds the time of a revocation in both formats.
pub(crate) fn revocation_fields(fields: &mut JsonObject, at: Timestamp) {
    fields.set("revocation_time_seconds", raw(&(at.millis() / 1000)));
    fields.set("revocation_time_rfc3339", raw(&date(Timestamp::from_millis(at.millis() / 1000 * 1000))));
}
