//! Certificate authorities: internal state and visible configuration.

use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use x509_cert::Certificate;
use x509_cert::der::DecodePem;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::data::Configuration;
use super::super::refusal::Refusal;
use super::super::text::{ObjectText, date, list, string};
use super::issue::{self, Revocation, ValidityPeriod};
use super::key::CertificateKey;
use super::members::flag;
use crate::model::json::{JsonObject, raw};
use crate::model::{Payload, Timestamp};

pub(crate) const ROOT: &str = "private_cert_configuration_root_ca";
pub(crate) const INTERMEDIATE: &str = "private_cert_configuration_intermediate_ca";

/// Members of [`Authority::settings`] that lists show too.
const LISTED: [&str; 7] = [
    "crypto_key",
    "crl_distribution_points_encoded",
    "common_name",
    "key_type",
    "key_bits",
    "signing_method",
    "issuer",
];

/// Complete state of a certificate authority, stored in its configuration where no answer shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Authority {
    /// Configuration type.
    pub(crate) config_type: String,
    /// Configuration name.
    pub(crate) name: String,
    /// Members as given, or their defaults.
    pub(crate) settings: JsonObject,
    /// `serial_number` of its subject as given. Under this name, answers show the certificate's serial number instead.
    pub(crate) subject_serial: Option<String>,
    /// Maximum lifetime of the certificates it signs, in seconds.
    pub(crate) max_ttl: u64,
    /// Validity of a revocation list, in seconds.
    pub(crate) crl_expiry: u64,
    /// Lifetime of a root authority itself, in seconds.
    pub(crate) ttl: Option<u64>,
    /// Private key, PKCS #8 in PEM.
    #[serde(with = "super::super::payload_text")]
    pub(crate) key: Option<Arc<Payload>>,
    /// Signing request.
    pub(crate) csr: Option<String>,
    /// Certificate, once signed.
    pub(crate) certificate: Option<String>,
    /// Certificates above its own, nearest first, as far as known.
    pub(crate) chain: Vec<String>,
    /// When the authority itself was revoked.
    pub(crate) revoked_at: Option<Timestamp>,
    /// Revoked certificates.
    pub(crate) revocations: Vec<Revocation>,
    /// Newest revocation list.
    pub(crate) crl: Option<String>,
    /// Number of that list.
    pub(crate) crl_number: u64,
}

impl Authority {
    /// Reads the internal data of a configuration; `None` if it is not an authority.
    pub(crate) fn of(configuration: &Configuration) -> Option<Self> {
        serde_json::from_str(configuration.inner.as_deref()?.expose()).ok()
    }

    /// Returns the text that [`Authority::of`] reads.
    fn to_inner(&self) -> Arc<Payload> {
        // Plain data with string keys always serializes.
        Arc::new(Payload::new(Zeroizing::new(serde_json::to_string(self).unwrap_or_default())))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.config_type == ROOT
    }

    /// True if another authority of this instance signs it.
    pub(crate) fn is_internal(&self) -> bool {
        self.settings.str("signing_method").as_deref() == Some("internal")
    }

    pub(crate) fn key(&self) -> Result<CertificateKey, Refusal> {
        let key = self.key.as_deref().ok_or_else(|| Refusal::invalid("The certificate authority has no key."))?;
        CertificateKey::from_pem(key.expose())
    }

    /// Returns its parsed certificate.
    pub(crate) fn parsed(&self) -> Option<Certificate> {
        Certificate::from_pem(self.certificate.as_deref()?.as_bytes()).ok()
    }

    /// Returns when its certificate ends.
    pub(crate) fn not_after(&self) -> Option<Timestamp> {
        let parsed = self.parsed()?;
        let seconds = parsed.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
        i64::try_from(seconds).ok()?.checked_mul(1000).map(Timestamp::from_millis)
    }

