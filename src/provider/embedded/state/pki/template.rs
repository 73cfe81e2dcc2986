//! Certificate templates: the names that may be requested, and the fixed contents of certificates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::flagset::FlagSet;
use x509_cert::ext::pkix::KeyUsages;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::data::Configuration;
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::text::ObjectText;
use super::authority::INTERMEDIATE;
use super::duration;
use super::key::Algorithm;
use super::members::{self, MemberShape, MemberTable, flag, integer, one_of};
use super::names::strings;
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};

pub(crate) const TEMPLATE: &str = "private_cert_configuration_template";
/// Maximum number of templates in an instance.
const LIMIT: usize = 10;
/// Default backdating of a certificate, in seconds.
const NOT_BEFORE: u64 = 30;
/// Longest duration, in seconds: the same as for an authority.
const LONGEST: u64 = 876_000 * 3_600;

/// Members that can be patched.
const SETTINGS: MemberTable = &[
    ("allowed_secret_groups", MemberShape::Text),
    ("allow_localhost", MemberShape::Flag),
    ("allowed_domains", MemberShape::Texts),
    ("allowed_domains_template", MemberShape::Flag),
    ("allow_bare_domains", MemberShape::Flag),
    ("allow_subdomains", MemberShape::Flag),
    ("allow_glob_domains", MemberShape::Flag),
    ("allow_any_name", MemberShape::Flag),
    ("enforce_hostnames", MemberShape::Flag),
    ("allow_ip_sans", MemberShape::Flag),
    ("allowed_uri_sans", MemberShape::Texts),
    ("allowed_other_sans", MemberShape::Texts),
    ("server_flag", MemberShape::Flag),
    ("client_flag", MemberShape::Flag),
    ("code_signing_flag", MemberShape::Flag),
    ("email_protection_flag", MemberShape::Flag),
    ("key_type", MemberShape::Text),
    ("key_bits", MemberShape::Number),
    ("key_usage", MemberShape::Texts),
    ("ext_key_usage", MemberShape::Texts),
    ("ext_key_usage_oids", MemberShape::Texts),
    ("use_csr_common_name", MemberShape::Flag),
    ("use_csr_sans", MemberShape::Flag),
    ("ou", MemberShape::Texts),
    ("organization", MemberShape::Texts),
    ("country", MemberShape::Texts),
    ("locality", MemberShape::Texts),
    ("province", MemberShape::Texts),
    ("street_address", MemberShape::Texts),
    ("postal_code", MemberShape::Texts),
    ("serial_number", MemberShape::Text),
    ("require_cn", MemberShape::Flag),
    ("policy_identifiers", MemberShape::Texts),
    ("basic_constraints_valid_for_non_ca", MemberShape::Flag),
];
const DURATIONS: [&str; 3] = ["max_ttl", "ttl", "not_before_duration"];
/// Default values of flags, those of the provider's engine.
const FLAGS: [(&str, bool); 16] = [
    ("allow_localhost", true),
    ("allowed_domains_template", false),
    ("allow_bare_domains", false),
    ("allow_subdomains", false),
    ("allow_glob_domains", false),
    ("allow_any_name", false),
    ("enforce_hostnames", true),
    ("allow_ip_sans", true),
    ("server_flag", true),
    ("client_flag", true),
    ("code_signing_flag", false),
    ("email_protection_flag", false),
    ("use_csr_common_name", true),
    ("use_csr_sans", true),
    ("require_cn", true),
    ("basic_constraints_valid_for_non_ca", false),
];
const KEY_USAGE: [(&str, KeyUsages); 9] = [
    ("digitalsignature", KeyUsages::DigitalSignature),
    ("contentcommitment", KeyUsages::NonRepudiation),
    ("keyencipherment", KeyUsages::KeyEncipherment),
    ("dataencipherment", KeyUsages::DataEncipherment),
    ("keyagreement", KeyUsages::KeyAgreement),
    ("certsign", KeyUsages::KeyCertSign),
    ("crlsign", KeyUsages::CRLSign),
    ("encipheronly", KeyUsages::EncipherOnly),
    ("decipheronly", KeyUsages::DecipherOnly),
];
const DEFAULT_USAGE: [&str; 3] = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"];
const EXTENDED_USAGE: [(&str, &str); 13] = [
    ("any", "2.5.29.37.0"),
    ("serverauth", "1.3.6.1.5.5.7.3.1"),
    ("clientauth", "1.3.6.1.5.5.7.3.2"),
    ("codesigning", "1.3.6.1.5.5.7.3.3"),
    ("emailprotection", "1.3.6.1.5.5.7.3.4"),
    ("ipsecendsystem", "1.3.6.1.5.5.7.3.5"),
    ("ipsectunnel", "1.3.6.1.5.5.7.3.6"),
    ("ipsecuser", "1.3.6.1.5.5.7.3.7"),
    ("timestamping", "1.3.6.1.5.5.7.3.8"),
    ("ocspsigning", "1.3.6.1.5.5.7.3.9"),
    ("microsoftservergatedcrypto", "1.3.6.1.4.1.311.10.3.3"),
    ("netscapeservergatedcrypto", "2.16.840.1.113730.4.1"),
    ("microsoftkernelcodesigning", "1.3.6.1.4.1.311.61.1.1"),
];

