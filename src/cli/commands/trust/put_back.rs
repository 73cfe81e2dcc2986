//! `keyhaven trust put-back`.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::app::{App, read_public};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::trust::session::Session;
use crate::crypto::digest::sha256;
use crate::format::PolicyRef;
use crate::model::FailureKind;
use crate::repository::RecoverMd;

/// Puts back missing parts of the trust policy in force: versions that this host or an entry has, and RECOVER.md.
///
/// Signs nothing and changes nothing: writes only what the policy in force names by digest. If the custodians chose
/// another RECOVER.md than that of this version of keyhaven, pass it as a file. Every `backup` and `trust publish` does
/// the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust put-back
  keyhaven trust put-back --recover-md our-recover.md")]
pub(in crate::cli) struct Arguments {
    /// A copy of RECOVER.md; refused unless it is the text that the policy in force names
    #[arg(long, value_name = "FILE")]
    recover_md: Option<PathBuf>,
}

#[derive(Serialize)]
struct Done {
    schema: &'static str,
    /// Versions of the trust policy that were put back.
    policies: Vec<PolicyRef>,
    /// True if `RECOVER.md` was put back.
    recover_md: bool,
    /// Remaining problems.
    notes: Vec<String>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let policy = session.policy()?;
    let text = arguments.recover_md.as_deref().map(|path| read_public(path, "RECOVER.md")).transpose()?;
    let named = policy.settings.recover_md;
    if let (Some(text), Some(path)) = (&text, &arguments.recover_md)
        && sha256(text.as_bytes()) != named
    {
        return Err(Failure::usage(format!(
            "{} is not the RECOVER.md that the trust policy in force names",
            path.display()
        ))
        .hinted(format!(
            "that one has the SHA-256 {named}; for another text the custodians sign: `keyhaven trust propose --recover-md FILE`"
        )));
    }
    if session.ledger.trust().is_fork() {
        return Err(Failure::new(FailureKind::Integrity, "the trust policy is forked: nothing was put back")
            .hinted("choose the branch with --policy, or end the fork: `keyhaven trust propose --join`"));
    }
    let put = app.change(async {
        let mut put = session.repository.put_back_trust(&session.ledger, text.map(Into::into)).await;
        if session.repository.recover_md_state(policy).await? == RecoverMd::Wrong && put.notes.is_empty() {
            put.notes.push(format!(
                "RECOVER.md is missing or another text; give a copy of the right one, which has the SHA-256 {named}: \
                 --recover-md FILE"
            ));
        }
        Ok::<_, Failure>(put)
    });
    let put = put.await?;
    let missing = session.ledger.trust().missing();
    let mut notes = put.notes;
    notes.extend(missing.iter().map(|version| format!("version {version} of the trust policy is nowhere")));
    let done = Done { schema: "keyhaven/put-back/1", policies: put.policies, recover_md: put.recover_md, notes };
    app.printer.result(&done, |printer| {
        for version in &done.policies {
            printer.line(format!("Put back version {} of the trust policy.", version.version))?;
        }
        if done.recover_md {
            printer.line("Put back RECOVER.md.")?;
        }
        if done.policies.is_empty() && !done.recover_md && done.notes.is_empty() {
            printer.line("Nothing was missing.")?;
        }
        done.notes.iter().for_each(|note| printer.warning(note));
        Ok(())
    })?;
    Ok(CommandOutcome::reported((!done.notes.is_empty()).then_some(FailureKind::Integrity)))
}
