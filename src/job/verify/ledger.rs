//! Level `ledger`: links, signatures, roles, pinned heads.

use super::{ProblemKind, Report, VerifyError, VerifyOptions};
use crate::job::Context;
use crate::job::event::{Event, Stage};
use crate::repository::ledger::{Ledger, Severity, Standing};
use crate::repository::{Repository, SKEW_MILLIS};

/// Reads every entry and says what is wrong with any.
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Ledger, VerifyError> {
    let stage = Stage::CheckEntries;
    context.observer.observe(Event::Begin { stage, total: None });
    let read = tokio::select! {
        read = repository.read_ledger() => read,
        () = context.cancel.cancelled() => return Err(VerifyError::Interrupted),
    };
    let ledger = read?;
    let ahead = repository.store().clock().map(|clock| ledger.ahead_of(clock, SKEW_MILLIS)).unwrap_or_default();
    for problem in ledger.problems().iter().chain(&ahead) {
        match problem.severity() {
            Severity::Warning => report.warnings.push(problem.to_string()),
            Severity::Error => report.found(ProblemKind::Ledger, crate::format::names::LEDGER, problem.to_string()),
        }
    }
    for pinned in &options.pinned_heads {
        if !ledger.standing(pinned).is_some_and(Standing::counts) {
            let why = "this entry was pinned as a head, and it is not there or does not count any more";
            report.found(ProblemKind::HeadMissing, pinned.to_string(), why);
        }
    }
    report.heads = ledger.heads().into_iter().map(|entry| entry.digest).collect();
    report.counts.entries = ledger.counted().count() as u64;
    report.counts.entries_ignored = ledger.entries().len() as u64 - report.counts.entries;
    context.observer.observe(Event::Advance { stage, by: ledger.entries().len() as u64 });
    context.observer.observe(Event::End { stage });
    Ok(ledger)
}
