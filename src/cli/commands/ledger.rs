//! `keyhaven ledger`.

use clap::Subcommand;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::trust::change::PolicyChange;
use crate::cli::trust::session::{Session, Signing};
use crate::format::EntryRef;
use crate::repository::ledger::Ledger;

/// A command about the ledger.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Accept that entries are gone; needs custodians
    #[command(name = "accept-loss")]
    AcceptLoss(AcceptLossArguments),
}

/// Accepts the loss of entries in the trust policy: of heads that this host saw, and of entries that others name.
///
/// First find out who removed them: an attack looks like a bucket that was rolled back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven ledger accept-loss --reason 'bucket restored from the copy of 2026-11-20' --key custodian-key.pem.age
  keyhaven ledger accept-loss --reason 'bucket restored from the copy of 2026-11-20' --out policy.json")]
pub(in crate::cli) struct AcceptLossArguments {
    #[command(flatten)]
    signing: Signing,
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    let Command::AcceptLoss(AcceptLossArguments { signing }) = command;
    let session = Session::open(app).await?;
    let lost = losses(&session.ledger);
    if lost.is_empty() {
        return Err(Failure::usage("no entry that this host remembers or that others name is missing from the ledger")
            .hinted("`keyhaven verify --level ledger` says what else may be wrong"));
    }
    // Shown before a passphrase is asked for.
    app.printer.note("these entries are gone, and their loss is to be accepted:");
    lost.iter().for_each(|entry| app.printer.note(&format!("  {entry}")));
    let details = serde_json::Map::from_iter([("accepted".to_owned(), serde_json::json!(lost))]);
    let next = session.next(&[PolicyChange::AcceptLosses(lost)], Some(signing.reason), false)?;
    session.carry_out("accepted", details, &next, None, &signing.with).await
}

/// Entries that are gone and not accepted as lost: heads that this host saw, and parents of entries that count.
pub(super) fn losses(ledger: &Ledger) -> Vec<EntryRef> {
    let heads = ledger.memory().heads.iter().copied();
    let mut lost: Vec<EntryRef> = heads.chain(ledger.holes().iter().map(|hole| hole.entry)).collect();
    lost.sort_unstable();
    lost.dedup();
    lost
}
