//! Verifies a repository, with only the keys that the requested level needs.
//!
//! Each level includes the previous ones. A problem is recorded and never ends the run: one damaged object must not
//! hide the next.

mod catalogue;
mod error;
mod ledger;
mod named;
mod objects;
mod options;
mod payload;
mod report;
mod scope;
mod sealing;
mod slice;

pub use error::VerifyError;
pub use options::{Level, Snapshots, VerifyKeys, VerifyOptions};
pub use report::{Problem, ProblemKind, VerifyCounts, VerifyReport};
pub use slice::{Slice, SliceChoice, SliceError};

use self::named::NamedObjects;
use self::scope::chosen;
use self::sealing::Sealing;
use super::Context;
use crate::format::event::VerificationEvent;
use crate::format::{self, Draft, EntryEvent};
use crate::repository::{EntryWriter, Repository};

/// Said of an object that was read from an older version.
const SUPERSEDED: &str = "it was deleted or overwritten, and an older version in the bucket is whole: find out who did that; \
                          everything is read from that version";

/// Verifies a repository and reports the findings.
///
/// # Errors
/// Only if the verification itself could not be done: repository not found, required key not available, store not
/// responding, interrupted. Problems *in* the repository are in the report.
pub async fn verify(
    context: &Context,
    repository: &Repository,
    keys: &VerifyKeys,
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
    for path in repository.superseded() {
        report.found(ProblemKind::Superseded, path, SUPERSEDED);
    }
    report.finish();
    Ok(report)
}

/// Signs the result into the ledger, whether passed or failed, with a key of the role verifier.
///
/// `tool` is the writing tool: `keyhaven/0.1.0`.
///
/// # Errors
/// If the entry cannot be written; the report is unchanged.
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
    let done = repository.commit(writer, draft).await?;
    report.recorded = Some(done.entry.digest);
    report.warnings.extend(done.into_warnings());
    Ok(())
}

/// Returns the opened part of the packs, in the form used by entries.
fn slice_of(report: &VerifyReport) -> Option<format::event::Slice> {
    let slice: Slice = report.slice.as_deref()?.parse().ok()?;
    let (part, of) = slice.parts();
    Some(format::event::Slice { part, of, seed: None })
}
