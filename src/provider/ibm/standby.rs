//! The client as a standby.

use async_trait::async_trait;
use serde_json::value::RawValue;

use super::api::{Filter, Which, WireBody};
use super::client::Client;
use super::inventory::ROW;
use super::reading::{LOCKS, VERSIONS};
use super::recipe::IbmRecipe;
use super::recipe::authority::sign_csr;
use super::recipe::view;
use crate::crypto::digest::sha256;
use crate::model::json::{JsonObject, raw};
use crate::model::{Docs, Item, ItemKey, ItemKind, Restorability};
use crate::provider::standby::{self, Address, Look, Recipe, Signer, Standby, StandbyQuery, Write, Written};
use crate::provider::{InstanceError, Listed, Readable};

/// Characters of a name that a search takes at most.
const LONGEST_SEARCH: usize = 128;
/// The end of every host of an instance.
const HOST_SUFFIX: &str = ".secrets-manager.appdomain.cloud";

#[async_trait]
impl Standby for Client {
    fn recipe(&self) -> &dyn Recipe {
        &IbmRecipe
    }

    /// `https://{instance_id}.{region}…` and `https://{instance_id}.private.{region}…` show the id.
    fn address(&self) -> Address {
        let url = self.wire().base_url();
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let label = host.strip_suffix(HOST_SUFFIX).and_then(|rest| rest.split('.').next());
        let instance = label.filter(|id| uuid::Uuid::try_parse(id).is_ok()).map(ToOwned::to_owned);
        Address { url: url.as_str().trim_end_matches('/').to_owned(), instance }
    }

    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError> {
        let mut docs = Docs::new();
        if look.row {
            docs.insert(ROW.to_owned(), self.secret_metadata(key.id()).await?.metadata.to_raw());
        }
        if look.versions {
            let versions = self.versions(key.id()).await?;
            let rows: Vec<&JsonObject> = versions.iter().map(|version| &version.metadata).collect();
            docs.insert(VERSIONS.to_owned(), raw(&rows));
        }
        if look.locks {
            docs.insert(LOCKS.to_owned(), raw(&self.locks(key.id()).await?));
        }
        Ok(docs)
    }

    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError> {
        let named = |row: &JsonObject| row.str("name").as_deref() == Some(wanted.name);
        let row = match wanted.key.kind() {
            ItemKind::Group => self.groups().await?.into_iter().find(named),
            ItemKind::Registration => self.registration().await?,
            ItemKind::Other => None,
            ItemKind::Configuration => {
                let is = |row: &JsonObject| named(row) && row.str("config_type").as_deref() == Some(wanted.item_type);
                self.configurations().await?.into_iter().find(is)
            }
            ItemKind::Secret => {
                let filter = Filter {
                    groups: wanted.group.map(ToOwned::to_owned).into_iter().collect(),
                    secret_types: vec![wanted.item_type.to_owned()],
                    // A search finds more than the name; it only keeps the answer small.
                    search: Some(wanted.name.chars().take(LONGEST_SEARCH).collect()),
                    ..Filter::default()
                };
                let is = |row: &JsonObject| {
                    named(row) && wanted.group.is_none_or(|group| row.str("secret_group_id").as_deref() == Some(group))
                };
                self.secrets(&filter).await?.into_iter().find(is)
            }
        };
        row.map(|row| self.listed(wanted, &row)).transpose()
    }

