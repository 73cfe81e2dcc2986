//! A custodian at work on a repository: reads it, proposes a version, signs it, publishes it or leaves it in a file.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::change::{self, PolicyChange};
use super::ended::{self, Entries};
use super::merge;
use super::proposal::{Proposal, ProposalState, Signers};
use super::screen;
use crate::cli::app::{App, read_public};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{draft, identity, key_file, memory, pins, recovery_sheet, report, services};
use crate::config::Settings;
use crate::crypto::SigningKey;
use crate::crypto::digest::sha256;
use crate::format::{Policy, PolicyRef};
use crate::model::FailureKind;
use crate::repository::ledger::Ledger;
use crate::repository::{RecoverMd, Repository, recover_md};

/// The value of `schema` of a change.
pub(in crate::cli) const SCHEMA: &str = "keyhaven/policy-change/1";

/// Signer of a change of the trust policy, and the reason.
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
    /// A custodian's key (PEM, protected by age or not); once for each custodian. Without enough of them a proposal
    /// file is written
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) key: Vec<PathBuf>,
    /// A file with the passphrase of the key, instead of asking
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) passphrase_file: Option<PathBuf>,
    /// Where the proposal file goes, when one is written [default: policy-NUMBER.json]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Where the new recovery sheet goes, once the version is in force [default: recovery-sheet-NUMBER.txt]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) sheet: Option<PathBuf>,
}

/// A repository that a custodian works on.
#[derive(Debug)]
pub(in crate::cli) struct Session<'a> {
    pub(in crate::cli) app: &'a App,
    pub(in crate::cli) settings: Settings,
    pub(in crate::cli) repository: Repository,
    pub(in crate::cli) ledger: Ledger,
}

/// Result of a change: `published`, or a proposal file.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangeReport {
    pub(in crate::cli) schema: &'static str,
    /// The change, as the command names it.
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
    /// True if it is in force.
    pub(in crate::cli) published: bool,
    /// The line for configurations and recovery identities, once it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) pin: Option<String>,
    /// The new recovery sheet, once it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) recovery_sheet: Option<PathBuf>,
    /// Earlier versions that the bucket lacked and that were put back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) put_back: Vec<PolicyRef>,
    /// The proposal file, until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) proposal: Option<PathBuf>,
    /// Required signers.
    pub(in crate::cli) signers: Vec<Signers>,
    /// Entries that became invalid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) no_longer_counts: Vec<Entries>,
    /// Entries that became valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) counts_again: Vec<Entries>,
    /// True if the changes were shown before, so that the result need not repeat them.
    #[serde(skip)]
    pub(in crate::cli) shown: bool,
}

/// A version that was published.
#[derive(Debug)]
struct Published {
    pin: String,
    recovery_sheet: Option<PathBuf>,
    put_back: Vec<PolicyRef>,
}

