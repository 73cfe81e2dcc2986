//! Versions of secrets. The only module that reads payloads of secrets.

use super::groups::whole;
use super::secrets::SECRETS;
use super::{Split, Which};
use crate::provider::ibm::Client;
use crate::provider::ibm::classify::SafeToRead;
use crate::provider::ibm::wire::{Answer, Family, Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

const VERSIONS: &str = "versions";

impl Client {
    /// `GET /secrets/{id}/versions`: the metadata of all versions (at most 50); the list has no pages.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such secret, [`InstanceError::Incomplete`] if the total
    /// differs from the number of rows.
    pub async fn versions(&self, secret: &str) -> Result<Vec<Split>, InstanceError> {
        let (answer, rows) = self.version_rows(secret).await?;
        rows.iter().map(|row| answer.split_text(row, Family::Secret)).collect()
    }

    pub(in crate::provider::ibm) async fn version_rows(
        &self,
        secret: &str,
    ) -> Result<(Answer, Vec<String>), InstanceError> {
        let what = format!("list the versions of secret {secret}");
        let answer = self.wire().json(WireRequest::get(Purpose::Reading, what, &[SECRETS, secret, VERSIONS])).await?;
        let rows = whole(&answer, VERSIONS)?;
        Ok((answer, rows))
    }

    /// `GET /secrets/{id}/versions/{version}`: a version with its payload, if it still has one. The source records the
    /// read (`downloaded`, `retrieved_at`) and emits an audit event.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such secret or version.
    pub async fn version(&self, secret: &SafeToRead, version: Which<'_>) -> Result<Split, InstanceError> {
        self.version_answer(secret, version).await?.split(Family::Version)
    }

    pub(in crate::provider::ibm) async fn version_answer(
        &self,
        secret: &SafeToRead,
        version: Which<'_>,
    ) -> Result<Answer, InstanceError> {
        let what = format!("read version {} of secret {}", version.as_str(), secret.id());
        let path = [SECRETS, secret.id(), VERSIONS, version.as_str()];
        self.wire().json(WireRequest::get(Purpose::Reading, what, &path)).await
    }

    /// `GET /secrets/{id}/versions/{version}/metadata`. Never reads the payload.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such secret or version.
    pub async fn version_metadata(&self, secret: &str, version: Which<'_>) -> Result<Split, InstanceError> {
        let what = format!("read the metadata of version {} of secret {secret}", version.as_str());
        let path = [SECRETS, secret, VERSIONS, version.as_str(), "metadata"];
        self.wire().json(WireRequest::get(Purpose::Reading, what, &path)).await?.split(Family::Secret)
    }

    /// `PATCH /secrets/{id}/versions/{version}/metadata`: `version_custom_metadata` only.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_version_metadata(
        &self,
        secret: &str,
        version: Which<'_>,
        patch: &RequestBody,
    ) -> Result<Split, InstanceError> {
        let what = format!("update the metadata of version {} of secret {secret}", version.as_str());
        let path = [SECRETS, secret, VERSIONS, version.as_str(), "metadata"];
        self.wire().json(WireRequest::patch(what, &path, patch)).await?.split(Family::Secret)
    }

    /// `POST /secrets/{id}/versions`: a new version. The version that was previous until then loses its payload. The
    /// answer has the payload.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn create_version(&self, secret: &str, body: &RequestBody) -> Result<Split, InstanceError> {
        let what = format!("create a version of secret {secret}");
        self.wire().json(WireRequest::post(what, &[SECRETS, secret, VERSIONS], body)).await?.split(Family::Version)
    }
}
