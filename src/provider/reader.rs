//! Reading what the lists do not show of an item.

use std::fmt;

use async_trait::async_trait;

use super::{InstanceError, Listed};
use crate::model::{Docs, Item, ItemClass, ItemKey, Payload, Restorability, Slot, Timestamp};

/// The document with the members that the operator supplied for an item, because no answer returns them: an object with
/// the members as a create takes them.
pub const SUPPLIED: &str = "supplied";
/// The document that marks an item whose value the provider refused to us: an object whose member `why` has its words.
pub const REFUSED: &str = "refused";

/// Content of one item.
#[derive(Debug, Clone)]
pub struct ItemContent {
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

/// Documents of a secret to request. Never a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Its own row.
    pub row: bool,
    /// The metadata of all versions.
    pub versions: bool,
    /// The locks with their descriptions and attributes.
    pub locks: bool,
}

/// Reads items of an instance. Nothing here changes what it reads.
#[async_trait]
pub trait ItemReader: Send + Sync + fmt::Debug {
    /// Reads what the lists do not show of an item: version metadata, lock details, values, payloads.
    ///
    /// Takes the listed item and never a bare id, because whether a read is safe is only known from its rows. `before`
    /// is the same item in the snapshot that this run builds on; documents that cannot have moved since are reused
    /// instead of being asked for again.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] when the item has been deleted since it was listed; [`InstanceError::Moved`] when what
    /// was read is not what was listed, or its parts do not fit together: list it again; [`InstanceError::Unsafe`] when
    /// its rows do not allow a read that was asked for.
    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<ItemContent, InstanceError>;

    /// Requests documents of one secret, by its key, without reading a payload.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] when there is no such secret any more; else when the answer cannot be used.
    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError>;

    /// The class of an item as a snapshot keeps it, with all its documents and pointers. Default: `item.class`.
    fn judge(&self, item: &Item) -> ItemClass {
        item.class.clone()
    }

    /// The labels of an item, from its rows. Default: none.
    fn labels(&self, _item: &Item) -> Vec<String> {
        Vec::new()
    }
}
