//! Creates the items of a made-up instance through the same requests as any client.

use chrono::{Datelike, TimeZone, Utc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::certificates::{self, Authority, CertificateLife};
use super::{payloads, words};
use crate::model::Timestamp;
use crate::model::json::JsonObject;
use crate::provider::embedded::DEFAULT_GROUP;
use crate::provider::embedded::error::EmbeddedError;
use crate::provider::embedded::state::text::{ObjectText, date, list, string};
use crate::provider::embedded::state::{ApiRequest, InstanceState, Verb, query};

pub(super) const DAY: i64 = 86_400_000;
/// Maximum number of certificates in one instance. Beyond it other types are used, because signing is slow.
const CERTIFICATES: usize = 2_000;

/// Fills an instance state.
pub(super) struct Seeder<'a> {
    pub(super) state: &'a mut InstanceState,
    pub(super) rng: ChaCha20Rng,
    pub(super) authorities: Vec<Authority>,
    pub(super) groups: Vec<String>,
    /// Start of the current year of the instance's clock.
    pub(super) year: Timestamp,
    /// When the instance was set up.
    pub(super) start: Timestamp,
    /// Current time of the instance's clock.
    pub(super) now: Timestamp,
    pub(super) certificates: usize,
}

impl<'a> Seeder<'a> {
    pub(super) fn new(state: &'a mut InstanceState, seed: u64, now: Timestamp) -> Result<Self, EmbeddedError> {
        let year = Utc.with_ymd_and_hms(now.datetime().year(), 1, 1, 0, 0, 0).single().unwrap_or_default();
        let year = Timestamp::from(year);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let start = year.plus_millis(-300 * DAY);
        let life = CertificateLife { from: start, to: year.plus_millis(3650 * DAY) };
        let authorities: Result<Vec<_>, _> = ["Sandbox Root R1", "Sandbox Root R2", "Sandbox Issuing E1"]
            .into_iter()
            .map(|name| {
                let failed = |source| EmbeddedError::Certificate { name: name.to_owned(), source };
                Authority::new(name, life, &mut rng).map_err(failed)
            })
            .collect();
        Ok(Self { state, rng, authorities: authorities?, groups: Vec::new(), year, start, now, certificates: 0 })
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        let index = self.rng.random_range(0..from.len().max(1));
        from.get(index).copied().unwrap_or(otherwise)
    }

    pub(super) fn request(
        &mut self,
        at: Timestamp,
        verb: Verb,
        path: &str,
        body: &str,
    ) -> Result<JsonObject, EmbeddedError> {
        self.send(at, verb, path, None, body)
    }

    /// Sends a request about a configuration, at setup time.
    pub(super) fn typed(
        &mut self,
        verb: Verb,
        path: &str,
        config_type: &str,
        body: &str,
    ) -> Result<JsonObject, EmbeddedError> {
        self.send(self.start, verb, path, Some(config_type), body)
    }

