//! `keyhaven completions`.

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;

/// Prints shell completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven completions bash > ~/.local/share/bash-completion/completions/keyhaven
  keyhaven completions fish > ~/.config/fish/completions/keyhaven.fish")]
pub(in crate::cli) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(app: &App, arguments: &Arguments) -> Result<CommandOutcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut app.program.clone(), "keyhaven", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    app.printer.result(&serde_json::json!({"shell": arguments.shell.to_string(), "script": text}), |printer| {
        printer.raw(text.as_bytes())
    })?;
    Ok(CommandOutcome::done())
}
