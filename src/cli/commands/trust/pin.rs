//! `keyhaven trust pin`.

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{identity, key_file, pin_file, pins, report, services};
use crate::crypto::Identities;
use crate::format::RepositoryId;
use crate::repository::trust::Pin;

/// Writes the repository id and the trust policy into a recovery identity file, as comment lines, so that a new machine
/// needs only this file and read access to the bucket.
///
/// Replaces the whole file. Opens a protected file with its passphrase and protects it with the same one again. With
/// `--policy FILE` no bucket is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust pin recovery-kit/recovery-identity.txt.age
  keyhaven trust pin recovery-identity.txt --policy 000002-policy.json --repository-id 3fa9…")]
pub(in crate::cli) struct Arguments {
    /// The recovery identity file
    identity: PathBuf,
    /// A file with the passphrase on its first line, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let Arguments { identity, passphrase_file } = arguments;
    let path = identity.clone();
    let reading = move || identity::open(&path, passphrase_file.as_deref());
    let opened = key_file::blocking("cannot read the identity file", reading).await?;
    let identities = Identities::parse(&opened.text)?;
    let (id, pin) = in_force(app, &identities).await?;
    let line = match &pin.bytes {
        Some(bytes) => pins::line(&pin.policy, bytes),
        None => pin.policy.to_string(),
    };
    let path = identity.clone();
    let pinning = move || pin_file::write(&path, &id, Some((pin.policy, &line)), &opened);
    let changed = app.change(key_file::blocking("cannot write the identity file", pinning)).await?;
    let done = serde_json::json!({
        "identity_file": identity, "repository_id": id, "policy": pin.policy, "changed": changed,
    });
    app.printer.result(&done, |printer| {
        let what = if changed { "now pins" } else { "already pins" };
        let version = pin.policy.version;
        printer.line(format!("{} {what} version {version} of the trust policy of {id}.", identity.display()))
    })?;
    Ok(CommandOutcome::done())
}

/// The version to pin: the one of `--policy` when its bytes are at hand, else the one in force in the bucket.
async fn in_force(app: &App, identities: &Identities) -> Result<(RepositoryId, Pin), Failure> {
    let settings = app.settings()?;
    if settings.is_policy_chosen() {
        let id = pins::repository_id(settings.repository_id().as_deref(), Some(identities), true);
        if let Ok(id) = id {
            let pin = pins::chosen(&settings, Some(identities), &id, None).await?;
            if pin.bytes.is_some() {
                return Ok((id, pin));
            }
        }
    }
    // The file may name another repository so far: the id to add is the one of the settings.
    let named = settings.repository_id().is_none().then_some(identities);
    let repository = services::repository(&settings, named).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let trust = ledger.trust();
    if trust.is_fork() {
        return Err(Failure::usage("the trust policy is forked: choose the branch to pin with --policy"));
    }
    let policy = trust.writes_under().map(|(version, _)| version);
    let policy = policy.ok_or_else(|| Failure::usage("no version of the trust policy is in force"))?;
    let bytes = trust.good_envelope(&policy).as_ref().map(pins::bytes).transpose()?;
    Ok((trust.id(), Pin { policy, bytes }))
}