/// Extended key usages for TLS servers and clients.
pub(crate) const SERVER_AND_CLIENT: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"), ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2")];

/// A template, stored in its configuration where no answer shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) name: String,
    /// Issuing intermediate authority.
    pub(crate) certificate_authority: String,
    /// Members as given, or their defaults.
    pub(crate) settings: JsonObject,
    /// Maximum lifetime of a certificate, in seconds.
    pub(crate) max_ttl: Option<u64>,
    /// Default lifetime of a certificate, in seconds.
    pub(crate) ttl: Option<u64>,
    /// Backdating of a certificate, in seconds.
    pub(crate) not_before: u64,
    /// True if names with a `*` are issued; no answer shows it.
    pub(crate) wildcards: bool,
}

impl Template {
    fn of(configuration: &Configuration) -> Option<Self> {
        serde_json::from_str(configuration.inner.as_deref()?.expose()).ok()
    }

    fn take_durations(&mut self, body: &InputBody<'_>) -> Result<(), Refusal> {
        let kept = |name: &str, before: Option<u64>| before.filter(|_| !body.clears(name));
        self.max_ttl = duration::member(body, "max_ttl", 1, LONGEST)?.or(kept("max_ttl", self.max_ttl));
        self.ttl = duration::member(body, "ttl", 1, LONGEST)?.or(kept("ttl", self.ttl));
        let before = kept("not_before_duration", Some(self.not_before)).unwrap_or(NOT_BEFORE);
        self.not_before = duration::member(body, "not_before_duration", 0, LONGEST)?.unwrap_or(before);
        if self.ttl.zip(self.max_ttl).is_some_and(|(ttl, most)| ttl > most) {
            return Err(Refusal::invalid("The field 'ttl' must not be longer than 'max_ttl'."));
        }
        Ok(())
    }

    /// Adds defaults, and checks the members that every certificate uses.
    fn complete(&mut self) -> Result<(), Refusal> {
        one_of(&self.settings, "key_type", &["rsa", "ec"])?;
        let algorithm = self.algorithm()?;
        self.settings.set("key_type", raw(algorithm.key_type()));
        self.settings.set("key_bits", raw(&algorithm.key_bits()));
        for (name, otherwise) in FLAGS {
            if self.settings.get(name).is_none() {
                self.settings.set(name, raw(&otherwise));
            }
        }
        if self.settings.get("key_usage").is_none() {
            self.settings.set("key_usage", raw(&DEFAULT_USAGE));
        }
        self.usage()?;
        self.extended_usage()?;
        self.policies().map(drop)
    }

    /// Returns the algorithm of the key to generate.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, Refusal> {
        let bits = integer(&self.settings, "key_bits").map(|bits| u64::try_from(bits).unwrap_or(1));
        Algorithm::parse(self.settings.str("key_type").as_deref(), bits)
    }

    /// Returns the bits of the key usage extension; `None` if the list is empty.
    pub(crate) fn usage(&self) -> Result<Option<FlagSet<KeyUsages>>, Refusal> {
        let mut usage: Option<FlagSet<KeyUsages>> = None;
        for wanted in strings(&self.settings, "key_usage") {
            let plain = plain_usage(&wanted);
            let (_, bit) = KEY_USAGE.iter().find(|(name, _)| *name == plain).ok_or_else(|| unknown("key_usage"))?;
            usage = Some(usage.map_or_else(|| (*bit).into(), |usage| usage | *bit));
        }
        Ok(usage)
    }

    /// Returns the object ids of the extended key usage extension.
    pub(crate) fn extended_usage(&self) -> Result<Vec<ObjectIdentifier>, Refusal> {
        let flags = [
            ("server_flag", "serverauth"),
            ("client_flag", "clientauth"),
            ("code_signing_flag", "codesigning"),
            ("email_protection_flag", "emailprotection"),
        ];
        let by_flag = flags.iter().filter(|(name, _)| self.flag(name)).map(|(_, usage)| (*usage).to_owned());
        let mut found = Vec::new();
        for wanted in by_flag.chain(strings(&self.settings, "ext_key_usage")) {
            let plain = wanted.to_lowercase();
            let plain = plain.trim_start_matches("extkeyusage");
            let known = EXTENDED_USAGE.iter().find(|(name, _)| *name == plain);
            let (_, oid) = known.ok_or_else(|| unknown("ext_key_usage"))?;
            found.push(ObjectIdentifier::new_unwrap(oid));
        }
        found.extend(oids(&self.settings, "ext_key_usage_oids")?);
        let mut seen = Vec::new();
        found.retain(|oid| {
            !seen.contains(oid) && {
                seen.push(*oid);
                true
            }
        });
        Ok(found)
    }

    /// Returns the object ids of the certificate policies.
    pub(crate) fn policies(&self) -> Result<Vec<ObjectIdentifier>, Refusal> {
        oids(&self.settings, "policy_identifiers")
    }

    /// True if a flag is on, by default or as given.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let otherwise = FLAGS.iter().find(|(flag, _)| *flag == name).is_some_and(|(_, otherwise)| *otherwise);
        flag(&self.settings, name, otherwise)
    }

    /// True if secrets of this group may use it.
    pub(crate) fn takes_group(&self, group: &str) -> bool {
        let groups = strings(&self.settings, "allowed_secret_groups");
        groups.is_empty() || groups.iter().any(|allowed| allowed == group || allowed == "*")
    }

    fn configuration(&self, created_at: Timestamp, now: Timestamp) -> Configuration {
        let mut fields = JsonObject::default();
        fields.set("certificate_authority", raw(&self.certificate_authority));
        let mut value = ObjectText::new();
        for (name, setting) in self.settings.iter() {
            value.raw(name, setting.get());
        }
        let durations = [("max_ttl_seconds", self.max_ttl), ("ttl_seconds", self.ttl)];
        for (name, seconds) in durations {
            if let Some(seconds) = seconds {
                value.num(name, seconds);
            }
        }
        value.num("not_before_duration_seconds", self.not_before);
        // Plain data with string keys always serializes.
        let inner = Zeroizing::new(serde_json::to_string(self).unwrap_or_default());
        Configuration {
            name: self.name.clone(),
            config_type: TEMPLATE.to_owned(),
            created_at,
            updated_at: now,
            fields,
            value: Some(Arc::new(Payload::new(value.finish()))),
            inner: Some(Arc::new(Payload::new(inner))),
        }
    }
}

