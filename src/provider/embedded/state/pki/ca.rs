//! Creation and patching of certificate authority configurations.

use std::sync::Arc;

use super::super::InstanceState;
use super::super::data::Configuration;
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::authority::{Authority, INTERMEDIATE, ROOT, later, text};
use super::duration;
use super::issue::{self, CertificateSpec, Issuer, SubjectRole, ValidityPeriod};
use super::key::{Algorithm, CertificateKey};
use super::members::{self, MemberShape, MemberTable, flag, integer, one_of};
use super::names::{self, Sans};
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};

/// Minimum `max_ttl` of an authority: an hour, in seconds.
const HOUR: u64 = 3_600;
/// Maximum `max_ttl`, in hours.
const MOST_HOURS: u64 = 876_000;
/// Default validity of a revocation list, in seconds.
const CRL_EXPIRY: u64 = 72 * HOUR;
/// Backdating of a certificate for clock differences, in milliseconds.
pub(crate) const BACKDATE: i64 = 30_000;
/// Maximum number of authorities per type in an instance.
const LIMIT: usize = 10;

const COMMON: MemberTable = &[
    ("crypto_key", MemberShape::Object),
    ("crl_disable", MemberShape::Flag),
    ("crl_distribution_points_encoded", MemberShape::Flag),
    ("issuing_certificates_urls_encoded", MemberShape::Flag),
    ("common_name", MemberShape::Text),
    ("alt_names", MemberShape::Texts),
    ("ip_sans", MemberShape::Text),
    ("uri_sans", MemberShape::Text),
    ("other_sans", MemberShape::Texts),
    ("format", MemberShape::Text),
    ("private_key_format", MemberShape::Text),
    ("key_type", MemberShape::Text),
    ("key_bits", MemberShape::Number),
    ("exclude_cn_from_sans", MemberShape::Flag),
    ("ou", MemberShape::Texts),
    ("organization", MemberShape::Texts),
    ("country", MemberShape::Texts),
    ("locality", MemberShape::Texts),
    ("province", MemberShape::Texts),
    ("street_address", MemberShape::Texts),
    ("postal_code", MemberShape::Texts),
    ("serial_number", MemberShape::Text),
];
const OF_ROOT: MemberTable = &[("max_path_length", MemberShape::Number), ("permitted_dns_domains", MemberShape::Texts)];
const OF_INTERMEDIATE: MemberTable = &[("signing_method", MemberShape::Text), ("issuer", MemberShape::Text)];
const PATCHED: MemberTable = &[
    ("crl_disable", MemberShape::Flag),
    ("crl_distribution_points_encoded", MemberShape::Flag),
    ("issuing_certificates_urls_encoded", MemberShape::Flag),
];

/// Returns `max_ttl` of a body, in seconds.
fn max_ttl(body: &InputBody<'_>) -> Result<Option<u64>, Refusal> {
    duration::member(body, "max_ttl", HOUR, MOST_HOURS * HOUR)
}

fn crl_expiry(body: &InputBody<'_>) -> Result<Option<u64>, Refusal> {
    duration::member(body, "crl_expiry", 1, MOST_HOURS * HOUR)
}