    /// Returns its certificate, key and end, if it may sign now.
    pub(crate) fn signer(&self, now: Timestamp) -> Result<(Certificate, CertificateKey, Timestamp), Refusal> {
        let not_ready = |why: &str| Refusal::invalid(format!("The certificate authority '{}' {why}.", self.name));
        let certificate = self.parsed().ok_or_else(|| not_ready("has no signed certificate yet"))?;
        let end = self.not_after().filter(|end| *end > now).ok_or_else(|| not_ready("is expired"))?;
        if self.revoked_at.is_some() {
            return Err(not_ready("is revoked"));
        }
        Ok((certificate, self.key()?, end))
    }

    /// Creates the next revocation list, unless lists are disabled.
    pub(crate) fn renew_crl(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if flag(&self.settings, "crl_disable", false) {
            self.crl = None;
            return Ok(());
        }
        let Some(certificate) = self.parsed() else { return Ok(()) };
        self.crl_number += 1;
        let life = ValidityPeriod { from: now, to: later(now, self.crl_expiry) };
        let list = issue::revocation_list(&certificate, &self.key()?, self.crl_number, &self.revocations, life)?;
        self.crl = Some(list);
        Ok(())
    }

    /// Revokes a certificate that it issued. Idempotent.
    pub(crate) fn revoke(&mut self, serial: String, now: Timestamp) -> Result<(), Refusal> {
        if !self.revocations.iter().any(|known| known.serial == serial) {
            self.revocations.push(Revocation { serial, at: now });
        }
        self.renew_crl(now)
    }

    /// Returns the provider's status value.
    fn status(&self, now: Timestamp, has_template: bool) -> &'static str {
        if self.revoked_at.is_some() {
            return "revoked";
        }
        match self.not_after() {
            Some(end) if end <= now => "expired",
            Some(_) if self.is_root() || has_template => "configured",
            Some(_) => "certificate_template_required",
            None if self.is_internal() => "signing_required",
            None => "signed_certificate_required",
        }
    }

    /// Returns the members that lists show too.
    fn fields(&self, now: Timestamp, has_template: bool) -> JsonObject {
        let mut fields = JsonObject::default();
        for name in LISTED {
            if let Some(value) = self.settings.get(name) {
                fields.set(name, value.to_owned());
            }
        }
        if let Some(end) = self.not_after() {
            fields.set("expiration_date", raw(&date(end)));
        }
        fields.set("status", raw(self.status(now, has_template)));
        fields
    }

    /// Returns the members that only a GET by name shows. Includes the private key only with `show_key`.
    fn value(&self, show_key: bool) -> Payload {
        let mut value = ObjectText::new();
        for (name, setting) in self.settings.iter().filter(|(name, _)| !LISTED.contains(name)) {
            value.raw(name, setting.get());
        }
        value.num("max_ttl_seconds", self.max_ttl).num("crl_expiry_seconds", self.crl_expiry);
        if let Some(ttl) = self.ttl {
            value.num("ttl_seconds", ttl);
        }
        if let Some(parsed) = self.parsed() {
            value.str("serial_number", &issue::serial_text(parsed.tbs_certificate().serial_number().as_bytes()));
        }
        value.raw("data", &self.data(show_key));
        Payload::new(value.finish())
    }

    fn data(&self, show_key: bool) -> Zeroizing<String> {
        let mut data = ObjectText::new();
        match &self.certificate {
            Some(certificate) => {
                let issuing = self.chain.first().unwrap_or(certificate);
                data.str("certificate", certificate).str("issuing_ca", issuing);
                data.raw(
                    "ca_chain",
                    &pem_list(if self.chain.is_empty() { std::slice::from_ref(certificate) } else { &self.chain }),
                );
                let end = self.not_after().map_or(0, |end| end.millis() / 1000);
                data.num("expiration", u64::try_from(end).unwrap_or(0));
            }
            None => {
                data.opt_str("csr", self.csr.as_deref());
            }
        }
        data.opt_str("private_key_type", self.settings.str("key_type").as_deref());
        if show_key {
            data.opt_str("private_key", self.key.as_deref().map(Payload::expose));
        }
        data.finish()
    }

    /// Returns the public URL of its certificate (`ca`) or revocation list (`crl`), at the instance that it was created
    /// in.
    pub(crate) fn url(&self, host: &str, what: &str) -> String {
        format!("https://{host}/v1/ibmcloud/private_cert/config/certificate_authorities/{}/{what}", self.name)
    }
}

