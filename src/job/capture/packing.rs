//! Packing of payloads: collected, sealed on blocking threads, and uploaded with bounded parallelism.

use std::collections::VecDeque;
use std::fmt;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::CaptureError;
use crate::crypto::Recipients;
use crate::format::SourceName;
use crate::format::list::ListedPack;
use crate::format::pack::PackBuilder;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::limits::{MIB, PACK_PLAIN_WRITE};
use crate::model::{ItemKey, Payload, Slot};
use crate::repository::Repository;

/// Number of packs sealed or uploaded in parallel.
const IN_FLIGHT: usize = 2;
/// Plain bytes of the first packs of a run. The size grows from there to [`PACK_PLAIN_WRITE`], so that a small instance
/// needs little memory and a large one few packs.
const FIRST: usize = 4 * MIB;
/// Number of packs after which the size doubles.
const STEP: usize = 8;

/// Number of a pack in this run; its digest is known only once it is sealed.
pub(super) type Number = u32;

/// Destination of packs, and their recipients.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackTarget<'a> {
    /// Context of the job.
    pub(super) context: &'a Context,
    pub(super) repository: &'a Repository,
    /// Source instance of the repository, written to the first line of each pack.
    pub(super) source: &'a SourceName,
    /// Recipients of the packs.
    pub(super) recipients: &'a Recipients,
    /// zstd level.
    pub(super) level: i32,
}

/// The packs of a run.
pub(super) struct Packing<'a> {
    target: PackTarget<'a>,
    open: PackBuilder,
    ready: VecDeque<(Number, PackBuilder)>,
    flying: FuturesUnordered<BoxFuture<'a, Result<(Number, ListedPack), CaptureError>>>,
    written: Vec<Option<ListedPack>>,
    /// Total plain bytes of all lines.
    pub(super) plain: u64,
}

impl fmt::Debug for Packing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing").field("written", &self.written.len()).finish_non_exhaustive()
    }
}

impl<'a> Packing<'a> {
    /// Creates the packing, with no pack written.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub(super) fn new(target: PackTarget<'a>) -> Result<Self, CaptureError> {
        let open = target.builder()?;
        let (ready, flying, written) = (VecDeque::new(), FuturesUnordered::new(), Vec::new());
        Ok(Self { target, open, ready, flying, written, plain: 0 })
    }

    /// Adds a payload and returns the number of the pack that will hold it.
    ///
    /// # Errors
    /// If the payload cannot be encoded.
    pub(super) fn push(&mut self, key: &ItemKey, slot: &Slot, payload: &Payload) -> Result<Number, CaptureError> {
        if self.open.contains(key, slot) {
            // Read again in this run because something changed: a pack holds each slot only once.
            self.close()?;
        }
        let number = self.number()?;
        let before = self.open.plain_len();
        self.open.push(key, slot, payload).map_err(|source| {
            let what = format!("put a payload of {key} into a pack");
            CaptureError::Format { what, source }
        })?;
        self.plain += u64::try_from(self.open.plain_len().saturating_sub(before)).unwrap_or(0);
        if self.open.plain_len() >= target_size(self.written.len() + self.ready.len()) {
            self.close()?;
        }
        Ok(number)
    }

    /// Returns the number of the pack being filled.
    fn number(&self) -> Result<Number, CaptureError> {
        let number = self.written.len() + self.ready.len();
        Number::try_from(number).map_err(|_| CaptureError::Internal { what: "too many packs to count".to_owned() })
    }

    fn close(&mut self) -> Result<(), CaptureError> {
        let (number, empty) = (self.number()?, self.target.builder()?);
        self.ready.push_back((number, std::mem::replace(&mut self.open, empty)));
        self.launch();
        Ok(())
    }

    /// True if more payloads should be read: no full pack is waiting.
    pub(super) fn has_room(&self) -> bool {
        self.ready.is_empty()
    }

    /// True if a pack is being sealed or uploaded.
    pub(super) fn busy(&self) -> bool {
        !self.flying.is_empty()
    }

    /// Waits until one pack in flight is written; returns at once if there is none.
    ///
    /// # Errors
    /// If it could not be sealed or uploaded.
    pub(super) async fn next(&mut self) -> Result<(), CaptureError> {
        if let Some(done) = self.flying.next().await {
            let (number, pack) = done?;
            if let Some(place) = self.written.get_mut(number as usize) {
                *place = Some(pack);
            }
            self.target.context.observer.observe(JobEvent::Advance { stage: Stage::Upload, by: 1 });
            self.launch();
        }
        Ok(())
    }

    /// Seals and uploads the remaining packs and waits for all of them.
    ///
    /// # Errors
    /// If a pack could not be sealed or uploaded.
    pub(super) async fn flush(&mut self) -> Result<(), CaptureError> {
        if !self.open.is_empty() {
            self.close()?;
        }
        while self.busy() || !self.ready.is_empty() {
            self.next().await?;
        }
        Ok(())
    }

    /// Returns a pack once it is written.
    pub(super) fn written(&self, number: Number) -> Option<&ListedPack> {
        self.written.get(number as usize)?.as_ref()
    }

    /// Returns all written packs.
    pub(super) fn all(&self) -> impl Iterator<Item = &ListedPack> {
        self.written.iter().flatten()
    }

    fn launch(&mut self) {
        while self.flying.len() < IN_FLIGHT {
            let Some((number, builder)) = self.ready.pop_front() else { return };
            self.written.push(None);
            let target = self.target;
            self.flying.push(Box::pin(async move { Ok((number, target.write(number, builder).await?)) }));
        }
    }
}

impl PackTarget<'_> {
    fn builder(&self) -> Result<PackBuilder, CaptureError> {
        PackBuilder::new(*self.repository.id(), self.source)
            .map_err(|source| CaptureError::Format { what: "begin a pack".to_owned(), source })
    }

    async fn write(self, number: Number, builder: PackBuilder) -> Result<ListedPack, CaptureError> {
        let (recipients, level) = (self.recipients.clone(), self.level);
        let sealed = tokio::task::spawn_blocking(move || builder.seal(&recipients, level))
            .await
            .map_err(|error| CaptureError::Internal { what: format!("sealing pack {number} died: {error}") })?
            .map_err(|source| CaptureError::Format { what: format!("seal pack {number} of this run"), source })?;
        self.repository.put_pack(&sealed).await?;
        let size = u64::try_from(sealed.bytes.len()).unwrap_or(u64::MAX);
        Ok(ListedPack { pack: sealed.digest, size, recipients: self.recipients.names(), since: None })
    }
}

/// Returns the plain bytes of the next pack after `packs` others.
fn target_size(packs: usize) -> usize {
    let doubled = u32::try_from(packs / STEP).unwrap_or(u32::MAX).min(3);
    (FIRST << doubled).min(PACK_PLAIN_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_grow_to_the_limit_and_no_further() {
        assert_eq!(target_size(0), 4 * MIB);
        assert_eq!(target_size(8), 8 * MIB);
        assert_eq!(target_size(10_000), PACK_PLAIN_WRITE);
    }
}
