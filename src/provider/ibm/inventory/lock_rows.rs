//! The list of locks, read just far enough ahead of the secrets.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::packed::{Packed, PackedNames};
use super::raw;
use crate::model::Payload;
use crate::model::json::JsonObject;
use crate::provider::InstanceError;
use crate::provider::ibm::api::{Pages, RowPage, member};
use crate::provider::ibm::client::Client;
use crate::provider::ibm::docs::LOCKS_ROW;
use crate::provider::ibm::wire::Family;

/// Maximum number of rows that wait unpacked; more waiting rows mean that the list is not in the order of the secrets.
const AS_THEY_ARE: usize = 2_000;

/// A row of the list.
#[derive(Debug)]
pub(super) struct LocksRow {
    /// The row without its secret members.
    pub(super) row: Box<RawValue>,
    /// The secret members.
    pub(super) withheld: Option<Payload>,
}

/// Rows of the list of locks that wait for their secret.
///
/// If the list is in the order of ids, as the secrets are, at most one page waits. The provider guarantees no order: in
/// any other order all rows may have to wait, packed to about 150 bytes each.
#[derive(Debug)]
pub(super) struct LockRows<'a> {
    pages: Pages<'a>,
    names: PackedNames,
    waiting: HashMap<u128, Waiting>,
    any: bool,
    unlocked: bool,
}

#[derive(Debug)]
enum Waiting {
    AsItIs(LocksRow),
    Packed(Packed),
}

impl<'a> LockRows<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            pages: client.secrets_locks_pages(),
            names: PackedNames::default(),
            waiting: HashMap::new(),
            any: false,
            unlocked: false,
        }
    }

    /// Reads the next page and queues its rows; `None` at the end of the list.
    pub(super) async fn read_on(&mut self) -> Result<Option<RowPage>, InstanceError> {
        let Some(page) = self.pages.next().await? else { return Ok(None) };
        for row in page.rows()? {
            let id = member(row, "secret_id").ok_or_else(|| page.answer().malformed("a row has no `secret_id`"))?;
            let cut = page.answer().cut_text(row.get(), Family::Secret, Some(LOCKS_ROW))?;
            let waiting = match cut.payload {
                None if self.waiting.len() >= AS_THEY_ARE => Waiting::Packed(Packed::new(&cut.rest)),
                withheld => Waiting::AsItIs(LocksRow { row: raw(page.answer(), cut.rest)?, withheld }),
            };
            self.any = true;
            self.unlocked = self.unlocked || !has_lock(row);
            if self.waiting.insert(self.names.short(&id), waiting).is_some() && self.pages.steady_so_far() {
                return Err(page.answer().incomplete("it repeats a secret".to_owned()));
            }
        }
        Ok(Some(page))
    }

    /// Removes and returns the row of a secret, if it was received.
    pub(super) fn take(&mut self, id: &str) -> Option<LocksRow> {
        match self.waiting.remove(&self.names.short(id))? {
            Waiting::AsItIs(row) => Some(row),
            Waiting::Packed(packed) => {
                Some(LocksRow { row: RawValue::from_string(packed.text()?).ok()?, withheld: None })
            }
        }
    }

    /// Returns true if the list, read to its end, lacks a row that it should have. It is not documented whether secrets
    /// without locks have a row: they do if one such secret has a row.
    pub(super) fn lacks(&self, locks_total: Option<u64>) -> bool {
        self.any && (self.unlocked || locks_total != Some(0))
    }

    /// Returns true if the list did not change, and every row belongs to a listed secret.
    pub(super) fn steady(&self) -> bool {
        self.pages.steady() && self.waiting.is_empty()
    }
}

/// Returns true if a row names a lock on any version.
fn has_lock(row: &RawValue) -> bool {
    let versions = JsonObject::parse(row.get()).ok().and_then(|row| row.array("versions")).unwrap_or_default();
    let mut versions = versions.iter().filter_map(|version| JsonObject::parse(version.get()).ok());
    versions.any(|version| version.array("locks").is_some_and(|locks| !locks.is_empty()))
}
