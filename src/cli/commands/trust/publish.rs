//! `keyhaven trust publish`.

use std::path::PathBuf;

use crate::cli::app::{App, read_list};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::trust::ended;
use crate::cli::trust::proposal::{Proposal, Signers};
use crate::cli::trust::session::{self, Changed, Session};
use crate::model::FailureKind;

/// Publishes a proposal that enough custodians have signed. The signatures of several copies are put together.
///
/// Refused when it would make a fork: when another version is in force that the proposal does not follow.
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
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<Outcome, Failure> {
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
    let no_longer_counts = ended::no_longer_counts(&session.ledger, &proposal.policy);
    if !no_longer_counts.is_empty() && !arguments.yes {
        for lost in &no_longer_counts {
            app.printer.warning(&session::no_longer_counts(lost));
        }
        return Err(Failure::usage("entries that count now would no longer count; nothing was published").hinted(
            "if that is meant, say --yes; if an ended key has gone on working, propose it again with the entries of now",
        ));
    }
    let pin = session.publish(&proposal).await?;
    let changed = Changed {
        schema: session::SCHEMA,
        change: "published".to_owned(),
        details: serde_json::Map::new(),
        policy: proposal.version,
        differences: judged.differences(&proposal.policy),
        reason: proposal.policy.reason.clone(),
        published: true,
        pin: Some(pin),
        proposal: None,
        signers: judged.signers,
        no_longer_counts,
    };
    app.printer.result(&changed, |printer| session::print(printer, &changed))?;
    Ok(Outcome::Done)
}
