//! `keyhaven keys`.

mod change;
mod host;
mod list;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::app::App;
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::{identity, key_file, pin_file, pins, prompt, recovery_file};
use crate::config::Settings;
use crate::crypto::{Identities, SigningKey};
use crate::format::policy::Custodian;
use crate::format::{Policy, RepositoryId};
use crate::model::{Digest, FailureKind};

/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 64;
/// Minimum number of hexadecimal digits of a fingerprint or digest.
const LEAST_DIGITS: usize = 4;

/// A command about keys.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Make a recovery kit, on another machine than the one that backs up
    New(NewArguments),
    /// Write the id of a repository into a recovery identity file
    Pin(PinArguments),
    /// Make a signing key for another host
    Host(host::Arguments),
    /// Add a key with roles; needs custodians
    Add(change::AddArguments),
    /// End a key that is no longer used; needs custodians
    Retire(change::RetireArguments),
    /// End a compromised key; needs custodians
    Revoke(change::RevokeArguments),
    /// List the keys and what each may do
    List,
}

/// Writes the repository id into a recovery identity file, so that a new machine needs only this file and the bucket.
/// Also writes a configured pin (`--policy`, repository.policy); `trust pin` writes the version in force.
///
/// Replaces the whole file. Opens a protected file with its passphrase and protects it with the same one again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven keys pin recovery-kit/recovery-identity.txt.age --repository-id 3fa9…")]
pub(in crate::cli) struct PinArguments {
    /// The recovery identity file
    identity: PathBuf,
    /// A file with the passphrase on its first line, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Creates a recovery kit: the age identity that opens packs, a custodian's signing key, a signing key for the host
/// that restores, and a public file for `init`.
///
/// Run it on a machine other than the backup host, and keep two kits in two places.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven keys new --out recovery-kit
  keyhaven keys new --out /media/usb/kit --passphrase-file passphrase.txt
  keyhaven keys new --out drill-kit --no-passphrase")]
pub(in crate::cli) struct NewArguments {
    /// The folder for the kit; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "recovery-kit")]
    out: PathBuf,
    /// Leave the secret files unprotected: whoever can read them can read every backup
    #[arg(long, conflicts_with = "passphrase_file")]
    no_passphrase: bool,
    /// A file with the passphrase on its first line, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct KitReport {
    recipient: String,
    custodian_fingerprint: Digest,
    identity_file: PathBuf,
    custodian_key_file: PathBuf,
    signing_key_fingerprint: Digest,
    signing_key_file: PathBuf,
    public_file: PathBuf,
    passphrase: bool,
}

/// A name, as a flag takes it.
pub(super) fn name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| format!("a name has 1 to {LONGEST_NAME} characters on one line"))
}

/// The custodian that is meant, by name or the start of the fingerprint.
///
/// # Errors
/// Kind 2 when none or several are.
pub(super) fn custodian(policy: &Policy, text: &str) -> Result<Custodian, Failure> {
    match change::holder(policy, text)? {
        change::PolicyMember::Custodian(custodian) => Ok(custodian),
        change::PolicyMember::Key(_) => {
            Err(Failure::usage(format!("`{text}` is no custodian")).hinted("`keyhaven keys retire` ends another key"))
        }
    }
}

pub(super) async fn run(app: &App, command: Command) -> Result<CommandOutcome, Failure> {
    match command {
        Command::New(arguments) => make(app, arguments).await,
        Command::Pin(arguments) => pin(app, arguments).await,
        Command::Host(arguments) => host::run(app, arguments).await,
        Command::Add(arguments) => change::add(app, arguments).await,
        Command::Retire(arguments) => change::retire(app, arguments).await,
        Command::Revoke(arguments) => change::revoke(app, arguments).await,
        Command::List => list::run(app).await,
    }
}

async fn pin(app: &App, arguments: PinArguments) -> Result<CommandOutcome, Failure> {
    let settings = app.settings()?;
    let repository = settings.repository_id().ok_or_else(|| {
        Failure::from(Settings::missing("repository.id")).hinted("say which repository: --repository-id ID")
    })?;
    let repository: RepositoryId =
        repository.parse().map_err(|error| Failure::from_error(FailureKind::Usage, error))?;
    let configured = match settings.is_policy_chosen() {
        true => vec![pins::chosen(&settings, None, &repository, None).await?],
        false => pins::configured(&settings, None, &repository)?,
    };
    let newest = configured.into_iter().max_by_key(|pin| pin.policy);
    let pin = newest.map(|pin| {
        let line = pin.bytes.as_ref().map_or_else(|| pin.policy.to_string(), |bytes| pins::line(&pin.policy, bytes));
        (pin.policy, line)
    });
    let PinArguments { identity, passphrase_file } = arguments;
    let path = identity.clone();
    let reading = move || identity::open(&path, passphrase_file.as_deref());
    let opened = key_file::blocking("cannot read the identity file", reading).await?;
    let path = identity.clone();
    let pinning = move || {
        let pin = pin.as_ref().map(|(policy, line)| (*policy, line.as_str()));
        pin_file::write(&path, &repository, pin, &opened)
    };
    let changed = app.change(key_file::blocking("cannot write the identity file", pinning)).await?;
    let done = serde_json::json!({ "identity_file": identity, "repository_id": repository, "changed": changed });
    app.printer.result(&done, |printer| {
        let what = if changed { "now names" } else { "named already" };
        printer.line(format!("{} {what} the repository {repository}.", identity.display()))
    })?;
    Ok(CommandOutcome::done())
}

