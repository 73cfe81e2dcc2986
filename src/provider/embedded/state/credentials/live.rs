//! Credentials that are valid outside the instance, which a backup must not change.

use super::super::data::{Secret, SecretVersion};
use super::super::items::Items;
use crate::model::Digest;

/// A valid credential issued by the instance: an API key of an identity, a key of another service, or the result of a
/// customer's job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveCredential {
    /// Id of its secret.
    pub secret_id: String,
    /// Id of its version.
    pub version_id: String,
    /// Its id at the issuer: `ApiKey-…`, the CRN of a resource key, or the id from the job.
    pub credential_id: String,
    /// Digest of the payload, for comparing two points in time.
    pub value: Digest,
}

impl Items {
    /// Returns all valid credentials, ordered by secret and version.
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
