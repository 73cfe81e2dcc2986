//! Secret types.

use super::refusal::Refusal;

/// A secret type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Arbitrary,
    Kv,
    UsernamePassword,
    ImportedCert,
    PublicCert,
    PrivateCert,
    IamCredentials,
    ServiceCredentials,
    CustomCredentials,
}

impl SecretKind {
    /// Returns the kind of a `secret_type`; `None` if unknown.
    pub(crate) fn of(secret_type: &str) -> Option<Self> {
        Some(match secret_type {
            "arbitrary" => Self::Arbitrary,
            "kv" => Self::Kv,
            "username_password" => Self::UsernamePassword,
            "imported_cert" => Self::ImportedCert,
            "public_cert" => Self::PublicCert,
            "private_cert" => Self::PrivateCert,
            "iam_credentials" => Self::IamCredentials,
            "service_credentials" => Self::ServiceCredentials,
            "custom_credentials" => Self::CustomCredentials,
            _ => return None,
        })
    }

    /// Parses the type in a request that creates a payload.
    pub(crate) fn parse(secret_type: &str) -> Result<Self, Refusal> {
        Self::of(secret_type).ok_or_else(|| Refusal::invalid("The field 'secret_type' is not one of the known types."))
    }
}

impl SecretKind {
    /// True if the instance generates the payload, so that a version needs no payload before it.
    pub(crate) fn mints(self) -> bool {
        matches!(self, Self::IamCredentials | Self::ServiceCredentials | Self::CustomCredentials)
    }

    /// True if a new version has its own end, so that a timely rotation postpones the end.
    pub(crate) fn renews(self) -> bool {
        self.mints() || matches!(self, Self::PublicCert | Self::PrivateCert)
    }

    /// True if a lock does not postpone expiry.
    pub(crate) fn ends_when_locked(self) -> bool {
        matches!(self, Self::ImportedCert | Self::PublicCert | Self::PrivateCert)
    }
}
