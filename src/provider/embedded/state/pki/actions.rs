//! Actions on authority configurations: signing, accepting a signature, revocation lists, revoking, rotating.

use serde_json::value::RawValue;
use x509_cert::Certificate;
use x509_cert::der::Encode;
use x509_cert::ext::pkix::BasicConstraints;
use zeroize::Zeroizing;

use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::text::ObjectText;
use super::super::{Answer, InstanceState};
use super::authority::{Authority, INTERMEDIATE, later, pem_list};
use super::ca::{BACKDATE, depth, is_authority};
use super::duration;
use super::issue::{self, CertificateRequest, CertificateSpec, Issuer, SubjectRole, ValidityPeriod};
use super::key::{Algorithm, CertificateKey};
use super::members::{self, MemberShape, MemberTable, flag, integer};
use super::names::{self, Sans};
use crate::model::json::JsonObject;
use crate::model::{Payload, Timestamp};

const PREFIX: &str = "private_cert_configuration_action_";

/// Certificate members of a signing action.
const SIGNING: MemberTable = &[
    ("common_name", MemberShape::Text),
    ("alt_names", MemberShape::Texts),
    ("ip_sans", MemberShape::Text),
    ("uri_sans", MemberShape::Text),
    ("other_sans", MemberShape::Texts),
    ("ttl", MemberShape::Text),
    ("format", MemberShape::Text),
    ("max_path_length", MemberShape::Number),
    ("exclude_cn_from_sans", MemberShape::Flag),
    ("permitted_dns_domains", MemberShape::Texts),
    ("use_csr_values", MemberShape::Flag),
    ("ou", MemberShape::Texts),
    ("organization", MemberShape::Texts),
    ("country", MemberShape::Texts),
    ("locality", MemberShape::Texts),
    ("province", MemberShape::Texts),
    ("street_address", MemberShape::Texts),
    ("postal_code", MemberShape::Texts),
    ("serial_number", MemberShape::Text),
];

/// A signed certificate and those above it, nearest first.
struct Signature {
    certificate: String,
    chain: Vec<String>,
    end: Timestamp,
}

impl Signature {
    /// Returns the model's `PrivateCertificateConfigurationCACertificate`.
    fn data(&self) -> Zeroizing<String> {
        let mut data = ObjectText::new();
        data.str("certificate", &self.certificate).opt_str("issuing_ca", self.chain.first().map(String::as_str));
        data.raw("ca_chain", &pem_list(&self.chain));
        data.num("expiration", u64::try_from(self.end.millis() / 1000).unwrap_or(0));
        data.finish()
    }
}

