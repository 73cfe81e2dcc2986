//! Level `objects`: every object that a snapshot names exists with the signed content.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};

use super::sealing::Sealing;
use super::{Level, ProblemKind, VerifyError, VerifyOptions, VerifyReport};
use crate::format::list::PackList;
use crate::format::names;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::verify::named::NamedObjects;
use crate::job::verify::scope::{ChosenSnapshot, OBJECTS_IN_FLIGHT, go_on};
use crate::model::Digest;
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, RepositoryError, SealedFacts};

/// Pack lists of the snapshots to verify, each once.
pub(super) type Lists = BTreeMap<Digest, PackList>;

/// An object to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum HashedObject {
    Part(Digest),
    Pack(Digest),
}

impl HashedObject {
    /// Its bytes, which are what its name says.
    async fn fetch(self, repository: &Repository) -> Result<Bytes, RepositoryError> {
        match self {
            Self::Part(digest) => repository.get_part(&digest).await,
            Self::Pack(digest) => repository.get_pack(&digest).await,
        }
    }

    fn path(self) -> String {
        match self {
            Self::Part(digest) => names::catalogue(&digest),
            Self::Pack(digest) => names::pack(&digest),
        }
    }
}

/// Fetches the pack lists and compares each with its entry.
pub(super) async fn read_lists(
    context: &Context,
    repository: &Repository,
    snapshots: &[ChosenSnapshot<'_>],
    report: &mut VerifyReport,
) -> Result<Lists, VerifyError> {
    let mut lists = Lists::new();
    let mut seen = BTreeSet::new();
    for snapshot in snapshots {
        go_on(&context.cancel)?;
        let (digest, path) = (snapshot.event.list, names::list(&snapshot.event.list));
        if seen.insert(digest)
            && let Some(list) = report.take(repository.get_list(&digest).await)?
        {
            report.counts.objects += 1;
            lists.insert(digest, list);
        }
        let Some(list) = lists.get(&digest) else { continue };
        let bytes = list.packs.iter().fold(0_u64, |sum, pack| sum.saturating_add(pack.size));
        let packs = list.packs.len() as u64;
        if (packs, bytes) != (snapshot.event.packs, snapshot.event.sealed_bytes) {
            let (said, said_bytes) = (snapshot.event.packs, snapshot.event.sealed_bytes);
            let entry = snapshot.entry.digest.short();
            let why = format!(
                "it lists {packs} packs of {bytes} bytes, the snapshot {entry} says {said} of {said_bytes} bytes"
            );
            report.found(ProblemKind::Disagrees, path, why);
        }
    }
    Ok(lists)
}

/// Compares names and sizes with one listing of each directory, then hashes the objects with the right size.
///
/// Objects that a deeper level fetches and checks anyway are not fetched here: parts from [`Level::Catalogue`] on,
/// packs at [`Level::Payload`] (with a slice, packs outside it are checked by name and size only).
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    named: NamedObjects<'_>,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let NamedObjects { snapshots, lists, sealing } = named;
    // Check every claimed size: if two snapshots differ, one is wrong, and the other must not hide it.
    let mut wanted = BTreeSet::new();
    for part in snapshots.iter().flat_map(|snapshot| &snapshot.event.parts) {
        wanted.insert((HashedObject::Part(part.digest), part.size));
    }
    for pack in lists.values().flat_map(|list| &list.packs) {
        wanted.insert((HashedObject::Pack(pack.pack), pack.size));
    }
    let (packs, parts) = tokio::try_join!(repository.pack_sizes(), repository.part_sizes())?;
    let (mut whole, mut doubtful) = (BTreeSet::new(), Vec::new());
    for (object, size) in wanted {
        let there = match object {
            HashedObject::Part(digest) => parts.get(&digest).copied(),
            HashedObject::Pack(digest) => packs.get(&digest).copied(),
        };
        if there == Some(size) {
            whole.insert(object);
        } else {
            doubtful.push((object, size, there));
        }
    }
    // A listing may lag, and an older version may be whole: what is asked for by name decides.
    let asking = stream::iter(doubtful).map(|(object, size, there)| async move {
        let is_there = object.fetch(repository).await.is_ok_and(|bytes| bytes.len() as u64 == size);
        (object, size, there, is_there)
    });
    let mut asking = asking.buffered(OBJECTS_IN_FLIGHT);
    while let Some((object, size, there, is_there)) = asking.next().await {
        if is_there {
            whole.insert(object);
            continue;
        }
        match there {
            None => report.found(ProblemKind::Missing, object.path(), "it is not there"),
            Some(there) => {
                let why = format!("it has {there} bytes instead of {size} (truncated or replaced)");
                report.found(ProblemKind::Damaged, object.path(), why);
            }
        }
    }
    whole.retain(|object| match object {
        HashedObject::Part(_) => options.level < Level::Catalogue,
        HashedObject::Pack(_) => options.level < Level::Payload,
    });
    hash(context, repository, whole.into_iter().collect(), sealing, report).await
}

/// Checks the recovery instructions against the trust policy: in an outage, operators execute them.
pub(super) async fn check_recover_md(
    repository: &Repository,
    ledger: &Ledger,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let Some(policy) = ledger.policy() else { return Ok(()) };
    if report.take(repository.get_recover_md(&policy.settings.recover_md).await)?.is_some() {
        report.counts.objects += 1;
    }
    Ok(())
}

async fn hash(
    context: &Context,
    repository: &Repository,
    objects: Vec<HashedObject>,
    sealing: &Sealing,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let stage = Stage::CheckObjects;
    context.observer.observe(JobEvent::Begin { stage, total: Some(objects.len() as u64) });
    let mut fetched = stream::iter(objects)
        .map(|object| async move {
            let fetched = object.fetch(repository).await;
            (object, fetched.map(|bytes| SealedFacts::of(&bytes)))
        })
        .buffer_unordered(OBJECTS_IN_FLIGHT);
    while let Some((object, result)) = fetched.next().await {
        go_on(&context.cancel)?;
        if let Some(sealed) = report.take(result)? {
            report.counts.objects += 1;
            report.counts.bytes += sealed.size;
            match object {
                HashedObject::Part(digest) => sealing.check_part(&digest, sealed, report),
                HashedObject::Pack(digest) => sealing.check_pack(&digest, sealed, report),
            }
        }
        context.observer.observe(JobEvent::Advance { stage, by: 1 });
    }
    context.observer.observe(JobEvent::End { stage });
    Ok(())
}
