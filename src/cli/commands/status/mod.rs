//! `keyhaven status`: how the backups stand, on one screen.

mod daemon;
mod gather;
mod screen;

use serde::Serialize;

use self::gather::InstanceStatus;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::run_hooks;
use crate::model::FailureKind;

/// Shows the state of the backups: last backup, last verification, recovery point, next runs, standby, expiring items.
///
/// Needs only read access to the repository and its id; a catalogue key adds expiring items. Each line reports what
/// cannot be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 14 means stale: the recovery point objective is missed, the last verification is too old (objectives.rpo and \
objectives.verified_within), or there is no good snapshot. Of several instances, one that is stale is enough.

Examples:
  keyhaven status
  keyhaven status --instance pay
  keyhaven status --json --quiet")]
pub(in crate::cli) struct Arguments {}

/// Several instances at once.
#[derive(Serialize)]
struct StatusReport<'a> {
    /// True if one of them is stale.
    stale: bool,
    instances: &'a [InstanceStatus],
}

pub(super) async fn run(app: &App, _: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.all_settings()?;
    let mut shown = Vec::with_capacity(settings.len());
    for settings in &settings {
        shown.push(gather::gather(app, settings).await);
    }
    match shown.as_slice() {
        [one] => app.printer.result(one, |printer| screen::one(printer, one))?,
        several => {
            let all = StatusReport { stale: several.iter().any(|one| one.stale), instances: several };
            app.printer.result(&all, |printer| screen::several(printer, several))?;
        }
    }
    for (settings, found) in settings.iter().zip(&shown).filter(|(_, found)| found.status.is_some()) {
        run_hooks::notify_freshness(app, settings, &found.reasons).await;
    }
    Ok(CommandOutcome::reported(worst(&shown)))
}

/// Stale beats unreachable: what is known to be late is late whatever else cannot be told.
fn worst(shown: &[InstanceStatus]) -> Option<FailureKind> {
    let stale = shown.iter().any(|one| one.stale).then_some(FailureKind::Stale);
    stale.or_else(|| shown.iter().find_map(|one| one.failure))
}
