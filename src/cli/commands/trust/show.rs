//! `keyhaven trust show`.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::memory::MemoryReport;
use crate::cli::outcome::CommandOutcome;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::cli::trust::words;
use crate::cli::{pins, report, services, text};
use crate::format::{Policy, PolicyRef, RepositoryId};
use crate::repository::trust::Trust;

/// Shows the trust policy in force: custodians, signing keys, recipients, settings, accepted losses, and all versions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust show
  keyhaven trust show --json
  keyhaven trust show --pin")]
pub(in crate::cli) struct Arguments {
    /// Print the pin only: the reference and the bytes of the version in force
    #[arg(long)]
    pin: bool,
}

#[derive(Serialize)]
struct TrustReport<'a> {
    schema: &'static str,
    memory: MemoryReport,
    repository: RepositoryId,
    /// The version to go by: the one in force, in a fork the newest that all branches name.
    policy: PolicyRef,
    pinned: PolicyRef,
    /// Its content.
    content: &'a Policy,
    pin: String,
    versions: Vec<PolicyRow>,
}

/// A version that was found.
#[derive(Serialize)]
struct PolicyRow {
    policy: PolicyRef,
    /// `in_force`, `branch`, `earlier`, `other_branch` or `does_not_fit`.
    state: &'static str,
    /// Number of its custodians that signed it.
    signed: u64,
    threshold: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    time: crate::model::Timestamp,
}

pub(super) async fn run(app: &App, arguments: &Arguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = services::repository(&settings, None).await?;
    let ledger = report::read_ledger(&app.printer, &repository).await?;
    let trust = ledger.trust();
    let (policy, content) =
        trust.writes_under().ok_or_else(|| Failure::usage("no version of the trust policy is in force"))?;
    let envelope =
        trust.good_envelope(&policy).ok_or_else(|| Failure::usage("no version of the trust policy is in force"))?;
    let shown = TrustReport {
        schema: "keyhaven/trust/1",
        memory: MemoryReport::of(&ledger),
        repository: trust.id(),
        policy,
        pinned: trust.pinned(),
        content,
        pin: pins::line(&policy, &pins::bytes(&envelope)?),
        versions: trust.found().map(|(version, policy)| version_of(trust, version, policy)).collect(),
    };
    if arguments.pin && !app.printer.is_json() {
        app.printer.line(&shown.pin)?;
    } else {
        app.printer.result(&shown, |printer| print(printer, &shown))?;
    }
    Ok(CommandOutcome::done())
}

fn version_of(trust: &Trust, version: PolicyRef, policy: &Policy) -> PolicyRow {
    let branches: Vec<(PolicyRef, &Policy)> = trust.branches().collect();
    let is_branch = branches.iter().any(|(branch, _)| *branch == version);
    let is_named = branches.iter().any(|(_, branch)| branch.previous.contains(&version));
    let state = match (is_branch, is_named, trust.fit().contains(&version)) {
        (true, ..) if branches.len() == 1 => "in_force",
        (true, ..) => "branch",
        (_, true, true) => "earlier",
        (_, false, true) => "other_branch",
        (_, _, false) => "does_not_fit",
    };
    PolicyRow {
        policy: version,
        state,
        signed: trust.envelope(&version).map_or(0, |envelope| policy.signatures(envelope)),
        threshold: policy.threshold,
        reason: policy.reason.clone(),
        time: policy.time,
    }
}

fn print(printer: &Printer, shown: &TrustReport<'_>) -> Result<(), Failure> {
    let policy = shown.content;
    printer.line(format!("Trust policy, version {} of {}", shown.policy.version, text::time(policy.time)))?;
    printer.facts(&[
        ("repository", shown.repository.to_string()),
        ("policy", shown.policy.to_string()),
        ("source", policy.source.to_string()),
        ("threshold", format!("{} of {} custodians sign a new version", policy.threshold, policy.custodians.len())),
        ("grace", text::seconds(policy.settings.grace_seconds)),
        ("longest run", text::seconds(policy.settings.longest_run_seconds)),
        ("RECOVER.md", policy.settings.recover_md.to_string()),
        ("accepted snapshots", policy.accepted.len().to_string()),
        ("held snapshots", policy.held.len().to_string()),
        ("accepted losses", text::count(policy.lost.entries.len() as u64, "entry")),
    ])?;
    let mut table = Table::new(&["!key", "!name", "!may", "state"]);
    for custodian in &policy.custodians {
        let key = custodian.public_key.fingerprint().short();
        table.row([key, custodian.name.clone(), "custodian".to_owned(), "active".to_owned()]);
    }
    for key in &policy.keys {
        let until = key.until.as_ref().map(|until| words::until_short(until)).unwrap_or_else(|| "active".to_owned());
        table.row([key.public_key.fingerprint().short(), key.name.clone(), key.roles.join(", "), until]);
    }
    printer.line("")?;
    printer.table(&table, "no key")?;
    for (list, opens) in [(&policy.recovery_recipients, "everything"), (&policy.catalogue_recipients, "the inventory")]
    {
        printer.line("")?;
        let mut table = Table::new(&["!recipient", "!name"]);
        list.iter().for_each(|one| table.row([one.recipient.clone(), one.name.clone()]));
        printer.line(format!("Opens {opens}:"))?;
        printer.table(&table, "nobody")?;
    }
    let mut table = Table::new(&[">version", "time", "state", ">signed", "reason"]);
    for version in &shown.versions {
        table.row([
            version.policy.version.to_string(),
            text::time(version.time),
            version.state.replace('_', " "),
            // Version 1 needs none: its digest is the repository id.
            match version.policy.version {
                1 => "-".to_owned(),
                _ => format!("{} of {}", version.signed, version.threshold),
            },
            version.reason.clone().unwrap_or_default(),
        ]);
    }
    printer.line("")?;
    printer.table(&table, "no version")
}
