//! `keyhaven keys list`.

use serde::Serialize;

use super::change::{PolicyMember, holders};
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::table::Table;
use crate::cli::trust::words;
use crate::cli::{configured_keys, report, services};
use crate::format::EntryRef;
use crate::model::Digest;

#[derive(Serialize)]
struct KeyRow {
    fingerprint: Digest,
    name: String,
    roles: Vec<String>,
    /// `active` or `ended`.
    state: &'static str,
    /// Of an ended key, the entries up to which what it signed counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Vec<EntryRef>>,
    /// True if it is this host's own.
    own: bool,
}

impl KeyRow {
    fn new(holder: PolicyMember, own: Option<Digest>) -> Self {
        let fingerprint = holder.fingerprint();
        let (name, roles, until) = match holder {
            PolicyMember::Custodian(custodian) => (custodian.name, vec!["custodian".to_owned()], None),
            PolicyMember::Key(key) => (key.name, key.roles, key.until),
        };
        let state = if until.is_some() { "ended" } else { "active" };
        Self { fingerprint, name, roles, state, until, own: own == Some(fingerprint) }
    }

    fn state(&self) -> String {
        match (&self.until, self.own) {
            (Some(until), _) => words::until_short(until),
            (None, true) => "this host".to_owned(),
            (None, false) => self.state.to_owned(),
        }
    }
}

pub(super) async fn run(app: &App) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let policy = ledger.policy().ok_or_else(|| Failure::usage("no version of the trust policy is in force"))?;
    // A custodian's machine has no key of its own; then none is marked.
    let own = configured_keys::signing_key(&settings).ok().map(|key| key.public().fingerprint());
    let lines: Vec<KeyRow> = holders(policy).into_iter().map(|holder| KeyRow::new(holder, own)).collect();
    app.printer.result(&lines, |printer| {
        let mut table = Table::new(&["!fingerprint", "!name", "!roles", "state"]);
        for line in &lines {
            table.row([line.fingerprint.short(), line.name.clone(), line.roles.join(", "), line.state()]);
        }
        printer.table(&table, "no key")?;
        printer.line(format!(
            "{} of {} custodians must sign a new trust policy.",
            policy.threshold,
            policy.custodians.len()
        ))
    })?;
    Ok(CommandOutcome::done())
}
