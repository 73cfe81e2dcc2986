//! Level `ledger`: links, signatures, roles, pinned heads.

use super::{Level, ProblemKind, VerifyError, VerifyOptions, VerifyReport};
use crate::format::{self, names};
use crate::job::Context;
use crate::job::event::{JobEvent, Stage};
use crate::repository::ledger::{EntryStatus, Ledger, Severity};
use crate::repository::{Repository, SKEW_MILLIS};

/// Reads every entry and reports problems.
pub(super) async fn check(
    context: &Context,
    repository: &Repository,
    options: &VerifyOptions,
    report: &mut VerifyReport,
) -> Result<Ledger, VerifyError> {
    let stage = Stage::CheckEntries;
    context.observer.observe(JobEvent::Begin { stage, total: None });
    let read = tokio::select! {
        read = repository.read_ledger_anew() => read,
        () = context.cancel.cancelled() => return Err(VerifyError::Interrupted),
    };
    let ledger = read?;
    report.warnings.extend(repository.changed_marker(&ledger));
    let present = repository.store().clock().unwrap_or_else(|| context.clock.now());
    let ahead = ledger.ahead_of(present, SKEW_MILLIS);
    for problem in ledger.problems().iter().chain(&ahead) {
        match problem.severity() {
            Severity::Warning => report.warnings.push(problem.to_string()),
            Severity::Error => report.found(ProblemKind::Ledger, names::LEDGER, problem.to_string()),
        }
    }
    for pinned in &options.pinned_heads {
        if !ledger.status(pinned).is_some_and(EntryStatus::counts) {
            let why = "this entry was named as a head, and it is not there or does not count";
            report.found(ProblemKind::HeadMissing, pinned.to_string(), why);
        }
    }
    for lost in &ledger.memory().heads {
        let why = "this host saw this entry, and it is gone: somebody removed it or put the bucket back";
        report.found(ProblemKind::HeadMissing, names::entry(lost), why);
    }
    for lost in &ledger.memory().policies {
        let why = "this version of the trust policy, or a signature of it, is not in the bucket; a backup puts it back";
        report.found(ProblemKind::HeadMissing, names::policy(lost), why);
    }
    find_emptied(&ledger, report);
    find_unread(&ledger, options.level, report);
    report.heads = ledger.heads().into_iter().map(|entry| entry.digest).collect();
    report.counts.entries = ledger.counted().count() as u64;
    report.counts.entries_ignored = ledger.entries().len() as u64 - report.counts.entries;
    context.observer.observe(JobEvent::Advance { stage, by: ledger.entries().len() as u64 });
    context.observer.observe(JobEvent::End { stage });
    Ok(ledger)
}

/// Reports a repository that had snapshots and now has no live one. A repository that never had one is new.
fn find_emptied(ledger: &Ledger, report: &mut VerifyReport) {
    let had = ledger.judged().any(|(entry, _)| entry.snapshot().is_some());
    if had && ledger.live().next().is_none() {
        let why = "the repository had snapshots, but no valid one is live: nothing can be restored";
        report.found(ProblemKind::Ledger, names::LEDGER, why);
    }
}

/// Reports valid entries that this version cannot read: objects that they name are not checked, and that must not count
/// as verified.
fn find_unread(ledger: &Ledger, level: Level, report: &mut VerifyReport) {
    for entry in ledger.counted() {
        match &entry.event {
            format::EntryEvent::Unknown { kind } if kind == "snapshot" && level >= Level::Objects => {
                let why = "this snapshot is of a later version of the format: what it names cannot be checked";
                report.found(ProblemKind::Unsupported, entry.name(), why);
            }
            // Already reported as a ledger problem.
            format::EntryEvent::Unknown { kind } if kind == "snapshot" => {}
            format::EntryEvent::Unknown { kind } => report.warnings.push(format!(
                "{} is of the kind `{kind}`, in a form that this version does not know: its meaning was not checked",
                entry.name()
            )),
            _ => {}
        }
    }
}
