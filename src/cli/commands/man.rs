//! `keyhaven man`.

use std::path::PathBuf;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::key_file;
use crate::cli::outcome::CommandOutcome;
use crate::model::FailureKind;

/// Prints the manual page, or writes one page per command into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven man | man -l -
  keyhaven man --out ~/.local/share/man/man1")]
pub(in crate::cli) struct Arguments {
    /// Write every page into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<CommandOutcome, Failure> {
    let failed = |error| Failure::new(FailureKind::Failed, "cannot write the manual pages").because(error);
    let command = app.program.clone();
    match &arguments.out {
        Some(folder) => {
            key_file::create_folder(folder)?;
            clap_mangen::generate_to(command, folder).map_err(failed)?;
            app.printer.result(&serde_json::json!({ "folder": folder }), |printer| {
                printer.line(format!("Pages written to {}", folder.display()))
            })?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
            let text = String::from_utf8_lossy(&page).into_owned();
            app.printer.result(&serde_json::json!({ "page": text }), |printer| printer.raw(text.as_bytes()))?;
        }
    }
    Ok(CommandOutcome::done())
}