impl InstanceState {
    /// Creates an authority: a root signs itself, an intermediate creates a signing request.
    pub(crate) fn create_authority(
        &mut self,
        now: Timestamp,
        config_type: &str,
        name: String,
        body: &InputBody<'_>,
    ) -> Result<Arc<Configuration>, Refusal> {
        let root = config_type == ROOT;
        let tables = [COMMON, if root { OF_ROOT } else { OF_INTERMEDIATE }];
        let ttl = ["config_type", "name", "max_ttl", "crl_expiry", "ttl"];
        body.only(&members::names(&tables, if root { &ttl } else { &ttl[..4] }))?;
        self.check_limit(config_type, LIMIT)?;
        let mut settings = members::given(body, &tables)?;
        self.check_crypto_key(&settings)?;
        let common_name = body.required_string("common_name")?;
        let max_ttl = max_ttl(body)?.ok_or_else(|| Refusal::invalid("The field 'max_ttl' is required."))?;
        let ttl = if root { Some(duration::member(body, "ttl", 1, max_ttl)?.unwrap_or(max_ttl)) } else { None };
        let algorithm = defaults(&mut settings, root)?;
        if !root {
            self.check_signing(&settings)?;
        }
        let subject_serial = settings.remove("serial_number").and_then(|serial| crate::model::json::as_str(&serial));
        let mut authority = Authority {
            config_type: config_type.to_owned(),
            name,
            settings,
            subject_serial,
            max_ttl,
            crl_expiry: crl_expiry(body)?.unwrap_or(CRL_EXPIRY),
            ttl,
            key: None,
            csr: None,
            certificate: None,
            chain: Vec::new(),
            revoked_at: None,
            revocations: Vec::new(),
            crl: None,
            crl_number: 0,
        };
        let wanted = authority.wanted(&common_name)?;
        let key = CertificateKey::generate(algorithm, &mut self.ids)?;
        authority.key = Some(Arc::new(Payload::new(key.to_pem()?)));
        if root {
            let life = ValidityPeriod { from: now.plus_millis(-BACKDATE), to: later(now, ttl.unwrap_or(max_ttl)) };
            let issuer = Issuer { certificate: None, key: &key };
            let serial = issue::serial(&mut self.ids);
            let signed = issue::certificate(&wanted, key.public()?, &issuer, &serial, life)?;
            authority.certificate = Some(issue::to_pem(&signed)?);
            authority.renew_crl(now)?;
        } else {
            authority.csr = Some(issue::request(wanted.subject, &wanted.sans, SubjectRole::Authority(None), &key)?);
        }
        self.put_authority(&authority, now);
        self.kept(config_type, &authority.name)
    }

    /// Changes the mutable members of an authority; `null` restores a default.
    pub(crate) fn patch_authority(
        &mut self,
        now: Timestamp,
        mut authority: Authority,
        body: &InputBody<'_>,
    ) -> Result<Arc<Configuration>, Refusal> {
        body.only(&members::names(&[PATCHED], &["max_ttl", "crl_expiry"]))?;
        if body.clears("max_ttl") {
            return Err(Refusal::invalid("The field 'max_ttl' cannot be cleared."));
        }
        if let Some(seconds) = max_ttl(body)? {
            authority.max_ttl = seconds;
        }
        let cleared = body.clears("crl_expiry").then_some(CRL_EXPIRY);
        if let Some(seconds) = crl_expiry(body)?.or(cleared) {
            authority.crl_expiry = seconds;
        }
        for (name, _) in PATCHED.iter().filter(|(name, _)| body.clears(name)) {
            authority.settings.set(name, raw(&false));
        }
        for (name, value) in members::given(body, &[PATCHED])?.iter() {
            authority.settings.set(name, value.to_owned());
        }
        if body.has("crl_disable") {
            authority.renew_crl(now)?;
        }
        self.put_authority(&authority, now);
        self.kept(&authority.config_type, &authority.name)
    }

    /// Checks a key in a hardware module: the module must be fully named, and the secret with its PIN must exist.
    fn check_crypto_key(&self, settings: &JsonObject) -> Result<(), Refusal> {
        let Some(key) = settings.object("crypto_key") else { return Ok(()) };
        let provider = key.object("provider");
        let provider = provider.ok_or_else(|| Refusal::invalid("The field 'crypto_key.provider' is required."))?;
        let wrong = |member: &str| Refusal::invalid(format!("The field 'crypto_key.provider.{member}' is wrong."));
        let member = |name: &str| provider.str(name).filter(|text| !text.is_empty()).ok_or_else(|| wrong(name));
        if member("type")? != "hyper_protect_crypto_services" {
            return Err(wrong("type"));
        }
        for name in ["instance_crn", "private_keystore_id"] {
            member(name)?;
        }
        const PIN: &str = "pin_iam_credentials_secret_id";
        let secret = self.items.secrets.get(member(PIN)?.as_str());
        if secret.is_some_and(|secret| secret.secret_type == "iam_credentials") { Ok(()) } else { Err(wrong(PIN)) }
    }

