//! Rights of the identity, tested without reading a payload.

use serde::Serialize;

use super::client::Client;
use super::wire::{Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

/// Id of a secret that cannot exist: the nil UUID is not a v4 UUID.
const NO_SECRET: &str = "00000000-0000-0000-0000-000000000000";
/// Name of a configuration that should not exist.
const NO_CONFIGURATION: &str = "keyhaven-access-check-no-such-configuration";
/// A type whose answers contain no secret, in case that configuration exists after all.
const NO_SECRET_TYPE: &str = "private_cert_configuration_template";

/// Whether an action is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "message")]
pub enum Allowed {
    /// Allowed.
    Yes,
    /// Not allowed, with the provider's message.
    No(String),
}

/// Rights of the identity for each action that a backup needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `secrets.list`.
    pub list_secrets: Allowed,
    /// `secrets-locks.list`.
    pub list_locks: Allowed,
    /// `secret-groups.list`.
    pub list_groups: Allowed,
    /// `configurations.list`.
    pub list_configurations: Allowed,
    /// `notifications-registration.read`.
    pub read_registration: Allowed,
    /// `secret-version.read`: the payloads of secrets.
    pub read_secrets: Allowed,
    /// `configuration.read`: the values of configurations. Only the role Manager, or a custom role.
    pub read_configurations: Allowed,
}

impl Access {
    /// Returns each action with its result.
    #[must_use]
    pub fn actions(&self) -> [(&'static str, &Allowed); 7] {
        [
            ("secrets.list", &self.list_secrets),
            ("secrets-locks.list", &self.list_locks),
            ("secret-groups.list", &self.list_groups),
            ("configurations.list", &self.list_configurations),
            ("notifications-registration.read", &self.read_registration),
            ("secret-version.read", &self.read_secrets),
            ("configuration.read", &self.read_configurations),
        ]
    }
}

impl Client {
    /// Checks what the identity may do, with one request per action. The right to read is tested with names that do not
    /// exist: with the right the answer is 404 (not found), without it 403 (forbidden).
    ///
    /// # Errors
    /// When the instance gives no usable answer, or rejects the token.
    pub async fn check_access(&self) -> Result<Access, InstanceError> {
        let first = |path: &'static str| self.probe(format!("list {path}"), vec![path], None);
        Ok(Access {
            list_secrets: first("secrets").await?,
            list_locks: first("secrets_locks").await?,
            list_groups: first("secret_groups").await?,
            list_configurations: first("configurations").await?,
            read_registration: allowed(self.registration().await.map(|_| ()))?,
            read_secrets: self
                .probe("read payloads".to_owned(), vec!["secrets", NO_SECRET, "versions", "current"], None)
                .await?,
            read_configurations: self
                .probe("read configurations".to_owned(), vec!["configurations", NO_CONFIGURATION], Some(NO_SECRET_TYPE))
                .await?,
        })
    }

    /// Checks whether the identity may write, without writing: the targets of the changes do not exist. Returns each
    /// action that a restore requires, with its result.
    ///
    /// # Errors
    /// As [`Client::check_access`].
    pub async fn check_write_access(&self) -> Result<[(&'static str, Allowed); 4], InstanceError> {
        let nothing = RequestBody::default();
        let patch = |what: &str, path: &[&'static str]| {
            WireRequest::patch(format!("ask whether {what} may change"), path, &nothing)
        };
        let asked = |request| async { allowed(self.wire().json(request).await.map(|_| ())) };
        let version = ["secrets", NO_SECRET, "versions"];
        let template = patch("configurations", &["configurations", NO_CONFIGURATION]).config_type(NO_SECRET_TYPE);
        Ok([
            ("secret-group.update", asked(patch("groups", &["secret_groups", NO_SECRET])).await?),
            ("secret-metadata.update", asked(patch("secrets", &["secrets", NO_SECRET, "metadata"])).await?),
            (
                "secret-version.create",
                asked(WireRequest::post("ask whether versions may be added".to_owned(), &version, &nothing)).await?,
            ),
            ("configuration.update", asked(template).await?),
        ])
    }

    async fn probe(
        &self,
        what: String,
        path: Vec<&'static str>,
        config_type: Option<&'static str>,
    ) -> Result<Allowed, InstanceError> {
        let mut request = WireRequest::get(Purpose::Reading, what, &path);
        request = match config_type {
            Some(config_type) => request.config_type(config_type),
            // The list of groups has no `limit`.
            None if path.len() == 1 && path != ["secret_groups"] => request.query("limit", "1".to_owned()),
            None => request,
        };
        allowed(self.wire().json(request).await.map(|_| ()))
    }
}

fn allowed(asked: Result<(), InstanceError>) -> Result<Allowed, InstanceError> {
    match asked {
        Ok(()) | Err(InstanceError::Gone { .. } | InstanceError::Refused { .. }) => Ok(Allowed::Yes),
        Err(InstanceError::Forbidden { message, .. }) => Ok(Allowed::No(message)),
        Err(error) => Err(error),
    }
}
