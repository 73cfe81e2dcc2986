//! Configurations of the engines. A name can occur in several types, so every call takes both.

use super::{Pages, Split};
use crate::model::json::JsonObject;
use crate::provider::ibm::Client;
use crate::provider::ibm::wire::{Answer, Family, Purpose, WireRequest};
use crate::provider::{InstanceError, RequestBody};

const CONFIGURATIONS: &str = "configurations";

impl Client {
    /// `GET /configurations`: the rows of all configurations, without values.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Incomplete`] if the pages are inconsistent.
    pub async fn configurations(&self) -> Result<Vec<JsonObject>, InstanceError> {
        let mut pages = self.configuration_pages();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            for row in page.rows()? {
                all.push(page.answer().split_text(row.get(), Family::Configuration)?.metadata);
            }
        }
        Ok(all)
    }

    pub(in crate::provider::ibm) fn configuration_pages(&self) -> Pages<'_> {
        Pages::new(self, "list the configurations", &[CONFIGURATIONS], CONFIGURATIONS, 1_000).sorted("name")
    }

    /// `GET /configurations/{name}`: the configuration and its value. Requires the role Manager, or a custom role with
    /// `configuration.read`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if there is no such configuration.
    pub async fn configuration(&self, name: &str, config_type: &str) -> Result<Split, InstanceError> {
        self.configuration_answer(name, config_type).await?.split(Family::Configuration)
    }

    pub(in crate::provider::ibm) async fn configuration_answer(
        &self,
        name: &str,
        config_type: &str,
    ) -> Result<Answer, InstanceError> {
        let what = format!("read configuration {config_type}/{name}");
        let request = WireRequest::get(Purpose::Reading, what, &[CONFIGURATIONS, name]).config_type(config_type);
        self.wire().json(request).await
    }

    /// `POST /configurations`; `body` has `name`, `config_type` and the members of the type.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn create_configuration(&self, body: &RequestBody) -> Result<Split, InstanceError> {
        let request = WireRequest::post("create a configuration".to_owned(), &[CONFIGURATIONS], body);
        self.wire().json(request).await?.split(Family::Configuration)
    }

    /// `PATCH /configurations/{name}`.
    ///
    /// # Errors
    /// As every call.
    pub async fn update_configuration(
        &self,
        name: &str,
        config_type: &str,
        patch: &RequestBody,
    ) -> Result<Split, InstanceError> {
        let what = format!("update configuration {config_type}/{name}");
        let request = WireRequest::patch(what, &[CONFIGURATIONS, name], patch).config_type(config_type);
        self.wire().json(request).await?.split(Family::Configuration)
    }

    /// `POST /configurations/{name}/actions`: a certificate authority signs, takes its certificate, or revokes. The
    /// answer names no type; keys are cut out of it as out of every answer.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Unanswered`] if it may have been done.
    pub async fn configuration_action(
        &self,
        name: &str,
        config_type: &str,
        action: &RequestBody,
    ) -> Result<Split, InstanceError> {
        let what = format!("let configuration {config_type}/{name} act");
        let request = WireRequest::post(what, &[CONFIGURATIONS, name, "actions"], action).config_type(config_type);
        self.wire().json(request).await?.split(Family::Other)
    }

    /// `DELETE /configurations/{name}`.
    ///
    /// # Errors
    /// As every call; [`InstanceError::Gone`] if the configuration does not exist.
    pub async fn delete_configuration(&self, name: &str, config_type: &str) -> Result<(), InstanceError> {
        let what = format!("delete configuration {config_type}/{name}");
        self.wire().done(WireRequest::delete(what, &[CONFIGURATIONS, name]).config_type(config_type)).await
    }
}
