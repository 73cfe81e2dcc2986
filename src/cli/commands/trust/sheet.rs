//! `keyhaven trust sheet`.

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{key_file, recovery_sheet, report, services};

/// Writes the recovery sheet: one page to print and keep with the recovery keys. Nothing on it is secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust sheet --out recovery-sheet.txt
  keyhaven trust sheet | lp")]
pub(in crate::cli) struct Arguments {
    /// The file; one that is there is replaced [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let (version, text) = recovery_sheet::of(&settings, &ledger, app.context().clock.now())?;
    match &arguments.out {
        Some(path) => {
            let (target, text) = (path.clone(), text.clone());
            let writing = move || key_file::replace(&target, text.as_bytes());
            app.change(key_file::blocking("cannot write the sheet", writing)).await?;
            let done = serde_json::json!({ "recovery_sheet": path, "policy": version });
            app.printer.result(&done, |printer| {
                printer.line(format!("{} is the sheet for version {}: print it.", path.display(), version.version))
            })?;
        }
        None => {
            let done = serde_json::json!({ "policy": version, "text": text });
            app.printer.result(&done, |printer| printer.raw(text.as_bytes()))?;
        }
    }
    Ok(CommandOutcome::done())
}
