//! `keyhaven prepare-standby`: what a standby can have before the disaster. A restore with other presets.

use std::path::PathBuf;

use clap::Subcommand;

use super::restore;
use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::identity::RecoveryArguments;
use crate::cli::outcome::CommandOutcome;
use crate::cli::snapshot::SnapshotArguments;
use crate::job::restore::{OnConflict, PlanOptions, RestoreScope, Selector};

/// A command that prepares the standby.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Say what the standby still lacks; changes nothing
    Plan(Box<PreparePlanArguments>),
    /// Do what such a plan says
    Apply(Box<restore::ApplyArguments>),
}

/// Plans groups, engines, DNS providers, certificate authorities and templates of a snapshot into the standby, so that
/// they exist and are trusted before an outage. Changes no secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --sign-with-source, the intermediate authorities of the standby are signed by the authorities of the source that
signed its own: what trusts the source's root then trusts what the standby issues. That works while the source lives,
with a key that has the role Manager there (prepare.source_api_key).

Exit code 15 means that there is something to do, 0 that the standby is prepared.

Examples:
  keyhaven prepare-standby plan --sign-with-source --out prepare.json
  keyhaven prepare-standby apply prepare.json --identity recovery-identity.txt")]
pub(in crate::cli) struct PreparePlanArguments {
    #[command(flatten)]
    snapshot: SnapshotArguments,
    /// Save the plan here, for `prepare-standby apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    only: Vec<Selector>,
    /// Never what this selects; may be given more than once
    #[arg(long, value_name = "SELECTOR")]
    exclude: Vec<Selector>,
    /// Let the source's authorities sign those of the standby
    #[arg(long)]
    sign_with_source: bool,
    #[command(flatten)]
    consent: restore::ConsentArguments,
    #[command(flatten)]
    recovery: RecoveryArguments,
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Plan(arguments) => {
            let PreparePlanArguments { snapshot, out, only, exclude, sign_with_source, consent, recovery } = *arguments;
            let options = PlanOptions {
                only,
                exclude,
                sign_with_source,
                scope: RestoreScope::Foundations,
                on_conflict: OnConflict::default(),
                ..PlanOptions::default()
            };
            restore::make_plan(app, &snapshot, &recovery, &consent, options, out.as_deref(), "prepare-standby").await
        }
        Command::Apply(arguments) => restore::carry_out(app, *arguments, Some(RestoreScope::Foundations)).await,
    }
}