/// Formats PEM texts as a JSON list.
pub(crate) fn pem_list(pems: &[String]) -> Zeroizing<String> {
    list(pems.iter().map(|pem| string(pem)))
}

/// Returns the time `seconds` after `from`.
pub(crate) fn later(from: Timestamp, seconds: u64) -> Timestamp {
    from.plus_millis(i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX / 4))
}

impl InstanceState {
    /// Returns an authority by configuration name; the root if a root and an intermediate share it.
    pub(crate) fn authority(&self, name: &str) -> Option<Authority> {
        [ROOT, INTERMEDIATE].iter().find_map(|config_type| self.authority_of(config_type, name))
    }

    /// Returns an authority by type and name.
    pub(crate) fn authority_of(&self, config_type: &str, name: &str) -> Option<Authority> {
        Authority::of(self.items.configurations.get(format!("{config_type}/{name}").as_str())?)
    }

    /// Stores a new or changed authority.
    pub(crate) fn put_authority(&mut self, authority: &Authority, now: Timestamp) {
        let key = format!("{}/{}", authority.config_type, authority.name);
        let created_at = self.items.configurations.get(key.as_str()).map_or(now, |found| found.created_at);
        let has_template = self.has_template(&authority.name);
        self.put_configuration(Configuration {
            name: authority.name.clone(),
            config_type: authority.config_type.clone(),
            created_at,
            updated_at: now,
            fields: authority.fields(now, has_template),
            value: Some(Arc::new(authority.value(self.switches.show_ca_private_key))),
            inner: Some(authority.to_inner()),
        });
    }

    /// Marks authorities whose certificate has expired. Called before every request, so it reads only plain members.
    pub(crate) fn expire_authorities(&mut self, now: Timestamp) {
        let ended = |item: &&Arc<Configuration>| {
            let status = item.fields.str("status");
            let end = item.fields.str("expiration_date");
            let end = end.and_then(|end| chrono::DateTime::parse_from_rfc3339(&end).ok());
            end.is_some_and(|end| Timestamp::from(end.to_utc()) <= now)
                && !matches!(status.as_deref(), Some("expired" | "revoked"))
        };
        let from = (Bound::Included(INTERMEDIATE), Bound::Unbounded);
        let range = self.items.configurations.range::<str, _>(from);
        let range = range.take_while(|(key, _)| key.starts_with("private_cert_configuration_"));
        let ended: Vec<_> = range.map(|(_, item)| item).filter(ended).filter_map(|item| Authority::of(item)).collect();
        ended.iter().for_each(|authority| self.put_authority(authority, now));
    }

    /// Updates the visible members of all authorities for the current switches.
    pub(crate) fn refresh_authorities(&mut self) {
        let all: Vec<_> = self.items.configurations.values().cloned().collect();
        for item in all {
            if let Some(authority) = Authority::of(&item) {
                self.put_authority(&authority, item.updated_at);
            }
        }
    }

    /// Updates an authority after one of its templates was created or deleted.
    pub(crate) fn retell_authority(&mut self, name: &str, now: Timestamp) {
        if let Some(authority) = self.authority_of(INTERMEDIATE, name) {
            self.put_authority(&authority, now);
        }
    }

    /// Returns a certificate or revocation list by its public path, `…/{ca|crl}/pem`; `None` for any other path.
    pub(crate) fn public_authority_text(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(PUBLIC)?;
        let (name, what) = rest.split_once('/')?;
        let authority = self.authority(name)?;
        match what {
            "ca/pem" => authority.certificate,
            "crl/pem" => authority.crl,
            _ => None,
        }
    }
}

/// Public path of certificates and revocation lists of authorities.
pub(crate) const PUBLIC: &str = "/v1/ibmcloud/private_cert/config/certificate_authorities/";

/// Returns a setting as JSON.
pub(crate) fn text(value: &str) -> Box<RawValue> {
    raw(value)
}
