//! The commands, one file each.

use clap::Subcommand;

use super::app::App;
#[cfg(feature = "sandbox")]
use super::demo;
use super::failure::Failure;
use super::outcome::CommandOutcome;

mod backup;
mod completions;
mod config;
mod coverage;
mod diff;
mod doctor;
mod drift;
pub(super) mod forget;
mod get;
mod history;
mod init;
mod keys;
mod ledger;
mod ls;
mod man;
mod notify;
mod prepare_standby;
mod recipients;
mod restore;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schedule;
mod show;
mod snapshots;
mod status;
pub(super) mod sweep;
mod sync;
mod trust;
mod verify;

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create keys, add them to the trust policy, retire or revoke them
    #[command(subcommand)]
    Keys(keys::Command),
    /// List and change the recovery recipients
    #[command(subcommand)]
    Recipients(recipients::Command),
    /// Show and change the trust policy: who may sign what
    #[command(subcommand)]
    Trust(trust::Command),
    /// Create a repository for an instance, on the host that will back up
    Init(Box<init::Arguments>),
    /// Check everything that a backup needs
    Doctor(doctor::Arguments),
    /// Back up the source into the repository
    Backup(backup::Arguments),
    /// Show the state of the backups on one screen; exit code 14 if they are stale
    Status(status::Arguments),
    /// List snapshots, hold one, or accept a suspect one
    Snapshots(snapshots::Arguments),
    /// Show one snapshot
    Show(show::Arguments),
    /// List the items of a snapshot
    Ls(ls::Arguments),
    /// Compare two snapshots, or a snapshot and the live instance
    Diff(diff::Arguments),
    /// Show every version of an item in the kept snapshots
    History(history::Arguments),
    /// Get one version of one item; its value only with --reveal
    Get(get::Arguments),
    /// Show what a restore would bring back, and why not the rest
    Coverage(coverage::Arguments),
    /// Verify the repository
    Verify(verify::Arguments),
    /// Restore a snapshot into a standby
    #[command(subcommand)]
    Restore(restore::Command),
    /// Pre-provision the standby
    #[command(subcommand)]
    PrepareStandby(prepare_standby::Command),
    /// Show differences between the standby and a snapshot, or the live source
    Drift(Box<drift::Arguments>),
    /// Keep a warm standby in sync with the snapshots
    Sync(Box<sync::Arguments>),
    /// Forget snapshots by the retention policy, or undo that
    Forget(Box<forget::Arguments>),
    /// Delete objects that no kept snapshot needs; a dry run without --apply
    Sweep(sweep::Arguments),
    /// Accept the loss of ledger entries
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Test the notifications
    #[command(subcommand)]
    Notify(notify::Command),
    /// Run the configured jobs on their schedules
    Run(run::Arguments),
    /// Show the next runs, or test a cron line
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Demonstrate backup, loss and restore on two embedded instances
    #[cfg(feature = "sandbox")]
    Demo(demo::Arguments),
    /// Serve an embedded instance that speaks the provider's API
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Arguments),
    /// Create, validate and show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print shell completions
    Completions(completions::Arguments),
    /// Print the manual pages
    Man(man::Arguments),
}

impl Command {
    /// Returns true for a command that runs until it is stopped, and then takes its time to end.
    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Run(_))
    }
}

/// Runs a command.
pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::Keys(command) => keys::run(app, command).await,
        Command::Recipients(command) => recipients::run(app, command).await,
        Command::Trust(command) => trust::run(app, command).await,
        Command::Init(arguments) => init::run(app, *arguments).await,
        Command::Doctor(arguments) => doctor::run(app, arguments).await,
        Command::Backup(arguments) => backup::run(app, arguments).await,
        Command::Status(arguments) => status::run(app, arguments).await,
        Command::Snapshots(arguments) => snapshots::run(app, arguments).await,
        Command::Show(arguments) => show::run(app, arguments).await,
        Command::Ls(arguments) => ls::run(app, arguments).await,
        Command::Diff(arguments) => diff::run(app, arguments).await,
        Command::History(arguments) => history::run(app, arguments).await,
        Command::Get(arguments) => get::run(app, arguments).await,
        Command::Coverage(arguments) => coverage::run(app, arguments).await,
        Command::Verify(arguments) => verify::run(app, arguments).await,
        Command::Restore(command) => restore::run(app, command).await,
        Command::PrepareStandby(command) => prepare_standby::run(app, command).await,
        Command::Drift(arguments) => drift::run(app, *arguments).await,
        Command::Sync(arguments) => sync::run(app, *arguments).await,
        Command::Forget(arguments) => forget::run(app, *arguments).await,
        Command::Sweep(arguments) => sweep::run(app, arguments).await,
        Command::Ledger(command) => ledger::run(app, command).await,
        Command::Notify(command) => notify::run(app, command).await,
        Command::Run(run::Arguments {}) => run::run(app).await,
        Command::Schedule(command) => schedule::run(app, command),
        #[cfg(feature = "sandbox")]
        Command::Demo(arguments) => demo::run(app, arguments).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(arguments) => sandbox::run(app, arguments).await,
        Command::Config(command) => config::run(app, &command),
        Command::Completions(arguments) => completions::run(app, &arguments),
        Command::Man(arguments) => man::run(app, &arguments),
    }
}
