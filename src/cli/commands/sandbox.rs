//! `keyhaven sandbox`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::cli::app::{App, read_public};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::config::reference::quote;
use crate::model::FailureKind;
use crate::provider::embedded::{ApiKey, FaultScript, Grant, Options, Sandbox, SandboxOptions, ServiceRole, Switches};

/// Serves an embedded instance that speaks the provider's API, until interrupted.
///
/// For trials and tests, with made-up secrets only: plain HTTP, one fixed API key, no protection.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven sandbox --seed 1
  keyhaven sandbox --listen 127.0.0.1:8300 --seed 1 --secrets 1000
  keyhaven sandbox --listen 127.0.0.1:8301 --region eu-gb --data standby.sandbox
  keyhaven sandbox --seed 1 --every-type
  keyhaven sandbox --seed 1 --switch reads_move_updated_at=true --switch precision=seconds
  keyhaven sandbox --seed 1 --faults outage.toml
  keyhaven sandbox --seed 1 --key SecretsReader=backup --key configuration.read+configurations.list=backup")]
pub(in crate::cli) struct Arguments {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Fill a new instance with made-up secrets, the same ones for the same number
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many secrets to make up
    #[arg(long, value_name = "N", default_value_t = 100, requires = "seed")]
    secrets: usize,
    /// Make up every secret type and every configuration, in every condition, instead of a number of plain ones
    #[arg(long, requires = "seed", conflicts_with = "secrets")]
    every_type: bool,
    /// Turn a behaviour that the provider's documents leave open; repeat it for several
    #[arg(long = "switch", value_name = "NAME=VALUE")]
    switches: Vec<String>,
    /// Take one more API key, with a service role (Manager, Writer, SecretsReader, Reader, SecretTaskUpdater) or
    /// actions joined by a plus sign; repeat it for several keys, or for several roles of one
    #[arg(long = "key", value_name = "ROLE=KEY")]
    keys: Vec<String>,
    /// Do what this script of faults says: late, refused, cut and empty answers, outages, writers
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Keep the state in this file over restarts; every payload lies there in clear
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The region in its CRN
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The instance id (a UUID) in its CRN
    #[arg(long, value_name = "UUID")]
    instance_id: Option<uuid::Uuid>,
}

/// Connection data of a client. The API key opens only this sandbox.
#[derive(Serialize)]
struct SandboxReport<'a> {
    url: String,
    iam_url: String,
    api_key: &'a str,
    crn: String,
    /// The other keys, one line for each role of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeyRole>,
}

/// An API key and one of its roles.
#[derive(Clone, Serialize)]
struct KeyRole {
    role: String,
    key: String,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    if !arguments.listen.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "a sandbox protects nothing, so it listens on loopback only, not on {}",
            arguments.listen
        ))
        .hinted("--listen 127.0.0.1:PORT"));
    }
    let mut options = Options::default();
    if let Some(region) = arguments.region {
        options.region = region;
    }
    if let Some(id) = arguments.instance_id {
        options.instance_id = id.to_string();
    }
    options.switches = switches(&arguments.switches)?;
    let roles = roles(&arguments.keys)?;
    options.keys = keys(&roles);
    let start = SandboxOptions {
        options,
        seed: arguments.seed,
        secrets: arguments.secrets,
        every_type: arguments.every_type,
        faults: arguments.faults.as_deref().map(faults).transpose()?,
        data: arguments.data,
    };
    let sandbox = Sandbox::start(start, arguments.listen).await?;
    let settings = sandbox.settings();
    let shown = SandboxReport {
        url: settings.base_url.clone(),
        iam_url: settings.iam_url.clone(),
        api_key: settings.api_key.expose_secret(),
        crn: settings.crn.clone(),
        keys: roles.iter().map(|(role, key)| KeyRole { role: role.to_string(), key: key.clone() }).collect(),
    };
    // One line in JSON, so that a script can read it and go on while this runs.
    if app.printer.is_json() {
        let json = serde_json::to_string(&shown)
            .map_err(|error| Failure::new(FailureKind::Failed, "cannot write the settings").because(error))?;
        app.printer.line(json)?;
    } else {
        app.printer.line("# A sandbox listens. As a source (or, under [standby], as a standby):")?;
        app.printer.line("[source]")?;
        app.printer.line(format!("url = {}", quote(&shown.url)))?;
        app.printer.line(format!("iam_url = {}", quote(&shown.iam_url)))?;
        app.printer.line(format!("crn = {}", quote(&shown.crn)))?;
        app.printer.line("api_key = \"env:SANDBOX_API_KEY\"")?;
        app.printer.line(format!("# export SANDBOX_API_KEY={}", shown.api_key))?;
        for KeyRole { role, key } in &shown.keys {
            app.printer.line(format!("# {key} has the role {role}"))?;
        }
        app.printer.note("Ctrl-C ends it.");
    }
    sandbox.run(app.cancel().clone()).await?;
    Ok(CommandOutcome::done())
}

/// The switches, with those turned that `given` names.
fn switches(given: &[String]) -> Result<Switches, Failure> {
    let mut switches = Switches::default();
    for turn in given {
        let Some((name, value)) = turn.split_once('=') else {
            return Err(Failure::usage(format!("`--switch {turn}` turns nothing")).hinted("--switch NAME=VALUE"));
        };
        switches.set(name, value).map_err(|error| {
            let hint = format!("the switches are {}", Switches::NAMES.join(", "));
            Failure::from_error(FailureKind::Usage, error).hinted(hint)
        })?;
    }
    Ok(switches)
}

/// The roles that `given` names, each with its key.
fn roles(given: &[String]) -> Result<Vec<(ServiceRole, String)>, Failure> {
    let read = |text: &String| {
        let given = text.split_once('=').filter(|(_, key)| !key.is_empty());
        let (role, key) =
            given.ok_or_else(|| Failure::usage("`--key` takes a role and a key").hinted("--key ROLE=KEY"))?;
        let parsed = role.parse::<ServiceRole>().map_err(|error| Failure::usage(format!("`{role}` {error}")))?;
        Ok((parsed, key.to_owned()))
    };
    given.iter().map(read).collect()
}

/// One key for each text, with all roles that it was given.
fn keys(roles: &[(ServiceRole, String)]) -> Vec<ApiKey> {
    let mut grants: BTreeMap<&str, Vec<Grant>> = BTreeMap::new();
    for (role, key) in roles {
        grants.entry(key).or_default().push(Grant::whole(role.clone()));
    }
    grants.into_iter().map(|(key, grants)| ApiKey::granted(key, grants)).collect()
}

/// Reads a script of faults.
fn faults(path: &Path) -> Result<FaultScript, Failure> {
    let text = read_public(path, "fault script")?;
    FaultScript::parse(&text, &path.display().to_string())
        .map_err(|error| Failure::from_error(FailureKind::Usage, error).hinted("docs/sandbox.md has every act"))
}
