//! `keyhaven trust`.

mod pin;
mod propose;
mod publish;
mod put_back;
mod sheet;
mod show;
mod sign;

use clap::Subcommand;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;

/// A command about the trust policy: the versioned document, signed by the custodians, that defines who may sign what
/// and who can open backups.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show the trust policy in force
    Show(show::Arguments),
    /// Write a proposal of the next version, for custodians to sign
    Propose(Box<propose::Arguments>),
    /// Show a proposal in words and sign it; needs no bucket
    Sign(sign::Arguments),
    /// Publish a signed proposal
    Publish(publish::Arguments),
    /// Put back what the bucket lacks of the policy in force, and RECOVER.md
    PutBack(put_back::Arguments),
    /// Write the version in force into a recovery identity file
    Pin(pin::Arguments),
    /// Write the recovery sheet for the version in force
    Sheet(sheet::Arguments),
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Show(arguments) => show::run(app, &arguments).await,
        Command::Propose(arguments) => propose::run(app, *arguments).await,
        Command::Sign(arguments) => sign::run(app, arguments).await,
        Command::Publish(arguments) => publish::run(app, arguments).await,
        Command::PutBack(arguments) => put_back::run(app, arguments).await,
        Command::Pin(arguments) => pin::run(app, arguments).await,
        Command::Sheet(arguments) => sheet::run(app, &arguments).await,
    }
}
