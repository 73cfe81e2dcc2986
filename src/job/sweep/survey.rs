//! Looking: the ledger, every folder from several beginnings, the lists, and what the store keeps.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SweepError;
use super::seen::{Kept, LedgerSeen, Object, Objects, Seen, Snapshot, StoreTime, View};
use crate::format::event::{ForgetChange, InitEvent};
use crate::format::{Entry, Event, SnapshotEvent, names};
use crate::job::Context;
use crate::job::event::{Event as Told, Stage};
use crate::model::{Digest, FailureKind, Timestamp};
use crate::repository::ledger::{Ledger, Life, Severity, Standing};
use crate::repository::store::Retention;
use crate::repository::{ObjectInfo, Repository, RepositoryError, Store, StoreError};

/// Requests for small objects that run side by side.
const IN_FLIGHT: usize = 16;
/// The folders that are listed. `evidence/` is not among them: nothing of it ever goes.
const FOLDERS: [&str; 4] = [names::LEDGER, names::LISTS, names::CATALOGUES, names::PACKS];

/// What is known of the ledger besides the ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Paths of entries that this host saw as heads, and of those that a survey of this run saw.
    pub(super) heads: Vec<String>,
    /// Digests of entries that were heads by the caller's word.
    pub(super) pinned: Vec<Digest>,
}

/// Looks at everything.
pub(super) async fn survey(context: &Context, repository: &Repository, known: &Known) -> Result<Seen, SweepError> {
    let store = repository.store();
    let here = context.clock.now();
    let clock = store.clock();
    let mut folders = BTreeMap::new();
    for folder in FOLDERS {
        let listing = views(store, folder);
        folders.insert(folder.to_owned(), unless_cancelled(context, listing).await?);
    }
    // Entries that were read before prove nothing about the store as it is now.
    repository.forget_entries();
    let listed: Vec<&View> = folders.get(names::LEDGER).into_iter().flatten().collect();
    let now = if store.shares_clock() { Some(here) } else { clock };
    let (ledger, init) = unless_cancelled(context, read(context, repository, &listed, known, now)).await?;
    let mut seen = Seen {
        here,
        store: if store.shares_clock() { StoreTime::Shared } else { StoreTime::Own(clock) },
        listed: if store.shares_clock() { Some(context.clock.now()) } else { store.clock() },
        longest_run: millis(init.as_ref().map_or(InitEvent::LONGEST_RUN_SECONDS, |init| init.longest_run_seconds)),
        grace: grace(init.as_ref()),
        folders,
        by_name: BTreeMap::new(),
        ledger,
    };
    seen.by_name = unless_cancelled(context, by_name(store, seen.unlisted())).await?;
    Ok(seen)
}

