//! `keyhaven config`.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::table::Table;
use crate::cli::{configured_keys, jobs, pins, services};
use crate::config::{JobConfig, SetKey, Settings, ShownEntry, reference};

/// A command about the configuration.
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
struct SettingList {
    file: Option<String>,
    values: Vec<SettingRow>,
}

#[derive(Serialize)]
struct SettingRow {
    key: String,
    value: String,
    origin: String,
}

pub(super) fn run(app: &App, command: &Command) -> Result<CommandOutcome, Failure> {
    if let Some(places) = app.searched().filter(|_| !matches!(command, Command::Init)) {
        app.printer.note(&format!("no configuration file found; looked for {places}"));
    }
    match command {
        Command::Init => init(app),
        Command::Validate => validate(app),
        Command::Show => show(app),
    }
}

fn init(app: &App) -> Result<CommandOutcome, Failure> {
    let text = reference::commented(&BTreeMap::new());
    app.printer.result(&serde_json::json!({ "toml": text }), |printer| printer.raw(text.as_bytes()))?;
    Ok(CommandOutcome::done())
}

fn show(app: &App) -> Result<CommandOutcome, Failure> {
    let settings = shown_settings(app)?;
    let file = app.config_path().map(|path| path.display().to_string());
    let mut values = lines(&settings);
    if settings.instance().is_empty() {
        values.extend(app.instances_shown()?.into_iter().map(SettingRow::from));
    }
    let shown = SettingList { file, values };
    app.printer.result(&shown, |printer| {
        let mut table = Table::new(&["key", "value", "from"]);
        for line in &shown.values {
            table.row([line.key.clone(), line.value.clone(), line.origin.clone()]);
        }
        printer.table(&table, "nothing is set")
    })?;
    Ok(CommandOutcome::done())
}

/// Those of one instance; of a file with several and none in question, what holds for all of them.
fn shown_settings(app: &App) -> Result<Settings, Failure> {
    if app.globals.instance().is_none() && app.instances()?.len() > 1 { app.settings_of("") } else { app.settings() }
}

fn lines(settings: &Settings) -> Vec<SettingRow> {
    let keys = settings.effective();
    let keys = keys.iter().map(SetKey::shown).chain(settings.tables().shown());
    let jobs = settings.jobs().iter().flat_map(JobConfig::shown);
    keys.chain(jobs).chain(settings.notify_shown()).map(SettingRow::from).collect()
}

impl From<ShownEntry> for SettingRow {
    fn from(ShownEntry { key, value, origin }: ShownEntry) -> Self {
        Self { key, value, origin: origin.to_string() }
    }
}

/// Everything that can be told on this host, without asking the instance or the bucket: `doctor` does that.
fn validate(app: &App) -> Result<CommandOutcome, Failure> {
    let all = app.all_settings()?;
    let several = app.instances()?.len() > 1;
    let mut checked = vec!["syntax, keys and types".to_owned(), "policies, rules, overrides and transforms".to_owned()];
    for settings in &all {
        let what = validate_one(settings).map_err(|failure| {
            // Origins name a line, and shared lines serve every instance.
            if several { failure.of(&format!("instance `{}`", settings.instance())) } else { failure }
        })?;
        let of = if several { format!("{}: ", settings.instance()) } else { String::new() };
        checked.extend(what.into_iter().map(|what| format!("{of}{what}")));
    }
    for settings in &all {
        jobs::check(&app.program, settings)?;
    }
    if all.first().is_some_and(|settings| !settings.jobs().is_empty()) {
        checked.push("jobs: kinds, cron lines, zones, arguments".to_owned());
    }
    let warnings = job_warnings(app, &all, several)?;
    warnings.iter().for_each(|warning| app.printer.warning(warning));
    let done = serde_json::json!({ "valid": true, "checked": checked, "warnings": warnings });
    app.printer.result(&done, |printer| {
        printer.line("The configuration is valid. Checked:")?;
        checked.iter().try_for_each(|what| printer.line(format!("  {what}")))
    })?;
    Ok(CommandOutcome::done())
}

/// Returns doubts about retention jobs.
fn job_warnings(app: &App, all: &[Settings], several: bool) -> Result<Vec<String>, Failure> {
    let mut warnings: Vec<String> = Vec::new();
    for settings in all {
        let of = if several { format!("instance `{}`: ", settings.instance()) } else { String::new() };
        for job in settings.jobs().iter().filter(|job| job.is_for(settings.instance())) {
            let doubts = jobs::doubts(&app.program, job, settings)?.into_iter();
            warnings.extend(doubts.map(|doubt| format!("{of}{}: jobs.{}: {}", job.origin, job.name, doubt.text())));
        }
    }
    Ok(warnings)
}

/// Checks what the settings of one instance name on this host; says what that was.
pub(super) fn validate_one(settings: &Settings) -> Result<Vec<&'static str>, Failure> {
    let mut checked = Vec::new();
    if settings.is_set("source.url") {
        services::source(settings)?;
        checked.push("source: URL, API key, CA file");
    }
    if settings.is_set("standby.url") {
        services::standby(settings)?;
        checked.push("standby: URL, API key, CA file");
    }
    if settings.is_set("repository.url") {
        services::store(&settings.repository()?)?;
        checked.push("repository: place, access keys, CA file");
    }
    let keys = settings.keys();
    if keys.signing_key.is_some() {
        configured_keys::signing_key(settings)?;
        checked.push("signing key");
    }
    if keys.catalogue_key.is_some() {
        configured_keys::catalogue_key(settings)?;
        checked.push("catalogue key");
    }
    let configured = settings.policy_pins();
    if !configured.is_empty() && !settings.is_policy_chosen() {
        configured.iter().try_for_each(|pin| pins::read(pin).map(drop))?;
        checked.push("pins of the trust policy");
    }
    Ok(checked)
}