    /// Checks the signing method of an intermediate.
    fn check_signing(&self, settings: &JsonObject) -> Result<(), Refusal> {
        match settings.str("signing_method").as_deref() {
            Some("external") => Ok(()),
            Some("internal") => {
                let issuer = settings.str("issuer");
                let issuer = issuer.ok_or_else(|| {
                    Refusal::invalid("The field 'issuer' is required when 'signing_method' is internal.")
                })?;
                match self.authority(&issuer) {
                    Some(_) => Ok(()),
                    None => Err(Refusal::invalid("The field 'issuer' names no certificate authority.")),
                }
            }
            _ => Err(Refusal::invalid("The field 'signing_method' must be internal or external.")),
        }
    }

    /// Returns a configuration that was just stored.
    pub(crate) fn kept(&self, config_type: &str, name: &str) -> Result<Arc<Configuration>, Refusal> {
        let found = self.items.configurations.get(format!("{config_type}/{name}").as_str());
        found.cloned().ok_or_else(|| Refusal::missing("The configuration"))
    }
}

/// Adds the provider's defaults, and returns the algorithm of the key to generate.
fn defaults(settings: &mut JsonObject, root: bool) -> Result<Algorithm, Refusal> {
    one_of(settings, "format", &["pem", "pem_bundle"])?;
    one_of(settings, "private_key_format", &["der", "pkcs8"])?;
    one_of(settings, "key_type", &["rsa", "ec"])?;
    let bits = integer(settings, "key_bits").map(|bits| u64::try_from(bits).unwrap_or(1));
    let algorithm = Algorithm::parse(settings.str("key_type").as_deref(), bits)?;
    settings.set("key_type", text(algorithm.key_type()));
    settings.set("key_bits", raw(&algorithm.key_bits()));
    let off =
        ["crl_disable", "crl_distribution_points_encoded", "issuing_certificates_urls_encoded", "exclude_cn_from_sans"];
    for name in off {
        if settings.get(name).is_none() {
            settings.set(name, raw(&false));
        }
    }
    for (name, otherwise) in [("format", "pem"), ("private_key_format", "der")] {
        if settings.get(name).is_none() {
            settings.set(name, text(otherwise));
        }
    }
    if root {
        let depth = depth(settings)?.map_or(-1, i64::from);
        settings.set("max_path_length", raw(&depth));
    }
    Ok(algorithm)
}

impl Authority {
    /// Returns the specification of its certificate or signing request.
    pub(crate) fn wanted(&self, common_name: &str) -> Result<CertificateSpec, Refusal> {
        let mut members = self.settings.clone();
        if let Some(serial) = &self.subject_serial {
            members.set("serial_number", text(serial));
        }
        let mut sans = Sans::parse(&members)?;
        if !flag(&members, "exclude_cn_from_sans", false) {
            sans.add_common_name(common_name);
        }
        Ok(CertificateSpec {
            subject: names::subject(&members, Some(common_name))?,
            sans,
            role: SubjectRole::Authority(depth(&members)?),
            key_usage: Some(issue::authority_usage()),
            permitted_domains: names::strings(&members, "permitted_dns_domains"),
            ..CertificateSpec::default()
        })
    }
}

/// Returns `max_path_length`; `None` means no limit.
pub(crate) fn depth(members: &JsonObject) -> Result<Option<u8>, Refusal> {
    match integer(members, "max_path_length") {
        None | Some(-1) => Ok(None),
        Some(depth) if (0..=10).contains(&depth) => Ok(u8::try_from(depth).ok()),
        Some(_) => Err(Refusal::invalid("The field 'max_path_length' must be -1 to 10.")),
    }
}

/// True for the configuration type of an authority.
pub(crate) fn is_authority(config_type: &str) -> bool {
    [ROOT, INTERMEDIATE].contains(&config_type)
}
