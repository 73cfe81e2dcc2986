//! Actions on secrets and their versions: revoking a private certificate, confirming a DNS challenge.

use super::super::data::{Secret, SecretState};
use super::super::input::InputBody;
use super::super::refusal::Refusal;
use super::super::text::ObjectText;
use super::super::{Answer, InstanceState};
use super::authority::INTERMEDIATE;
use super::private::revocation_fields;
use crate::model::Timestamp;

const VALIDATE: &str = "public_cert_action_validate_dns_challenge";
const REVOKE: &str = "private_cert_action_revoke_certificate";

impl InstanceState {
    /// Performs one action on a secret.
    pub(crate) fn secret_action(&mut self, now: Timestamp, id: &str, text: &str) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["action_type"])?;
        match body.required_string("action_type")?.as_str() {
            REVOKE => self.revoke_version(now, id, "current"),
            VALIDATE => {
                self.validate_dns(now, id)?;
                let mut answer = ObjectText::new();
                answer.str("action_type", VALIDATE);
                Ok(Answer::created(answer.finish()))
            }
            _ => Err(Refusal::invalid("The field 'action_type' has an unknown value.")),
        }
    }

    /// Performs one action on a version of a secret.
    pub(crate) fn version_action(
        &mut self,
        now: Timestamp,
        id: &str,
        version: &str,
        text: &str,
    ) -> Result<Answer, Refusal> {
        let body = InputBody::parse(text)?;
        body.only(&["action_type"])?;
        match body.required_string("action_type")?.as_str() {
            REVOKE => self.revoke_version(now, id, version),
            _ => Err(Refusal::invalid("The field 'action_type' has an unknown value.")),
        }
    }

    /// Adds the certificate of a version to its authority's revocation list. For the current version, also updates the
    /// secret.
    fn revoke_version(&mut self, now: Timestamp, id: &str, version: &str) -> Result<Answer, Refusal> {
        let mut secret: Secret = (**self.secret(id)?).clone();
        if secret.secret_type != "private_cert" {
            return Err(Refusal::invalid("Only private certificates can be revoked."));
        }
        if secret.life == SecretState::Destroyed {
            return Err(Refusal::invalid("The secret is destroyed."));
        }
        let index = secret.position(version).ok_or_else(|| Refusal::missing("The secret version"))?;
        let held = secret.versions.get(index).is_some_and(|version| !version.locks.is_empty());
        if held {
            return Err(Refusal::locked());
        }
        let serial = secret.versions.get(index).and_then(|version| version.fields.str("serial_number"));
        let serial = serial.ok_or_else(|| Refusal::invalid("The secret version has no certificate."))?;
        let authority = secret.fields.str("certificate_authority").unwrap_or_default();
        let mut authority = self.authority_of(INTERMEDIATE, &authority).ok_or_else(|| {
            Refusal::invalid("The certificate authority that issued the certificate does not exist any more.")
        })?;
        let known = authority.revocations.iter().find(|known| known.serial == serial).map(|known| known.at);
        let at = known.unwrap_or(now);
        authority.revoke(serial, at)?;
        self.put_authority(&authority, now);
        if index == 0 {
            revocation_fields(&mut secret.fields, at);
            secret.next_rotation_date = None;
            if self.switches.revocation_deactivates {
                secret.life = SecretState::Deactivated;
            }
        }
        secret.updated_at = now;
        self.put_secret(secret);
        let mut answer = ObjectText::new();
        answer.str("action_type", REVOKE);
        answer.num("revocation_time_seconds", u64::try_from(at.millis() / 1000).unwrap_or(0));
        Ok(Answer::created(answer.finish()))
    }
}
