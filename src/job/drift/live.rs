//! A live instance used in place of a snapshot.
//!
//! Listed once; versions and locks are read without payloads. A payload is read only when it is compared. It stays in
//! memory while its item is compared and is wiped afterwards: at most two items are open at a time. Payloads that the
//! list does not show to be safe to read are never read.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::crypto::digest::sha256;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::restore::backup::{Backup, OpenPack};
use crate::job::restore::error::RestoreError;
use crate::job::restore::plan::SnapshotName;
use crate::job::restore::survey::Collected;
use crate::model::{Digest, Item, ItemKind, Pointer, Restorability, Slot};
use crate::provider::{InstanceError, Listed, Readable};
use crate::provider::{Look, Standby};

/// Number of items read in parallel, within the pace of the instance.
const LOOKS_IN_FLIGHT: usize = 4;

/// A listed live instance whose payloads can be read.
#[derive(Debug)]
pub struct LiveInstance<'a> {
    source: &'a dyn Standby,
    name: SnapshotName,
    /// In key order.
    items: Vec<Item>,
    /// Listed items, by the name of the pack that represents the item.
    listed: BTreeMap<Digest, Listed>,
}

impl<'a> LiveInstance<'a> {
    /// Lists an instance and reads what the lists do not show. With `values`, also reads the values of configurations,
    /// which include settings. Sends one request per secret, and one for the locks of those that have any.
    ///
    /// # Errors
    /// If the instance cannot be read, or does not show its identity.
    pub async fn take(context: &Context, source: &'a dyn Standby, values: bool) -> Result<Self, RestoreError> {
        context.observer.observe(JobEvent::Begin { stage: Stage::List, total: None });
        let mut collected = Collected::default();
        let listing = source.list(&mut collected).await?;
        context.observer.observe(JobEvent::End { stage: Stage::List });
        let full_name = listing.instance.ok_or_else(|| RestoreError::Unfit {
            why: "the source shows no secret, so nothing says which instance it is".to_owned(),
        })?;
        let total = Some(collected.0.len() as u64);
        context.observer.observe(JobEvent::Begin { stage: Stage::Read, total });
        let items: Vec<Item> = stream::iter(collected.0.values())
            .map(|listed| async move {
                let item = describe(source, listed, values).await;
                context.observer.observe(JobEvent::Advance { stage: Stage::Read, by: 1 });
                item
            })
            .buffered(LOOKS_IN_FLIGHT)
            .try_filter_map(async |item| Ok(item))
            .try_collect()
            .await?;
        context.observer.observe(JobEvent::End { stage: Stage::Read });
        let text: String = items.iter().map(|item| format!("{}\n", item.key)).collect();
        let name = SnapshotName {
            repository: String::new(),
            entry: sha256(text.as_bytes()),
            sequence: 0,
            time: listing.started,
            source: full_name,
        };
        let listed = collected.0.into_values().map(|listed| (pack_name(&listed.item), listed)).collect();
        Ok(Self { source, name, items, listed })
    }
}

/// Returns the name of the pack that represents the payloads of one item.
fn pack_name(item: &Item) -> Digest {
    sha256(item.key.as_str().as_bytes())
}

/// Returns the item with its documents and the names of its payloads; `None` if it is gone meanwhile.
async fn describe(source: &dyn Standby, listed: &Listed, values: bool) -> Result<Option<Item>, RestoreError> {
    let mut item = listed.item.clone();
    let pack = pack_name(&item);
    if item.key.kind() == ItemKind::Secret {
        let view = source.converter().describe(&item);
        let look = Look { row: false, versions: true, locks: !view.lock_names.is_empty() };
        match source.look(&item.key, look).await {
            Ok(docs) => item.docs.extend(docs),
            Err(InstanceError::Gone { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if listed.readable == Readable::Payloads {
            let view = source.converter().describe(&item);
            let kept = view.versions.iter().flatten().rev().filter(|version| version.payload);
            item.payloads =
                kept.filter_map(|version| Some(Pointer { version: Slot::new(&version.id)?, pack })).collect();
        }
    }
    item.class = source.judge(&item);
    // Some settings of a configuration are only in its value. For a secret that is not restored exactly, the class
    // depends on the payload, such as whether a certificate has its key.
    let depends = match item.key.kind() {
        ItemKind::Configuration => true,
        ItemKind::Secret => item.class != Restorability::Exact,
        ItemKind::Group | ItemKind::Registration | ItemKind::Other => false,
    };
    if values && depends && listed.readable == Readable::Payloads && !read(source, listed, &mut item).await? {
        return Ok(None);
    }
    Ok(Some(item))
}

/// Reads what only the payload of an item shows. The payload is dropped, and read again for the comparison. Returns
/// false if the item is gone.
async fn read(source: &dyn Standby, listed: &Listed, item: &mut Item) -> Result<bool, RestoreError> {
    let pack = pack_name(item);
    match source.read(listed, None).await {
        Ok(reading) => {
            item.docs = reading.docs;
            item.class = reading.class.into();
            item.payloads = reading.payloads.into_iter().map(|(version, _)| Pointer { version, pack }).collect();
            Ok(true)
        }
        Err(InstanceError::Gone { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl Backup for LiveInstance<'_> {
    fn name(&self) -> &SnapshotName {
        &self.name
    }

    async fn items(&self) -> Result<Vec<Item>, RestoreError> {
        Ok(self.items.clone())
    }

    /// Reads the item that the pack represents.
    async fn pack(&self, pack: &Digest) -> Result<OpenPack, RestoreError> {
        let moved = |what: String, problem: &str| InstanceError::Moved { what, problem: problem.to_owned() };
        let Some(listed) = self.listed.get(pack) else {
            return Err(moved("read the source".to_owned(), "it was never listed").into());
        };
        let key = &listed.item.key;
        let reading = self.source.read(listed, None).await?;
        let open: OpenPack =
            reading.payloads.into_iter().map(|(slot, payload)| ((key.clone(), slot), payload)).collect();
        let place = self.items.binary_search_by(|item| item.key.cmp(key)).ok();
        let expected = place.and_then(|place| self.items.get(place));
        let pointers = expected.map(|item| item.payloads.as_slice()).unwrap_or_default();
        if pointers.iter().any(|pointer| !open.contains_key(&(key.clone(), pointer.version.clone()))) {
            return Err(moved(format!("read {key} of the source"), "it has other versions than were listed").into());
        }
        Ok(open)
    }
}
