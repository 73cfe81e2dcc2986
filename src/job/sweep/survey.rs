//! Survey: reads the ledger, every directory from several starting points, the pack lists, and the store's retentions.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SweepError;
use super::sweep_view::{
    DirectoryListing, KeepState, LedgerSeen, Objects, SeenObject, SeenSnapshot, StoreTime, SweepView,
};
use crate::format::policy::PolicySettings;
use crate::format::role::EntryEffect;
use crate::format::{Entry, EntryEvent, SigningRole, SnapshotEvent, names};
use crate::job::Context;
use crate::job::event::{JobEvent as Told, Stage};
use crate::model::{Digest, FailureKind, Timestamp};
use crate::repository::ledger::{EntryStatus, Ledger, Problem, Severity, SnapshotState, Void};
use crate::repository::store::Listing;
use crate::repository::store::Retention;
use crate::repository::{ObjectInfo, Repository, RepositoryError, Store, StoreError};

/// Number of parallel requests for small objects.
const IN_FLIGHT: usize = 16;
/// Directories that are listed. Not `evidence/`, which is never deleted.
const FOLDERS: [&str; 5] = [names::TRUST, names::LEDGER, names::LISTS, names::CATALOGUES, names::PACKS];

/// Facts about the ledger from outside the repository.
#[derive(Debug, Clone, Default)]
pub(super) struct SweepFacts {
    /// Paths of entries that this host saw as heads, and of entries that an earlier survey of this run saw.
    pub(super) heads: Vec<String>,
    /// Digests of entries that the caller states were heads.
    pub(super) pinned: Vec<Digest>,
    /// True if the operator chose a policy version for this command: entries pending under another version, and entries
    /// of strangers, are then no reason to wait.
    pub(super) policy_chosen: bool,
}

/// Surveys the whole repository.
pub(super) async fn survey(
    context: &Context,
    repository: &Repository,
    known: &SweepFacts,
) -> Result<SweepView, SweepError> {
    let store = repository.store();
    let here = context.clock.now();
    let clock = store.clock();
    let mut folders = BTreeMap::new();
    for folder in FOLDERS {
        let listing = views(store, folder);
        folders.insert(folder.to_owned(), unless_cancelled(context, listing).await?);
    }
    // Cached entries prove nothing about the current state of the store.
    repository.forget_entries();
    let of = |folder: &str| folders.get(folder).into_iter().flatten().collect::<Vec<&DirectoryListing>>();
    let (listed, policies) = (of(names::LEDGER), of(names::TRUST));
    let now = if store.shares_clock() { Some(here) } else { clock };
    let reading = read(context, repository, &listed, &policies, known, now);
    let (ledger, settings) = unless_cancelled(context, reading).await?;
    let mut seen = SweepView {
        here,
        store: if store.shares_clock() { StoreTime::Shared } else { StoreTime::Own(clock) },
        listed: if store.shares_clock() { Some(context.clock.now()) } else { store.clock() },
        longest_run: millis(
            settings.map_or(PolicySettings::LONGEST_RUN_SECONDS, |settings| settings.longest_run_seconds),
        ),
        grace: grace(settings),
        folders,
        by_name: BTreeMap::new(),
        ledger,
    };
    seen.by_name = unless_cancelled(context, by_name(store, seen.unlisted())).await?;
    Ok(seen)
}

