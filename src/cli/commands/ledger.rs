//! `keyhaven ledger`.

use clap::Subcommand;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::wire;
use crate::format::event::{AcceptLossEvent, Event};
use crate::format::names;
use crate::model::{Digest, FailureKind};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Sign that entries are gone, so that this host may write again
    #[command(name = "accept-loss")]
    AcceptLoss(AcceptLossArguments),
}

/// Signs that entries which this host saw as heads are gone, and why that is accepted.
///
/// Find out first who removed them: a rolled-back bucket is what an attack looks like.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven ledger accept-loss --reason 'bucket restored from the copy of 2026-11-20 after the outage'")]
pub(in crate::cli) struct AcceptLossArguments {
    /// Why; it stays in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn run(app: &App, command: Command) -> Result<Outcome, Failure> {
    let Command::AcceptLoss(arguments) = command;
    let settings = app.settings()?;
    let repository = wire::repository(&settings, None).await?;
    let writer = wire::writer(app, &settings, repository.id())?;
    let ledger = repository.read_ledger_anew().await?;
    let remembered = writer.state.heads().await?;
    let lost: Vec<Digest> = remembered
        .iter()
        .filter_map(|path| names::parse_entry(path).map(|(_, digest)| digest))
        .filter(|digest| ledger.get(digest).is_none())
        .collect();
    if lost.is_empty() {
        return Err(Failure::new(FailureKind::Usage, "nothing that this host remembers is missing from the ledger")
            .hinted("`keyhaven verify --level ledger` says what else may be wrong"));
    }
    let event = AcceptLossEvent { entries: lost.clone(), reason: arguments.reason };
    let draft = super::draft(&*writer.clock, Event::AcceptLoss(event));
    let entry = app.change(repository.commit(&writer, draft)).await?;
    let done = serde_json::json!({ "accepted": lost, "entry": entry.digest, "sequence": entry.sequence });
    app.printer.result(&done, |printer| {
        printer.line(format!("Entry {} accepts the loss of:", entry.sequence))?;
        lost.iter().try_for_each(|digest| printer.line(format!("  {digest}")))
    })?;
    Ok(Outcome::Done)
}
