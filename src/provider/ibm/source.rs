//! The client as a source.

use async_trait::async_trait;

use super::classify::{AnswerShape, class};
use super::client::Client;
use super::inventory::ROW;
use super::{inventory, reading};
use crate::model::json::as_str;
use crate::model::{Item, ItemClass, ItemKey, ItemKind, Slot, Timestamp};
use crate::provider::{CompleteListing, InstanceError, Listed, Presence, Reading, Requests, Sink, Source};

#[async_trait]
impl Source for Client {
    /// 23 requests for 10,000 secrets: a page per 1,000 of them, the same of their locks, one each for groups,
    /// configurations and the registration.
    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError> {
        inventory::list(self, sink).await
    }

    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<Reading, InstanceError> {
        reading::read(self, listed, before).await
    }

    /// Asks for the metadata of a secret, for a group, for the list of configurations (which is where their metadata
    /// stands), for the registration.
    ///
    /// A list of configurations without a single row may be one that we are not allowed to see. Then the configuration
    /// is asked for by name, and is gone only when there is no such name; if it answers, the list hides it. Its value is
    /// dropped unread.
    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        let there = |there: bool| if there { Presence::Present } else { Presence::Gone };
        let asked = match key.kind() {
            ItemKind::Secret => self.secret_metadata(key.id()).await.map(|_| Presence::Present),
            ItemKind::Group => self.group(key.id()).await.map(|_| Presence::Present),
            ItemKind::Registration => self.registration().await.map(|found| there(found.is_some())),
            // No request of ours asks for it, and no list of ours shows it.
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

    fn judge(&self, item: &Item) -> ItemClass {
        let payloads: Vec<Slot> = item.payloads.iter().map(|pointer| pointer.version.clone()).collect();
        class(item, &payloads).into()
    }

    fn labels(&self, item: &Item) -> Vec<String> {
        let labels = item.doc(ROW).and_then(|row| row.array("labels")).unwrap_or_default();
        labels.iter().filter_map(|label| as_str(label)).collect()
    }

    fn provider_now(&self) -> Option<Timestamp> {
        self.wire().now()
    }

    fn requests(&self) -> Requests {
        self.wire().requests()
    }
}

impl Client {
    /// Whether a configuration that no list shows is gone, or hidden from us. One of a type that we do not know is taken
    /// for gone: a read of it might change something.
    async fn configuration_of(&self, key: &ItemKey) -> Result<Presence, InstanceError> {
        match key.id().split_once('/') {
            Some((config_type, name)) if AnswerShape::Configuration(config_type).is_known() => {
                self.configuration_answer(name, config_type).await.map(|_| Presence::Hidden)
            }
            _ => Ok(Presence::Gone),
        }
    }
}
