//! Which credentials are alive outside of the instance: what no backup may change.

use super::super::data::{Secret, SecretVersion};
use super::super::items::Items;
use crate::model::Digest;

/// A credential that the instance issued and that opens something: an API key of an identity, a key of another
/// service, or what a customer's job made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveCredential {
    /// Id of its secret.
    pub secret_id: String,
    /// Id of the version that holds it.
    pub version_id: String,
    /// Its id with its issuer: `ApiKey-…`, the CRN of a resource key, or what the job called it.
    pub credential_id: String,
    /// Digest of the payload, by which two moments are compared.
    pub value: Digest,
}

impl Items {
    /// Every credential that is alive, by secret and version.
    #[must_use]
    pub fn live_credentials(&self) -> Vec<LiveCredential> {
        let issued = ["iam_credentials", "service_credentials", "custom_credentials"];
        let secrets = self.secrets.values().filter(|secret| issued.contains(&secret.secret_type.as_str()));
        let mut live: Vec<LiveCredential> = secrets
            .flat_map(|secret| secret.versions.iter().map(move |version| (secret, version)))
            .filter(|(_, version)| version.payload.is_some())
            .map(|(secret, version)| LiveCredential {
                secret_id: secret.id.clone(),
                version_id: version.id.clone(),
                credential_id: credential_id(secret, version),
                value: version.payload_digest,
            })
            .collect();
        live.sort();
        live
    }
}

fn credential_id(secret: &Secret, version: &SecretVersion) -> String {
    let id = |name: &str| version.fields.str(name).or_else(|| secret.fields.str(name));
    let resource_key = || version.fields.object("resource_key").and_then(|key| key.str("crn"));
    id("api_key_id").or_else(|| id("credentials_id")).or_else(resource_key).unwrap_or_default()
}
