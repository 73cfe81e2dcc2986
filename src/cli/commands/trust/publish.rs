//! `keyhaven trust publish`.

use std::path::PathBuf;

use crate::cli::app::{App, read_list};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::trust::proposal::{Proposal, Signers};
use crate::cli::trust::screen;
use crate::cli::trust::session::Session;
use crate::model::FailureKind;

/// Publishes a proposal that enough custodians have signed. Combines the signatures of several copies. Prints the new
/// pin and writes a new recovery sheet. Puts earlier versions back that the bucket lacks.
///
/// Refuses a proposal that would create a fork, because it does not follow the version in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust publish policy-2.json
  keyhaven trust publish signed-by-alice.json signed-by-bob.json
  keyhaven trust publish policy-3.json --yes")]
pub(in crate::cli) struct Arguments {
    /// The signed copies of one proposal
    #[arg(required = true)]
    proposal: Vec<PathBuf>,
    /// Publish although entries that count now will no longer count
    #[arg(long)]
    yes: bool,
    /// Where the new recovery sheet goes [default: recovery-sheet-NUMBER.txt]
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let mut proposal: Option<Proposal> = None;
    for path in &arguments.proposal {
        let copy = Proposal::read(&read_list(path, "proposal")?, path)?;
        match &mut proposal {
            None => proposal = Some(copy),
            Some(proposal) => proposal.pool(copy)?,
        }
    }
    let Some(proposal) = proposal else { return Err(Failure::usage("no proposal is given")) };
    let session = Session::open(app).await?;
    let judged = session.judge(&proposal)?;
    if !judged.is_complete() {
        let missing = judged.signers.iter().filter(|signers| !signers.is_met()).map(Signers::sentence);
        return Err(Failure::new(
            FailureKind::Usage,
            format!("too few have signed: {}", missing.collect::<Vec<_>>().join("; ")),
        )
        .hinted("`keyhaven trust sign` adds a signature; give all signed copies"));
    }
    let mut changed = session.changed(&proposal, &judged, "published");
    if !changed.no_longer_counts.is_empty() && !arguments.yes {
        for entries in &changed.no_longer_counts {
            app.printer.warning(&screen::no_longer_counts(entries));
        }
        return Err(Failure::usage("entries that count now would no longer count; nothing was published").hinted(
            "if that is meant, say --yes; if an ended key has gone on working, propose it again with the entries of now",
        ));
    }
    session.publish(&proposal, arguments.sheet.as_deref(), &mut changed).await?;
    app.printer.result(&changed, |printer| screen::print(printer, &changed))?;
    Ok(CommandOutcome::done())
}
