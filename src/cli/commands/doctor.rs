//! `keyhaven doctor`.

use std::sync::Arc;

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::printer::{Printer, Style};
use crate::cli::{human, key_file, wire};
use crate::config::{Location, Settings};
use crate::crypto::SigningKey;
use crate::format::event::{Event, KeyChange, KeyGrant};
use crate::format::{RepositoryId, Role};
use crate::instance::Source;
use crate::instance::ibm;
use crate::instance::ibm::access::Allowed;
use crate::model::{Clock, Digest, FailureKind};
use crate::repository::ledger::Ledger;
use crate::repository::{Repository, SKEW_MILLIS};

/// Checks everything that a backup or a restore needs: keys, repository, instances, rights. Changes nothing.
///
/// Which of the two is told by the configuration: a source means that this host backs up, a standby that it restores.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is that of the first thing that is wrong.

Examples:
  keyhaven doctor
  keyhaven doctor --json")]
pub(in crate::cli) struct Arguments {}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Warning,
    Bad,
}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    kind: FailureKind,
}

#[derive(Debug, Default, Serialize)]
struct Checks {
    checks: Vec<Check>,
}

impl Checks {
    fn good(&mut self, what: &'static str, found: impl Into<String>) {
        self.checks.push(Check {
            what,
            verdict: Verdict::Good,
            found: found.into(),
            hint: None,
            kind: FailureKind::Failed,
        });
    }

    fn warning(&mut self, what: &'static str, found: impl Into<String>, hint: &str) {
        let hint = Some(hint.to_owned());
        self.checks.push(Check {
            what,
            verdict: Verdict::Warning,
            found: found.into(),
            hint,
            kind: FailureKind::Failed,
        });
    }

    fn bad(&mut self, what: &'static str, kind: FailureKind, found: impl Into<String>, hint: Option<&str>) {
        let hint = hint.map(str::to_owned);
        self.checks.push(Check { what, verdict: Verdict::Bad, found: found.into(), hint, kind });
    }

    /// Takes a result: what is there, or why it is not.
    fn take<T>(&mut self, what: &'static str, result: Result<T, Failure>, found: impl Fn(&T) -> String) -> Option<T> {
        match result {
            Ok(value) => {
                self.good(what, found(&value));
                Some(value)
            }
            Err(failure) => {
                self.bad(what, failure.kind(), failure.chain().join(": "), failure.hint());
                None
            }
        }
    }
}

pub(super) async fn run(app: &App, _: Arguments) -> Result<Outcome, Failure> {
    let settings = app.settings()?;
    let mut checks = Checks::default();
    let file =
        app.config_path().map_or_else(|| "none; flags and environment only".to_owned(), |p| p.display().to_string());
    checks.good("configuration", file);
    // A host that restores has no source and no signing key, and needs none.
    let collects = settings.is_set("source.url") || !settings.is_set("standby.url");
    let signing_key = if collects { keys(&mut checks, &settings) } else { None };
    recovery_identity(&mut checks, &settings, collects);
    state_folder(&mut checks, app, &settings);
    repository(&mut checks, app, &settings, signing_key.as_ref()).await;
    if collects {
        source(&mut checks, &settings).await;
    }
    if settings.is_set("standby.url") {
        standby(&mut checks, &settings).await;
    }
    app.printer.result(&checks, |printer| print(printer, &checks))?;
    let worst = checks.checks.iter().find(|check| check.verdict == Verdict::Bad);
    Ok(worst.map_or(Outcome::Done, |check| Outcome::Reported(check.kind)))
}