/// Reads the ledger again: one listing, plus the facts of the survey. `now` is the time of the survey.
pub(super) async fn again(
    context: &Context,
    repository: &Repository,
    known: &SweepFacts,
    now: Timestamp,
) -> Result<LedgerSeen, SweepError> {
    let view = DirectoryListing::new(None, repository.store().list(names::LEDGER).await?);
    let policies = DirectoryListing::new(None, repository.store().list(names::TRUST).await?);
    Ok(read(context, repository, &[&view], &[&policies], known, Some(now)).await?.0)
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

fn grace(settings: Option<PolicySettings>) -> i64 {
    millis(settings.map_or(PolicySettings::GRACE_SECONDS, |settings| settings.grace_seconds))
}

/// Queries the store about each object: existence, date and retention.
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

/// Lists a directory from its beginning, from after its first object and from its middle. The page boundaries differ
/// each time, so a lost page affects only one of the listings.
async fn views(store: &Store, folder: &str) -> Result<Vec<DirectoryListing>, SweepError> {
    let first = store.list(folder).await?;
    let beginning = format!("{folder}/");
    let cuts: BTreeSet<String> = match first.first() {
        None => BTreeSet::from([beginning]),
        Some(object) => {
            let middle = first.get(first.len() / 2).map(|object| object.path.clone());
            middle.into_iter().chain([object.path.clone()]).collect()
        }
    };
    let mut views = vec![DirectoryListing::new(None, first)];
    for after in cuts {
        let listed = store.list_from(folder, &after).await?;
        views.push(DirectoryListing::new(Some(after), listed));
    }
    Ok(views)
}

async fn read(
    context: &Context,
    repository: &Repository,
    views: &[&DirectoryListing],
    policies: &[&DirectoryListing],
    known: &SweepFacts,
    now: Option<Timestamp>,
) -> Result<(LedgerSeen, Option<PolicySettings>), SweepError> {
    let stage = Stage::CheckEntries;
    context.observer.observe(Told::Begin { stage, total: None });
    let mut files = newest(views);
    let older = repository.store().list_with_older(names::LEDGER).await?.older;
    let listed = files.iter().map(|(path, object)| ObjectInfo {
        path: path.clone(),
        size: object.size,
        modified: object.modified,
    });
    let (ledger, absent) =
        repository.read_ledger_of(Listing { current: listed.collect(), older }, &known.heads).await?;
    context.observer.observe(Told::Advance { stage, by: ledger.entries().len() as u64 });
    files.extend(newest(policies));
    let settings = ledger.policy().map(|policy| policy.settings);
    let before = now.map(|now| now.plus_millis(-grace(settings)));
    let judge = SweepJudge { ledger: &ledger, files: &files, before, policy_chosen: known.policy_chosen };
    let expected = ledger.judged().filter_map(|(entry, status)| Some((entry, judge.kept(entry, status)?)));
    let snapshots = stream::iter(expected)
        .map(|(entry, kept)| snapshot(repository, &ledger, entry, kept))
        .buffered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    context.observer.observe(Told::End { stage });
    let stops = |problem: &&Problem| match problem {
        Problem::PendingSnapshots { .. } => !known.policy_chosen,
        // Its objects count even if they cannot be opened.
        Problem::Recipients { .. } => false,
        // Its snapshots wait as if they were only forgotten ([`SweepJudge::kept`]).
        Problem::EarlySweep { .. } => false,
        problem => problem.severity() == Severity::Error,
    };
    let seen = LedgerSeen {
        entries: ledger.entries().iter().map(Entry::name).collect(),
        problems: ledger.problems().iter().filter(stops).map(ToString::to_string).collect(),
        unknown: unknown(&ledger),
        lost_heads: lost_heads(&ledger, absent, &known.pinned),
        snapshots: snapshots.into_iter().flatten().collect(),
        undos: undos(&ledger),
    };
    Ok((seen, settings))
}

/// Returns every object in any of the listings, with the latest date.
fn newest(views: &[&DirectoryListing]) -> Objects {
    let mut files = Objects::new();
    for (path, object) in views.iter().flat_map(|view| &view.objects) {
        let seen = files.entry(path.clone()).or_insert(*object);
        seen.modified = seen.modified.max(object.modified);
    }
    files
}

/// Returns entries that may change what is kept in an unknown way: those of reapers, and snapshots of a later minor
/// version.
fn unknown(ledger: &Ledger) -> Vec<String> {
    let reaper = |entry: &Entry| {
        ledger
            .trust()
            .branches()
            .any(|(_, policy)| policy.key(&entry.key).is_some_and(|key| key.has(SigningRole::Reaper)))
    };
    let unknown = ledger.counted().filter(|entry| !entry.event.is_known() && entry.effect == EntryEffect::State);
    let unknown = unknown.filter(|entry| reaper(entry)).chain(ledger.unread_snapshots());
    unknown.map(|entry| format!("{} (of the kind `{}`)", entry.name(), entry.event.kind())).collect()
}

/// Returns known heads and policy versions that are missing, except losses that the policy accepts.
fn lost_heads(ledger: &Ledger, absent: Vec<String>, named: &[Digest]) -> Vec<String> {
    let gone = |path: &String| {
        names::parse_entry(path)
            .is_some_and(|entry| ledger.get(&entry.digest).is_none() && !ledger.trust().accepts_loss_of(&entry.digest))
    };
    let memory = ledger.memory();
    let mut lost: Vec<String> = absent.into_iter().filter(gone).collect();
    lost.extend(memory.superseded.iter().map(names::entry));
    lost.extend(memory.heads.iter().map(names::entry).chain(memory.policies.iter().map(names::policy)));
    // Losses that another host recorded count as well: a lost entry may have been what keeps a snapshot.
    let noted = ledger.counted().flat_map(|entry| &entry.lost);
    let gone = noted.filter(|lost| ledger.get(&lost.digest).is_none() && !ledger.trust().accepts_loss_of(&lost.digest));
    lost.extend(gone.map(names::entry));
    let not_there = |head: &&Digest| !ledger.status(head).is_some_and(EntryStatus::counts);
    lost.extend(named.iter().filter(not_there).map(ToString::to_string));
    lost.sort_unstable();
    lost.dedup();
    lost
}

fn undos(ledger: &Ledger) -> BTreeMap<Digest, Vec<Digest>> {
    let undo = |entry: &Entry| match &entry.event {
        EntryEvent::Undo(event) => Some((entry.digest, event.snapshots.clone())),
        _ => None,
    };
    ledger.counted().filter_map(undo).collect()
}

/// Judge of what each snapshot is to a sweep.
struct SweepJudge<'a> {
    ledger: &'a Ledger,
    files: &'a Objects,
    /// Now minus the grace period.
    before: Option<Timestamp>,
    policy_chosen: bool,
}

