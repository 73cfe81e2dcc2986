//! A custodian at work on a repository: reads it, proposes a version, signs it, publishes it or leaves it in a file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::change::{self, Change};
use super::ended::{self, Lost};
use super::merge;
use super::proposal::{Judged, Proposal, Signers};
use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::printer::Printer;
use crate::cli::{human, identity, key_file, memory, pins, report, wire};
use crate::config::Settings;
use crate::crypto::SigningKey;
use crate::format::{Policy, PolicyRef, names};
use crate::repository::Repository;
use crate::repository::ledger::Ledger;

/// The value of `schema` of a change.
pub(in crate::cli) const SCHEMA: &str = "keyhaven/policy-change/1";

/// Who signs a change of the trust policy, and why.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Signing {
    /// Why; it is recorded in the trust policy
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
    #[command(flatten)]
    pub(in crate::cli) with: SigningKeys,
}

/// The keys that sign, and where a proposal goes that needs more.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::cli) struct SigningKeys {
    /// A custodian's key (PEM, protected by age or not); once for each custodian. Without enough of them a proposal file is
    /// written
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,
    /// A file with the passphrase of the key, instead of asking
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
    /// Where the proposal file goes [default: policy-NUMBER.json]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
}

/// A repository that a custodian works on.
#[derive(Debug)]
pub(in crate::cli) struct Session<'a> {
    pub(in crate::cli) app: &'a App,
    pub(in crate::cli) settings: Settings,
    pub(in crate::cli) repository: Repository,
    pub(in crate::cli) ledger: Ledger,
}

/// What became of a change: `published`, or a proposal file.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Changed {
    pub(in crate::cli) schema: &'static str,
    /// What was changed, as the command names it.
    pub(in crate::cli) change: String,
    #[serde(flatten)]
    pub(in crate::cli) details: serde_json::Map<String, serde_json::Value>,
    /// The new version.
    pub(in crate::cli) policy: PolicyRef,
    /// Every difference in words.
    pub(in crate::cli) differences: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) reason: Option<String>,
    /// Whether it is in force.
    pub(in crate::cli) published: bool,
    /// The line for configurations and recovery identities, once it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) pin: Option<String>,
    /// The proposal file, until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) proposal: Option<PathBuf>,
    /// Who must sign.
    pub(in crate::cli) signers: Vec<Signers>,
    /// What counted before and does not count now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) no_longer_counts: Vec<Lost>,
}