/// Reads the ledger once more: one listing, and what the survey saw besides. `now` is the moment of the survey.
pub(super) async fn again(
    context: &Context,
    repository: &Repository,
    known: &Known,
    now: Timestamp,
) -> Result<LedgerSeen, SweepError> {
    let view = View::new(None, repository.store().list(names::LEDGER).await?);
    Ok(read(context, repository, &[&view], known, Some(now)).await?.0)
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

fn grace(init: Option<&InitEvent>) -> i64 {
    millis(init.map_or(InitEvent::GRACE_SECONDS, |init| init.grace_seconds))
}

/// Asks the store about each object: whether it is there, since when, and what holds it.
pub(super) async fn retentions(
    context: &Context,
    store: &Store,
    paths: &Objects,
) -> Result<BTreeMap<String, Option<Retention>>, SweepError> {
    let stage = Stage::CheckObjects;
    context.observer.observe(Told::Begin { stage, total: Some(paths.len() as u64) });
    let asked = stream::iter(paths.keys().cloned()).map(|path| async move {
        let answer = store.retention(&path).await?;
        context.observer.observe(Told::Advance { stage, by: 1 });
        Ok::<_, SweepError>((path, answer))
    });
    let answers = unless_cancelled(context, asked.buffer_unordered(IN_FLIGHT).try_collect()).await?;
    context.observer.observe(Told::End { stage });
    Ok(answers)
}

/// Lists a folder from its beginning, from behind its first object and from its middle: other pages each time, so that a
/// page that gets lost is missed in one of them only.
async fn views(store: &Store, folder: &str) -> Result<Vec<View>, SweepError> {
    let first = store.list(folder).await?;
    let beginning = format!("{folder}/");
    let cuts: BTreeSet<String> = match first.first() {
        None => BTreeSet::from([beginning]),
        Some(object) => {
            let middle = first.get(first.len() / 2).map(|object| object.path.clone());
            middle.into_iter().chain([object.path.clone()]).collect()
        }
    };
    let mut views = vec![View::new(None, first)];
    for after in cuts {
        let listed = store.list_from(folder, &after).await?;
        views.push(View::new(Some(after), listed));
    }
    Ok(views)
}

async fn read(
    context: &Context,
    repository: &Repository,
    views: &[&View],
    known: &Known,
    now: Option<Timestamp>,
) -> Result<(LedgerSeen, Option<InitEvent>), SweepError> {
    let stage = Stage::CheckEntries;
    context.observer.observe(Told::Begin { stage, total: None });
    let mut files = Objects::new();
    for (path, object) in views.iter().flat_map(|view| &view.objects) {
        let seen = files.entry(path.clone()).or_insert(*object);
        seen.modified = seen.modified.max(object.modified);
    }
    let listed = files.iter().map(|(path, object)| ObjectInfo {
        path: path.clone(),
        size: object.size,
        modified: object.modified,
    });
    let (ledger, absent) = repository.read_ledger_of(listed.collect(), &known.heads).await?;
    context.observer.observe(Told::Advance { stage, by: ledger.entries().len() as u64 });
    let before = now.map(|now| now.plus_millis(-grace(ledger.init())));
    let expected =
        ledger.snapshots().into_iter().filter_map(|entry| Some((entry, kept(&ledger, &files, before, entry)?)));
    let snapshots = stream::iter(expected)
        .map(|(entry, kept)| snapshot(repository, &ledger, entry, kept))
        .buffered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    context.observer.observe(Told::End { stage });
    let errors = ledger.problems().iter().filter(|problem| problem.severity() == Severity::Error);
    let seen = LedgerSeen {
        problems: errors.map(ToString::to_string).collect(),
        unknown: unknown(&ledger),
        lost_heads: lost_heads(&ledger, absent, &known.pinned),
        snapshots: snapshots.into_iter().flatten().collect(),
        undos: undos(&ledger),
    };
    Ok((seen, ledger.init().cloned()))
}

/// Entries whose meaning this version does not know, whether they count or not.
fn unknown(ledger: &Ledger) -> Vec<String> {
    let unknown = ledger.entries().iter().filter(|entry| !entry.event.is_understood());
    unknown.map(|entry| format!("{} (of the kind `{}`)", entry.name(), entry.event.kind())).collect()
}

/// Heads that were known and are gone. A loss that was signed for is known to this host; to whoever pinned a head only
/// when it was signed for below that head, since a stolen collector would sign for one above it.
fn lost_heads(ledger: &Ledger, absent: Vec<String>, pinned: &[Digest]) -> Vec<String> {
    let accepted = |gone: &Digest, at: &dyn Fn(&Digest) -> bool| {
        ledger.counted().any(|entry| match &entry.event {
            Event::AcceptLoss(loss) => loss.entries.contains(gone) && at(&entry.digest),
            _ => false,
        })
    };
    let gone = |path: &String| match names::parse_entry(path) {
        Some((_, digest)) => ledger.get(&digest).is_none() && !accepted(&digest, &|_| true),
        None => false,
    };
    let mut lost: Vec<String> = absent.into_iter().filter(gone).collect();
    for head in pinned {
        if !ledger.standing(head).is_some_and(Standing::counts) {
            lost.push(head.to_string());
            continue;
        }
        let below = |digest: &Digest| digest == head || ledger.is_ancestor(digest, head);
        let holes = ledger.missing().iter().filter(|missing| missing.named_by.iter().any(&below));
        let unknown = holes.filter(|missing| !accepted(&missing.digest, &below));
        lost.extend(unknown.map(|missing| format!("{} (below the pinned head {head})", missing.digest)));
    }
    lost
}

fn undos(ledger: &Ledger) -> BTreeMap<Digest, Vec<Digest>> {
    let undo = |entry: &Entry| match &entry.event {
        Event::Forget(ForgetChange::Undo { snapshots, .. }) => {
            // By the name of the entry, also where a copy of it is named.
            let of = |digest: &Digest| ledger.get(digest).map_or(*digest, |entry| entry.digest);
            Some((entry.digest, snapshots.iter().map(of).collect()))
        }
        _ => None,
    };
    ledger.counted().filter_map(undo).collect()
}

/// Whether a snapshot is kept; nothing once it was swept.
///
/// A sweep of ours signs only for what was given up longer than the grace. One that signed earlier is somebody else's,
/// perhaps with a stolen key and no right to delete: it must not make this one delete at once, so the snapshot waits as
/// if it were only given up.
fn kept(ledger: &Ledger, files: &Objects, before: Option<Timestamp>, entry: &Entry) -> Option<Kept> {
    let dated = |by: &Digest| ledger.get(by).and_then(|entry| files.get(&entry.name())).map(|object| object.modified);
    match ledger.life(&entry.digest)? {
        Life::Live => Some(Kept::Live),
        Life::Forgotten { .. } if ledger.pins().contains_key(&entry.digest) => Some(Kept::Live),
        Life::Forgotten { by, rule } => Some(Kept::Forgotten { since: dated(&by), rule }),
        Life::Swept { by, given_up } => {
            let since = dated(&given_up.unwrap_or(by));
            let due = before.zip(since).is_some_and(|(before, since)| since < before);
            let rule = || format!("swept too early, by entry {}", by.short());
            (!due).then(|| Kept::Forgotten { since, rule: rule() })
        }
    }
}

/// A snapshot with what it names. Its list is read, and a list that is damaged or gone is no error here: what that means
/// depends on whether the snapshot is kept.
async fn snapshot(
    repository: &Repository,
    ledger: &Ledger,
    entry: &Entry,
    kept: Kept,
) -> Result<Option<Snapshot>, SweepError> {
    let Some(event) = entry.snapshot() else { return Ok(None) };
    let swept = matches!(ledger.life(&entry.digest), Some(Life::Swept { .. }));
    let packs = match repository.get_list(&event.list).await {
        Ok(list) => Ok(list.packs.iter().map(|listed| (names::pack(&listed.pack), listed.size)).collect()),
        // Of a repository that was copied, every entry is young, and what was swept before is gone.
        Err(error) if is_about_the_list(&error) && swept => return Ok(None),
        Err(error) if is_about_the_list(&error) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let (good, own) = (ledger.is_good(entry), own_objects(event));
    Ok(Some(Snapshot { entry: entry.digest, sequence: entry.sequence, good, kept, own, packs }))
}

fn own_objects(event: &SnapshotEvent) -> BTreeMap<String, Option<u64>> {
    let parts = event.parts.iter().map(|part| (names::catalogue(&part.digest), Some(part.size)));
    parts.chain([(names::list(&event.list), None)]).collect()
}

fn is_about_the_list(error: &RepositoryError) -> bool {
    error.kind() == FailureKind::Integrity
        || matches!(error, RepositoryError::Unsupported { .. } | RepositoryError::Store(StoreError::Denied { .. }))
}

async fn by_name(store: &Store, paths: BTreeSet<String>) -> Result<BTreeMap<String, Option<Object>>, SweepError> {
    let asked = stream::iter(paths).map(|path| async move {
        let found = store.head(&path).await?;
        Ok::<_, SweepError>((path, found.map(|info| Object { size: info.size, modified: info.modified })))
    });
    asked.buffer_unordered(IN_FLIGHT).try_collect().await
}

/// Gives up as soon as the user or the platform wants it: nothing was changed so far.
pub(super) async fn unless_cancelled<T>(
    context: &Context,
    work: impl Future<Output = Result<T, SweepError>>,
) -> Result<T, SweepError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(SweepError::Interrupted),
        done = work => done,
    }
}
