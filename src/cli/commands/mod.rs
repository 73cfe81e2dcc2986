//! The commands, one file each.

use clap::Subcommand;

use super::app::App;
use super::failure::{Failure, Outcome};

mod completions;
mod config;
mod init;
mod keys;
mod man;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make a repository for an instance, on the host that will back up
    Init(Box<init::Arguments>),
    /// Make, check and show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Print the manual pages
    Man(man::Arguments),
}

/// Does it.
pub(super) async fn run(app: &App, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Keys(command) => keys::run(app, command).await,
        Command::Init(arguments) => init::run(app, *arguments).await,
        Command::Config(command) => config::run(app, command),
        Command::Completions(arguments) => completions::run(app, &arguments),
        Command::Man(arguments) => man::run(app, &arguments),
    }
}

/// What entries and manual pages call this program.
fn tool() -> String {
    format!("keyhaven/{}", env!("CARGO_PKG_VERSION"))
}
