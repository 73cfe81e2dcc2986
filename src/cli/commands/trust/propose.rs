//! `keyhaven trust propose`.

use std::path::PathBuf;

use crate::cli::app::{App, read_public};
use crate::cli::commands::keys;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::trust::change::PolicyChange;
use crate::cli::trust::session::{Session, SigningKeys};
use crate::config::value::{Period, parse_flag};
use crate::crypto::digest::sha256;
use crate::repository::recover_md;

/// Writes a proposal for the next version of the trust policy. Common changes have their own commands: `keys add`,
/// `keys retire`, `keys revoke`, `recipients add`, `recipients remove`, `snapshots accept`.
///
/// In a fork the proposal follows all branches, and ends the fork once custodians of all of them have signed it.
/// Without changes it lets every custodian sign once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven trust propose --reason 'every custodian signs once' --out first.json
  keyhaven trust propose --threshold 2 --reason 'two custodians must agree'
  keyhaven trust propose --remove-custodian 'kit of Bob' --threshold 1 --reason 'Bob has left'
  keyhaven trust propose --recover-md --reason 'instructions of the new version'")]
pub(in crate::cli) struct Arguments {
    /// Number of custodians that must sign
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// A custodian to remove: a name, or the start of a fingerprint; may be given more than once
    #[arg(long, value_name = "CUSTODIAN")]
    remove_custodian: Vec<String>,
    /// How long something stays after it was forgotten
    #[arg(long, value_name = "PERIOD", value_parser = parse_flag::<Period>)]
    grace: Option<Period>,
    /// How long a run may take
    #[arg(long, value_name = "PERIOD", value_parser = parse_flag::<Period>)]
    longest_run: Option<Period>,
    /// Replace RECOVER.md by this file; without FILE, by the text of this version of keyhaven
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    recover_md: Option<Option<PathBuf>>,
    /// Accept that entries are gone: heads that this host saw, and entries that others name
    #[arg(long)]
    accept_loss: bool,
    /// Also follow branches that this host's pin is not on, which ends a fork
    #[arg(long)]
    join: bool,
    /// Why; it is recorded in the trust policy
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    with: SigningKeys,
}

pub(super) async fn run(app: &App, arguments: Arguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let policy = session.policy()?;
    let mut changes = Vec::new();
    for text in &arguments.remove_custodian {
        let key = keys::custodian(policy, text)?.public_key.fingerprint();
        changes.push(PolicyChange::RemoveCustodian { key });
    }
    changes.extend(arguments.threshold.map(PolicyChange::Threshold));
    changes.extend(arguments.grace.map(|grace| grace.as_secs()).map(PolicyChange::Grace));
    changes.extend(arguments.longest_run.map(|longest| longest.as_secs()).map(PolicyChange::LongestRun));
    let text = match &arguments.recover_md {
        None => None,
        Some(Some(path)) => Some(read_public(path, "RECOVER.md")?),
        Some(None) => Some(String::from_utf8_lossy(&recover_md(&policy.source)).into_owned()),
    };
    if let Some(text) = &text {
        let digest = sha256(text.as_bytes());
        if digest == policy.settings.recover_md {
            return Err(Failure::usage("the trust policy names that RECOVER.md already: there is nothing to sign")
                .hinted("if the bucket lacks it or has another text: `keyhaven trust put-back --recover-md FILE`"));
        }
        changes.push(PolicyChange::RecoverMd(digest));
    }
    if arguments.accept_loss {
        changes.push(PolicyChange::AcceptLosses(crate::cli::commands::ledger::losses(&session.ledger)));
    }
    let next = session.next(&changes, arguments.reason, arguments.join)?;
    session.carry_out("proposed", serde_json::Map::new(), &next, text, &arguments.with).await
}
