//! Level `ledger`: links, signatures, roles, pinned heads.

use super::{Level, ProblemKind, Report, VerifyError, VerifyOptions};
use crate::format::event::KeyChange;
use crate::format::{self, names};
use crate::job::Context;
use crate::job::event::{Event, Stage};
use crate::model::Digest;
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
        read = repository.read_ledger_anew() => read,
        () = context.cancel.cancelled() => return Err(VerifyError::Interrupted),
    };
    let ledger = read?;
    let ahead = repository.store().clock().map(|clock| ledger.ahead_of(clock, SKEW_MILLIS)).unwrap_or_default();
    for problem in ledger.problems().iter().chain(&ahead) {
        match problem.severity() {
            Severity::Warning => report.warnings.push(problem.to_string()),
            Severity::Error => report.found(ProblemKind::Ledger, names::LEDGER, problem.to_string()),
        }
    }
    for pinned in &options.pinned_heads {
        if !ledger.standing(pinned).is_some_and(Standing::counts) {
            let why = "this entry was pinned as a head, and it is not there or does not count any more";
            report.found(ProblemKind::HeadMissing, pinned.to_string(), why);
        }
        find_removed(&ledger, pinned, report);
    }
    find_unread(&ledger, options.level, report);
    report.heads = ledger.heads().into_iter().map(|entry| entry.digest).collect();
    report.counts.entries = ledger.counted().count() as u64;
    report.counts.entries_ignored = ledger.entries().len() as u64 - report.counts.entries;
    context.observer.observe(Event::Advance { stage, by: ledger.entries().len() as u64 });
    context.observer.observe(Event::End { stage });
    Ok(ledger)
}

/// Entries below a pinned head that are gone. A loss that was signed for before the head was pinned is known to whoever
/// pinned it; one that was signed for afterwards is not: a collector may sign it, and a stolen one would.
fn find_removed(ledger: &Ledger, pinned: &Digest, report: &mut Report) {
    let below = |digest: &Digest| digest == pinned || ledger.is_ancestor(digest, pinned);
    let known = |gone: &Digest| {
        ledger.counted().any(|entry| match &entry.event {
            format::Event::AcceptLoss(loss) => loss.entries.contains(gone) && below(&entry.digest),
            _ => false,
        })
    };
    // Without an accepted loss it is a finding already, pinned or not.
    for missing in ledger.missing().iter().filter(|missing| missing.accepted) {
        if missing.named_by.iter().any(below) && !known(&missing.digest) {
            let why =
                format!("this entry is gone, from before the pinned head {pinned}; it was accepted only afterwards");
            report.found(ProblemKind::Ledger, missing.digest.to_string(), why);
        }
    }
}

/// Entries that count and say something that this version cannot read: what they name is not checked, and that must not
/// pass for a check.
fn find_unread(ledger: &Ledger, level: Level, report: &mut Report) {
    for entry in ledger.counted() {
        match &entry.event {
            format::Event::Unknown { kind } if kind == "snapshot" && level >= Level::Objects => {
                let why = "this snapshot is of a later version of the format: what it names cannot be checked";
                report.found(ProblemKind::Unsupported, entry.name(), why);
            }
            format::Event::Unknown { kind } => report.warnings.push(format!(
                "{} is of the kind `{kind}`, in a form that this version does not know: its meaning was not checked",
                entry.name()
            )),
            format::Event::Keys(KeyChange::Unknown) => report.warnings.push(format!(
                "{} changes keys in a way that this version does not know: it was not followed",
                entry.name()
            )),
            event if !event.is_understood() => report.warnings.push(format!(
                "{} says something about what is kept in a way that this version does not know: it was not followed",
                entry.name()
            )),
            _ => {}
        }
    }
}
