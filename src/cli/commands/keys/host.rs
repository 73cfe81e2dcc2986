//! `keyhaven keys host`.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::key_file;
use crate::cli::outcome::CommandOutcome;
use crate::crypto::SigningKey;
use crate::model::Digest;

/// Creates a signing key for another host: one that verifies, restores or forgets, or a second collector.
///
/// Run it on that host: the secret file stays there, and only the public file is passed on. The key may sign nothing
/// until custodians add it with `keyhaven keys add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven keys host --out /etc/keyhaven")]
pub(in crate::cli) struct Arguments {
    /// The folder for the two files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct NewHostKey {
    fingerprint: Digest,
    signing_key_file: PathBuf,
    public_file: PathBuf,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let made = app.change(key_file::blocking("cannot make the key", move || make(&arguments))).await?;
    app.printer.result(&made, |printer| {
        printer.line("Signing key made.")?;
        printer.facts(&[
            ("secret, signs", made.signing_key_file.display().to_string()),
            ("public", made.public_file.display().to_string()),
            ("fingerprint", made.fingerprint.to_string()),
        ])?;
        printer.line("")?;
        printer.line("Next:")?;
        printer.line("  1. Set keys.signing_key = \"file:PATH\" with the secret file in this host's configuration.")?;
        printer.line("  2. Where the custodian's key is, add it with the roles that it needs:")?;
        printer.line(format!(
            "     keyhaven keys add --public {} --role verifier --role restorer --role reaper \\",
            made.public_file.display()
        ))?;
        printer.line("       --name recovery-host --key custodian-key.pem.age --reason 'the host that restores'")
    })?;
    Ok(CommandOutcome::done())
}

fn make(arguments: &Arguments) -> Result<NewHostKey, Failure> {
    let signing_key_file = arguments.out.join("signing-key.pem");
    let public_file = arguments.out.join("signing-key.public.pem");
    key_file::all_free(&[&signing_key_file, &public_file])?;
    let key = SigningKey::generate()?;
    key_file::create_folder(&arguments.out)?;
    key_file::create(&signing_key_file, key.to_pem()?.as_bytes())?;
    key_file::create(&public_file, key.public().to_pem().as_bytes())?;
    Ok(NewHostKey { fingerprint: key.public().fingerprint(), signing_key_file, public_file })
}
