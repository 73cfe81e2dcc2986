//! A simulated public certificate authority. Its keys are the same in every instance, so a client that trusts it once
//! trusts all of them. Production and staging differ.

use x509_cert::Certificate;
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::super::ids::Ids;
use super::super::refusal::Refusal;
use super::issue::{self, CertificateSpec, Issuer, SubjectRole, ValidityPeriod};
use super::key::{Algorithm, CertificateKey};
use super::names::{self, Sans};
use super::template::SERVER_AND_CLIENT;
use crate::model::Timestamp;
use crate::model::json::{JsonObject, raw};

/// Validity of issued certificates, in days.
const DAYS: i64 = 90;
const DAY: i64 = 86_400_000;
/// Validity of the authority itself: 2020-01-01 and 2060-01-01 in milliseconds.
const OWN: [i64; 2] = [1_577_836_800_000, 2_840_140_800_000];

/// Authority of one environment.
pub(crate) struct Acme {
    key: CertificateKey,
    certificate: Certificate,
}

impl Acme {
    /// Returns the authority of `production` or `staging`.
    pub(crate) fn of(environment: &str) -> Result<Self, Refusal> {
        // Arbitrary fixed seeds, so that the keys are the same everywhere.
        let mut ids = Ids::new(Some(if environment == "production" { 0xACE1 } else { 0xACE2 }));
        let mut organization = JsonObject::default();
        organization.set("organization", raw(&["Keyhaven Sandbox"]));
        let subject = |what: &str| names::subject(&organization, Some(&format!("Sandbox ACME {environment} {what}")));
        let authority = |subject, depth| CertificateSpec {
            subject,
            role: SubjectRole::Authority(depth),
            key_usage: Some(issue::authority_usage()),
            ..CertificateSpec::default()
        };
        let [from, to] = OWN.map(Timestamp::from_millis);
        let own = ValidityPeriod { from, to };
        let root_key = CertificateKey::generate(Algorithm::P256, &mut ids)?;
        let itself = Issuer { certificate: None, key: &root_key };
        let serial = issue::serial(&mut ids);
        let root = issue::certificate(&authority(subject("Root")?, None), root_key.public()?, &itself, &serial, own)?;
        let key = CertificateKey::generate(Algorithm::P256, &mut ids)?;
        let issuer = Issuer { certificate: Some(&root), key: &root_key };
        let serial = issue::serial(&mut ids);
        let wanted = authority(subject("Issuing")?, Some(0));
        let certificate = issue::certificate(&wanted, key.public()?, &issuer, &serial, own)?;
        Ok(Self { key, certificate })
    }

    /// Issues a certificate for hosts, and returns it with the authority's own certificate.
    pub(crate) fn issue(
        &self,
        common_name: &str,
        hosts: &[String],
        public: SubjectPublicKeyInfoOwned,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Result<(String, String), Refusal> {
        let mut sans = Sans::default();
        hosts.iter().for_each(|host| sans.add_name(host.clone()));
        sans.add_common_name(common_name);
        let wanted = CertificateSpec {
            subject: names::subject(&JsonObject::default(), Some(common_name))?,
            sans,
            role: SubjectRole::EndEntity,
            key_usage: Some(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment),
            extended_key_usage: SERVER_AND_CLIENT.to_vec(),
            ..CertificateSpec::default()
        };
        let issuer = Issuer { certificate: Some(&self.certificate), key: &self.key };
        let life = ValidityPeriod { from: now.plus_millis(-DAY / 24), to: now.plus_millis(DAYS * DAY) };
        let signed = issue::certificate(&wanted, public, &issuer, &issue::serial(ids), life)?;
        Ok((issue::to_pem(&signed)?, issue::to_pem(&self.certificate)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_everywhere_and_another_for_staging() {
        let pem = |environment: &str| issue::to_pem(&Acme::of(environment).unwrap().certificate).unwrap();
        assert_eq!(pem("staging"), pem("staging"));
        assert_ne!(pem("staging"), pem("production"));
    }
}
