//! Secrets: list rows, metadata, creation and deletion. Payloads of versions are in `versions`.

use super::{Pages, Split};
use crate::model::json::JsonObject;
use crate::provider::ibm::Client;
use crate::provider::ibm::classify::SafeToRead;
use crate::provider::ibm::wire::{Family, Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

pub(super) const SECRETS: &str = "secrets";

/// Filter for the list of secrets; matches all by default.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only secrets of these groups, by id.
    pub groups: Vec<String>,
    /// Only secrets of these types.
    pub secret_types: Vec<String>,
    /// Only secrets that have all these labels.
    pub labels: Vec<String>,
    /// Only secrets whose id, name, description, labels or type contain this text (2 to 128 characters).
    pub search: Option<String>,
}

impl Client {
    /// `GET /secrets`: the rows of all secrets that match the filter, sorted by id.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Incomplete`] if the pages are inconsistent.
    pub async fn secrets(&self, filter: &Filter) -> Result<Vec<JsonObject>, InstanceError> {
        let mut pages = self.secret_pages().filtered(filter);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            for row in page.rows()? {
                all.push(page.answer().split_text(row.get(), Family::Secret)?.metadata);
            }
        }
        Ok(all)
    }

    pub(in crate::provider::ibm) fn secret_pages(&self) -> Pages<'_> {
        Pages::new(self, "list the secrets", &[SECRETS], SECRETS, 1_000).rising("id")
    }

    /// Checks by the row of a secret that its payload may be read.
    ///
    /// # Errors
    /// As [`SafeToRead::new`], with the additional types of the settings.
    pub fn safe_to_read(&self, row: &JsonObject) -> Result<SafeToRead, InstanceError> {
        SafeToRead::new(row, self.vouched_types())
    }

    /// `GET /secrets/{id}/metadata`. Never reads the payload.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such secret.
    pub async fn secret_metadata(&self, id: &str) -> Result<Split, InstanceError> {
        let request =
            WireRequest::get(Purpose::Reading, format!("read the metadata of secret {id}"), &[SECRETS, id, "metadata"]);
        self.wire().json(request).await?.split(Family::Secret)
    }

    /// `POST /secrets`; `body` has `name`, `secret_type` and the members of the type. The answer has the payload.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn create_secret(&self, body: &RequestBody) -> Result<Split, InstanceError> {
        let request = WireRequest::post("create a secret".to_owned(), &[SECRETS], body);
        self.wire().json(request).await?.split(Family::Secret)
    }

    /// `PATCH /secrets/{id}/metadata` (merge-patch: `null` clears).
    ///
    /// # Errors
    /// As every call.
    pub async fn update_secret_metadata(&self, id: &str, patch: &RequestBody) -> Result<Split, InstanceError> {
        let request =
            WireRequest::patch(format!("update the metadata of secret {id}"), &[SECRETS, id, "metadata"], patch);
        self.wire().json(request).await?.split(Family::Secret)
    }

    /// `DELETE /secrets/{id}`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if the secret does not exist.
    pub async fn delete_secret(&self, id: &str) -> Result<(), InstanceError> {
        self.wire().done(WireRequest::delete(format!("delete secret {id}"), &[SECRETS, id])).await
    }
}
