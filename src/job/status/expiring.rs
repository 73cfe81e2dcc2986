//! What in the inventory of a snapshot ends, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::Serialize;

use crate::crypto::Identities;
use crate::format::SnapshotEvent;
use crate::model::{ItemClass, ItemKey, ItemKind, Timestamp};
use crate::provider::ItemConverter;
use crate::repository::{Repository, RepositoryError};

/// An item with an end: a certificate, an authority, a secret with an expiry date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expiring {
    /// When it ends.
    pub at: Timestamp,
    /// Whether the provider renews it by itself before that.
    pub renews: bool,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Its key.
    pub key: ItemKey,
    /// Its name. To be told only where names are allowed.
    pub name: String,
    /// The name of its group, for secrets.
    pub group: Option<String>,
}

/// What the inventory of a snapshot shows at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventorySummary {
    /// Everything that ends, soonest first; what ended before the snapshot was made included.
    pub expiring: Vec<Expiring>,
    /// Items by type and by how well they can be brought back.
    pub types: BTreeMap<(String, ItemClass), u64>,
}

/// Everything in a snapshot that ends, soonest first; what ended before the snapshot was made included.
///
/// Reads the catalogue, no payload: a catalogue key is enough.
///
/// # Errors
/// When a part of the catalogue is missing or damaged, or the keys do not open it.
pub async fn expiring(
    converter: &dyn ItemConverter,
    repository: &Repository,
    snapshot: &SnapshotEvent,
    keys: &Arc<Identities>,
) -> Result<Vec<Expiring>, RepositoryError> {
    Ok(inventory(converter, repository, snapshot, keys).await?.expiring)
}

/// As [`expiring`], with how many items of each type there are.
///
/// # Errors
/// As [`expiring`].
pub async fn inventory(
    converter: &dyn ItemConverter,
    repository: &Repository,
    snapshot: &SnapshotEvent,
    keys: &Arc<Identities>,
) -> Result<InventorySummary, RepositoryError> {
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    let mut found = InventorySummary::default();
    let mut items = repository.open_snapshot(snapshot, keys);
    while let Some(item) = items.try_next().await? {
        // Groups come before secrets in a catalogue.
        if item.key.kind() == ItemKind::Group {
            groups.insert(item.key.id().to_owned(), item.name.clone());
        }
        *found.types.entry((item.item_type.clone(), item.class.clone())).or_default() += 1;
        if let Some(expiry) = converter.expiry(&item) {
            found.expiring.push(Expiring {
                at: expiry.at,
                renews: expiry.renews,
                group: item.group.as_ref().map(|id| groups.get(id).unwrap_or(id).clone()),
                item_type: item.item_type,
                key: item.key,
                name: item.name,
            });
        }
    }
    found.expiring.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    Ok(found)
}
