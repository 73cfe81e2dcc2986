//! Identification of an instance and listing of its items.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::InstanceError;
use crate::model::{Item, ItemKey, ItemKind, Payload, Revision, Timestamp};

/// Whether the payloads of an item may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// Reading changes nothing in the source.
    Payloads,
    /// There is no payload, the type is unknown, or reading it would change the source: only metadata is read.
    MetadataOnly,
}

/// An item as the lists show it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The item with its list rows as documents; without payload pointers, revision and read time. Its class assumes
    /// that nothing more can be read.
    pub item: Item,
    /// The digest of all its rows.
    pub revision: Revision,
    /// The revision computed without `updated_at`. `None` for items whose only change indicator is `updated_at`
    /// (configurations). For secrets the rows name each version with a payload, so equal digests mean equal versions.
    ///
    /// Some instances change `updated_at` when a payload is read. A capture that detects this compares this digest
    /// instead.
    pub settled: Option<Revision>,
    /// Time of the last change according to the provider (`updated_at`), if available.
    pub updated_at: Option<Timestamp>,
    /// Whether its payloads may be read.
    pub readable: Readable,
    /// Secret fields cut out of the list rows.
    pub withheld: Option<Payload>,
}

/// Summary of one complete listing.
#[derive(Debug, Clone)]
pub struct CompleteListing {
    /// The full name of the instance in its rows; `None` if no row shows it.
    pub instance: Option<String>,
    /// The provider's clock (`Date`, whole seconds) in the answer to the first request.
    pub started: Timestamp,
    /// The provider's clock in the answer to the last request.
    pub ended: Timestamp,
    /// True if no total changed between the first page and the last, so that no page can have shifted.
    pub steady: bool,
    /// Number of items given to the sink.
    pub items: u64,
}

/// Whether an item that a list lacks still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It exists.
    Present,
    /// The provider says that there is no such item (404).
    Gone,
    /// The provider refuses to answer (401, 403): we lost access to it.
    Hidden,
}

/// Requests sent so far, including retries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Pages of lists.
    pub listing: u64,
    /// Reads of items.
    pub reading: u64,
    /// Writes.
    pub writing: u64,
    /// Of all these, requests that were sent again after a failure.
    pub retried: u64,
    /// Token exchanges, to which the pace does not apply.
    pub tokens: u64,
}

impl Requests {
    /// Returns the total number of requests. Retries are part of the first three counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.listing.saturating_add(self.reading).saturating_add(self.writing).saturating_add(self.tokens)
    }

    /// Returns the requests sent since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            listing: self.listing.saturating_sub(before.listing),
            reading: self.reading.saturating_sub(before.reading),
            writing: self.writing.saturating_sub(before.writing),
            retried: self.retried.saturating_sub(before.retried),
            tokens: self.tokens.saturating_sub(before.tokens),
        }
    }
}

/// Receives listed items, one by one, in key order.
pub trait Sink: Send {
    /// Receives the next item. Keys are strictly ascending.
    fn take(&mut self, listed: Listed);

    /// Discards all received items, because the listing starts over. Returns false if that is not possible.
    ///
    /// Default (also for closures): `false`, which makes the listing fail instead.
    fn restart(&mut self) -> bool {
        false
    }

    /// Called if the identity may not list a kind, with the provider's message. Return `true` to continue without it.
    ///
    /// Default (also for closures): `false`, because hidden items would look as if they did not exist.
    fn hidden(&mut self, _kind: ItemKind, _why: &str) -> bool {
        false
    }
}

impl<F: FnMut(Listed) + Send> Sink for F {
    fn take(&mut self, listed: Listed) {
        self(listed);
    }
}

/// Information in the address of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The whole URL, for people and for extracting the instance id; contains no credentials.
    pub url: String,
    /// The instance id in the URL, in lower case, if it has the provider's form.
    pub instance: Option<String>,
}

/// Query of [`InstanceInventory::find`].
#[derive(Debug, Clone, Copy)]
pub struct StandbyQuery<'a> {
    /// The key in the snapshot. Only its kind is used; for a configuration also type and name.
    pub key: &'a ItemKey,
    /// The type.
    pub item_type: &'a str,
    /// The name.
    pub name: &'a str,
    /// The id of the group in the standby, for secrets.
    pub group: Option<&'a str>,
}

/// An item as a Terraform resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerraformResource {
    /// The resource type.
    pub resource: &'static str,
    /// The id for `import`.
    pub id: String,
}

/// Identifies an instance and lists its items.
#[async_trait]
pub trait InstanceInventory: Send + Sync + fmt::Debug {
    /// Returns the information in the address of the instance.
    fn address(&self) -> Address;

    /// Returns the instance id in a full name, in lower case. Two names with the same id are the same instance.
    fn instance_id(&self, full_name: &str) -> Option<String>;

    /// Returns the full name of an item's instance from the item's list row; `None` if the row does not show it.
    fn instance_of(&self, item: &Item) -> Option<String>;

    /// Returns the item as a Terraform resource; `id` is its id in the instance with that full name. Default: `None`.
    fn terraform(&self, _full_name: &str, _key: &ItemKey, _item_type: &str, _id: &str) -> Option<TerraformResource> {
        None
    }

    /// Lists every item once, in key order.
    ///
    /// # Errors
    /// When a page is incomplete: an unfinished listing is an error, never a shorter list. The sink may have received
    /// items by then; the caller drops them. [`InstanceError::Incomplete`] if the pages are inconsistent, even after
    /// the sink was [restarted](Sink::restart).
    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError>;

    /// Finds one item by the properties that make it unique for users: kind, type, group id and name.
    ///
    /// # Errors
    /// When the instance gives no usable answer; a missing item is no error.
    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError>;

    /// Checks whether an item exists, by its key. Never reads the payload of a secret, and never returns a payload.
    ///
    /// # Errors
    /// When the instance gives no usable answer. A refusal (401, 403) is not an error, but [`Presence::Hidden`].
    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError>;

    /// Returns the provider's current time, from the newest `Date` and the time since it arrived. `None` before the
    /// first answer. Never ahead of the provider's own clock.
    fn provider_now(&self) -> Option<Timestamp>;

    /// Waits until the provider's clock has reached `at`. Returns at once if that clock is unknown.
    async fn wait_until(&self, at: Timestamp) {
        while let Some(now) = self.provider_now() {
            let Ok(left @ 1..) = u64::try_from(at.millis_since(now)) else { return };
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }

    /// Returns the number of requests sent so far.
    fn requests(&self) -> Requests;
}
