//! Level `catalogue`: the inventory opens, is sorted, and agrees with its entry and its pack list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::objects::Lists;
use super::payload::{Pointers, line_name};
use super::sealing::Sealing;
use super::{ProblemKind, VerifyError, VerifyKeys, VerifyOptions, VerifyReport};
use crate::crypto::Identities;
use crate::format::names;
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::job::verify::named::NamedObjects;
use crate::job::verify::scope::{ChosenSnapshot, OBJECTS_IN_FLIGHT, catalogue_keys, go_on};
use crate::model::{Digest, Item, ItemClass, ItemKey, ItemKind, Restorability};
use crate::repository::{Repository, RepositoryError, SealedFacts};

/// Summary of a part, used to judge every snapshot that names it.
#[derive(Debug, Default)]
struct Summary {
    first: Option<ItemKey>,
    last: Option<ItemKey>,
    items: u64,
    /// Sealed size and number of recipients.
    sealed: SealedFacts,
    kinds: BTreeMap<String, u64>,
    classes: BTreeMap<ItemClass, u64>,
    /// Packs that its items point to, with the names of the lines.
    pointers: Pointers,
}

impl Summary {
    fn add(&mut self, item: &Item) {
        self.first.get_or_insert_with(|| item.key.clone());
        self.last = Some(item.key.clone());
        self.items += 1;
        match self.kinds.get_mut(item.key.kind_word()) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(item.key.kind_word().to_owned(), 1)),
        }
        *self.classes.entry(item.class.clone()).or_default() += 1;
        for pointer in &item.payloads {
            self.pointers.entry(pointer.pack).or_default().insert(line_name(&item.key, &pointer.version));
        }
    }
}

/// Opens every part once, then judges each snapshot by its parts. Returns the pointers of the catalogues, by pack.
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    keys: &VerifyKeys,
    named: NamedObjects<'_>,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<Pointers, VerifyError> {
    let NamedObjects { snapshots, lists, sealing } = named;
    let key = "a catalogue key or a recovery key";
    let keys = catalogue_keys(keys).ok_or(VerifyError::KeyNeeded { level: options.level, key })?;
    let parts = open_parts(context, repository, keys, snapshots, sealing, report).await?;
    for snapshot in snapshots {
        judge(snapshot, &parts, lists, report);
    }
    let mut pointers = Pointers::new();
    for (pack, lines) in parts.into_values().flat_map(|part| part.pointers) {
        pointers.entry(pack).or_default().extend(lines);
    }
    Ok(pointers)
}

async fn open_parts(
    context: &Context,
    repository: &Repository,
    keys: &Arc<Identities>,
    snapshots: &[ChosenSnapshot<'_>],
    sealing: &Sealing,
    report: &mut VerifyReport,
) -> Result<BTreeMap<Digest, Summary>, VerifyError> {
    // Missing objects and wrong sizes are already reported; reading these objects would report them again.
    let known: BTreeSet<_> = report.problems.iter().map(|problem| problem.object.clone()).collect();
    let digests: BTreeSet<_> =
        snapshots.iter().flat_map(|snapshot| &snapshot.event.parts).map(|part| part.digest).collect();
    let digests: Vec<_> = digests.into_iter().filter(|digest| !known.contains(&names::catalogue(digest))).collect();
    let stage = Stage::CheckCatalogue;
    context.observer.observe(JobEvent::Begin { stage, total: Some(digests.len() as u64) });
    let mut opened = stream::iter(digests)
        .map(|digest| async move { (digest, summarize(repository, &digest, keys).await) })
        .buffer_unordered(OBJECTS_IN_FLIGHT);
    let mut parts = BTreeMap::new();
    while let Some((digest, result)) = opened.next().await {
        go_on(&context.cancel)?;
        if let Some(summary) = report.take(result)? {
            report.counts.objects += 1;
            report.counts.bytes += summary.sealed.size;
            sealing.check_part(&digest, summary.sealed, report);
            report.counts.parts += 1;
            report.counts.items += summary.items;
            parts.insert(digest, summary);
        }
        context.observer.observe(JobEvent::Advance { stage, by: 1 });
    }
    context.observer.observe(JobEvent::End { stage });
    Ok(parts)
}

async fn summarize(repository: &Repository, part: &Digest, keys: &Arc<Identities>) -> Result<Summary, RepositoryError> {
    let (mut summary, sealed) =
        repository.read_part(part, keys, |item, summary: &mut Summary| summary.add(&item)).await?;
    summary.sealed = sealed;
    Ok(summary)
}

/// Compares a snapshot's entry and pack list with its parts. Ignores parts that could not be opened: they are already
/// reported, and the sums cannot agree without them.
fn judge(snapshot: &ChosenSnapshot<'_>, parts: &BTreeMap<Digest, Summary>, lists: &Lists, report: &mut VerifyReport) {
    let entry = snapshot.entry.name();
    // Compare known words even if no item has them.
    let mut kinds: BTreeMap<&str, u64> = ItemKind::ALL.into_iter().map(|kind| (kind.as_str(), 0)).collect();
    let mut classes: BTreeMap<&str, u64> =
        snapshot.event.counts.classes.keys().map(|word| (word.as_str(), 0)).collect();
    classes.extend(Restorability::ALL.into_iter().map(|class| (class.as_str(), 0)));
    let mut last: Option<&ItemKey> = None;
    let mut whole = true;
    for part in &snapshot.event.parts {
        let path = names::catalogue(&part.digest);
        let Some(summary) = parts.get(&part.digest) else {
            whole = false;
            continue;
        };
        if summary.items != part.items {
            let why = format!("it holds {} items, the entry {entry} says {}", summary.items, part.items);
            report.found(ProblemKind::Disagrees, path.clone(), why);
        }
        if let (Some(last), Some(first)) = (last, summary.first.as_ref())
            && first <= last
        {
            report.found(
                ProblemKind::Disagrees,
                path,
                format!("in {entry}, its first key does not follow the previous part"),
            );
        }
        last = summary.last.as_ref().or(last);
        for (kind, count) in &summary.kinds {
            *kinds.entry(kind).or_default() += count;
        }
        for (class, count) in &summary.classes {
            *classes.entry(class.as_str()).or_default() += count;
        }
    }
    if whole {
        let (said_kinds, said_classes) = (snapshot.event.items_by_kind(), snapshot.event.items_by_class());
        let counted = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or_default();
        let kinds = kinds.into_iter().map(|(word, found)| (word, found, counted(&said_kinds, word)));
        let classes = classes.into_iter().map(|(word, found)| (word, found, counted(&said_classes, word)));
        for (word, found, said) in kinds.chain(classes).filter(|(_, found, said)| found != said) {
            let why = format!("it says {said} items of `{word}`, its catalogue holds {found}");
            report.found(ProblemKind::Disagrees, entry.clone(), why);
        }
    }
    let Some(list) = lists.get(&snapshot.event.list) else { return };
    let listed: BTreeSet<_> = list.packs.iter().map(|pack| pack.pack).collect();
    let pointed =
        snapshot.event.parts.iter().filter_map(|part| parts.get(&part.digest)).flat_map(|part| part.pointers.keys());
    for pack in pointed.copied().collect::<BTreeSet<_>>().difference(&listed) {
        let why = format!("the catalogue of {entry} points into {}, which the list lacks", names::pack(pack));
        report.found(ProblemKind::Disagrees, names::list(&snapshot.event.list), why);
    }
}
