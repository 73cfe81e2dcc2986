//! Orders of public certificates: placed, waiting for DNS, issued or failed.
//!
//! Nothing here blocks: an order sets when it must be processed next ([`Secret::wake_at`]), and the sweep before every
//! request does that.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::InstanceState;
use super::super::certificate;
use super::super::data::{Secret, SecretState, SecretVersion};
use super::super::refusal::Refusal;
use super::super::text::{ObjectText, date, list};
use super::acme::Acme;
use super::key::{Algorithm, CertificateKey};
use super::names::strings;
use crate::model::json::{JsonObject, Members, as_str, raw};
use crate::model::{Payload, Timestamp};
use crate::provider::embedded::state::fresh_version::payload_digest;

const ENGINE: &str = "public_cert_configuration_ca_lets_encrypt";
const PROVIDERS: [&str; 2] =
    ["public_cert_configuration_dns_cloud_internet_services", "public_cert_configuration_dns_classic_infrastructure"];
/// Value of `dns` for orders whose DNS records the customer sets.
pub(crate) const MANUAL: &str = "manual";
const DAY: i64 = 86_400_000;
/// Time to complete a challenge.
const CHALLENGE: i64 = 7 * DAY;
/// Documented time before its end at which a certificate is renewed.
const AHEAD: i64 = 31 * DAY;

/// A domain name to be proven.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Challenge {
    domain: String,
    value: String,
    expires: Timestamp,
    valid: bool,
}

/// An open order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Id of the version that it will create.
    pub(crate) version_id: String,
    ordered_on: Timestamp,
    /// True if the instance placed it automatically.
    auto_rotated: bool,
    /// True if a new key is generated.
    rotate_keys: bool,
    challenges: Vec<Challenge>,
    /// When the authority answers; `None` until the customer confirms the challenges.
    ready_at: Option<Timestamp>,
    validated_at: Option<Timestamp>,
    /// Metadata of the new version.
    version_custom_metadata: Option<Box<RawValue>>,
}

/// Error of a failed order.
struct Failure {
    code: &'static str,
    message: String,
}

impl Order {
    /// Returns the open order of a secret.
    pub(crate) fn of(secret: &Secret) -> Option<Self> {
        serde_json::from_str(secret.inner.as_deref()?.expose()).ok()
    }

    /// Returns the text that [`Order::of`] reads.
    fn to_inner(&self) -> Payload {
        // Plain data with string keys always serializes.
        Payload::new(Zeroizing::new(serde_json::to_string(self).unwrap_or_default()))
    }

    /// Returns when it must be processed next.
    fn wakes_at(&self) -> Option<Timestamp> {
        self.ready_at.or_else(|| self.challenges.iter().map(|challenge| challenge.expires).min())
    }

    /// Returns `issuance_info` of its secret.
    fn info(&self, life: SecretState, failure: Option<(&str, &str)>) -> Box<RawValue> {
        let mut info = ObjectText::new();
        info.bool("auto_rotated", self.auto_rotated).str("ordered_on", &date(self.ordered_on));
        if let Some((code, message)) = failure {
            info.str("error_code", code).str("error_message", message);
        }
        if !self.challenges.is_empty() {
            info.raw("challenges", &list(self.challenges.iter().map(Challenge::object)));
        }
        info.opt_str("dns_challenge_validation_time", self.validated_at.map(date).as_deref());
        info.num("state", life.number()).str("state_description", life.word());
        RawValue::from_string(info.finish().to_string()).unwrap_or_default()
    }
}

impl Challenge {
    fn object(&self) -> Zeroizing<String> {
        let mut object = ObjectText::new();
        object.str("domain", &self.domain).str("expiration", &date(self.expires));
        object.str("status", if self.valid { "valid" } else { "pending" });
        object.str("txt_record_name", &format!("_acme-challenge.{}", self.domain));
        object.str("txt_record_value", &self.value);
        object.finish()
    }
}

impl Secret {
    /// Stores an open order, and when to process it.
    pub(crate) fn wait_for(&mut self, order: &Order) {
        self.fields.set("issuance_info", order.info(SecretState::PreActivation, None));
        self.wake_at = order.wakes_at();
        self.inner = Some(Arc::new(order.to_inner()));
    }
}