impl InstanceState {
    /// Performs one action on a configuration.
    pub(crate) fn configuration_action(
        &mut self,
        now: Timestamp,
        name: &str,
        config_type: Option<&str>,
        text: &str,
    ) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        let action_type = body.required_string("action_type")?;
        let configuration = self.configuration(name, config_type)?;
        if !is_authority(&configuration.config_type) {
            return Err(Refusal::invalid("The configuration is not a certificate authority."));
        }
        let authority = Authority::of(configuration).ok_or_else(|| Refusal::missing("The certificate authority"))?;
        let mut answer = ObjectText::new();
        answer.str("action_type", &action_type);
        match action_type.strip_prefix(PREFIX) {
            Some("rotate_crl") => {
                body.only(&["action_type"])?;
                let done = self.rotate_crl(now, authority)?;
                answer.bool("success", done);
            }
            Some("revoke_ca_certificate") => {
                body.only(&["action_type"])?;
                let at = self.revoke_authority(now, authority)?;
                answer.num("revocation_time_seconds", at);
            }
            Some("set_signed") => {
                body.only(&["action_type", "certificate"])?;
                let certificate = body.required_string("certificate")?;
                self.set_signed(now, authority, &certificate)?;
                answer.str("certificate", &certificate);
            }
            Some("sign_csr") => {
                body.only(&members::names(&[SIGNING], &["action_type", "csr"]))?;
                let csr = body.required_string("csr")?;
                let given = members::given(&body, &[SIGNING])?;
                let ttl = duration::member(&body, "ttl", 1, authority.max_ttl)?;
                let signed = self.sign_request(now, &authority, &csr, &given, ttl)?;
                echo(&mut answer, &given);
                answer.str("csr", &csr).raw("data", &signed.data());
            }
            Some("sign_intermediate") => {
                body.only(&members::names(&[SIGNING], &["action_type", "intermediate_certificate_authority"]))?;
                let child = body.required_string("intermediate_certificate_authority")?;
                let given = members::given(&body, &[SIGNING])?;
                let ttl = duration::member(&body, "ttl", 1, authority.max_ttl)?;
                self.sign_intermediate(now, &authority, &child, &given, ttl)?;
                echo(&mut answer, &given);
                answer.str("intermediate_certificate_authority", &child);
            }
            Some("rotate_intermediate") => {
                body.only(&["action_type"])?;
                let config = self.rotate_intermediate(now, authority)?;
                answer.str("name", name).raw("config", &config);
            }
            _ => return Err(Refusal::invalid("The field 'action_type' has an unknown value.")),
        }
        Ok(Answer::created(answer.finish()))
    }

    fn rotate_crl(&mut self, now: Timestamp, mut authority: Authority) -> Result<bool, Refusal> {
        authority.signer(now)?;
        if flag(&authority.settings, "crl_disable", false) {
            return Err(Refusal::invalid("Revocation lists of this certificate authority are disabled."));
        }
        authority.renew_crl(now)?;
        self.put_authority(&authority, now);
        Ok(true)
    }

    /// Revokes the certificate of an intermediate that an authority of this instance signed.
    fn revoke_authority(&mut self, now: Timestamp, mut authority: Authority) -> Result<u64, Refusal> {
        let parent = authority.settings.str("issuer").filter(|_| authority.is_internal());
        let parent = parent.and_then(|name| self.authority(&name));
        let mut parent = parent.ok_or_else(|| {
            Refusal::invalid("Only an intermediate certificate authority that was signed here can be revoked here.")
        })?;
        let certificate = authority.parsed().ok_or_else(|| Refusal::invalid("There is no certificate to revoke."))?;
        let at = *authority.revoked_at.get_or_insert(now);
        parent.revoke(issue::serial_text(certificate.tbs_certificate().serial_number().as_bytes()), at)?;
        self.put_authority(&parent, now);
        self.put_authority(&authority, now);
        Ok(u64::try_from(at.millis() / 1000).unwrap_or(0))
    }

    /// Accepts an externally signed certificate; its key must be that of the signing request.
    fn set_signed(&mut self, now: Timestamp, mut authority: Authority, pem: &str) -> Result<(), Refusal> {
        if authority.config_type != INTERMEDIATE || authority.is_internal() {
            return Err(Refusal::invalid(
                "Only an intermediate certificate authority that is signed externally takes it.",
            ));
        }
        let wrong = || Refusal::invalid("The field 'certificate' is not a PEM encoded X.509 certificate.");
        let chain = Certificate::load_pem_chain(pem.as_bytes()).map_err(|_| wrong())?;
        let (own, above) = chain.split_first().ok_or_else(wrong)?;
        if *own.tbs_certificate().subject_public_key_info() != authority.key()?.public()? {
            return Err(Refusal::invalid("The field 'certificate' is not for the key of the signing request."));
        }
        let constraints = own.tbs_certificate().get_extension::<BasicConstraints>().ok().flatten();
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
            return Err(Refusal::invalid("The field 'certificate' is not one of a certificate authority."));
        }
        if above.first().is_some_and(|issuer| !issue::is_signed_by(own, issuer)) {
            return Err(Refusal::invalid("The certificates after the first did not sign it."));
        }
        authority.certificate = Some(issue::to_pem(own)?);
        authority.chain = above.iter().map(issue::to_pem).collect::<Result<_, _>>()?;
        if authority.not_after().is_none_or(|end| end <= now) {
            return Err(Refusal::invalid("The field 'certificate' is expired."));
        }
        authority.renew_crl(now)?;
        self.put_authority(&authority, now);
        Ok(())
    }

    fn sign_intermediate(
        &mut self,
        now: Timestamp,
        parent: &Authority,
        child: &str,
        given: &JsonObject,
        ttl: Option<u64>,
    ) -> Result<(), Refusal> {
        let mut child = self.authority_of(INTERMEDIATE, child).ok_or_else(|| {
            Refusal::invalid("The field 'intermediate_certificate_authority' names no intermediate authority.")
        })?;
        if !child.is_internal() || child.settings.str("issuer").as_deref() != Some(&parent.name) {
            return Err(Refusal::invalid("The intermediate certificate authority is not issued by this one."));
        }
        if child.certificate.is_some() {
            return Err(Refusal::invalid("The intermediate certificate authority is signed already."));
        }
        let csr = child.csr.clone().ok_or_else(|| Refusal::missing("The signing request"))?;
        let ttl = ttl.unwrap_or(child.max_ttl.min(parent.max_ttl));
        let signed = self.sign_request(now, parent, &csr, given, Some(ttl))?;
        child.certificate = Some(signed.certificate);
        child.chain = signed.chain;
        child.renew_crl(now)?;
        self.put_authority(&child, now);
        Ok(())
    }

    /// Signs a request for another authority, in this instance or elsewhere.
    fn sign_request(
        &mut self,
        now: Timestamp,
        authority: &Authority,
        csr: &str,
        given: &JsonObject,
        ttl: Option<u64>,
    ) -> Result<Signature, Refusal> {
        let (certificate, key, end) = authority.signer(now)?;
        let request = CertificateRequest::parse(csr)?;
        let mut wanted = authority_from_request(&request, given, &certificate)?;
        self.add_urls(&mut wanted, authority);
        // A certificate ends with its authority at the latest.
        let life = ValidityPeriod {
            from: now.plus_millis(-BACKDATE),
            to: later(now, ttl.unwrap_or(authority.max_ttl)).min(end),
        };
        let issuer = Issuer { certificate: Some(&certificate), key: &key };
        let serial = issue::serial(&mut self.ids);
        let signed = issue::certificate(&wanted, request.public, &issuer, &serial, life)?;
        Ok(Signature { certificate: issue::to_pem(&signed)?, chain: authority.with_chain(), end: life.to })
    }

    /// Adds the URLs of the issuer's certificate and revocation list, if its settings include them.
    pub(crate) fn add_urls(&self, wanted: &mut CertificateSpec, authority: &Authority) {
        let url = |what: &str| Some(authority.url(self.host(), what));
        if flag(&authority.settings, "crl_distribution_points_encoded", false) {
            wanted.crl_url = url("crl");
        }
        if flag(&authority.settings, "issuing_certificates_urls_encoded", false) {
            wanted.issuer_url = url("ca");
        }
    }

    /// Creates a new key and certificate for an intermediate that this instance signed and that signed no other
    /// authority.
    fn rotate_intermediate(&mut self, now: Timestamp, mut authority: Authority) -> Result<Zeroizing<String>, Refusal> {
        let parent = authority.settings.str("issuer").filter(|_| authority.is_internal());
        let parent = parent.and_then(|name| self.authority(&name)).ok_or_else(|| {
            Refusal::invalid("Only an intermediate certificate authority that was signed here can be rotated.")
        })?;
        authority.signer(now)?;
        let below =
            |item: &Authority| item.is_internal() && item.settings.str("issuer").as_deref() == Some(&authority.name);
        let used = self.items.configurations.values().filter_map(|item| Authority::of(item)).any(|item| below(&item));
        if used {
            return Err(Refusal::invalid("The certificate authority signed another one and cannot be rotated."));
        }
        let bits = integer(&authority.settings, "key_bits").and_then(|bits| u64::try_from(bits).ok());
        let algorithm = Algorithm::parse(authority.settings.str("key_type").as_deref(), bits)?;
        let key = CertificateKey::generate(algorithm, &mut self.ids)?;
        let wanted = authority.wanted(&authority.settings.str("common_name").unwrap_or_default())?;
        let csr = issue::request(wanted.subject, &wanted.sans, SubjectRole::Authority(None), &key)?;
        let ttl = authority.max_ttl.min(parent.max_ttl);
        let signed = self.sign_request(now, &parent, &csr, &JsonObject::default(), Some(ttl))?;
        let mut config = ObjectText::new();
        for (name, _) in SIGNING {
            config.opt_raw(name, authority.settings.get(name).map(RawValue::get));
        }
        config.num("ttl", ttl).str("csr", &csr).raw("data", &signed.data());
        authority.key = Some(std::sync::Arc::new(Payload::new(key.to_pem()?)));
        authority.csr = Some(csr);
        authority.certificate = Some(signed.certificate);
        authority.chain = signed.chain;
        // Revocations of the old key do not apply to certificates of the new one.
        authority.revocations.clear();
        authority.renew_crl(now)?;
        self.put_authority(&authority, now);
        Ok(config.finish())
    }
}