/// Normalizes a key usage: `KeyUsageDigitalSignature`, `DigitalSignature` and `digital signature` are equal.
fn plain_usage(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    let plain = plain.strip_prefix("keyusage").unwrap_or(&plain);
    if plain == "nonrepudiation" { "contentcommitment".to_owned() } else { plain.to_owned() }
}

fn unknown(member: &str) -> Refusal {
    Refusal::invalid(format!("The field '{member}' has an unknown value."))
}

fn oids(settings: &JsonObject, member: &str) -> Result<Vec<ObjectIdentifier>, Refusal> {
    strings(settings, member).iter().map(|oid| ObjectIdentifier::new(oid).map_err(|_| unknown(member))).collect()
}

impl InstanceState {
    /// Creates a template of an intermediate authority.
    pub(crate) fn create_template(
        &mut self,
        now: Timestamp,
        name: String,
        body: &InputBody<'_>,
    ) -> Result<Arc<Configuration>, Refusal> {
        let more = ["config_type", "name", "certificate_authority", "allow_wildcard_certificates"];
        body.only(&members::names(&[SETTINGS], &[&more[..], &DURATIONS].concat()))?;
        self.check_limit(TEMPLATE, LIMIT)?;
        let certificate_authority = body.required_string("certificate_authority")?;
        if self.authority_of(INTERMEDIATE, &certificate_authority).is_none() {
            return Err(Refusal::invalid("The field 'certificate_authority' names no intermediate authority."));
        }
        let mut template = Template {
            name,
            certificate_authority,
            settings: members::given(body, &[SETTINGS])?,
            max_ttl: None,
            ttl: None,
            not_before: NOT_BEFORE,
            wildcards: body.bool("allow_wildcard_certificates")?.unwrap_or(true),
        };
        template.take_durations(body)?;
        template.complete()?;
        self.put_configuration(template.configuration(now, now));
        self.retell_authority(&template.certificate_authority, now);
        self.kept(TEMPLATE, &template.name)
    }

    /// Changes the mutable members of a template; `null` restores a default.
    pub(crate) fn patch_template(
        &mut self,
        now: Timestamp,
        configuration: &Configuration,
        body: &InputBody<'_>,
    ) -> Result<Arc<Configuration>, Refusal> {
        body.only(&members::names(&[SETTINGS], &DURATIONS))?;
        let mut template = Template::of(configuration).ok_or_else(|| Refusal::missing("The template"))?;
        for (name, _) in SETTINGS.iter().filter(|(name, _)| body.clears(name)) {
            template.settings.remove(name);
        }
        for (name, value) in members::given(body, &[SETTINGS])?.iter() {
            template.settings.set(name, value.to_owned());
        }
        template.take_durations(body)?;
        template.complete()?;
        self.put_configuration(template.configuration(configuration.created_at, now));
        self.kept(TEMPLATE, &template.name)
    }

    /// Returns a template by name.
    pub(crate) fn template(&self, name: &str) -> Option<Template> {
        Template::of(self.items.configurations.get(format!("{TEMPLATE}/{name}").as_str())?)
    }

    /// True if an authority has a template.
    pub(crate) fn has_template(&self, authority: &str) -> bool {
        self.items.configurations.values().any(|item| {
            item.config_type == TEMPLATE && item.fields.str("certificate_authority").as_deref() == Some(authority)
        })
    }
}
