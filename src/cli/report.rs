//! What several commands say about a repository.

use super::printer::Printer;
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

/// Problems shown before the rest is only counted.
const SHOWN: usize = 5;

/// Warns of what is odd in a repository. Reading goes on: one bad file must not stand in the way of a restore.
pub(super) fn ledger_warnings(printer: &Printer, repository: &Repository, ledger: &Ledger) {
    repository_warnings(printer, repository);
    let problems = ledger.problems();
    for problem in problems.iter().take(SHOWN) {
        printer.warning(&problem.to_string());
    }
    if problems.len() > SHOWN {
        printer.warning(&format!("and {} more; `keyhaven verify --level ledger` lists all", problems.len() - SHOWN));
    }
}

/// Warns of what is odd about the files that decide nothing.
pub(super) fn repository_warnings(printer: &Printer, repository: &Repository) {
    for warning in repository.warnings() {
        printer.warning(warning);
    }
}