    async fn write(&self, write: Write) -> Result<Written, InstanceError> {
        match write {
            Write::CreateGroup { body } => self.create_group(&sent(&body)).await.map(|answer| written(&answer)),
            Write::PatchGroup { id, body } => self.update_group(&id, &sent(&body)).await.map(|answer| written(&answer)),
            Write::CreateConfiguration { body } => {
                self.create_configuration(&sent(&body)).await.map(|_| Written::default())
            }
            Write::PatchConfiguration { key, body } => {
                let (config_type, name) = key.id().split_once('/').unwrap_or_default();
                self.update_configuration(name, config_type, &sent(&body)).await.map(|_| Written::default())
            }
            Write::ConfigurationAction { key, body } => {
                let (config_type, name) = key.id().split_once('/').unwrap_or_default();
                self.configuration_action(name, config_type, &sent(&body)).await.map(|_| Written::default())
            }
            Write::CreateSecret { body } => {
                self.create_secret(&sent(&body)).await.map(|answer| written(&answer.metadata))
            }
            Write::AddVersion { id, body } => {
                let answer = self.create_version(&id, &sent(&body)).await?.metadata;
                Ok(Written { version: answer.str("id"), ..Written::default() })
            }
            Write::PatchSecret { id, body } => {
                self.update_secret_metadata(&id, &sent(&body)).await.map(|answer| written(&answer.metadata))
            }
            Write::PatchVersion { id, version, body } => {
                self.update_version_metadata(&id, Which::Id(&version), &sent(&body)).await.map(|_| Written::default())
            }
            Write::AddLocks { id, version, body } => {
                self.add_locks(&id, Some(Which::Id(&version)), &sent(&body)).await.map(|_| Written::default())
            }
            Write::RemoveLocks { id, version, names } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.remove_locks(&id, Some(Which::Id(&version)), &names).await.map(|_| Written::default())
            }
            Write::DeleteSecret { id } => self.delete_secret(&id).await.map(|()| Written::default()),
            Write::DeleteConfiguration { key } => {
                let (config_type, name) = key.id().split_once('/').unwrap_or_default();
                self.delete_configuration(name, config_type).await.map(|()| Written::default())
            }
            Write::DeleteGroup { id } => self.delete_group(&id).await.map(|()| Written::default()),
            Write::Register { body } => self.create_registration(&sent(&body)).await.map(|_| Written::default()),
        }
    }
}

#[async_trait]
impl Signer for Client {
    async fn sign(&self, authority: &ItemKey, request: &str) -> Result<String, InstanceError> {
        let (config_type, name) = authority.id().split_once('/').unwrap_or_default();
        let answer = self.configuration_action(name, config_type, &sent(&sign_csr(request))).await?;
        let certificate = answer.metadata.object("data").and_then(|data| data.str("certificate"));
        certificate.filter(|certificate| !certificate.is_empty()).ok_or_else(|| InstanceError::Malformed {
            what: format!("let {authority} sign a request"),
            problem: "the answer shows no `data.certificate`".to_owned(),
        })
    }
}

impl Client {
    /// A row that was found by a search, as the lists give it.
    fn listed(&self, wanted: &StandbyQuery<'_>, row: &JsonObject) -> Result<Listed, InstanceError> {
        let malformed = |what: &str| InstanceError::Malformed {
            what: format!("look for {} {}", wanted.item_type, wanted.name),
            problem: format!("a row has no usable `{what}`"),
        };
        let kind = wanted.key.kind();
        let key = match kind {
            // Its id is what people call it.
            ItemKind::Configuration | ItemKind::Registration => wanted.key.clone(),
            _ => ItemKey::new(kind, &row.str("id").ok_or_else(|| malformed("id"))?).map_err(|_| malformed("id"))?,
        };
        let readable = match kind {
            ItemKind::Secret if self.safe_to_read(row).is_ok() => Readable::Payloads,
            ItemKind::Configuration => Readable::Payloads,
            _ => Readable::MetadataOnly,
        };
        let text: Box<RawValue> = row.to_raw();
        Ok(Listed {
            revision: sha256(text.get().as_bytes()),
            settled: None,
            updated_at: row.str("updated_at").and_then(|time| time.parse().ok()),
            readable,
            withheld: None,
            item: Item {
                key,
                name: row.str("name").unwrap_or_else(|| kind.as_str().to_owned()),
                item_type: wanted.item_type.to_owned(),
                group: row.str("secret_group_id"),
                class: Restorability::Exact.into(),
                revision: None,
                read_at: None,
                payloads: Vec::new(),
                docs: Docs::from([(ROW.to_owned(), text)]),
            },
        })
    }
}

fn sent(body: &standby::RequestBody) -> WireBody {
    match &body.payload {
        Some(payload) => WireBody::with_payload(&body.metadata, payload),
        None => WireBody::new(&body.metadata),
    }
}

/// What the answer about a secret or a group shows of it.
fn written(answer: &JsonObject) -> Written {
    Written { id: answer.str("id"), instance: view::instance(answer), version: None }
}
