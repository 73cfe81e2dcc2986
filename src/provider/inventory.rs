//! Identifying an instance and listing what it holds.

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
    /// There is no payload, the type is unknown, or reading it would change the source: metadata only.
    MetadataOnly,
}

/// An item as the lists show it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The item with its list rows as documents; no payload pointers, no revision, no read time. Its class is that of
    /// an item of which nothing more could be read.
    pub item: Item,
    /// The digest of all its rows.
    pub revision: Revision,
    /// The revision computed without `updated_at`. `None` for items whose only sign of a change is `updated_at`
    /// (configurations); for secrets the rows name each version with a payload, so equal digests mean equal versions.
    ///
    /// Some instances move `updated_at` when a payload is read. A capture that finds this goes by this digest.
    pub settled: Option<Revision>,
    /// When the provider says that it changed last (`updated_at`), if it says so.
    pub updated_at: Option<Timestamp>,
    /// Whether its payloads may be read.
    pub readable: Readable,
    /// Secret fields that the lists showed and that were cut out of the documents.
    pub withheld: Option<Payload>,
}

/// Summary of one complete listing.
#[derive(Debug, Clone)]
pub struct CompleteListing {
    /// The full name of the instance, as its rows show it. `None` if no row shows it.
    pub instance: Option<String>,
    /// The provider's clock (`Date`, whole seconds) in the answer to the first request.
    pub started: Timestamp,
    /// The provider's clock in the answer to the last request.
    pub ended: Timestamp,
    /// True if every total stayed the same from the first page to the last, so that no page can have shifted.
    pub steady: bool,
    /// Number of items given to the sink.
    pub items: u64,
}

/// Whether an item that a list lacks still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It answers.
    Present,
    /// The provider says that there is no such item (404).
    Gone,
    /// The provider refuses to say (401, 403): we lost sight of it.
    Hidden,
}

/// Requests spent so far, re-tries included.
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
    /// Token exchanges; they count against no pace.
    pub tokens: u64,
}

impl Requests {
    /// All of them; what was sent again counts once.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.listing.saturating_add(self.reading).saturating_add(self.writing).saturating_add(self.tokens)
    }

    /// Returns the requests spent since `before`.
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
    /// Receives the next item. Keys rise strictly.
    fn take(&mut self, listed: Listed);

    /// Discards everything received, because the listing starts over. Returns false if that is not possible.
    ///
    /// A sink that cannot (the default, and every closure) makes the listing fail instead.
    fn restart(&mut self) -> bool {
        false
    }

    /// Called when the identity may not list a kind, with the provider's words. Return `true` to continue without it.
    ///
    /// Default, also of closures: `false`, because hidden items would look as if they did not exist.
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
    /// The whole URL, for people and for finding an instance id in it; holds no credentials.
    pub url: String,
    /// The instance id in the URL, in lower case, if it has the provider's form.
    pub instance: Option<String>,
}

/// Query of [`InstanceInventory::find`].
#[derive(Debug, Clone, Copy)]
pub struct StandbyQuery<'a> {
    /// The key in the snapshot; of it only the kind counts, for a configuration also type and name.
    pub key: &'a ItemKey,
    /// The type.
    pub item_type: &'a str,
    /// The name.
    pub name: &'a str,
    /// The id of the group in the standby, for secrets.
    pub group: Option<&'a str>,
}

/// An item as a resource of Terraform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerraformResource {
    /// The resource type.
    pub resource: &'static str,
    /// The id that `import` takes.
    pub id: String,
}

/// Identifies an instance and lists what it holds.
#[async_trait]
pub trait InstanceInventory: Send + Sync + fmt::Debug {
    /// Returns the information in the address of the instance.
    fn address(&self) -> Address;

    /// The id of the instance inside its full name, in lower case. Two names with one id are one instance.
    fn instance_id(&self, full_name: &str) -> Option<String>;

    /// The full name of the instance that holds an item, from the item's list row. `None` if the row does not show it.
    fn instance_of(&self, item: &Item) -> Option<String>;

    /// The item as a resource of Terraform; `id` is its id in the instance of that full name. Default: `None`.
    fn terraform(&self, _full_name: &str, _key: &ItemKey, _item_type: &str, _id: &str) -> Option<TerraformResource> {
        None
    }

    /// Lists every item once, in key order.
    ///
    /// # Errors
    /// When any page cannot be had whole: an unfinished listing is an error, never a shorter list. The sink may have
    /// got items by then; the caller drops them. [`InstanceError::Incomplete`] when the pages do not add up, also after
    /// the sink was [restarted](Sink::restart).
    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError>;

    /// Looks for one item by what makes it unique for people: kind, type, group id and name.
    ///
    /// # Errors
    /// When the instance gives no usable answer; that nothing is found is no error.
    async fn find(&self, wanted: &StandbyQuery<'_>) -> Result<Option<Listed>, InstanceError>;

    /// Requests one item by its key. Never reads the payload of a secret, and passes no payload on.
    ///
    /// # Errors
    /// When the instance gives no usable answer; a refusal (401, 403) is [`Presence::Hidden`] and no error.
    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError>;

    /// The provider's present, from the newest `Date` seen and the time passed since. `None` before the first answer.
    /// Never ahead of the provider's own clock.
    fn provider_now(&self) -> Option<Timestamp>;

    /// Returns once the provider's clock has reached `at`; at once when that clock is unknown.
    async fn wait_until(&self, at: Timestamp) {
        while let Some(now) = self.provider_now() {
            let Ok(left @ 1..) = u64::try_from(at.millis_since(now)) else { return };
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }

    /// Requests spent so far.
    fn requests(&self) -> Requests;
}