impl SweepJudge<'_> {
    fn dated(&self, path: &str) -> Option<Timestamp> {
        self.files.get(path).map(|object| object.modified)
    }

    /// Returns how a snapshot is kept; `None` for other entries and for snapshots already swept.
    ///
    /// Our sweeps sign only for snapshots forgotten longer ago than the grace period. An earlier sweep entry comes from
    /// another client, possibly with a stolen key but no permission to delete. It must not make this sweep delete at
    /// once, so the snapshot waits as if it were only forgotten.
    fn kept(&self, entry: &Entry, status: &EntryStatus) -> Option<KeepState> {
        entry.snapshot()?;
        match status {
            EntryStatus::Counts => self.of_state(entry),
            EntryStatus::Pending(_) => Some(KeepState::Guarded),
            // A newer version may be able to check it.
            EntryStatus::Void(Void::Unchecked) => Some(KeepState::Guarded),
            EntryStatus::Void(_) if self.is_guarded(entry) => Some(KeepState::Guarded),
            EntryStatus::Void(_) => {
                // Counted from the store's date of the version in force, so that custodians can correct a mistake.
                let in_force = self.ledger.trust().writes_under().map(|(version, _)| names::policy(&version));
                let since = in_force.and_then(|path| self.dated(&path));
                Some(KeepState::Forgotten { since, rule: "void by the trust policy".to_owned() })
            }
            EntryStatus::Stranger => (!self.policy_chosen).then_some(KeepState::Guarded),
        }
    }

    /// Returns true if something keeps an invalid snapshot.
    fn is_guarded(&self, entry: &Entry) -> bool {
        self.ledger.unproven().any(|one| one.digest == entry.digest)
            || self.ledger.trust().holds(&entry.digest)
            || self.may_be_wanted(&entry.digest)
    }

    fn of_state(&self, entry: &Entry) -> Option<KeepState> {
        let ledger = self.ledger;
        let by_entry = |by: &Digest| ledger.get(by).and_then(|entry| self.dated(&entry.name()));
        match ledger.state(&entry.digest)? {
            SnapshotState::Live => Some(KeepState::Live),
            SnapshotState::Forgotten { .. } if ledger.holds().contains_key(&entry.digest) => Some(KeepState::Live),
            // A stranger may be a host with a policy version that is not known here.
            SnapshotState::Forgotten { .. } if self.may_be_wanted(&entry.digest) => Some(KeepState::Live),
            SnapshotState::Forgotten { by, rule } => Some(KeepState::Forgotten { since: by_entry(&by), rule }),
            SnapshotState::Swept { by } => {
                let forgets = ledger.entries().iter().filter(|forget| {
                    matches!(&forget.event, EntryEvent::Forget(event) if event.snapshots.contains(&entry.digest))
                        && ledger.is_below(&forget.digest, &by)
                });
                let since = forgets.filter_map(|forget| self.dated(&forget.name())).min().or_else(|| by_entry(&by));
                let due = self.before.zip(since).is_some_and(|(before, since)| since < before);
                let rule = || format!("swept too early, by entry {}", by.short());
                (!due).then(|| KeepState::Forgotten { since, rule: rule() })
            }
        }
    }

    /// Returns true if an undo or a hold that does not count, but may count later, names the snapshot.
    fn may_be_wanted(&self, snapshot: &Digest) -> bool {
        let wants = |entry: &Entry| matches!(&entry.event, EntryEvent::Undo(event) | EntryEvent::Hold(event) if event.snapshots.contains(snapshot));
        let strangers = self.ledger.judged().filter(|(_, status)| matches!(status, EntryStatus::Stranger));
        let strangers = strangers.map(|(entry, _)| entry).filter(|_| !self.policy_chosen);
        strangers.chain(self.ledger.unproven()).any(wants)
    }
}