async fn make(app: &App, arguments: NewArguments) -> Result<CommandOutcome, Failure> {
    let what = "cannot make the kit";
    let files = KitFiles::of(&arguments);
    let (files, passphrase) = key_file::blocking(what, move || {
        files.all_free()?;
        let passphrase = passphrase(&arguments)?;
        Ok((files, passphrase))
    })
    .await?;
    let kit = app.change(key_file::blocking(what, move || new(files, passphrase.as_ref()))).await?;
    if !kit.passphrase {
        app.printer.warning("the secret files have no passphrase: whoever can read them can read every backup");
    }
    app.printer.result(&kit, |printer| {
        printer.line("Recovery kit made.")?;
        printer.facts(&[
            ("secret, opens packs", kit.identity_file.display().to_string()),
            ("secret, signs the trust policy", kit.custodian_key_file.display().to_string()),
            ("secret, signs restores and checks", kit.signing_key_file.display().to_string()),
            ("public, for init", kit.public_file.display().to_string()),
            ("recipient", kit.recipient.clone()),
            ("custodian", kit.custodian_fingerprint.to_string()),
        ])?;
        printer.line("")?;
        printer.line("Next:")?;
        printer.line("  1. Keep the secret files in two places that do not burn together, never on the collector.")?;
        printer.line("  2. Make a second kit for another person.")?;
        printer.line("  3. Copy the public file to the collector:  keyhaven init --recovery public.txt")
    })?;
    Ok(CommandOutcome::done())
}

/// Paths of the parts of a kit.
struct KitFiles {
    folder: PathBuf,
    identity: PathBuf,
    custodian_key: PathBuf,
    signing_key: PathBuf,
    public: PathBuf,
}

impl KitFiles {
    fn of(arguments: &NewArguments) -> Self {
        let folder = arguments.out.clone();
        let suffix = if arguments.no_passphrase { "" } else { ".age" };
        Self {
            identity: folder.join(format!("recovery-identity.txt{suffix}")),
            custodian_key: folder.join(format!("custodian-key.pem{suffix}")),
            signing_key: folder.join(format!("recovery-signing-key.pem{suffix}")),
            public: folder.join("public.txt"),
            folder,
        }
    }

    fn all_free(&self) -> Result<(), Failure> {
        key_file::all_free(&[&self.identity, &self.custodian_key, &self.signing_key, &self.public])
    }
}

/// The passphrase of a new kit; `None` when it is to have none.
fn passphrase(arguments: &NewArguments) -> Result<Option<SecretString>, Failure> {
    match (&arguments.passphrase_file, arguments.no_passphrase) {
        (_, true) => Ok(None),
        (Some(file), _) => identity::passphrase_from(file).map(Some),
        (None, _) => asked_twice().map(Some),
    }
}

fn new(files: KitFiles, passphrase: Option<&SecretString>) -> Result<KitReport, Failure> {
    let (identities, identity) = Identities::generate();
    let recipient = identities
        .recipients()
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(FailureKind::Failed, "the new identity has no recipient"))?;
    let custodian = SigningKey::generate()?;
    let signing = SigningKey::generate()?;
    let identity = with_comments(&identity);
    key_file::create_folder(&files.folder)?;
    write(&files.identity, &identity, passphrase)?;
    write(&files.custodian_key, &custodian.to_pem()?, passphrase)?;
    write(&files.signing_key, &signing.to_pem()?, passphrase)?;
    let public = recovery_file::write(&recipient, &custodian.public(), &signing.public());
    key_file::create(&files.public, public.as_bytes())?;
    Ok(KitReport {
        recipient: recipient.to_string(),
        custodian_fingerprint: custodian.public().fingerprint(),
        identity_file: files.identity,
        custodian_key_file: files.custodian_key,
        signing_key_fingerprint: signing.public().fingerprint(),
        signing_key_file: files.signing_key,
        public_file: files.public,
        passphrase: passphrase.is_some(),
    })
}

/// The identity with what its finder must know.
fn with_comments(identity: &str) -> Zeroizing<String> {
    let comments = "\
        # Keyhaven recovery identity: SECRET. Opens every pack that is sealed to it.\n\
        # `keyhaven trust pin` adds lines `# keyhaven repository: <id>` and `# keyhaven policy: <version>`. With them,\n\
        # this file and read access to the bucket are enough to trust and restore everything:\n\
        #   keyhaven --repository URL verify --level payload --identity THIS-FILE\n\
        #   keyhaven --repository URL restore plan --identity THIS-FILE --out plan.json\n\
        # Without Keyhaven: RECOVER.md in the bucket says how, with age, zstd, jq, sha256sum and openssl.\n";
    let mut text = Zeroizing::new(String::with_capacity(comments.len() + identity.len()));
    text.push_str(comments);
    text.push_str(identity);
    text
}

fn write(path: &Path, text: &str, passphrase: Option<&SecretString>) -> Result<(), Failure> {
    match passphrase {
        Some(passphrase) => key_file::create(path, &Identities::encrypt_file(text, passphrase)?),
        None => key_file::create(path, text.as_bytes()),
    }
}

fn asked_twice() -> Result<SecretString, Failure> {
    let first = prompt::passphrase("Passphrase for the recovery kit")?;
    if first.expose_secret().is_empty() {
        return Err(Failure::usage("an empty passphrase protects nothing")
            .hinted("choose one, or say --no-passphrase on purpose"));
    }
    let second = prompt::passphrase("The same again")?;
    if first.expose_secret() != second.expose_secret() {
        return Err(Failure::usage("the two passphrases differ"));
    }
    Ok(first)
}
