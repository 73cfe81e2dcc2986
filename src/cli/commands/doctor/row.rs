//! One line of the table.

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::model::FailureKind;

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckResult {
    /// As it should be, or nothing to do about it.
    Good,
    /// Works, and could hurt one day.
    Warning,
    /// Something will fail.
    Bad,
}

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct CheckRow {
    /// Its heading.
    pub(super) group: &'static str,
    /// Subject of the check.
    pub(super) what: &'static str,
    /// Its result.
    pub(super) verdict: CheckResult,
    /// The finding.
    pub(super) found: String,
    /// How to fix it; present in every row that is not good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// The exit code of a bad row; 0 for every other.
    pub(super) exit: u8,
    #[serde(skip)]
    pub(super) kind: FailureKind,
}

/// The rows under one heading.
#[derive(Debug)]
pub(super) struct Rows {
    group: &'static str,
    rows: Vec<CheckRow>,
}

impl Rows {
    pub(super) fn new(group: &'static str) -> Self {
        Self { group, rows: Vec::new() }
    }

    pub(super) fn good(&mut self, what: &'static str, found: impl Into<String>) {
        self.add(what, CheckResult::Good, found.into(), None, FailureKind::Failed);
    }

    /// Works, but may cause trouble one day; `mend` is the fix.
    pub(super) fn warning(&mut self, what: &'static str, found: impl Into<String>, mend: impl Into<String>) {
        self.add(what, CheckResult::Warning, found.into(), Some(mend.into()), FailureKind::Failed);
    }

    /// Will fail, with the exit code of `kind`; `mend` is the fix.
    pub(super) fn bad(
        &mut self,
        what: &'static str,
        kind: FailureKind,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.add(what, CheckResult::Bad, found.into(), Some(mend.into()), kind);
    }

    /// Adds a failure; `mend` is the fix if the failure itself has no hint.
    pub(super) fn failed(&mut self, what: &'static str, failure: &Failure, mend: &str) {
        let mend = failure.hint().unwrap_or(mend).to_owned();
        self.bad(what, failure.kind(), failure.chain().join(": "), mend);
    }

    /// Adds a result: the value, or the reason why it is missing.
    pub(super) fn take<T>(
        &mut self,
        what: &'static str,
        result: Result<T, Failure>,
        found: impl FnOnce(&T) -> String,
        mend: &str,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                self.good(what, found(&value));
                Some(value)
            }
            Err(failure) => {
                self.failed(what, &failure, mend);
                None
            }
        }
    }

    fn add(
        &mut self,
        what: &'static str,
        verdict: CheckResult,
        found: String,
        hint: Option<String>,
        kind: FailureKind,
    ) {
        let exit = if verdict == CheckResult::Bad { kind.exit_code() } else { 0 };
        self.rows.push(CheckRow { group: self.group, what, verdict, found, hint, exit, kind });
    }
}

impl IntoIterator for Rows {
    type Item = CheckRow;
    type IntoIter = std::vec::IntoIter<CheckRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}
