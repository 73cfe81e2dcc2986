//! `keyhaven keys list`.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::table::Table;
use crate::cli::{human, report, wire};
use crate::format::Role;
use crate::model::{Digest, Timestamp};
use crate::repository::ledger::{Ended, Holder};

#[derive(Serialize)]
struct Line {
    fingerprint: Digest,
    name: String,
    roles: Vec<Role>,
    since: u64,
    since_time: Timestamp,
    /// `active`, `retired` or `revoked`.
    standing: &'static str,
    /// The entry that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<u64>,
    /// Of a revoked key, the last entry that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_good: Option<Digest>,
    /// Whether it is this host's own.
    own: bool,
}

impl Line {
    fn new(holder: Holder, own: Option<Digest>) -> Self {
        let (standing, by, last_good) = match holder.ended {
            None => ("active", None, None),
            Some(Ended::Retired { by }) => ("retired", Some(by), None),
            Some(Ended::Revoked { by, last_good }) => ("revoked", Some(by), last_good),
        };
        let Holder { key, name, roles, since, since_time, .. } = holder;
        Self { fingerprint: key, name, roles, since, since_time, standing, by, last_good, own: own == Some(key) }
    }

    fn standing(&self) -> String {
        match (self.by, self.own) {
            (Some(by), _) => format!("{} by entry {by}", self.standing),
            (None, true) => format!("{}, this host", self.standing),
            (None, false) => self.standing.to_owned(),
        }
    }
}

pub(super) async fn run(app: &App) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let ledger = repository.read_ledger().await?;
    report::ledger_warnings(&app.printer, &repository, &ledger);
    // A custodian's machine has no key of its own; then none is marked.
    let own = wire::signing_key(&settings).ok().map(|key| key.public().fingerprint());
    let lines: Vec<Line> = ledger.holders().into_iter().map(|holder| Line::new(holder, own)).collect();
    app.printer.result(&lines, |printer| {
        let mut table = Table::new(&["fingerprint", "name", "roles", ">since", "", "standing"]);
        for line in &lines {
            table.row([
                line.fingerprint.short(),
                line.name.clone(),
                line.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                line.since.to_string(),
                human::time(line.since_time),
                line.standing(),
            ]);
        }
        printer.table(&table, "no key: the first entry is not there")
    })?;
    Ok(Outcome::Done)
}
