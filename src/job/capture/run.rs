//! A capture run, from reading the ledger to recording the entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use litemap::LiteMap;

use super::CaptureError;
use super::base::{BaseLines, BaseQuery, BaseSnapshot, NEW_PACKS};
use super::begin::{Begun, cancellable};
use super::catalogue::{self, Written};
use super::collect::{Collected, Collector, ask_for_some};
use super::deadline::Deadline;
use super::guard::{ShrinkGuard, check_clock};
use super::options::CaptureOptions;
use super::packing::{self, Packing};
use super::reading::ItemReader;
use super::report::{CaptureReport, HiddenKind, RefusedItem, SpentRequests, UnreadItem};
use super::reuse::ReuseDecision;
use crate::crypto::{Identities, Recipients};
use crate::format::policy::PolicyRecipient;
use crate::format::snapshot::{Consistency, Finding, ItemCounts, RequestCounts, SnapshotCounts, SnapshotEvent};
use crate::format::{Draft, Entry, EntryEvent as Happened, SourceName};
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::model::{Digest, Pointer, Timestamp};
use crate::provider::Source;
use crate::repository::ledger::{Ledger, Problem};
use crate::repository::{EntryWriter, Repository, RepositoryError};

/// Note in the entry of a snapshot that holds revisions without `updated_at`.
const NO_UPDATED_AT: &str = "`updated_at` of secrets is as of the reading of each: revisions are stored without it, \
                             and \
                             version ids take its place";
/// Number of attempts if objects of the run disappear or its packs are too many.
const ATTEMPTS: u32 = 3;

/// Captures an instance into its repository and records one snapshot.
///
/// `catalogue` opens the catalogues of earlier runs; without a suitable one the run is full. A cancelled run leaves
/// nothing visible. Once signing has begun, the run can no longer be cancelled.
///
/// # Errors
/// See [`CaptureError`]; nothing was recorded in that case. A partial or suspect snapshot is recorded and is not an
/// error: see [`CaptureReport::failure`].
pub async fn capture(
    context: &Context,
    source: &dyn Source,
    repository: &Repository,
    writer: &EntryWriter,
    catalogue: &Arc<Identities>,
    options: &CaptureOptions,
) -> Result<CaptureReport, CaptureError> {
    let begun = Begun::begin(context, repository).await?;
    capture_begun(&begun, context, source, repository, writer, catalogue, options).await
}

/// Like [`capture`], for a run that has already begun.
///
/// # Errors
/// See [`CaptureError`].
pub async fn capture_begun(
    begun: &Begun<'_>,
    context: &Context,
    source: &dyn Source,
    repository: &Repository,
    writer: &EntryWriter,
    catalogue: &Arc<Identities>,
    options: &CaptureOptions,
) -> Result<CaptureReport, CaptureError> {
    let (policy, deadline, full_because) = begun.check(writer).await?;
    let recovery = recipients(policy.recovery_recipients.iter())?;
    let both = policy.catalogue_recipients.iter().chain(&policy.recovery_recipients);
    let run = CaptureRun {
        context,
        source,
        repository,
        writer,
        keys: catalogue,
        options,
        full: options.full || full_because.is_some(),
        full_because,
        ledger: begun.ledger(),
        name: policy.source.clone(),
        recipients_digest: policy.recipients_digest(),
        recovery,
        both: recipients(both)?,
        deadline,
    };
    run.until_recorded().await
}

/// Parses recipients listed in the policy.
fn recipients<'a>(listed: impl Iterator<Item = &'a PolicyRecipient>) -> Result<Recipients, CaptureError> {
    let parsed = listed.map(|one| one.recipient.parse()).collect::<Result<Vec<_>, _>>();
    parsed.and_then(Recipients::new).map_err(|source| CaptureError::Crypto {
        what: "seal to the recipients of the trust policy".to_owned(),
        source,
    })
}