impl<'a> Session<'a> {
    /// Opens the repository and reads everything anew.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::cli) async fn open(app: &'a App) -> Result<Self, Failure> {
        let settings = app.settings()?;
        let repository = wire::repository(&settings, None).await?;
        let ledger = report::read_ledger_anew(&app.printer, &repository).await?;
        Ok(Self { app, settings, repository, ledger })
    }

    /// The version in force; in a fork the newest that all branches name.
    ///
    /// # Errors
    /// When there is none.
    pub(in crate::cli) fn policy(&self) -> Result<&Policy, Failure> {
        self.ledger.policy().ok_or_else(|| Failure::usage("no version of the trust policy is in force"))
    }

    /// The next version with these changes. In a fork, or with `join`, it follows all branches.
    ///
    /// # Errors
    /// Kind 2 when a change does nothing or is not allowed.
    pub(in crate::cli) fn next(
        &self,
        changes: &[Change],
        reason: Option<String>,
        join: bool,
    ) -> Result<Policy, Failure> {
        let trust = self.ledger.trust();
        let newest: Vec<(PolicyRef, &Policy)> = match join {
            true => {
                memory::newest(trust).into_iter().filter_map(|version| Some((version, trust.get(&version)?))).collect()
            }
            false => trust.branches().collect(),
        };
        let time = self.app.context().clock.now();
        let mut next = merge::next(&newest, trust.id(), time, &crate::cli::commands::tool())?;
        change::apply(&mut next, changes)?;
        next.reason = reason;
        Ok(next)
    }

    /// Proposes a version, signs it with the keys at hand, and publishes it when these are enough; else the proposal goes
    /// into a file.
    ///
    /// # Errors
    /// When a key does not fit, the version is refused, or nothing can be written.
    pub(in crate::cli) async fn carry_out(
        self,
        change: &str,
        details: serde_json::Map<String, serde_json::Value>,
        next: &Policy,
        recover_md: Option<String>,
        with: &SigningKeys,
    ) -> Result<Outcome, Failure> {
        let mut proposal = Proposal::new(self.ledger.trust(), next, recover_md)?;
        let pins = [self.pin_in_force()];
        let judged = proposal.judge(&pins)?;
        // Asked for last: nobody types a passphrase for a change that is refused.
        for key in keys(with).await? {
            proposal.sign(&judged, &key)?;
        }
        let judged = proposal.judge(&pins)?;
        let mut changed = Changed {
            schema: SCHEMA,
            change: change.to_owned(),
            details,
            policy: proposal.version,
            differences: judged.differences(&proposal.policy),
            reason: proposal.policy.reason.clone(),
            published: false,
            pin: None,
            proposal: None,
            no_longer_counts: ended::no_longer_counts(&self.ledger, &proposal.policy),
            signers: judged.signers.clone(),
        };
        match judged.is_complete() {
            true => {
                changed.pin = Some(self.publish(&proposal).await?);
                changed.published = true;
            }
            false => {
                let path =
                    with.out.clone().unwrap_or_else(|| format!("policy-{}.json", proposal.version.version).into());
                let text = proposal.to_json()?;
                let target = path.clone();
                let writing = move || key_file::create(&target, text.as_bytes());
                self.app.change(key_file::blocking("cannot write the proposal", writing)).await?;
                changed.proposal = Some(path);
            }
        }
        self.app.printer.result(&changed, |printer| print(printer, &changed))?;
        Ok(Outcome::Done)
    }

    /// The pinned version: what this host relies on already needs no signatures here.
    fn pin_in_force(&self) -> crate::repository::trust::Pin {
        let policy = self.ledger.trust().pinned();
        crate::repository::trust::Pin { policy, bytes: None }
    }

    /// Judges a proposal that comes from a file, with all that was found here.
    ///
    /// # Errors
    /// Kind 2 when it could not come into force.
    pub(in crate::cli) fn judge(&self, proposal: &Proposal) -> Result<Judged, Failure> {
        if proposal.repository != self.ledger.id() {
            return Err(Failure::usage(format!(
                "the proposal is for the repository {}, this one is {}",
                proposal.repository,
                self.ledger.id()
            )));
        }
        let mut known = proposal.clone();
        known.know(self.ledger.trust().pool());
        known.judge(&[self.pin_in_force()])
    }

    /// Publishes a proposal that is signed by enough custodians, and remembers it. Returns the new pin.
    ///
    /// # Errors
    /// When it would not be in force, or cannot be written.
    pub(in crate::cli) async fn publish(&self, proposal: &Proposal) -> Result<String, Failure> {
        let before = self.policy()?.settings.recover_md;
        let recover_md = match (&proposal.recover_md, proposal.policy.settings.recover_md == before) {
            // Also of a version that is in force already: its text may be missing since an interrupted run, or changed.
            (Some(text), _) => Some(text.clone()),
            (None, false) => {
                return Err(Failure::usage("the proposal changes RECOVER.md, and the text is not in the file")
                    .hinted("give the file that `keyhaven trust propose --recover-md` wrote"));
            }
            (None, true) => None,
        };
        let publishing = async {
            let version = self.repository.publish(&self.ledger, &proposal.envelope).await?;
            if let Some(text) = recover_md {
                self.repository.store().put(names::RECOVER_MD, text.into()).await?;
            }
            let ledger = self.repository.read_ledger().await?;
            self.repository.remember(&ledger).await;
            let envelope = ledger.trust().good_envelope(&version).unwrap_or_else(|| proposal.envelope.clone());
            Ok::<_, Failure>(pins::line(&version, &pins::bytes(&envelope)?))
        };
        self.app.change(publishing).await
    }
}

