//! Warnings about a repository, shared by several commands.

use super::failure::Failure;
use super::memory::MemoryReport;
use super::printer::Printer;
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

/// Problems shown before the rest is only counted.
const SHOWN: usize = 5;

/// Reads the ledger, warns of what is wrong with it, and remembers it. Warnings stop nothing: one bad file must not
/// prevent a restore.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn read_ledger(printer: &Printer, repository: &Repository) -> Result<Ledger, Failure> {
    let ledger = repository.read_ledger().await?;
    ledger_warnings(printer, repository, &ledger);
    repository.remember(&ledger).await;
    Ok(ledger)
}

/// As [`read_ledger`], with every entry fetched again.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) async fn read_ledger_anew(printer: &Printer, repository: &Repository) -> Result<Ledger, Failure> {
    let ledger = repository.read_ledger_anew().await?;
    ledger_warnings(printer, repository, &ledger);
    repository.remember(&ledger).await;
    Ok(ledger)
}

/// Warns of what is wrong with a repository, what this host knew and the bucket lacks first.
fn ledger_warnings(printer: &Printer, repository: &Repository, ledger: &Ledger) {
    for sentence in MemoryReport::of(ledger).sentences() {
        printer.warning(&sentence);
    }
    repository_warnings(printer, repository);
    let problems: Vec<_> = ledger.problems().iter().filter(|problem| !MemoryReport::says(problem)).collect();
    for problem in problems.iter().take(SHOWN) {
        printer.warning(&problem.to_string());
    }
    if problems.len() > SHOWN {
        printer.warning(&format!("and {} more; `keyhaven verify --level ledger` lists all", problems.len() - SHOWN));
    }
}

/// Warns of files that are odd and decide nothing.
pub(super) fn repository_warnings(printer: &Printer, repository: &Repository) {
    for warning in repository.warnings() {
        printer.warning(warning);
    }
}

/// Warns of objects that were deleted or overwritten in the bucket and were read from an older version.
pub(super) fn superseded_warning(printer: &Printer, paths: &[String]) {
    let Some(first) = paths.first() else { return };
    let more = if paths.len() > 1 { format!(" and {} more", paths.len() - 1) } else { String::new() };
    printer.warning(&format!(
        "{first}{more} was deleted or overwritten, and read from an older version in the bucket; `keyhaven verify` lists all; \
         find out who did that"
    ));
}