struct CaptureRun<'a> {
    context: &'a Context,
    source: &'a dyn Source,
    repository: &'a Repository,
    writer: &'a EntryWriter,
    keys: &'a Arc<Identities>,
    options: &'a CaptureOptions,
    /// True if everything is read and no earlier pack is trusted.
    full: bool,
    /// Reason, if the options did not ask for it.
    full_because: Option<String>,
    ledger: &'a Ledger,
    recipients_digest: Digest,
    /// Recipients of packs.
    recovery: Recipients,
    /// Recipients of catalogues.
    both: Recipients,
    /// Source instance of the repository.
    name: SourceName,
    deadline: Deadline<'a>,
}

/// A snapshot that is complete except for its entry.
struct PreparedSnapshot {
    event: SnapshotEvent,
    written: Written,
    unread: Vec<UnreadItem>,
    refused: Vec<RefusedItem>,
    hidden: Vec<HiddenKind>,
    read: u64,
    spent: SpentRequests,
    plain_bytes: u64,
    new_packs: u64,
    new_bytes: u64,
    repeats: bool,
}

impl CaptureRun<'_> {
    async fn until_recorded(&self) -> Result<CaptureReport, CaptureError> {
        let mut warnings = self.repository.warnings().to_vec();
        let mut base = cancellable(self.context, self.choose_base(NEW_PACKS, &mut warnings)).await?;
        let mut built_on = base.snapshot;
        let mut reuse_parts = self.may_reuse_parts(built_on);
        let mut spent = SpentRequests::default();
        for attempt in 1..=ATTEMPTS {
            let work = self.prepare(&base, built_on, reuse_parts, &mut warnings);
            let prepared = match cancellable(self.context, work).await {
                Err(CaptureError::TooManyPacks { packs, new, .. }) if attempt < ATTEMPTS && new < packs => {
                    // Retry here: the next run would have the same base and as many new packs.
                    warnings.push(format!(
                        "{packs} packs, {new} of them new, were too many for one snapshot; the smallest were read \
                         again \
                         into fewer; what the first attempt cost is not counted"
                    ));
                    let roomier = self.choose_base(new.max(NEW_PACKS), &mut warnings);
                    base = cancellable(self.context, roomier).await?;
                    built_on = base.snapshot;
                    reuse_parts = self.may_reuse_parts(built_on);
                    continue;
                }
                other => other?,
            };
            spent.add(&prepared.spent);
            self.deadline.check()?;
            check_clock(self.context.clock.now(), self.source.provider_now())?;
            let draft = Draft {
                time: self.context.clock.now(),
                tool: concat!("keyhaven/", env!("CARGO_PKG_VERSION")).to_owned(),
                event: Happened::Snapshot(Box::new(prepared.event.clone())),
            };
            // Not cancellable from here on: the entry is either written and read back, or absent.
            match self.repository.commit(self.writer, draft).await {
                Ok(done) => {
                    warnings.extend(done.warnings);
                    let mut report = self.report(&done.entry, prepared, spent, warnings);
                    report.doubts.extend(done.not_remembered);
                    return Ok(report);
                }
                Err(RepositoryError::ObjectsMissing { packs, others }) if attempt < ATTEMPTS => {
                    let gone = packs.len() + others.len();
                    warnings
                        .push(format!("{gone} objects of this snapshot were gone before it was signed; read again"));
                    let is_same_base = others.is_empty();
                    base = cancellable(self.context, self.after_loss(prepared, is_same_base, &mut warnings)).await?;
                    if !is_same_base {
                        built_on = base.snapshot;
                        reuse_parts = self.may_reuse_parts(built_on);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CaptureError::Vanishing { attempts: ATTEMPTS })
    }

    fn wanted(&self, new_packs: usize) -> BaseQuery<'_> {
        BaseQuery {
            repository: self.repository,
            keys: self.keys,
            recipients: self.recovery.names(),
            full: self.full,
            full_every: i64::try_from(self.options.full_every.as_millis()).unwrap_or(i64::MAX),
            now: self.now(),
            new_packs,
        }
    }

    fn now(&self) -> Timestamp {
        self.source.provider_now().unwrap_or_else(|| self.context.clock.now())
    }

    async fn choose_base(&self, new_packs: usize, warnings: &mut Vec<String>) -> Result<BaseSnapshot, CaptureError> {
        let signer = self.writer.key.public().fingerprint();
        if let Some(why) = &self.full_because {
            self.tell(JobEvent::Note(format!("everything is read: {why}")));
        }
        let base = BaseSnapshot::choose(&self.wanted(new_packs), self.ledger, &signer, warnings).await?;
        self.tell(JobEvent::Note(match base.snapshot {
            Some(snapshot) => format!("builds on snapshot {}", snapshot.short()),
            None => "no base snapshot: full read".to_owned(),
        }));
        Ok(base)
    }

    /// Returns the base for another attempt: the objects that were written and not signed, with missing ones to be read
    /// again.
    async fn after_loss(
        &self,
        prepared: PreparedSnapshot,
        catalogue_is_there: bool,
        warnings: &mut Vec<String>,
    ) -> Result<BaseSnapshot, CaptureError> {
        match catalogue_is_there {
            true => {
                Ok(BaseSnapshot::load(&self.wanted(NEW_PACKS), prepared.written.parts, prepared.written.list).await?)
            }
            false => self.choose_base(NEW_PACKS, warnings).await,
        }
    }

    /// Returns true if catalogue parts of the base are sealed to exactly the current catalogue recipients.
    fn may_reuse_parts(&self, base: Option<Digest>) -> bool {
        let Some(entry) = base.and_then(|base| self.ledger.get(&base)) else { return true };
        let trust = self.ledger.trust();
        let texts = |list: &[PolicyRecipient]| list.iter().map(|one| one.recipient.clone()).collect::<Vec<_>>();
        let (then, now) = (trust.get(&entry.policy), trust.policy());
        then.zip(now).is_some_and(|(then, now)| {
            texts(&then.recovery_recipients) == texts(&now.recovery_recipients)
                && texts(&then.catalogue_recipients) == texts(&now.catalogue_recipients)
        })
    }

    /// Prepares everything except the entry.
    async fn prepare(
        &self,
        base: &BaseSnapshot,
        built_on: Option<Digest>,
        reuse_parts: bool,
        warnings: &mut Vec<String>,
    ) -> Result<PreparedSnapshot, CaptureError> {
        self.tell(JobEvent::Begin { stage: Stage::Upload, total: None });
        let target = packing::PackTarget {
            context: self.context,
            repository: self.repository,
            source: &self.name,
            recipients: &self.recovery,
            level: self.options.level,
        };
        let mut packing = Packing::new(target)?;
        let reader = ItemReader {
            context: self.context,
            source: self.source,
            base,
            concurrency: self.options.concurrency,
            deadline: self.deadline,
        };
        let mut collected = Collector::new(reader, self.options, &self.name.instance).collect(&mut packing).await?;
        if collected.consistency == Consistency::PointInTime {
            ask_for_some(self.source, &collected.compared.lost, &mut collected.spent).await?;
        }
        let wanted = self.wanted(NEW_PACKS);
        let unread = unread(&collected, base, &wanted).await?;
        let refused = refused(&collected, base, &wanted.recipients).await?;
        let unused = collected.compared.inventory.supplied.unused(self.options.overrides.len());
        warnings.extend(
            unused.map(|at| format!("entry {} of `[[overrides]]` selects nothing that the instance has", at + 1)),
        );
        let reasons = self.reasons(base, &mut collected, unread.len(), warnings).await?;
        packing.flush().await?;
        let written = self.write(base, reuse_parts, &mut collected, &packing).await?;
        self.tell(JobEvent::End { stage: Stage::Upload });
        let event =
            self.event(built_on, &collected, &written, reasons, MissedItems { unread: &unread, refused: &refused });
        Ok(PreparedSnapshot {
            // Also compares parts that became empty, because they are missing from `written.parts`.
            repeats: !written.parts.is_empty() && written.parts == base.parts,
            unread,
            refused,
            hidden: hidden(&collected),
            read: collected.read,
            plain_bytes: packing.plain,
            new_packs: packing.all().count().try_into().unwrap_or(u64::MAX),
            new_bytes: packing.all().map(|pack| pack.size).sum(),
            spent: collected.spent,
            event,
            written,
        })
    }

    async fn reasons(
        &self,
        base: &BaseSnapshot,
        collected: &mut Collected,
        unread: usize,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Finding>, CaptureError> {
        let guard = ShrinkGuard {
            repository: self.repository,
            ledger: self.ledger,
            keys: self.keys,
            base,
            source: self.source,
            max_shrink: self.options.max_shrink,
            now: self.now(),
        };
        guard.reasons(collected, unread, warnings).await
    }

    async fn write(
        &self,
        base: &BaseSnapshot,
        reuse_parts: bool,
        collected: &mut Collected,
        packing: &Packing<'_>,
    ) -> Result<Written, CaptureError> {
        let target = catalogue::CatalogueTarget {
            context: self.context,
            repository: self.repository,
            source: &self.name,
            recipients: &self.both,
            judge: self.source,
            level: self.options.level,
            reuse_parts,
        };
        catalogue::write(target, base, collected, packing).await
    }

    fn event(
        &self,
        built_on: Option<Digest>,
        collected: &Collected,
        written: &Written,
        reasons: Vec<Finding>,
        missed: MissedItems<'_>,
    ) -> SnapshotEvent {
        let spent = &collected.spent;
        let hidden = hidden(collected);
        let items = written.parts.iter().map(|part| part.items).sum();
        let unread = u64::try_from(missed.unread.len()).unwrap_or(u64::MAX);
        SnapshotEvent {
            consistency: collected.consistency.clone(),
            from: collected.from,
            to: collected.to,
            time: collected.from,
            recovery_point_millis: u64::try_from(self.now().millis_since(collected.from)).ok(),
            rounds: u64::from(collected.rounds),
            full: self.full || built_on.is_none(),
            base: built_on.filter(|_| !self.full),
            // A run reuses packs of its own key's snapshots only.
            reuses: built_on
                .filter(|_| !self.full)
                .map(|_| self.writer.key.public().fingerprint())
                .into_iter()
                .collect(),
            reference: None,
            recipients: self.recipients_digest,
            parts: written.parts.clone(),
            list: written.list_digest,
            packs: written.list.packs.len().try_into().unwrap_or(u64::MAX),
            sealed_bytes: written.list.packs.iter().map(|pack| pack.size).sum(),
            counts: SnapshotCounts {
                all: ItemCounts { items: Some(items), unread: Some(unread), ..ItemCounts::default() },
                kinds: items_of(&written.counts.kinds),
                classes: items_of(&written.counts.classes),
            },
            partial: unread > 0 || !missed.refused.is_empty() || !hidden.is_empty(),
            reasons,
            marks: Vec::new(),
            rules: None,
            floors: None,
            shares: None,
            expected: None,
            excepted: None,
            bucket: None,
            requests: RequestCounts {
                listing: spent.listing.iter().sum(),
                reading: spent.reading + spent.rereading + spent.asking,
                retried: spent.retried,
            },
            notes: notes(collected, missed.unread.len(), missed.refused),
            tags: self.options.tags.clone(),
            hidden: hidden
                .iter()
                .map(|hidden| hidden.kind.as_str().to_owned())
                .collect::<BTreeSet<String>>()
                .into_iter()
                .collect(),
            recovery_key_on_collector: self.options.recovery_key_on_collector,
        }
    }

    fn report(
        &self,
        entry: &Entry,
        prepared: PreparedSnapshot,
        spent: SpentRequests,
        warnings: Vec<String>,
    ) -> CaptureReport {
        let PreparedSnapshot { event, written, .. } = prepared;
        CaptureReport {
            snapshot: entry.digest,
            sequence: entry.sequence,
            cut: event.consistency.as_str(),
            from: event.from,
            to: event.to,
            moved: event.consistency.moved(),
            rounds: event.rounds,
            full: event.full,
            full_because: self.full_because.clone(),
            base: event.base,
            quiet: prepared.repeats,
            suspect: event.reasons.iter().map(Finding::sentence).collect(),
            doubts: doubts(self.ledger, &self.repository.superseded()),
            unread: prepared.unread,
            refused: prepared.refused,
            hidden: prepared.hidden,
            refused_is_accepted: self.options.allow_partial,
            counts: event.items_by_kind(),
            classes: event.items_by_class(),
            kept: written.kept,
            read: prepared.read,
            requests: spent,
            plain_bytes: prepared.plain_bytes,
            sealed_bytes: prepared.new_bytes,
            packs_written: prepared.new_packs,
            packs_reused: event.packs.saturating_sub(prepared.new_packs),
            parts_written: written.parts_written,
            parts_reused: written.parts_reused,
            duration_ms: self.deadline.elapsed(),
            recovery_point_ms: self.now().millis_since(event.from),
            notes: event.notes,
            warnings,
        }
    }

    fn tell(&self, event: JobEvent) {
        self.context.observer.observe(event);
    }
}

/// Items that a run could not read.
#[derive(Clone, Copy)]
struct MissedItems<'a> {
    unread: &'a [UnreadItem],
    refused: &'a [RefusedItem],
}

fn items_of(counts: &BTreeMap<String, u64>) -> LiteMap<String, ItemCounts> {
    let items = |count: u64| ItemCounts { items: Some(count), ..ItemCounts::default() };
    counts.iter().map(|(name, count)| (name.clone(), items(*count))).collect()
}

/// Returns reasons to doubt that this is the repository that its custodians know. Backups continue and report them.
fn doubts(ledger: &Ledger, superseded: &[String]) -> Vec<String> {
    let undecided = |problem: &&Problem| matches!(problem, Problem::Fork { .. } | Problem::PendingSnapshots { .. });
    let mut doubts: Vec<String> = ledger.problems().iter().filter(undecided).map(ToString::to_string).collect();
    let memory = ledger.memory();
    doubts.extend(memory.heads.iter().map(|lost| match memory.kept.contains(lost) {
        true => format!(
            "entry {lost} was gone, which this host saw, and is put back from this host's copy: find out who removed it"
        ),
        false => format!(
            "entry {lost}, seen by this host, is missing: it was deleted or the bucket was rolled back; restore it, \
             or have the custodians accept the loss (`keyhaven ledger accept-loss`)"
        ),
    }));
    doubts.extend(superseded.iter().map(|path| {
        format!(
            "{path} was deleted or overwritten, and read from an older version in the bucket: find out who did that"
        )
    }));
    doubts
}

/// Returns the items of the snapshot that could not be read. In a `per_item` snapshot, an item that was still changing
/// at the end is not among them if an earlier read of it can be opened by the current recovery keys and is not older
/// than `full_every`.
///
/// # Errors
/// If a part of the base can no longer be fetched.
async fn unread(
    collected: &Collected,
    base: &BaseSnapshot,
    wanted: &BaseQuery<'_>,
) -> Result<Vec<UnreadItem>, CaptureError> {
    let Collected { compared, failures, .. } = collected;
    let mut lines = BaseLines::new(base);
    let mut found = Vec::new();
    for (key, why) in &failures.why {
        let seen = compared.inventory.keys.find(key).and_then(|at| compared.inventory.seen.get(at));
        let counts = match seen {
            None => collected.still_there.contains_key(key),
            Some(_) if collected.gone.contains(key) => false,
            Some(seen) if collected.consistency != Consistency::PointInTime && failures.moved.contains(key) => {
                seen.got.is_none() && !is_held(seen.base, base, &mut lines, wanted).await?
            }
            Some(_) => true,
        };
        if counts {
            found.push(UnreadItem { key: key.clone(), why: why.clone() });
        }
    }
    Ok(found)
}

/// Returns true if the base has an acceptable read of an item.
async fn is_held(
    at: Option<u32>,
    base: &BaseSnapshot,
    lines: &mut BaseLines<'_>,
    wanted: &BaseQuery<'_>,
) -> Result<bool, CaptureError> {
    let Some((at, known)) = at.and_then(|at| Some((at, base.index.known.get(at as usize)?))) else { return Ok(false) };
    let mut packs = base.index.packs_of(known).iter().map(|at| base.packs.get(usize::from(*at)));
    // A line without revision and packs was never read, or the read returned nothing.
    let read = known.worth != ReuseDecision::Broken && (known.revision.is_some() || known.packs.1 > 0);
    if !read || !packs.all(|pack| pack.is_some_and(|pack| pack.recipients == wanted.recipients)) {
        return Ok(false);
    }
    let read_at = lines.get(at).await?.and_then(|item| item.read_at);
    Ok(read_at.is_some_and(|at| wanted.now.millis_since(at) <= wanted.full_every))
}

/// Returns the items whose value was refused, each with the value that an earlier snapshot has.
///
/// # Errors
/// If a part of the base can no longer be fetched.
async fn refused(
    collected: &Collected,
    base: &BaseSnapshot,
    recipients: &[String],
) -> Result<Vec<RefusedItem>, CaptureError> {
    let Collected { compared, failures, .. } = collected;
    let mut lines = BaseLines::new(base);
    let mut found = Vec::with_capacity(failures.refused.len());
    for (key, why) in &failures.refused {
        let Some(seen) = compared.inventory.keys.find(key).and_then(|at| compared.inventory.seen.get(at)) else {
            continue;
        };
        let held = match seen.base {
            Some(at) if base.worth(at) != Some(ReuseDecision::Broken) => lines.get(at).await?,
            _ => None,
        };
        let held = held.filter(|item| !item.payloads.is_empty());
        let stored = held.as_ref().and(seen.base).and_then(|at| base.index.known.get(at as usize)?.revision);
        found.push(RefusedItem {
            key: key.clone(),
            why: why.clone(),
            moved_since: held.is_some() && stored != Some(seen.revision) && stored != seen.settled,
            sealed_to_others: held.as_ref().is_some_and(|item| {
                let pack = |pointer: &Pointer| base.packs.iter().find(|pack| pack.pack == pointer.pack);
                item.payloads.iter().any(|pointer| pack(pointer).is_none_or(|pack| pack.recipients != recipients))
            }),
            value_of: held.and_then(|item| item.read_at),
        });
    }
    Ok(found)
}

fn hidden(collected: &Collected) -> Vec<HiddenKind> {
    let hidden = collected.compared.hidden.iter();
    hidden.map(|(kind, why)| HiddenKind { kind: *kind, why: why.clone() }).collect()
}

/// Returns the notes of the entry. They name no item, because entries are not encrypted.
fn notes(collected: &Collected, unread: usize, refused: &[RefusedItem]) -> Vec<String> {
    let mut notes = vec![
        "no list shows version metadata, lock attributes or configuration values: they are as of the read of each item"
            .to_owned(),
    ];
    if collected.habit.moves {
        notes.push(
            "reads change `updated_at` on this instance; the cut is proven by two listings without reads in between"
                .to_owned(),
        );
    }
    if collected.habit.moves || collected.habit.known {
        notes.push(NO_UPDATED_AT.to_owned());
    }
    if unread > 0 {
        notes.push(format!("{unread} items could not be read; what an earlier snapshot had of them is kept"));
    }
    for HiddenKind { kind, .. } in hidden(collected) {
        notes.push(format!(
            "the collector may not list items of the kind `{kind}`, for lack of a role: none was captured"
        ));
    }
    if !refused.is_empty() {
        let held = refused.iter().filter(|item| item.value_of.is_some()).count();
        notes.push(format!(
            "the values of {} configurations were refused to the collector, which lacks a role; {held} of them are \
             as an \
             earlier snapshot had them, the others are missing",
            refused.len()
        ));
    }
    notes
}
