//! An instance that we read.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::InstanceError;
use crate::model::{Docs, Item, ItemClass, ItemKey, ItemKind, Payload, Restorability, Revision, Slot, Timestamp};

/// The document with the members that the operator supplied for an item, because no answer returns them: an object with
/// the members as a create takes them.
pub const SUPPLIED: &str = "supplied";
/// The document that marks an item whose value the provider refused to us: an object whose member `why` has its words.
pub const REFUSED: &str = "refused";

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
    /// The item with its list rows as documents; no payload pointers, no revision, no read time. Its class is that of an
    /// item of which nothing more could be read.
    pub item: Item,
    /// The digest of all its rows.
    pub revision: Revision,
    /// The same digest without `updated_at`, where the rows name each version that holds a payload, so that equal
    /// digests mean equal versions (secrets); nothing where `updated_at` is the only sign of a change (configurations).
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

/// What one complete listing was.
#[derive(Debug, Clone)]
pub struct CompleteListing {
    /// The instance's own name (a CRN), as its rows show it; nothing when it shows none.
    pub instance: Option<String>,
    /// The provider's clock (`Date`, whole seconds) in the answer to the first request.
    pub started: Timestamp,
    /// The provider's clock in the answer to the last request.
    pub ended: Timestamp,
    /// Whether every total stayed the same from the first page to the last, so that no page can have shifted.
    pub steady: bool,
    /// How many items were given to the sink.
    pub items: u64,
}

/// What reading one item gave.
#[derive(Debug, Clone)]
pub struct Reading {
    /// All documents of the item: its list rows, and what only reading shows.
    pub docs: Docs,
    /// The payloads, newest version first, each under its version id; then, under [`Slot::WITHHELD`], everything secret
    /// that was cut out of the documents, what the lists showed ([`Listed::withheld`]) included.
    pub payloads: Vec<(Slot, Payload)>,
    /// The class of the item with these documents and payloads.
    pub class: Restorability,
    /// The provider's words, where the identity lacks the right to read the value of the item. Everything else of it is
    /// there, and the documents say it too ([`REFUSED`]).
    pub refused: Option<String>,
    /// The provider's clock in the last answer.
    pub read_at: Timestamp,
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
    /// What was spent since `before`.
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

/// Takes listed items, one by one, in key order.
pub trait Sink: Send {
    /// Takes the next item. Keys rise strictly.
    fn take(&mut self, listed: Listed);

    /// Asks to forget everything taken, because the listing has to start over; says whether that was done.
    ///
    /// A sink that cannot (the default, and every closure) makes the listing fail instead.
    fn restart(&mut self) -> bool {
        false
    }

    /// Hears that the identity may not list items of a kind, in the provider's words; says whether the listing is of use
    /// without them.
    ///
    /// To most (the default, and every closure) it is not: what is hidden would look as if it was not there.
    fn hidden(&mut self, _kind: ItemKind, _why: &str) -> bool {
        false
    }
}

impl<F: FnMut(Listed) + Send> Sink for F {
    fn take(&mut self, listed: Listed) {
        self(listed);
    }
}

/// An instance that can be listed and read.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// Lists every item once, in key order.
    ///
    /// # Errors
    /// When any page cannot be had whole: an unfinished listing is an error, never a shorter list. The sink may have
    /// got items by then; the caller drops them. [`InstanceError::Incomplete`] when the pages do not add up, also after
    /// the sink was [restarted](Sink::restart).
    async fn list(&self, sink: &mut dyn Sink) -> Result<CompleteListing, InstanceError>;

    /// Reads what the lists do not show of an item: version metadata, lock details, values, payloads.
    ///
    /// Takes the listed item and never a bare id, because whether a read is safe is only known from its rows. `before`
    /// is the same item in the snapshot that this run builds on; documents that cannot have moved since are taken from
    /// it instead of being asked for again.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] when the item has been deleted since it was listed; [`InstanceError::Moved`] when what was
    /// read is not what was listed, or its parts do not fit together: list it again; [`InstanceError::Unsafe`] when its
    /// rows do not allow a read that was asked for.
    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<Reading, InstanceError>;

    /// Asks for one item by its key. Never reads the payload of a secret, and hands no payload on.
    ///
    /// # Errors
    /// When the instance gives no usable answer; a refusal (401, 403) is [`Presence::Hidden`] and no error.
    async fn presence(&self, key: &ItemKey) -> Result<Presence, InstanceError>;

    /// The class of an item as a snapshot keeps it, with all its documents and pointers. Default: `item.class`.
    fn judge(&self, item: &Item) -> ItemClass {
        item.class.clone()
    }

    /// The labels of an item, from its rows. By itself, none.
    fn labels(&self, _item: &Item) -> Vec<String> {
        Vec::new()
    }

    /// The provider's present, from the newest `Date` seen and the time passed since; nothing before the first answer.
    /// Never ahead of the provider's own clock.
    fn provider_now(&self) -> Option<Timestamp>;

    /// Returns once the provider's clock has reached `at`; at once when that clock is unknown.
    async fn wait_until(&self, at: Timestamp) {
        while let Some(now) = self.provider_now() {
            let Ok(left @ 1..) = u64::try_from(at.millis_since(now)) else { return };
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }

    /// What was spent so far.
    fn requests(&self) -> Requests;
}
