//! Items of a snapshot that expire.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::Serialize;

use crate::crypto::Identities;
use crate::format::SnapshotEvent;
use crate::model::{ItemClass, ItemKey, ItemKind, Timestamp};
use crate::provider::ItemConverter;
use crate::repository::{Repository, RepositoryError};

/// An item with an expiry: a certificate, an authority, a secret with an expiry date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expiring {
    /// Time of expiry.
    pub at: Timestamp,
    /// True if the provider renews it automatically before that.
    pub renews: bool,
    /// Its type.
    #[serde(rename = "type")]
    pub item_type: String,
    /// Its key.
    pub key: ItemKey,
    /// Its name. Show it only where names are allowed.
    pub name: String,
    /// Group name, for secrets.
    pub group: Option<String>,
}

/// Summary of a snapshot's inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventorySummary {
    /// Expiring items, soonest first, including those that expired before the snapshot was made.
    pub expiring: Vec<Expiring>,
    /// Number of items by type and restorability class.
    pub types: BTreeMap<(String, ItemClass), u64>,
}

/// Returns the expiring items of a snapshot, soonest first, including those that expired before it was made.
///
/// Reads only the catalogue, so a catalogue key is sufficient.
///
/// # Errors
/// If a part of the catalogue is missing or damaged, or the keys do not open it.
pub async fn expiring(
    converter: &dyn ItemConverter,
    repository: &Repository,
    snapshot: &SnapshotEvent,
    keys: &Arc<Identities>,
) -> Result<Vec<Expiring>, RepositoryError> {
    Ok(inventory(converter, repository, snapshot, keys).await?.expiring)
}

/// Like [`expiring`], with the number of items per type.
///
/// # Errors
/// See [`expiring`].
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
        // Groups precede secrets in a catalogue.
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
