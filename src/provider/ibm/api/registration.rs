//! The registration with the notification service; there is at most one.

use crate::model::json::JsonObject;
use crate::provider::ibm::Client;
use crate::provider::ibm::wire::{Answer, Family, Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

const PATH: [&str; 2] = ["notifications", "registration"];

impl Client {
    /// `GET /notifications/registration`; `None` if there is none (404).
    ///
    /// # Errors
    /// As every call.
    pub async fn registration(&self) -> Result<Option<JsonObject>, InstanceError> {
        let answer = self.registration_answer().await?;
        answer.map(|answer| Ok(answer.split(Family::Other)?.metadata)).transpose()
    }

    pub(in crate::provider::ibm) async fn registration_answer(&self) -> Result<Option<Answer>, InstanceError> {
        let request = WireRequest::get(Purpose::Listing, "read the notification registration".to_owned(), &PATH);
        match self.wire().json(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(InstanceError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `POST /notifications/registration`; `body` has `event_notifications_instance_crn` and
    /// `event_notifications_source_name`, and may have `event_notifications_source_description`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn create_registration(&self, body: &RequestBody) -> Result<JsonObject, InstanceError> {
        let request = WireRequest::post("create the notification registration".to_owned(), &PATH, body);
        Ok(self.wire().json(request).await?.split(Family::Other)?.metadata)
    }

    /// `DELETE /notifications/registration`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is none.
    pub async fn delete_registration(&self) -> Result<(), InstanceError> {
        self.wire().done(WireRequest::delete("delete the notification registration".to_owned(), &PATH)).await
    }
}
