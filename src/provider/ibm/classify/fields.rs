//! Secret fields, by type.

/// The secret types of the provider's published list, with the answer members that are their payload.
pub const SECRET_TYPES: [(&str, &[&str]); 9] = [
    ("arbitrary", &["payload"]),
    ("custom_credentials", &["credentials_content"]),
    ("iam_credentials", &["api_key"]),
    ("imported_cert", &["certificate", "intermediate", "private_key", "csr"]),
    ("kv", &["data"]),
    ("private_cert", &["certificate", "private_key", "issuing_ca", "ca_chain"]),
    ("public_cert", &["certificate", "intermediate", "private_key"]),
    ("service_credentials", &["credentials"]),
    ("username_password", &["username", "password"]),
];

/// The configuration types of the provider's published list, with the answer members that are secret.
///
/// The keys of certificate authorities are `data.private_key`, which is cut at any depth of any answer.
pub const CONFIGURATION_TYPES: [(&str, &[&str]); 8] = [
    ("custom_credentials_configuration", &[]),
    ("iam_credentials_configuration", &["api_key"]),
    ("private_cert_configuration_intermediate_ca", &[]),
    ("private_cert_configuration_root_ca", &[]),
    ("private_cert_configuration_template", &[]),
    ("public_cert_configuration_ca_lets_encrypt", &["lets_encrypt_private_key"]),
    (
        "public_cert_configuration_dns_classic_infrastructure",
        &["classic_infrastructure_username", "classic_infrastructure_password"],
    ),
    ("public_cert_configuration_dns_cloud_internet_services", &["cloud_internet_services_apikey"]),
];

/// Secret at any place: a key that the provider shows in metadata (`managed_csr`) or stores for itself (`data` of a
/// certificate authority).
const EVERYWHERE: &str = "private_key";

/// Members that the metadata of a version may have, whatever its type. For an unknown type, all other members of a
/// version are treated as payload.
const VERSION_METADATA: [&str; 16] = [
    "alias",
    "auto_rotated",
    "created_at",
    "created_by",
    "crn",
    "downloaded",
    "expiration_date",
    "id",
    "payload_available",
    "secret_group_id",
    "secret_id",
    "secret_name",
    "secret_type",
    "serial_number",
    "validity",
    "version_custom_metadata",
];

/// Kind of an answer, which determines its secret members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerShape<'a> {
    /// A secret of the named type, or the metadata of one of its versions.
    Secret(&'a str),
    /// A version of the named type with its payload.
    Version(&'a str),
    /// A configuration of the named type.
    Configuration(&'a str),
    /// Anything else: groups, locks, the registration.
    Other,
}

impl AnswerShape<'_> {
    /// Returns true if the provider's published list has the type.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self {
            Self::Secret(name) | Self::Version(name) => SECRET_TYPES.iter().any(|(known, _)| known == name),
            Self::Configuration(name) => CONFIGURATION_TYPES.iter().any(|(known, _)| known == name),
            Self::Other => true,
        }
    }

    /// Returns true if the member `name`, `depth` objects below the top, is secret.
    ///
    /// For an unknown type, a member is secret at any depth if its name is that of a payload of any known type, or has
    /// a suffix typical for secrets: a field too many in the pack is better than a secret in a catalogue.
    #[must_use]
    pub(super) fn is_secret(&self, name: &str, depth: usize) -> bool {
        if name == EVERYWHERE {
            return true;
        }
        let listed = |table: &[(&str, &[&str])], kind: &str| {
            table.iter().find(|(known, _)| *known == kind).map(|(_, fields)| depth == 0 && fields.contains(&name))
        };
        match self {
            Self::Secret(kind) => listed(&SECRET_TYPES, kind).unwrap_or_else(|| anywhere(name)),
            Self::Version(kind) => listed(&SECRET_TYPES, kind)
                .unwrap_or_else(|| anywhere(name) || (depth == 0 && !VERSION_METADATA.contains(&name))),
            Self::Configuration(kind) => listed(&CONFIGURATION_TYPES, kind).unwrap_or_else(|| anywhere(name)),
            Self::Other => false,
        }
    }
}

/// Suffixes of secret members that the data model does not mark.
const SECRET_ENDINGS: [&str; 8] =
    ["password", "passphrase", "token", "secret", "api_key", "apikey", "private_key", "secret_key"];

/// Returns true if `name` is a payload of any known type, or has a suffix typical for secrets.
fn anywhere(name: &str) -> bool {
    SECRET_TYPES.iter().chain(&CONFIGURATION_TYPES).any(|(_, fields)| fields.contains(&name))
        || SECRET_ENDINGS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_lose_their_own_fields_at_the_top_only() {
        let shape = AnswerShape::Secret("kv");
        assert!(shape.is_secret("data", 0));
        assert!(!shape.is_secret("data", 1), "custom_metadata may hold a member of any name");
        assert!(!shape.is_secret("payload", 0), "no field of a kv secret");
        assert!(shape.is_secret("private_key", 3));
        assert!(!AnswerShape::Configuration("private_cert_configuration_root_ca").is_secret("certificate", 1));
    }

    #[test]
    fn unknown_types_lose_every_field_that_any_type_keeps_secret() {
        let shape = AnswerShape::Secret("quantum_token");
        assert!(!shape.is_known());
        for name in
            ["payload", "data", "password", "credentials", "ca_chain", "api_key", "session_token", "client_secret"]
        {
            assert!(shape.is_secret(name, 0) && shape.is_secret(name, 2), "{name}");
        }
        assert!(!shape.is_secret("name", 0));
        let version = AnswerShape::Version("quantum_token");
        assert!(version.is_secret("entangled", 0), "what no metadata has is the payload");
        assert!(!version.is_secret("id", 0) && !version.is_secret("entangled", 1));
        assert!(!AnswerShape::Version("kv").is_secret("entangled", 0));
    }
}