impl Authority {
    /// Returns its certificate and those above it, nearest first.
    pub(crate) fn with_chain(&self) -> Vec<String> {
        self.certificate.iter().chain(&self.chain).cloned().collect()
    }
}

fn echo(answer: &mut ObjectText, given: &JsonObject) {
    for (name, value) in given.iter() {
        answer.raw(name, value.get());
    }
}

/// Builds the specification of a requested authority's certificate, from the action's members or else from the request.
fn authority_from_request(
    request: &CertificateRequest,
    given: &JsonObject,
    issuer: &Certificate,
) -> Result<CertificateSpec, Refusal> {
    let from_request = flag(given, "use_csr_values", false);
    let requested_name = request.subject.common_name().ok().flatten().map(|name| name.value().into_owned());
    let common_name = given.str("common_name").filter(|_| !from_request).or(requested_name);
    let subject_given = names::SUBJECT.iter().any(|(member, _)| given.get(member).is_some());
    let subject = if from_request || (!subject_given && given.get("common_name").is_none()) {
        request.subject.clone()
    } else {
        names::subject(given, common_name.as_deref())?
    };
    if subject.to_der().is_ok_and(|subject| issuer.tbs_certificate().subject().to_der().is_ok_and(|own| own == subject))
    {
        return Err(Refusal::invalid("The subject of the request is that of the certificate authority itself."));
    }
    let sans_given = ["alt_names", "ip_sans", "uri_sans", "other_sans"].iter().any(|name| given.get(name).is_some());
    let mut sans = if from_request || !sans_given { request.sans.clone() } else { Sans::parse(given)? };
    if let Some(name) = common_name.filter(|_| !flag(given, "exclude_cn_from_sans", false) && !from_request) {
        sans.add_common_name(&name);
    }
    Ok(CertificateSpec {
        subject,
        sans,
        role: SubjectRole::Authority(depth_below(issuer, depth(given)?)?),
        key_usage: Some(issue::authority_usage()),
        permitted_domains: names::strings(given, "permitted_dns_domains"),
        ..CertificateSpec::default()
    })
}

/// Returns how many authorities may be below one that this issuer signs.
fn depth_below(issuer: &Certificate, wanted: Option<u8>) -> Result<Option<u8>, Refusal> {
    let constraints = issuer.tbs_certificate().get_extension::<BasicConstraints>().ok().flatten();
    let own = constraints.and_then(|(_, constraints)| constraints.path_len_constraint);
    match own {
        None => Ok(wanted),
        Some(0) => Err(Refusal::invalid("The path length of the certificate authority allows no other below it.")),
        Some(own) if wanted.is_some_and(|wanted| wanted >= own) => {
            Err(Refusal::invalid("The field 'max_path_length' is longer than the certificate authority allows."))
        }
        Some(own) => Ok(Some(wanted.unwrap_or(own - 1))),
    }
}
