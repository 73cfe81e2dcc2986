//! Secret types: their members, payloads and metadata. One file per type, with the dispatch here.

mod arbitrary;
mod custom_credentials;
pub(in super::super) mod iam_credentials;
mod imported_cert;
mod kv;
mod private_cert;
mod public_cert;
mod service_credentials;
mod username_password;

use super::data::Secret;
use super::fresh_version::{Fresh, Making};
use super::input::InputBody;
use super::instance_state::InstanceState;
use super::refusal::Refusal;
use super::secret_kind::SecretKind;
use crate::model::Timestamp;

impl SecretKind {
    /// Returns the type's own members of a create body.
    pub(crate) fn create_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::CREATE,
            Self::Kv => &kv::CREATE,
            Self::UsernamePassword => &username_password::CREATE,
            Self::ImportedCert => &imported_cert::CREATE,
            Self::PublicCert => &public_cert::CREATE,
            Self::PrivateCert => &private_cert::CREATE,
            Self::IamCredentials => &iam_credentials::CREATE,
            Self::ServiceCredentials => &service_credentials::CREATE,
            Self::CustomCredentials => &custom_credentials::CREATE,
        }
    }

    /// Returns the type's own members of a new version's body.
    pub(crate) fn version_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::VERSION,
            Self::Kv => &kv::VERSION,
            Self::UsernamePassword => &username_password::VERSION,
            Self::ImportedCert => &imported_cert::VERSION,
            Self::PublicCert => &public_cert::VERSION,
            Self::PrivateCert => &private_cert::VERSION,
            Self::IamCredentials => &iam_credentials::VERSION,
            Self::ServiceCredentials => &service_credentials::VERSION,
            Self::CustomCredentials => &custom_credentials::VERSION,
        }
    }

    /// Returns the type's own members of a metadata patch.
    pub(crate) fn patch_members(self) -> &'static [&'static str] {
        match self {
            Self::Arbitrary => &arbitrary::PATCH,
            Self::Kv => &kv::PATCH,
            Self::UsernamePassword => &username_password::PATCH,
            Self::ImportedCert => &imported_cert::PATCH,
            Self::PublicCert => &public_cert::PATCH,
            Self::PrivateCert => &private_cert::PATCH,
            Self::IamCredentials => &iam_credentials::PATCH,
            Self::ServiceCredentials => &service_credentials::PATCH,
            Self::CustomCredentials => &custom_credentials::PATCH,
        }
    }
}

impl InstanceState {
    /// Creates the first version of a new secret.
    pub(crate) fn first(&mut self, kind: SecretKind, making: &Making<'_>) -> Result<Fresh, Refusal> {
        match kind {
            SecretKind::Arbitrary => arbitrary::first(making.body),
            SecretKind::Kv => kv::make(making.body),
            SecretKind::UsernamePassword => username_password::first(making.body, &mut self.ids),
            SecretKind::ImportedCert => self.first_imported_cert(making.body),
            SecretKind::PublicCert => self.first_public_cert(making.body),
            SecretKind::PrivateCert => self.first_private_cert(making),
            SecretKind::IamCredentials => self.first_iam_credentials(making),
            SecretKind::ServiceCredentials => self.first_service_credentials(making),
            SecretKind::CustomCredentials => self.first_custom_credentials(making),
        }
    }

    /// Creates a later version of a secret, for a request or, with an empty body, for an automatic rotation.
    pub(crate) fn next(
        &mut self,
        kind: SecretKind,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &Secret,
    ) -> Result<Fresh, Refusal> {
        match kind {
            SecretKind::Arbitrary => arbitrary::next(body),
            SecretKind::Kv => kv::make(body),
            SecretKind::UsernamePassword => username_password::next(body, secret, &mut self.ids),
            SecretKind::ImportedCert => imported_cert::next(body, secret),
            // Never called: their versions are ordered.
            SecretKind::PublicCert => Err(Refusal::invalid("A version of this secret type comes from an order.")),
            SecretKind::PrivateCert => self.next_private_cert(now, body, secret),
            SecretKind::IamCredentials => self.next_iam_credentials(now, body, secret),
            SecretKind::ServiceCredentials => Ok(self.next_service_credentials(now, secret)),
            // Never called: their versions come from a job.
            SecretKind::CustomCredentials => Err(Refusal::invalid("A version of this secret type comes from a task.")),
        }
    }

    /// Applies the type's own members of a metadata patch. Returns `true` if rotation was patched and is now on.
    pub(crate) fn patch_kind(
        &mut self,
        kind: SecretKind,
        now: Timestamp,
        body: &InputBody<'_>,
        secret: &mut Secret,
    ) -> Result<bool, Refusal> {
        match kind {
            SecretKind::Kv => Ok(false),
            SecretKind::Arbitrary => self.patch_expiry(body, secret, now).map(|()| false),
            SecretKind::UsernamePassword => {
                self.patch_expiry(body, secret, now)?;
                self.patch_rotation(body, secret, now)
            }
            SecretKind::ImportedCert => self.patch_imported_cert(body, secret).map(|()| false),
            SecretKind::PublicCert => self.patch_public_cert(body, secret),
            SecretKind::PrivateCert => self.patch_private_cert(now, body, secret),
            SecretKind::IamCredentials => self.patch_iam_credentials(now, body, secret),
            SecretKind::ServiceCredentials => self.patch_service_credentials(now, body, secret),
            SecretKind::CustomCredentials => self.patch_custom_credentials(now, body, secret),
        }
    }
}