fn keys(checks: &mut Checks, settings: &Settings) -> Option<SigningKey> {
    let fingerprint = |key: &SigningKey| key.public().fingerprint().to_string();
    let signing = checks.take("signing key", wire::signing_key(settings), fingerprint);
    let names = |keys: &crate::crypto::Identities| {
        keys.recipients().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    checks.take("catalogue key", wire::catalogue_key(settings), names);
    match wire::recovery_recipients(settings) {
        Ok(recipients) if recipients.len() < 2 => checks.warning(
            "recovery recipients",
            "one",
            "if its key is lost, every backup is lost: make a second kit and add its recipient",
        ),
        result => {
            checks.take("recovery recipients", result, |recipients| recipients.len().to_string());
        }
    }
    signing
}

fn recovery_identity(checks: &mut Checks, settings: &Settings, collects: bool) {
    let what = "recovery identity";
    match (settings.keys().recovery_identity_file, collects) {
        (None, true) => checks.good(what, "none on this host, as it should be where backups run"),
        (None, false) => checks.good(what, "none named; give it with --identity"),
        (Some(file), false) => checks.good(what, file.display().to_string()),
        (Some(file), true) => checks.warning(
            what,
            format!("{} is named", file.display()),
            "this host can read backups; right where one restores, wrong where one backs up",
        ),
    }
}

fn state_folder(checks: &mut Checks, app: &App, settings: &Settings) {
    let folder = app.state_folder(settings).and_then(|folder| {
        key_file::create_folder(&folder)?;
        key_file::check_writable(&folder)?;
        Ok(folder)
    });
    checks.take("state folder", folder, |folder| folder.display().to_string());
}

async fn repository(checks: &mut Checks, app: &App, settings: &Settings, key: Option<&SigningKey>) {
    let opened = wire::repository(settings, None).await;
    let Some(repository) = checks.take("repository", opened, |repository| repository.store().place()) else { return };
    for warning in repository.warnings() {
        checks.warning("repository", warning.clone(), "`keyhaven verify --level objects` checks what counts");
    }
    protection(checks, settings);
    clock(checks, &repository, &*app.context().clock);
    let read = repository.read_ledger().await.map_err(Failure::from);
    let counted =
        |ledger: &Ledger| format!("{} in good standing", human::count(count(ledger.counted().count()), "entry"));
    let Some(ledger) = checks.take("ledger", read, counted) else { return };
    if let Some(problem) = ledger.problems().first() {
        let more = match ledger.problems().len() {
            1 => String::new(),
            several => format!(" (and {} more)", several - 1),
        };
        checks.warning("ledger", format!("{problem}{more}"), "`keyhaven verify --level ledger` lists all");
    }
    if let Some(key) = key {
        role(checks, &ledger, key.public().fingerprint());
    }
    match ledger.latest_good().and_then(|entry| entry.snapshot()) {
        Some(newest) => {
            let age = app.context().clock.now().millis_since(newest.time);
            checks.good("newest good snapshot", format!("{}, {} old", human::time(newest.time), human::millis(age)));
        }
        None => checks.warning("newest good snapshot", "there is none yet", "keyhaven backup"),
    }
}

/// What keeps a stolen collector from destroying the repository.
fn protection(checks: &mut Checks, settings: &Settings) {
    match settings.repository().map(|repository| repository.location) {
        Ok(Location::Folder(_)) => checks.warning(
            "protection",
            "a folder: unprotected against its own collector",
            "whoever takes this host over can delete the backups; use a bucket with versioning or Object Lock",
        ),
        Ok(Location::Bucket { .. }) => checks.warning(
            "protection",
            "not known: whether the bucket keeps versions cannot be asked with these rights",
            "switch versioning or Object Lock on and give this host no right to delete",
        ),
        Err(_) => {}
    }
}

fn clock(checks: &mut Checks, repository: &Repository, clock: &dyn Clock) {
    let Some(theirs) = repository.store().clock() else { return };
    let off = clock.now().millis_since(theirs);
    if off.abs() > SKEW_MILLIS {
        let found = format!("{} away from the store's", human::millis(off));
        checks.bad("clock", FailureKind::Failed, found, Some("set this host's clock; nothing is signed until then"));
    } else {
        checks.good("clock", "agrees with the store's");
    }
}

/// Whether this host's key was given the collector's role by the ledger, and not taken it again.
fn role(checks: &mut Checks, ledger: &Ledger, key: Digest) {
    let collects = |grant: &KeyGrant| grant.public_key.fingerprint() == key && grant.roles.contains(&Role::Collector);
    let mut may = ledger.init().is_some_and(|init| init.keys.iter().any(collects));
    for entry in ledger.counted() {
        match &entry.event {
            Event::Keys(KeyChange::Add { grant, .. }) if collects(grant) => may = true,
            Event::Keys(KeyChange::Retire { key: gone, .. } | KeyChange::Revoke { key: gone, .. }) if *gone == key => {
                may = false;
            }
            _ => {}
        }
    }
    if may {
        checks.good("role", "this host's key is a collector's");
    } else {
        let found = format!("the ledger does not know {} as a collector's key", key.short());
        checks.bad(
            "role",
            FailureKind::Key,
            found,
            Some("use the key that `init` made, or have a custodian add this one"),
        );
    }
}

async fn source(checks: &mut Checks, settings: &Settings) {
    let Some(client) = checks.take("source", wire::source(settings), ibm::Client::host) else { return };
    let access = client.check_access().await.map_err(Failure::from);
    let Some(access) = checks.take("access", access, |_| "the API key is taken".to_owned()) else { return };
    for (action, allowed) in access.actions() {
        if let Allowed::No(why) = allowed {
            let found = format!("{action} is refused: {why}");
            let hint = "give the identity the role SecretsReader and, for the values of configurations, a custom role";
            checks.bad("access", FailureKind::Instance, found, Some(hint));
        }
    }
    let configured = settings.repository().ok().and_then(|repository| repository.id);
    let expected = match configured.and_then(|id| id.parse::<RepositoryId>().ok()) {
        Some(_) => recorded_source(settings).await,
        None => None,
    };
    let listed = client.list(&mut |_| {}).await.map_err(Failure::from);
    let shown = |listing: &crate::instance::Listing| {
        format!(
            "{} of {}",
            human::count(listing.items, "item"),
            listing.instance.as_deref().unwrap_or("an unnamed instance")
        )
    };
    let Some(listing) = checks.take("listing", listed, shown) else { return };
    if let (Some(expected), Some(is)) = (expected, listing.instance)
        && expected != is
    {
        let found = format!("the repository is of {expected}, the instance is {is}");
        checks.bad("listing", FailureKind::Moved, found, Some("one repository is one instance: check source.url"));
    }
}

async fn standby(checks: &mut Checks, settings: &Settings) {
    let Some(client) = checks.take("standby", wire::standby(settings), ibm::Client::host) else { return };
    let listed = client.list(&mut |_| {}).await.map_err(Failure::from);
    checks.take("standby", listed, |listing| format!("answers; {} there", human::count(listing.items, "item")));
}

/// The CRN that the ledger names; nothing when there is no telling, which another check has said.
async fn recorded_source(settings: &Settings) -> Option<String> {
    let repository = wire::repository(settings, None).await.ok()?;
    let ledger: Arc<Ledger> = Arc::new(repository.read_ledger().await.ok()?);
    ledger.source().map(|source| source.crn.clone())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn print(printer: &Printer, checks: &Checks) -> Result<(), Failure> {
    for check in &checks.checks {
        let mark = match check.verdict {
            Verdict::Good => printer.paint(Style::Green, "ok  "),
            Verdict::Warning => printer.paint(Style::Yellow, "warn"),
            Verdict::Bad => printer.paint(Style::Red, "BAD "),
        };
        printer.line(format!("{mark}  {:<20}  {}", check.what, human::safe(&check.found)))?;
        if let Some(hint) = &check.hint {
            printer.line(format!("{:28}{}", "", printer.paint(Style::Dim, &human::safe(hint))))?;
        }
    }
    Ok(())
}
