//! The secret types.

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
    /// The kind of a `secret_type`; `None` for one that nobody has heard of.
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

    /// The same for a request that makes a payload.
    pub(crate) fn parse(secret_type: &str) -> Result<Self, Refusal> {
        Self::of(secret_type).ok_or_else(|| Refusal::invalid("The field 'secret_type' is not one of the known types."))
    }
}

impl SecretKind {
    /// Whether the instance makes the payload out of nothing, so that a version needs none before it.
    pub(crate) fn mints(self) -> bool {
        matches!(self, Self::IamCredentials | Self::ServiceCredentials | Self::CustomCredentials)
    }

    /// Whether a new version has an end of its own, so that a rotation in time puts the end off.
    pub(crate) fn renews(self) -> bool {
        self.mints() || matches!(self, Self::PublicCert | Self::PrivateCert)
    }

    /// Whether a lock does not postpone its end.
    pub(crate) fn ends_when_locked(self) -> bool {
        matches!(self, Self::ImportedCert | Self::PublicCert | Self::PrivateCert)
    }
}
