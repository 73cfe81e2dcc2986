//! Reading of the parts of an item that the lists do not show.

use std::fmt;

use async_trait::async_trait;

use super::{InstanceError, Listed};
use crate::model::{Docs, Item, ItemClass, ItemKey, Payload, Restorability, Slot, Timestamp};

/// The document with the members that the operator supplied because no answer returns them: an object with members in
/// the form of a create request.
pub const SUPPLIED: &str = "supplied";
/// The document of an item whose value the provider refused: an object whose member `why` has the provider's message.
pub const REFUSED: &str = "refused";

/// Content of one item.
#[derive(Debug, Clone)]
pub struct ItemContent {
    /// All documents of the item: its list rows, and those that only reading returns.
    pub docs: Docs,
    /// The payloads, newest version first, each under its version id. Under [`Slot::WITHHELD`] follow all secret
    /// members cut out of the documents, including those in the lists ([`Listed::withheld`]).
    pub payloads: Vec<(Slot, Payload)>,
    /// The class of the item with these documents and payloads.
    pub class: Restorability,
    /// The provider's message if the identity may not read the item's value. The rest of the item is present, and the
    /// document [`REFUSED`] records it, too.
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

/// Reads items of an instance without changing them.
#[async_trait]
pub trait ItemReader: Send + Sync + fmt::Debug {
    /// Reads what the lists do not show of an item: version metadata, lock details, values, payloads.
    ///
    /// Takes the listed item instead of an id, because only its rows show whether a read is safe. `before` is the same
    /// item in the base snapshot; documents that cannot have changed since are reused instead of requested again.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] if the item was deleted since it was listed; [`InstanceError::Moved`] if the content
    /// differs from the list, or its parts are inconsistent: list it again; [`InstanceError::Unsafe`] if its rows do
    /// not allow a required read.
    async fn read(&self, listed: &Listed, before: Option<&Item>) -> Result<ItemContent, InstanceError>;

    /// Requests documents of one secret, by its key, without reading a payload.
    ///
    /// # Errors
    /// [`InstanceError::Gone`] if the secret does not exist any more; other errors if the answer is unusable.
    async fn look(&self, key: &ItemKey, look: Look) -> Result<Docs, InstanceError>;

    /// Returns the class of an item in a snapshot, with all its documents and pointers. Default: `item.class`.
    fn judge(&self, item: &Item) -> ItemClass {
        item.class.clone()
    }

    /// Returns the labels of an item, from its rows. Default: none.
    fn labels(&self, _item: &Item) -> Vec<String> {
        Vec::new()
    }
}
