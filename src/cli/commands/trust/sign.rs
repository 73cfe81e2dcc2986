//! `keyhaven trust sign`.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::app::{App, read_list};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Printer;
use crate::cli::trust::proposal::{Proposal, Signers};
use crate::cli::trust::{screen, session};
use crate::cli::{key_file, pins, prompt, text};
use crate::format::{PolicyRef, RepositoryId};

/// Shows every change of a proposal in words, asks, and adds a custodian's signature to the file. Needs no bucket.
///
/// Everything is measured from version 1, or from the pin at hand (`--policy`, repository.policy): what is in between
/// in the file must be signed. Compare the repository id with the one on the recovery sheet.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust sign policy-2.json --key custodian-key.pem.age
  keyhaven trust sign policy-2.json --key custodian-key.pem.age --repository-id 3fa9… --yes")]
pub(in crate::cli) struct Arguments {
    /// The proposal; it is replaced by the signed one
    proposal: PathBuf,
    /// The custodian's key (PEM, protected by age or not); may be given more than once
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// A file with the passphrase of the key, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write the signed proposal here, and leave the file as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct SignReport<'a> {
    schema: &'static str,
    repository: RepositoryId,
    policy: PolicyRef,
    differences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    signers: Vec<Signers>,
    /// True if enough custodians have signed.
    complete: bool,
    proposal: PathBuf,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let mut proposal = Proposal::read(&read_list(&arguments.proposal, "proposal")?, &arguments.proposal)?;
    let known = settings.repository_id();
    if let Some(known) = known.as_ref().filter(|known| **known != proposal.repository.to_string()) {
        return Err(Failure::usage(format!(
            "the proposal is for the repository {}, not for {known}",
            proposal.repository
        ))
        .hinted("--repository-id names another one; sign only if you know what it is"));
    }
    let pins = match settings.is_policy_chosen() {
        true => vec![pins::chosen(&settings, None, &proposal.repository, None).await?],
        false => pins::configured(&settings, None, &proposal.repository)?,
    };
    let judged = proposal.judge(&pins)?;
    let differences = judged.differences(&proposal.policy);
    show(app, &proposal, &differences, known.is_some());
    if !arguments.yes {
        let asking = || prompt::yes("Sign it? [y/N]");
        if !key_file::blocking("cannot ask", asking).await? {
            return Err(Failure::usage("not signed"));
        }
    }
    let with = session::SigningKeys {
        key: arguments.key.clone(),
        passphrase_file: arguments.passphrase_file.clone(),
        ..session::SigningKeys::default()
    };
    for key in session::keys(&with).await? {
        let (name, new) = proposal.sign(&judged, &key)?;
        if !new {
            app.printer.note(&format!("{name} has signed this copy before"));
        }
    }
    let judged = proposal.judge(&pins)?;
    let path = arguments.out.clone().unwrap_or(arguments.proposal);
    let (target, text, replace) = (path.clone(), proposal.to_json()?, arguments.out.is_none());
    let writing = move || match replace {
        true => key_file::replace(&target, text.as_bytes()),
        false => session::create_proposal(&target, &text),
    };
    app.change(key_file::blocking("cannot write the proposal", writing)).await?;
    let signed = SignReport {
        schema: "keyhaven/policy-signed/1",
        repository: proposal.repository,
        policy: proposal.version,
        differences: &differences,
        reason: proposal.policy.reason.clone(),
        complete: judged.is_complete(),
        signers: judged.signers.clone(),
        proposal: path,
    };
    app.printer.result(&signed, |printer| print(printer, &signed))?;
    Ok(CommandOutcome::done())
}

/// On standard error, also when quiet: nobody signs what they have not been shown.
fn show(app: &App, proposal: &Proposal, differences: &[String], known: bool) {
    let compare = if known { "" } else { "    compare this id with the recovery sheet\n" };
    let mut text = format!(
        "Version {} of the trust policy\n  of repository\n    {}\n{compare}  for\n    {}\nIt:",
        proposal.version.version,
        proposal.repository,
        text::safe(&proposal.policy.source.to_string())
    );
    for line in screen::changes(&app.printer, differences, proposal.policy.reason.as_deref()) {
        text.push('\n');
        text.push_str(&line);
    }
    app.printer.say(&text);
}

fn print(printer: &Printer, signed: &SignReport<'_>) -> Result<(), Failure> {
    printer.line(format!("Signed: {}", signed.policy))?;
    for signers in &signed.signers {
        printer.line(format!("  {}", text::safe(&signers.sentence())))?;
    }
    let path = signed.proposal.display();
    printer.line("")?;
    match signed.complete {
        true => {
            printer.line("Next, with access to the bucket:")?;
            printer.line(format!("  keyhaven trust publish {path}"))
        }
        false => {
            printer.line("Next, where another custodian's key is:")?;
            printer.line(format!("  keyhaven trust sign {path} --key CUSTODIAN-KEY"))?;
            printer.line("Or, when others have signed copies of their own, with access to the bucket:")?;
            printer.line(format!("  keyhaven trust publish {path} OTHER-COPY"))
        }
    }
}