/// The custodians' keys, each opened.
pub(in crate::cli) async fn keys(with: &SigningKeys) -> Result<Vec<SigningKey>, Failure> {
    let mut keys = Vec::new();
    for path in &with.key {
        keys.push(identity::signing_key(path.clone(), with.passphrase_file.clone()).await?);
    }
    Ok(keys)
}

/// Prints what became of a change.
pub(in crate::cli) fn print(printer: &Printer, changed: &Changed) -> Result<(), Failure> {
    let number = changed.policy.version;
    match changed.published {
        true => printer.line(format!("Version {number} of the trust policy is in force. It"))?,
        false => printer.line(format!("Version {number} of the trust policy is proposed. It"))?,
    }
    print_differences(printer, &changed.differences)?;
    if let Some(reason) = &changed.reason {
        printer.line(format!("  reason: {}", human::safe(reason)))?;
    }
    print_no_longer_counts(printer, &changed.no_longer_counts)?;
    match (&changed.pin, &changed.proposal) {
        (Some(_), _) => print_next(printer, changed.policy),
        (None, Some(path)) => print_to_sign(printer, &changed.signers, path),
        (None, None) => Ok(()),
    }
}

/// Prints differences, or that there is none.
pub(in crate::cli) fn print_differences(printer: &Printer, differences: &[String]) -> Result<(), Failure> {
    if differences.is_empty() {
        return printer.line("  - changes nothing but its number");
    }
    differences.iter().try_for_each(|difference| printer.line(format!("  - {difference}")))
}

/// Prints what does not count under a new version.
pub(in crate::cli) fn print_no_longer_counts(printer: &Printer, lost: &[Lost]) -> Result<(), Failure> {
    for lost in lost {
        printer.line(format!("  {}", no_longer_counts(lost)))?;
    }
    Ok(())
}

/// What does not count of a key, in words.
pub(in crate::cli) fn no_longer_counts(lost: &Lost) -> String {
    format!(
        "No longer counts: {} by the key {} ({}), {}; first entry {}",
        human::count(lost.entries, "entry"),
        human::safe(&lost.name),
        lost.key.short(),
        human::count(lost.snapshots, "snapshot"),
        lost.first.sequence
    )
}

/// Prints who must sign and how.
pub(in crate::cli) fn print_to_sign(printer: &Printer, signers: &[Signers], path: &Path) -> Result<(), Failure> {
    for signers in signers.iter().filter(|signers| !signers.is_met()) {
        printer.line(format!("  {}", human::safe(&signers.sentence())))?;
    }
    let path = path.display();
    printer.line("")?;
    printer.line("Next:")?;
    printer.line("  1. Each custodian, where their key is (no bucket is needed):")?;
    printer.line(format!("       keyhaven trust sign {path} --key CUSTODIAN-KEY"))?;
    printer.line("  2. With access to the bucket, with one signed copy or several:")?;
    printer.line(format!("       keyhaven trust publish {path}"))
}

/// Prints what to do with a new version.
pub(in crate::cli) fn print_next(printer: &Printer, policy: PolicyRef) -> Result<(), Failure> {
    printer.facts(&[
        ("pin", policy.to_string()),
        ("with its bytes", "`keyhaven trust show --pin` prints it".to_owned()),
    ])?;
    printer.line("")?;
    printer.line("Next:")?;
    printer
        .line("  1. Write the new pin into each recovery identity, and where configurations have repository.policy:")?;
    printer.line("       keyhaven trust pin IDENTITY-FILE")?;
    printer.line("  2. Replace the recovery sheets:")?;
    printer.line("       keyhaven trust sheet --out recovery-sheet.txt")
}
