//! The client as a source of backups: listing and reading.

use async_trait::async_trait;

use serde_json::value::RawValue;

use super::api::Filter;
use super::classify::{AnswerShape, class};
use super::client::Client;
use super::convert::{terraform, view};
use super::docs::ROW;
use super::docs::{LOCKS, VERSIONS};
use super::{inventory, reading};
use crate::crypto::digest::sha256;
use crate::model::json::{JsonObject, as_str, raw};
use crate::model::{Docs, Item, ItemClass, ItemKey, ItemKind, Restorability, Slot, Timestamp};
use crate::provider::{
    Address, CompleteListing, InstanceError, InstanceInventory, ItemContent, ItemReader, Listed, Look, Presence,
    Readable, Requests, Sink, StandbyQuery, TerraformResource,
};

/// Maximum number of characters of a search text.
const LONGEST_SEARCH: usize = 128;
/// Suffix of the host names of all instances.
const HOST_SUFFIX: &str = ".secrets-manager.appdomain.cloud";

#[async_trait]
impl InstanceInventory for Client {
    /// `https://{instance_id}.{region}…` and `https://{instance_id}.private.{region}…` contain the id.
    fn address(&self) -> Address {
        let url = self.wire().base_url();
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let label = host.strip_suffix(HOST_SUFFIX).and_then(|rest| rest.split('.').next());
        let instance = label.filter(|id| uuid::Uuid::try_parse(id).is_ok()).map(ToOwned::to_owned);
        Address { url: url.as_str().trim_end_matches('/').to_owned(), instance }
    }

    fn instance_id(&self, full_name: &str) -> Option<String> {
        view::instance_id(full_name)
    }

    fn instance_of(&self, item: &Item) -> Option<String> {
        view::instance(&item.doc(ROW)?)
    }

    fn terraform(&self, full_name: &str, key: &ItemKey, item_type: &str, id: &str) -> Option<TerraformResource> {
        terraform::resource(full_name, key, item_type, id)
    }

    /// 23 requests for 10,000 secrets: one page per 1,000 secrets, the same for their locks, and one each for groups,
    /// configurations and the registration.
    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
        inventory::list(self, sink).await
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
                    // The search also matches other members; it only keeps the answer small.
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

    /// Requests the metadata of a secret, a group, the list of configurations (which has their metadata), or the
    /// registration.
    ///
    /// An empty list of configurations may mean that we are not allowed to see them. Then the configuration is
    /// requested by name: it is gone only if it does not exist, and hidden if it answers. Its value is dropped unread.
    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        let there = |there: bool| if there { Presence::Present } else { Presence::Gone };
        let asked = match key.kind() {
            ItemKind::Secret => self.secret_metadata(key.id()).await.map(|_| Presence::Present),
            ItemKind::Group => self.group(key.id()).await.map(|_| Presence::Present),
            ItemKind::Registration => self.registration().await.map(|found| there(found.is_some())),
            // No request or list of this version shows such an item.
            ItemKind::Other => Ok(Presence::Gone),
            ItemKind::Configuration => match self.configurations().await {
                Ok(rows) if rows.is_empty() => self.configuration_of(key).await,
                Ok(rows) => Ok(there(rows.iter().any(|row| {
                    let (config_type, name) = (row.str("config_type"), row.str("name"));
                    matches!((config_type, name), (Some(t), Some(n)) if key.id() == format!("{t}/{n}"))
                }))),
                Err(error) => Err(error),
            },
        };
        match asked {
            Err(InstanceError::Gone { .. }) => Ok(Presence::Gone),
            Err(InstanceError::Unauthenticated { .. } | InstanceError::Forbidden { .. }) => Ok(Presence::Hidden),
            other => other,
        }
    }

    fn provider_now(&self) -> Option<Timestamp> {
        self.wire().now()
    }

    fn requests(&self) -> Requests {
        self.wire().requests()
    }
}

#[async_trait]
impl ItemReader for Client {
    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<ItemContent, InstanceError> {
        reading::read(self, listed, before).await
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

    fn judge(&self, item: &Item) -> ItemClass {
        let payloads: Vec<Slot> = item.payloads.iter().map(|pointer| pointer.version.clone()).collect();
        class(item, &payloads).into()
    }

    fn labels(&self, item: &Item) -> Vec<String> {
        let labels = item.doc(ROW).and_then(|row| row.array("labels")).unwrap_or_default();
        labels.iter().filter_map(|label| as_str(label)).collect()
    }
}

impl Client {
    /// Determines whether an unlisted configuration is gone or hidden. One of an unknown type counts as gone, because
    /// reading it might change something.
    async fn configuration_of(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        match key.id().split_once('/') {
            Some((config_type, name)) if AnswerShape::Configuration(config_type).is_known() => {
                self.configuration_answer(name, config_type).await.map(|_| Presence::Hidden)
            }
            _ => Ok(Presence::Gone),
        }
    }

    /// Converts a row found by a search to the form of the lists.
    fn listed(&self, wanted: &StandbyQuery<'_>, row: &JsonObject) -> Result<Listed, InstanceError> {
        let malformed = |what: &str| InstanceError::Malformed {
            what: format!("look for {} {}", wanted.item_type, wanted.name),
            problem: format!("a row has no usable `{what}`"),
        };
        let kind = wanted.key.kind();
        let key = match kind {
            // Its id consists of its type and name.
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