/// Returns a snapshot with the objects that it names. A damaged or missing pack list is not an error here: its meaning
/// depends on whether the snapshot is kept.
async fn snapshot(
    repository: &Repository,
    ledger: &Ledger,
    entry: &Entry,
    kept: KeepState,
) -> Result<Option<SeenSnapshot>, SweepError> {
    let Some(event) = entry.snapshot() else { return Ok(None) };
    let gone = !matches!(ledger.state(&entry.digest), Some(SnapshotState::Live | SnapshotState::Forgotten { .. }));
    let packs = match repository.get_list(&event.list).await {
        Ok(list) => Ok(list.packs.iter().map(|listed| (names::pack(&listed.pack), listed.size)).collect()),
        // In a copied repository every entry is young, and the objects of swept snapshots are gone. An invalid snapshot
        // keeps only what it names.
        Err(error) if is_about_the_list(&error) && gone => return Ok(None),
        Err(error) if is_about_the_list(&error) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let (good, own) = (ledger.is_good(entry), own_objects(event));
    Ok(Some(SeenSnapshot { entry: entry.digest, sequence: entry.sequence, good, kept, own, packs }))
}

fn own_objects(event: &SnapshotEvent) -> BTreeMap<String, Option<u64>> {
    let parts = event.parts.iter().map(|part| (names::catalogue(&part.digest), Some(part.size)));
    parts.chain([(names::list(&event.list), None)]).collect()
}

fn is_about_the_list(error: &RepositoryError) -> bool {
    error.kind() == FailureKind::Integrity
        || matches!(error, RepositoryError::Unsupported { .. } | RepositoryError::Store(StoreError::Denied { .. }))
}

async fn by_name(store: &Store, paths: BTreeSet<String>) -> Result<BTreeMap<String, Option<SeenObject>>, SweepError> {
    let asked = stream::iter(paths).map(|path| async move {
        let found = store.head(&path).await?;
        Ok::<_, SweepError>((path, found.map(|info| SeenObject { size: info.size, modified: info.modified })))
    });
    asked.buffer_unordered(IN_FLIGHT).try_collect().await
}

/// Runs `work` until the run is cancelled. Nothing has been changed so far.
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
