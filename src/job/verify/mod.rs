//! Proving what a repository holds, with only the keys that the wanted level needs.
//!
//! Each level includes the ones before it. A problem is named and counted and never ends the run: one damaged object
//! must not hide the next.

mod catalogue;
mod error;
mod ledger;
mod objects;
mod options;
mod payload;
mod report;
mod sealing;
mod slice;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use error::VerifyError;
pub use options::{Keys, Level, Snapshots, VerifyOptions};
pub use report::{Problem, ProblemKind, VerifyCounts, VerifyReport};
pub use slice::{Slice, SliceChoice, SliceError};

use self::sealing::Sealing;
use super::Context;
use crate::crypto::Identities;
use crate::format::event::VerificationEvent;
use crate::format::{self, Draft, Entry, EntryEvent, SnapshotEvent};
use crate::repository::find::find;
use crate::repository::ledger::{Ledger, SnapshotState};
use crate::repository::{EntryWriter, Repository, RepositoryError};

/// Objects that are fetched side by side; each may have 80 MiB.
const OBJECTS_IN_FLIGHT: usize = 4;

/// Checks a repository and says what it found.
///
/// # Errors
/// Only when the check itself could not be done: no repository there, a key that the level needs and that was not
/// given, a store that does not answer, an interruption. What is wrong *in* the repository is in the report.
pub async fn verify(
    context: &Context,
    repository: &Repository,
    keys: &Keys,
    options: &VerifyOptions,
) -> Result<VerifyReport, VerifyError> {
    options.check(keys)?;
    let mut report = VerifyReport::new(repository, options);
    let known = ledger::check(context, repository, options, &mut report).await?;
    let slice = options.slice.map(|part| part.slice(&known));
    report.slice = slice.as_ref().map(Slice::to_string);
    let snapshots = chosen(&known, options)?;
    report.checked = match options.snapshots {
        Snapshots::Live => report.heads.clone(),
        Snapshots::One(_) => snapshots.iter().map(|snapshot| snapshot.entry.digest).collect(),
    };
    report.counts.snapshots = snapshots.len() as u64;
    if options.level >= Level::Objects {
        objects::check_recover_md(repository, &known, &mut report).await?;
        let lists = objects::read_lists(context, repository, &snapshots, &mut report).await?;
        let sealing = Sealing::of(&known, &snapshots, &lists, &mut report);
        let named = NamedObjects { snapshots: &snapshots, lists: &lists, sealing: &sealing };
        objects::check(context, repository, named, options, &mut report).await?;
        if options.level >= Level::Catalogue {
            let pointers = catalogue::check(context, repository, keys, named, options, &mut report).await?;
            if options.level >= Level::Payload {
                let opening = payload::Opening { keys, named, slice };
                payload::check(context, repository, &opening, pointers, &mut report).await?;
            }
        }
    }
    report.finish();
    Ok(report)
}

/// Signs the result of a check into the ledger, good or bad, with a key that has the verifier's role.
///
/// `tool` is what writes it: `keyhaven/0.1.0`.
///
/// # Errors
/// When the entry cannot be written; the report stays what it is.
pub async fn record(
    repository: &Repository,
    writer: &EntryWriter,
    tool: &str,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let event = EntryEvent::Verification(VerificationEvent {
        level: report.level.as_str().to_owned(),
        slice: slice_of(report),
        passed: report.ok,
        problems: report.problems.len() as u64,
        entries: report.checked.clone(),
        counts: None,
    });
    let draft = Draft { time: writer.clock.now(), tool: tool.to_owned(), event };
    report.recorded = Some(repository.commit(writer, draft).await?.digest);
    Ok(())
}

/// The part of the packs that was opened, as entries name it.
fn slice_of(report: &VerifyReport) -> Option<format::event::Slice> {
    let slice: Slice = report.slice.as_deref()?.parse().ok()?;
    let (part, of) = slice.parts();
    Some(format::event::Slice { part, of, seed: None })
}

/// A snapshot to check.
#[derive(Debug, Clone, Copy)]
struct ChosenSnapshot<'a> {
    entry: &'a Entry,
    event: &'a SnapshotEvent,
}

/// What the checked snapshots name.
#[derive(Debug, Clone, Copy)]
struct NamedObjects<'a> {
    snapshots: &'a [ChosenSnapshot<'a>],
    lists: &'a objects::Lists,
    sealing: &'a Sealing,
}

fn chosen<'a>(ledger: &'a Ledger, options: &VerifyOptions) -> Result<Vec<ChosenSnapshot<'a>>, VerifyError> {
    match &options.snapshots {
        Snapshots::Live => {
            let live =
                // What was given up must still be whole: it can be taken back until it is swept.
                ledger.unswept().filter_map(|entry| Some(ChosenSnapshot { entry, event: entry.snapshot()? }));
            Ok(live.collect())
        }
        Snapshots::One(wanted) => {
            let (entry, event) = find(ledger, wanted)?;
            if let Some(SnapshotState::Swept { by }) = ledger.state(&entry.digest) {
                let why =
                    format!("{} was swept by entry {}, nothing of it has to be there", entry.sequence, by.short());
                return Err(RepositoryError::NoSnapshot { wanted: wanted.to_string(), why }.into());
            }
            Ok(vec![ChosenSnapshot { entry, event }])
        }
    }
}

/// Ends the run at a safe point when it is to stop.
fn go_on(cancel: &CancellationToken) -> Result<(), VerifyError> {
    match cancel.is_cancelled() {
        true => Err(VerifyError::Interrupted),
        false => Ok(()),
    }
}

/// The identities that open a catalogue: the catalogue's own, else those that open everything.
fn catalogue_keys(keys: &Keys) -> Option<&Arc<Identities>> {
    keys.catalogue.as_ref().or(keys.recovery.as_ref())
}
