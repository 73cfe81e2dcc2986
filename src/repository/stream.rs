//! A catalogue as one sorted stream, with a few parts in memory at a time.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::{Repository, RepositoryError};
use crate::crypto::Identities;
use crate::format::snapshot::PartRef;
use crate::format::{SnapshotEvent, names};
use crate::model::{Item, ItemKey};

/// Number of parts that are fetched and opened ahead of the reader.
const PARTS_IN_FLIGHT: usize = 2;

impl Repository {
    /// Returns every item of a snapshot in key order.
    ///
    /// Each part is checked against its name and its item count, and the key order across all parts. The stream ends
    /// after its first error.
    pub fn open_snapshot(
        &self,
        snapshot: &SnapshotEvent,
        keys: &Arc<Identities>,
    ) -> BoxStream<'static, Result<Item, RepositoryError>> {
        let (repository, keys) = (self.clone(), Arc::clone(keys));
        let opened = stream::iter(snapshot.parts.clone())
            .map(move |part| {
                let (repository, keys) = (repository.clone(), Arc::clone(&keys));
                async move { repository.open_part(&part, &keys).await.map(|items| (part, items)) }
            })
            .buffered(PARTS_IN_FLIGHT);
        let mut last: Option<ItemKey> = None;
        let ordered = opened.map(move |part| {
            let (part, items) = part?;
            follows(&mut last, &part, &items)?;
            Ok::<_, RepositoryError>(stream::iter(items.into_iter().map(Ok)))
        });
        // The stream must not continue after an error, or it would look like a catalogue with a gap.
        let mut failed = false;
        ordered
            .try_flatten()
            .take_while(move |item| {
                let go_on = !failed;
                failed |= item.is_err();
                std::future::ready(go_on)
            })
            .boxed()
    }
}

/// Checks that a part starts after the end of the previous one. The reader of a part has checked the order inside it.
fn follows(last: &mut Option<ItemKey>, part: &PartRef, items: &[Item]) -> Result<(), RepositoryError> {
    if let (Some(last), Some(first)) = (last.as_ref(), items.first())
        && first.key <= *last
    {
        let why = "it does not begin behind the part before it".to_owned();
        return Err(RepositoryError::Damaged { path: names::catalogue(&part.digest), why });
    }
    if let Some(item) = items.last() {
        *last = Some(item.key.clone());
    }
    Ok(())
}