    /// Creates a secret with these additional members and returns its id.
    pub(super) fn secret_at(
        &mut self,
        at: Timestamp,
        secret_type: &str,
        name: &str,
        members: &str,
    ) -> Result<String, EmbeddedError> {
        let body = format!(r#"{{"secret_type":"{secret_type}","name":"{name}",{members}}}"#);
        Ok(self.request(at, Verb::Post, "secrets", &body)?.str("id").unwrap_or_default())
    }

    pub(super) fn send(
        &mut self,
        at: Timestamp,
        verb: Verb,
        path: &str,
        config_type: Option<&str>,
        body: &str,
    ) -> Result<JsonObject, EmbeddedError> {
        let target = format!("/api/v2/{path}");
        let request = ApiRequest { verb, path: &target, query: query(""), config_type, body, grants: None };
        let answer = self.state.perform(at, &request).map_err(|refusal| EmbeddedError::Refused {
            what: format!("{verb:?} {path}"),
            status: refusal.status,
            message: refusal.message,
        })?;
        Ok(JsonObject::parse(&answer.body.unwrap_or_default()).unwrap_or_default())
    }

    pub(super) fn fill(&mut self, secrets: usize) -> Result<(), EmbeddedError> {
        self.make_groups()?;
        self.configurations()?;
        (0..secrets).try_for_each(|index| self.secret(index))?;
        self.register()
    }

    pub(super) fn register(&mut self) -> Result<(), EmbeddedError> {
        let body = r#"{"event_notifications_instance_crn":"crn:v1:bluemix:public:event-notifications:eu-de:a/791f5fb10986423e97aa8512f18b7e65:64be543a-3901-4f54-9d60-854382b21f29::","event_notifications_source_name":"secrets of the sandbox"}"#;
        self.request(self.start, Verb::Post, "notifications/registration", body).map(drop)
    }

    pub(super) fn make_groups(&mut self) -> Result<(), EmbeddedError> {
        self.groups.push(DEFAULT_GROUP.to_owned());
        for (name, description) in words::GROUPS {
            let mut body = ObjectText::new();
            body.str("name", name).str("description", description);
            let group = self.request(self.start, Verb::Post, "secret_groups", &body.finish())?;
            self.groups.push(group.str("id").unwrap_or_default());
        }
        Ok(())
    }

    pub(super) fn configurations(&mut self) -> Result<(), EmbeddedError> {
        let key = certificates::p256_key(&mut self.rng);
        let failed = |source| EmbeddedError::Certificate { name: "lets-encrypt".to_owned(), source };
        let account = certificates::p256_pem(&key).map_err(failed)?;
        let token = |seeder: &mut Self| payloads::token(&mut seeder.rng);
        let (cis, classic, iam) = (token(self), token(self), token(self));
        let mut bodies = Vec::new();
        for environment in ["production", "staging"] {
            let mut body = ObjectText::new();
            body.str("config_type", "public_cert_configuration_ca_lets_encrypt");
            body.str("name", &format!("lets-encrypt-{environment}")).str("lets_encrypt_environment", environment);
            body.str("lets_encrypt_private_key", &account).str("lets_encrypt_preferred_chain", "ISRG Root X1");
            bodies.push(body.finish());
        }
        let mut body = ObjectText::new();
        body.str("config_type", "public_cert_configuration_dns_cloud_internet_services").str("name", "dns-main");
        body.str("cloud_internet_services_crn", "crn:v1:bluemix:public:internet-svcs:global:a/791f5fb10986423e97aa8512f18b7e65:03a6ef9c-7e3f-4f4d-b9b8-1c0ef2d0b1aa::");
        body.str("cloud_internet_services_apikey", &cis);
        bodies.push(body.finish());
        let mut body = ObjectText::new();
        // Same name as above on purpose: names may repeat across types.
        body.str("config_type", "public_cert_configuration_dns_classic_infrastructure").str("name", "dns-main");
        body.str("classic_infrastructure_username", "1234567_ops");
        body.str("classic_infrastructure_password", &classic);
        bodies.push(body.finish());
        let mut body = ObjectText::new();
        body.str("config_type", "iam_credentials_configuration").str("name", "iam-engine").str("api_key", &iam);
        bodies.push(body.finish());
        bodies.iter().try_for_each(|body| self.request(self.start, Verb::Post, "configurations", body).map(drop))
    }

    pub(super) fn secret(&mut self, index: usize) -> Result<(), EmbeddedError> {
        let roll = self.rng.random_range(0..100);
        let secret_type = self.secret_type(roll);
        let payload = self.payload(secret_type)?;
        let system = self.pick(&words::SYSTEMS, "orders");
        let purpose = self.pick(&words::USES, "db");
        let group_index = self.rng.random_range(0..self.groups.len());
        let group = self.groups.get(group_index).cloned().unwrap_or_default();
        let mut body = ObjectText::new();
        body.str("secret_type", secret_type).str("name", &format!("{system}-{purpose}-{index:05}"));
        body.str("secret_group_id", &group);
        if self.chance(60) {
            body.str("description", &format!("{purpose} of {system}, made-up secret number {index}."));
        }
        let labels = self.labels();
        body.raw("labels", &list(labels.iter().map(|label| string(label))));
        if self.chance(40) {
            let owner = self.pick(&words::OWNERS, "nobody");
            let metadata = payloads::metadata(&mut self.rng, owner);
            body.raw("custom_metadata", &metadata);
        }
        if self.chance(25) {
            body.raw("version_custom_metadata", &format!(r#"{{"ticket":"CHG-{index}","approved":true}}"#));
        }
        self.dates(secret_type, &mut body);
        body.members_of(&payload);
        // Within the first 200 days, so that later versions fit before the current year.
        let mut at = self.start.plus_millis(self.rng.random_range(0..200 * DAY));
        let created = self.request(at, Verb::Post, "secrets", &body.finish())?;
        let id = created.str("id").unwrap_or_default();
        let versions = match self.rng.random_range(0..100) {
            0..40 => 1,
            40..70 => 2,
            _ => self.rng.random_range(3..9),
        };
        for version in 1..versions {
            at = at.plus_millis(self.rng.random_range(DAY..10 * DAY));
            self.version(&id, secret_type, version, at)?;
        }
        self.locks(&id, versions, at)
    }

    pub(super) fn labels(&mut self) -> Vec<&'static str> {
        let count = self.rng.random_range(0..4);
        let mut labels: Vec<&str> = (0..count).map(|_| self.pick(&words::LABELS, "prod")).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Returns the type for a random number from 0 to 99.
    pub(super) fn secret_type(&self, roll: u32) -> &'static str {
        match roll {
            0..35 => "arbitrary",
            35..65 => "kv",
            65..85 => "username_password",
            _ if self.certificates < CERTIFICATES => "imported_cert",
            _ => "arbitrary",
        }
    }

    pub(super) fn payload(&mut self, secret_type: &str) -> Result<Zeroizing<String>, EmbeddedError> {
        Ok(match secret_type {
            "arbitrary" => payloads::arbitrary(&mut self.rng),
            "kv" => payloads::key_value(&mut self.rng),
            "username_password" => payloads::credentials(&mut self.rng),
            _ => self.certificate()?,
        })
    }

    pub(super) fn certificate(&mut self) -> Result<Zeroizing<String>, EmbeddedError> {
        self.certificates += 1;
        let host = format!("{}-{}.example.com", self.pick(&words::SYSTEMS, "orders"), self.certificates);
        let names = vec![host.clone(), format!("www.{host}")];
        let edwards = self.chance(25);
        let (with_chain, with_key) = (self.chance(80), self.chance(90));
        let from = self.start.plus_millis(-self.rng.random_range(1..30) * DAY);
        let life = CertificateLife { from, to: self.year.plus_millis(self.rng.random_range(400..1400) * DAY) };
        let index = self.rng.random_range(0..self.authorities.len());
        let mut payload = ObjectText::new();
        if let Some(authority) = self.authorities.get(index) {
            let name = names.first().cloned().unwrap_or_default();
            let leaf = authority.issue(names, life, edwards, &mut self.rng);
            let leaf = leaf.map_err(|source| EmbeddedError::Certificate { name, source })?;
            payload.str("certificate", &leaf.certificate);
            payload.opt_str("intermediate", with_chain.then_some(authority.pem.as_str()));
            payload.opt_str("private_key", with_key.then_some(leaf.private_key.as_str()));
        }
        Ok(payload.finish())
    }

    /// Adds expiry or rotation, if the type has them.
    pub(super) fn dates(&mut self, secret_type: &str, body: &mut ObjectText) {
        if matches!(secret_type, "arbitrary" | "username_password") && self.chance(30) {
            let expires = self.year.plus_millis(self.rng.random_range(400..2000) * DAY);
            body.str("expiration_date", &date(expires));
        } else if secret_type == "username_password" && self.chance(40) {
            // Long enough that nothing is due before the end of the year.
            let rotation =
                if self.chance(50) { r#""interval":24,"unit":"month""# } else { r#""interval":690,"unit":"day""# };
            body.raw("rotation", &format!(r#"{{"auto_rotate":true,{rotation}}}"#));
            if self.chance(50) {
                body.raw(
                    "password_generation_policy",
                    r#"{"length":24,"include_digits":true,"include_symbols":false}"#,
                );
            }
        }
    }

    pub(super) fn version(
        &mut self,
        id: &str,
        secret_type: &str,
        number: usize,
        at: Timestamp,
    ) -> Result<(), EmbeddedError> {
        let payload = self.payload(secret_type)?;
        let mut body = ObjectText::new();
        if secret_type == "username_password" {
            let payload = JsonObject::parse(&payload).unwrap_or_default();
            body.opt_raw("password", payload.get("password").map(RawValue::get));
        } else {
            body.members_of(&payload);
        }
        if self.chance(50) {
            body.raw("version_custom_metadata", &format!(r#"{{"release":"{number}.0","build":{number}.50}}"#));
        }
        self.request(at, Verb::Post, &format!("secrets/{id}/versions"), &body.finish()).map(drop)
    }

    pub(super) fn locks(&mut self, id: &str, versions: usize, at: Timestamp) -> Result<(), EmbeddedError> {
        let lock = |name: &str, system: &str| {
            format!(
                r#"{{"locks":[{{"name":"{name}","description":"In use by {system}.","attributes":{{"key":"{system}","since":1.50}}}}]}}"#
            )
        };
        if self.chance(8) {
            let body = lock("in-use", self.pick(&words::SYSTEMS, "orders"));
            self.request(at, Verb::Post, &format!("secrets/{id}/locks_bulk"), &body)?;
        }
        if versions > 1 && self.chance(4) {
            let body = lock("draining", self.pick(&words::SYSTEMS, "orders"));
            self.request(at, Verb::Post, &format!("secrets/{id}/versions/previous/locks_bulk"), &body)?;
        }
        Ok(())
    }
}