impl InstanceState {
    /// Places an order with these members of the secret (`common_name`, `alt_names`, `ca`, `dns`).
    pub(crate) fn place_order(
        &mut self,
        now: Timestamp,
        fields: &JsonObject,
        rotate_keys: bool,
        auto_rotated: bool,
        version_custom_metadata: Option<Box<RawValue>>,
    ) -> Order {
        // An order with a missing configuration fails without waiting for the customer.
        let waits = fields.str("dns").as_deref() == Some(MANUAL) && self.missing(fields).is_none();
        let mut domains: Vec<String> = Vec::new();
        for host in hosts(fields) {
            // A wildcard is proven by its domain.
            let domain = host.trim_start_matches("*.").to_owned();
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        let challenge = |domain: String| Challenge {
            domain,
            value: BASE64URL_NOPAD.encode(self.ids.bytes::<32>().as_slice()),
            expires: now.plus_millis(CHALLENGE),
            valid: false,
        };
        let challenges = if waits { domains.into_iter().map(challenge).collect() } else { Vec::new() };
        Order {
            version_id: self.ids.uuid(),
            ordered_on: now,
            auto_rotated,
            rotate_keys,
            challenges,
            ready_at: (!waits).then(|| self.answer_at(now)),
            validated_at: None,
            version_custom_metadata,
        }
    }

    fn answer_at(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(i64::from(self.switches.order_seconds) * 1000)
    }

    /// Returns the failure if a configuration of the order does not exist.
    fn missing(&self, fields: &JsonObject) -> Option<Failure> {
        let there = |config_type: &str, name: &str| {
            self.items.configurations.contains_key(format!("{config_type}/{name}").as_str())
        };
        let failure = |what: &str, name: &str| Failure {
            code: "secrets-manager.Error07012",
            message: format!("The {what} configuration with name '{name}' was not found."),
        };
        let (ca, dns) = (fields.str("ca").unwrap_or_default(), fields.str("dns").unwrap_or_default());
        if !there(ENGINE, &ca) {
            return Some(failure("certificate authority", &ca));
        }
        let known = dns == MANUAL || PROVIDERS.iter().any(|provider| there(provider, &dns));
        (!known).then(|| failure("DNS provider", &dns))
    }

    /// Records the customer's confirmation that the TXT records are set.
    pub(crate) fn validate_dns(&mut self, now: Timestamp, id: &str) -> Result<(), Refusal> {
        let mut secret = (**self.secret(id)?).clone();
        let order = Order::of(&secret).filter(|order| order.ready_at.is_none());
        let mut order =
            order.ok_or_else(|| Refusal::invalid("The secret has no order that waits for a DNS challenge."))?;
        order.validated_at = Some(now);
        order.ready_at = Some(self.answer_at(now));
        secret.wait_for(&order);
        secret.updated_at = now;
        self.put_secret(secret);
        Ok(())
    }

    /// Processes what is due: completes or fails an order, or places one because the certificate ends soon. Returns
    /// `true` if anything was done.
    pub(crate) fn wake_public(&mut self, now: Timestamp, id: &str) -> bool {
        let Ok(secret) = self.secret(id) else { return false };
        let mut secret = (**secret).clone();
        match Order::of(&secret) {
            Some(order) => {
                // A locked version must not be pushed out; the order waits until it is unlocked.
                let held = secret.previous().is_some_and(|version| !version.locks.is_empty());
                if held && order.ready_at.is_some() {
                    return false;
                }
                self.finish(now, &mut secret, order);
            }
            None => {
                let rotate_keys = rotation(&secret.fields, "rotate_keys");
                let fields = secret.fields.clone();
                let order = self.place_order(now, &fields, rotate_keys, true, None);
                secret.wait_for(&order);
            }
        }
        secret.updated_at = now;
        self.put_secret(secret);
        true
    }

    fn finish(&mut self, now: Timestamp, secret: &mut Secret, mut order: Order) {
        let failed = if order.ready_at.is_none() {
            Some(Failure {
                code: "secrets-manager.Error07014",
                message: "The DNS challenges expired before they were validated.".to_owned(),
            })
        } else {
            self.missing(&secret.fields)
        };
        let issued = match failed {
            Some(failure) => Err(failure),
            None => self
                .issue_public(now, secret, &order)
                .map_err(|refusal| Failure { code: "secrets-manager.Error07001", message: refusal.message }),
        };
        secret.inner = None;
        match issued {
            Ok((payload, facts)) => {
                order.challenges.iter_mut().for_each(|challenge| challenge.valid = true);
                secret.life = SecretState::Active;
                secret.fields.set("issuance_info", order.info(SecretState::Active, None));
                let alt_names = secret.fields.get("alt_names").map(ToOwned::to_owned);
                for (name, value) in facts.secret_fields().iter().filter(|(name, _)| *name != "key_algorithm") {
                    secret.fields.set(name, value.to_owned());
                }
                match alt_names {
                    Some(names) => secret.fields.set("alt_names", names),
                    None => drop(secret.fields.remove("alt_names")),
                }
                self.complete(now, secret, &order, payload, &facts);
                secret.wake_at = self.reorder_at(secret);
            }
            Err(failure) => {
                let had = secret.current().is_some_and(|version| version.payload.is_some());
                secret.life = if had { SecretState::Active } else { SecretState::Deactivated };
                let info = order.info(SecretState::Deactivated, Some((failure.code, &failure.message)));
                secret.fields.set("issuance_info", info);
                // As documented, a failed renewal is retried every day.
                secret.wake_at = (had && self.reorder_at(secret).is_some()).then(|| now.plus_millis(DAY));
            }
        }
    }

    /// Stores the certificate in the waiting version or in a new one.
    fn complete(
        &mut self,
        now: Timestamp,
        secret: &mut Secret,
        order: &Order,
        payload: Zeroizing<String>,
        facts: &certificate::Facts,
    ) {
        let waiting = secret.versions.first_mut().filter(|version| version.id == order.version_id);
        let digest = payload_digest(&payload);
        let payload = Some(Arc::new(Payload::new(payload)));
        match waiting {
            Some(version) => {
                let version = Arc::make_mut(version);
                version.payload = payload;
                version.payload_digest = digest;
                version.expiration_date = Some(facts.not_after);
                version.fields = facts.version_fields();
                secret.expiration_date = Some(facts.not_after);
            }
            None => {
                let version = SecretVersion {
                    payload,
                    payload_digest: digest,
                    expiration_date: Some(facts.not_after),
                    fields: facts.version_fields(),
                    ..ordered_version(order, now)
                };
                self.push(secret, version, now);
            }
        }
    }

    fn issue_public(
        &mut self,
        now: Timestamp,
        secret: &Secret,
        order: &Order,
    ) -> Result<(Zeroizing<String>, certificate::Facts), Refusal> {
        let fields = &secret.fields;
        let ca = fields.str("ca").unwrap_or_default();
        let configuration = self.items.configurations.get(format!("{ENGINE}/{ca}").as_str());
        let environment = configuration.and_then(|item| item.fields.str("lets_encrypt_environment"));
        let acme = Acme::of(&environment.unwrap_or_default())?;
        let kept = if order.rotate_keys { None } else { current_key(secret) };
        let key = match kept {
            Some(key) => key,
            None => {
                let algorithm = fields.str("key_algorithm").unwrap_or_default();
                CertificateKey::generate(Algorithm::of_public(&algorithm)?, &mut self.ids)?
            }
        };
        let names = hosts(fields);
        let common_name = names.first().cloned().unwrap_or_default();
        let (leaf, issuer) = acme.issue(&common_name, &names, key.public()?, &mut self.ids, now)?;
        let facts = certificate::inspect(&leaf, None, None)?;
        let bundled = fields.bool("bundle_certs").unwrap_or(true);
        let mut payload = ObjectText::new();
        payload.str("certificate", &if bundled { format!("{leaf}{issuer}") } else { leaf });
        payload.str("intermediate", &issuer).str("private_key", &key.to_pem()?);
        Ok((payload.finish(), facts))
    }

    /// Returns when a certificate is renewed automatically.
    pub(crate) fn reorder_at(&self, secret: &Secret) -> Option<Timestamp> {
        let on = self.switches.auto_rotates && rotation(&secret.fields, "auto_rotate");
        secret.expiration_date.filter(|_| on).map(|end| end.plus_millis(-AHEAD))
    }
}

/// Returns the version that an order will create.
pub(crate) fn ordered_version(order: &Order, now: Timestamp) -> SecretVersion {
    SecretVersion {
        id: order.version_id.clone(),
        created_at: now,
        auto_rotated: order.auto_rotated,
        downloaded: false,
        payload: None,
        payload_digest: payload_digest(""),
        custom_metadata: order.version_custom_metadata.clone(),
        expiration_date: None,
        fields: JsonObject::default(),
        locks: Vec::new(),
    }
}

/// True if a member of `rotation` is on.
fn rotation(fields: &JsonObject, member: &str) -> bool {
    fields.object("rotation").and_then(|rotation| rotation.bool(member)).unwrap_or(false)
}

/// Returns the common name, then the alternative names, without duplicates.
fn hosts(fields: &JsonObject) -> Vec<String> {
    let mut hosts: Vec<String> = fields.str("common_name").into_iter().collect();
    for name in strings(fields, "alt_names") {
        if !hosts.contains(&name) {
            hosts.push(name);
        }
    }
    hosts
}

fn current_key(secret: &Secret) -> Option<CertificateKey> {
    let payload = secret.current()?.payload.as_deref()?;
    let members = Members::parse(payload.expose()).ok()?.0;
    let (_, key) = members.iter().find(|(name, _)| name == "private_key")?;
    CertificateKey::from_pem(&Zeroizing::new(as_str(key)?)).ok()
}

/// Checks the rotation policy of a public certificate. Both members are required; by default both are off.
pub(crate) fn checked_rotation(policy: Option<&RawValue>) -> Result<Box<RawValue>, Refusal> {
    let Some(policy) = policy else {
        return Ok(raw(&std::collections::BTreeMap::from([("auto_rotate", false), ("rotate_keys", false)])));
    };
    let object =
        JsonObject::parse(policy.get()).map_err(|_| Refusal::invalid("The field 'rotation' must be an object."))?;
    let known = object.iter().all(|(name, _)| ["auto_rotate", "rotate_keys"].contains(&name));
    if !known || object.bool("auto_rotate").is_none() || object.bool("rotate_keys").is_none() {
        return Err(Refusal::invalid(
            "The field 'rotation' must have 'auto_rotate' and 'rotate_keys', and nothing else.",
        ));
    }
    Ok(policy.to_owned())
}
