//! The client as a target of restores: changes to an instance.

use async_trait::async_trait;

use super::api::Which;
use super::client::Client;
use super::convert::authority::sign_csr;
use super::convert::{IbmConverter, MOST_GROUPS, recast, request, view};
use crate::model::json::JsonObject;
use crate::model::{ItemKey, ItemKind};
use crate::provider::{
    Action, Change, ConvertError, InstanceError, ItemConverter, ItemWriter, RequestBody, Signer, Write, Written,
};

#[async_trait]
impl ItemWriter for Client {
    fn converter(&self) -> &dyn ItemConverter {
        &IbmConverter
    }

    fn refused_name(&self, kind: ItemKind, name: &str) -> Option<String> {
        recast::refused_name(kind, name)
    }

    fn max_items(&self, kind: ItemKind) -> Option<usize> {
        (kind == ItemKind::Group).then_some(MOST_GROUPS)
    }

    fn body(&self, change: &Change<'_>) -> Result<RequestBody, ConvertError> {
        request::body(change)
    }

    async fn write(&self, write: Write) -> Result<Written, InstanceError> {
        let body = &write.body;
        let nothing_shown = Written::default();
        match &write.action {
            Action::CreateGroup => self.create_group(body).await.map(|answer| written(&answer)),
            Action::UpdateGroup => self.update_group(write.target()?, body).await.map(|answer| written(&answer)),
            Action::CreateConfiguration => self.create_configuration(body).await.map(|_| nothing_shown),
            Action::UpdateConfiguration => {
                let (config_type, name) = configuration(write.target()?);
                self.update_configuration(name, config_type, body).await.map(|_| nothing_shown)
            }
            Action::SignAuthority | Action::SetSigned { .. } => {
                let (config_type, name) = configuration(write.target()?);
                self.configuration_action(name, config_type, body).await.map(|_| nothing_shown)
            }
            Action::CreateSecret { .. } => self.create_secret(body).await.map(|answer| written(&answer.metadata)),
            Action::AddVersion { .. } => {
                let answer = self.create_version(write.target()?, body).await?.metadata;
                Ok(Written { version: answer.str("id"), ..nothing_shown })
            }
            Action::PatchMetadata { .. } | Action::ReleaseRotation { .. } => {
                self.update_secret_metadata(write.target()?, body).await.map(|answer| written(&answer.metadata))
            }
            Action::PatchVersionMetadata { .. } => {
                let version = Which::Id(write.version()?);
                self.update_version_metadata(write.target()?, version, body).await.map(|_| nothing_shown)
            }
            Action::AddLocks { .. } => {
                let version = Which::Id(write.version()?);
                self.add_locks(write.target()?, Some(version), body).await.map(|_| nothing_shown)
            }
            Action::RemoveLocks { names, .. } => {
                let (version, names) = (Which::Id(write.version()?), names.iter().map(String::as_str));
                let names: Vec<&str> = names.collect();
                self.remove_locks(write.target()?, Some(version), &names).await.map(|_| nothing_shown)
            }
            Action::Delete { key } => match key.kind() {
                ItemKind::Secret => self.delete_secret(key.id()).await.map(|()| nothing_shown),
                ItemKind::Configuration => {
                    let (config_type, name) = configuration(key.id());
                    self.delete_configuration(name, config_type).await.map(|()| nothing_shown)
                }
                ItemKind::Group => self.delete_group(key.id()).await.map(|()| nothing_shown),
                ItemKind::Registration | ItemKind::Other => Err(InstanceError::Unsafe {
                    what: format!("delete {key}"),
                    why: "items of this kind are never deleted".to_owned(),
                }),
            },
            Action::Register => self.create_registration(body).await.map(|_| nothing_shown),
        }
    }
}

/// Splits the id of a configuration key into type and name.
fn configuration(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or_default()
}

#[async_trait]
impl Signer for Client {
    async fn sign(&self, authority: &ItemKey, request: &str) -> Result<String, InstanceError> {
        let (config_type, name) = configuration(authority.id());
        let answer = self.configuration_action(name, config_type, &sign_csr(request)).await?;
        let certificate = answer.metadata.object("data").and_then(|data| data.str("certificate"));
        certificate.filter(|certificate| !certificate.is_empty()).ok_or_else(|| InstanceError::Malformed {
            what: format!("let {authority} sign a request"),
            problem: "the answer shows no `data.certificate`".to_owned(),
        })
    }
}

/// Extracts the result from an answer about a secret or a group.
fn written(answer: &JsonObject) -> Written {
    Written { id: answer.str("id"), instance: view::instance(answer), version: None }
}