impl<'a> Session<'a> {
    /// Opens the repository and reads everything anew.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(in crate::cli) async fn open(app: &'a App) -> Result<Self, Failure> {
        let settings = app.settings()?;
        let repository = services::repository(&settings, None).await?;
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
        changes: &[PolicyChange],
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
        let mut next = merge::next(&newest, trust.id(), time, &draft::tool())?;
        change::apply(&mut next, changes)?;
        next.reason = reason;
        Ok(next)
    }

    /// Proposes a version, signs it with the keys at hand, and publishes it when these are enough; else the proposal
    /// goes into a file.
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
    ) -> Result<CommandOutcome, Failure> {
        let mut proposal = Proposal::new(self.ledger.trust(), next, recover_md)?;
        let pins = [self.pin_in_force()];
        let judged = proposal.judge(&pins)?;
        let mut changed = self.changed(&proposal, &judged, change);
        changed.details = details;
        if !with.key.is_empty() {
            // Before a passphrase is asked for: nobody signs what they have not been shown.
            screen::show_changes(self.app, &changed);
            changed.shown = true;
        }
        for key in keys(with).await? {
            proposal.sign(&judged, &key)?;
        }
        let judged = proposal.judge(&pins)?;
        changed.signers.clone_from(&judged.signers);
        match judged.is_complete() {
            true => {
                self.publish(&proposal, with.sheet.as_deref(), &mut changed).await?;
                if let Some(out) = &with.out {
                    self.app.printer.note(&format!("enough have signed: {} was not written", out.display()));
                }
            }
            false => {
                let path =
                    with.out.clone().unwrap_or_else(|| format!("policy-{}.json", proposal.version.version).into());
                let text = proposal.to_json()?;
                let target = path.clone();
                let writing = move || create_proposal(&target, &text);
                self.app.change(key_file::blocking("cannot write the proposal", writing)).await?;
                changed.proposal = Some(path);
            }
        }
        self.app.printer.result(&changed, |printer| screen::print(printer, &changed))?;
        Ok(CommandOutcome::done())
    }

    /// The result of a change, as far as it is known before anybody has signed.
    pub(in crate::cli) fn changed(&self, proposal: &Proposal, judged: &ProposalState, change: &str) -> ChangeReport {
        ChangeReport {
            schema: SCHEMA,
            change: change.to_owned(),
            details: serde_json::Map::new(),
            policy: proposal.version,
            differences: judged.differences(&proposal.policy),
            reason: proposal.policy.reason.clone(),
            published: false,
            pin: None,
            recovery_sheet: None,
            put_back: Vec::new(),
            proposal: None,
            signers: judged.signers.clone(),
            no_longer_counts: ended::no_longer_counts(&self.ledger, &proposal.policy),
            counts_again: ended::counts_again(&self.ledger, &proposal.policy),
            shown: false,
        }
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
    pub(in crate::cli) fn judge(&self, proposal: &Proposal) -> Result<ProposalState, Failure> {
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

    /// Publishes a proposal that is signed by enough custodians, remembers it, and writes a recovery sheet. What became
    /// of it goes into `changed`.
    ///
    /// # Errors
    /// When it would not be in force, or cannot be written.
    pub(in crate::cli) async fn publish(
        &self,
        proposal: &Proposal,
        sheet: Option<&Path>,
        changed: &mut ChangeReport,
    ) -> Result<(), Failure> {
        let published = self.app.change(self.write(proposal, sheet)).await?;
        changed.published = true;
        changed.pin = Some(published.pin);
        changed.recovery_sheet = published.recovery_sheet;
        changed.put_back = published.put_back;
        Ok(())
    }

    async fn write(&self, proposal: &Proposal, sheet: Option<&Path>) -> Result<Published, Failure> {
        let before = self.policy()?.settings.recover_md;
        let settings = proposal.policy.settings;
        let shipped = recover_md(&proposal.policy.source);
        let text = match &proposal.recover_md {
            Some(text) => text.clone().into(),
            None if settings.recover_md == before || sha256(&shipped) == settings.recover_md => shipped,
            None => {
                return Err(Failure::usage("the proposal changes RECOVER.md, and the text is not in the file")
                    .hinted("give the file that `keyhaven trust propose --recover-md` wrote"));
            }
        };
        let (version, put_back) =
            self.repository.publish_knowing(&self.ledger, &proposal.envelope, proposal.chain()).await?;
        put_back.notes.iter().for_each(|note| self.app.printer.warning(note));
        // Also of a version that is in force already: its text may be missing since an interrupted run, or changed.
        self.repository.put_back_recover_md(&proposal.policy, text).await.map_err(|error| {
            Failure::from(error).hinted(format!("{version} is written, RECOVER.md is not: publish it again"))
        })?;
        if self.repository.recover_md_state(&proposal.policy).await? == RecoverMd::Wrong {
            self.app.printer.warning(
                "RECOVER.md is missing or not the text that the trust policy names: `keyhaven trust put-back --recover-md FILE`",
            );
        }
        let ledger = self.repository.read_ledger().await?;
        let in_force: Vec<PolicyRef> = ledger.trust().branches().map(|(version, _)| version).collect();
        if in_force != [version] {
            let in_force = in_force.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let text = format!("version {version} is written, and is not the one in force, which is {in_force}");
            return Err(Failure::new(FailureKind::Integrity, text)
                .hinted("somebody may have published at the same time: `keyhaven trust show`"));
        }
        self.repository.remember(&ledger).await;
        let envelope = ledger.trust().good_envelope(&version).unwrap_or_else(|| proposal.envelope.clone());
        let recovery_sheet = match self.write_sheet(&ledger, sheet).await {
            Ok(path) => Some(path),
            // The version is in force whatever becomes of a page that can be had again.
            Err(failure) => {
                let why = failure.chain().join(": ");
                self.app.printer.warning(&format!(
                    "no recovery sheet was written: {why}; `keyhaven trust sheet --out FILE` writes it"
                ));
                None
            }
        };
        Ok(Published {
            pin: pins::line(&version, &pins::bytes(&envelope)?),
            recovery_sheet,
            put_back: put_back.policies,
        })
    }

    /// Writes a file with the recovery sheet.
    async fn write_sheet(&self, ledger: &Ledger, path: Option<&Path>) -> Result<PathBuf, Failure> {
        let (version, text) = recovery_sheet::of(&self.settings, ledger, self.app.context().clock.now())?;
        let default = || format!("recovery-sheet-{}.txt", version.version).into();
        let path = path.map_or_else(default, Path::to_owned);
        let target = path.clone();
        // Of the same version again, such as after an interrupted run; never over the sheet of another repository.
        let is_own = move || read_public(&target, "sheet").is_ok_and(|old| old.contains(&format!("PIN={version}\n")));
        let target = path.clone();
        let writing = move || match is_own() {
            true => key_file::replace(&target, text.as_bytes()),
            false => key_file::create(&target, text.as_bytes()),
        };
        key_file::blocking("cannot write the recovery sheet", writing).await?;
        Ok(path)
    }
}

/// Writes a new proposal file.
///
/// # Errors
/// Kind 2 when there is a file already: it may hold signatures.
pub(in crate::cli) fn create_proposal(path: &Path, text: &str) -> Result<(), Failure> {
    key_file::create(path, text.as_bytes()).map_err(|failure| match failure.kind() {
        FailureKind::Usage => failure.hinted(
            "it may be a proposal that custodians are signing: publish it first, or remove it, or name another file with --out",
        ),
        _ => failure,
    })
}

/// The custodians' keys, each opened.
pub(in crate::cli) async fn keys(with: &SigningKeys) -> Result<Vec<SigningKey>, Failure> {
    let mut keys = Vec::new();
    for path in &with.key {
        let key = identity::signing_key(path.clone(), with.passphrase_file.clone()).await;
        keys.push(key.map_err(|failure| match path.exists() {
            true => failure,
            false => failure.hinted("--key takes the file with a custodian's key, such as custodian-key.pem.age"),
        })?);
    }
    Ok(keys)
}
