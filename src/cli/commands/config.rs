//! `keyhaven config`.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::table::Table;
use crate::cli::wire;
use crate::config::{Settings, template};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Print a commented file with every key
    #[command(after_help = "Examples:\n  keyhaven config init > keyhaven.toml")]
    Init,
    /// Check the configuration and the keys that it names, on this host alone
    #[command(
        after_help = "Examples:\n  keyhaven config validate\n  keyhaven --config /etc/keyhaven/keyhaven.toml config validate"
    )]
    Validate,
    /// Print what holds, and where each value comes from
    #[command(
        after_help = "Examples:\n  keyhaven config show\n  KEYHAVEN_SOURCE_REQUESTS_PER_SECOND=2 keyhaven config show --json"
    )]
    Show,
}

#[derive(Serialize)]
struct Shown {
    file: Option<String>,
    values: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    key: String,
    value: String,
    origin: String,
}

pub(super) fn run(app: &App, command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Init => init(app),
        Command::Validate => validate(app),
        Command::Show => show(app),
    }
}

fn init(app: &App) -> Result<Outcome, Failure> {
    let text = template::commented(&BTreeMap::new());
    app.printer.result(&serde_json::json!({ "toml": text }), |printer| printer.raw(text.as_bytes()))?;
    Ok(Outcome::Done)
}

fn show(app: &App) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let file = app.config_path().map(|path| path.display().to_string());
    let values = lines(&settings);
    let shown = Shown { file, values };
    app.printer.result(&shown, |printer| {
        let mut table = Table::new(&["key", "value", "from"]);
        for line in &shown.values {
            table.row([line.key.clone(), line.value.clone(), line.origin.clone()]);
        }
        printer.table(&table, "nothing is set")
    })?;
    Ok(Outcome::Done)
}

fn lines(settings: &Settings) -> Vec<Line> {
    let keys = settings.effective().map(|(key, value, origin)| Line {
        key: key.path.to_owned(),
        value: value.to_string(),
        origin: origin.to_string(),
    });
    let tables = settings.tables().shown().into_iter().chain(settings.notify_shown());
    keys.chain(tables.map(|one| Line { key: one.key, value: one.value, origin: one.origin.to_string() })).collect()
}

/// Everything that can be told on this host, without asking the instance or the bucket: `doctor` does that.
fn validate(app: &App) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let mut checked = vec!["syntax, keys and types", "policies, rules, overrides and transforms"];
    if settings.is_set("source.url") {
        wire::source(&settings)?;
        checked.push("source: URL, API key, CA file");
    }
    if settings.is_set("standby.url") {
        wire::standby(&settings)?;
        checked.push("standby: URL, API key, CA file");
    }
    if settings.is_set("repository.url") {
        wire::store(&settings.repository()?)?;
        checked.push("repository: place, access keys, CA file");
    }
    let keys = settings.keys();
    if keys.signing_key.is_some() {
        wire::signing_key(&settings)?;
        checked.push("signing key");
    }
    if keys.catalogue_key.is_some() {
        wire::catalogue_key(&settings)?;
        checked.push("catalogue key");
    }
    wire::recipients(&keys.recovery_recipients)?;
    wire::recipients(&keys.auditors)?;
    checked.push("recipients");
    app.printer.result(&serde_json::json!({ "valid": true, "checked": checked }), |printer| {
        printer.line("The configuration is valid. Checked:")?;
        checked.iter().try_for_each(|what| printer.line(format!("  {what}")))
    })?;
    Ok(Outcome::Done)
}
