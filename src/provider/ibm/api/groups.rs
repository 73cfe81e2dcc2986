//! Secret groups.

use crate::model::json::JsonObject;
use crate::provider::ibm::Client;
use crate::provider::ibm::wire::{Answer, Family, Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

const GROUPS: &str = "secret_groups";

impl Client {
    /// `GET /secret_groups`: all groups; the list has no pages.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Incomplete`] if its total differs from the number of rows.
    pub async fn groups(&self) -> Result<Vec<JsonObject>, InstanceError> {
        let (answer, rows) = self.group_rows().await?;
        rows.iter().map(|row| Ok(answer.split_text(row, Family::Other)?.metadata)).collect()
    }

    /// Reads the list. Returns the answer and its rows as text.
    pub(in crate::provider::ibm) async fn group_rows(&self) -> Result<(Answer, Vec<String>), InstanceError> {
        let request = WireRequest::get(Purpose::Listing, "list the secret groups".to_owned(), &[GROUPS]);
        let answer = self.wire().json(request).await?;
        let rows = whole(&answer, GROUPS)?;
        Ok((answer, rows))
    }

    /// `GET /secret_groups/{id}`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such group.
    pub async fn group(&self, id: &str) -> Result<JsonObject, InstanceError> {
        let request = WireRequest::get(Purpose::Reading, format!("read secret group {id}"), &[GROUPS, id]);
        Ok(self.wire().json(request).await?.split(Family::Other)?.metadata)
    }

    /// `POST /secret_groups`; `body` has `name` and may have `description`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn create_group(&self, body: &RequestBody) -> Result<JsonObject, InstanceError> {
        let request = WireRequest::post("create a secret group".to_owned(), &[GROUPS], body);
        Ok(self.wire().json(request).await?.split(Family::Other)?.metadata)
    }

    /// `PATCH /secret_groups/{id}`: `name`, `description`.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_group(&self, id: &str, patch: &RequestBody) -> Result<JsonObject, InstanceError> {
        let request = WireRequest::patch(format!("update secret group {id}"), &[GROUPS, id], patch);
        Ok(self.wire().json(request).await?.split(Family::Other)?.metadata)
    }

    /// `DELETE /secret_groups/{id}`; the group must be empty.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if the group does not exist.
    pub async fn delete_group(&self, id: &str) -> Result<(), InstanceError> {
        self.wire().done(WireRequest::delete(format!("delete secret group {id}"), &[GROUPS, id])).await
    }
}

/// Returns the rows of a list without pages; their number must match the total.
pub(super) fn whole(answer: &Answer, member: &str) -> Result<Vec<String>, InstanceError> {
    let rows = answer.rows(member)?;
    let total = answer.count("total_count")?;
    if rows.len() as u64 != total {
        let problem = format!("it holds {} rows where its total says {total}", rows.len());
        return Err(answer.incomplete(problem));
    }
    Ok(rows.into_iter().map(|row| row.get().to_owned()).collect())
}
