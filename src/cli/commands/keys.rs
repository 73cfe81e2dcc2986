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
use crate::cli::failure::{Failure, Outcome};
use crate::cli::identity::Opened;
use crate::cli::{identity, key_file, prompt, recovery_file};
use crate::config::Settings;
use crate::crypto::{Identities, SigningKey};
use crate::model::{Digest, FailureKind};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Make a recovery kit, on another machine than the one that backs up
    New(NewArguments),
    /// Write the id of a repository into a recovery identity file
    Pin(PinArguments),
    /// Make a signing key for another host
    Host(host::Arguments),
    /// Let a key in, with roles; needs the custodian's key
    Add(change::AddArguments),
    /// End a key that is done with; needs the custodian's key
    Retire(change::RetireArguments),
    /// End a key that is in wrong hands; needs the custodian's key
    Revoke(change::RevokeArguments),
    /// List who holds which key, and what it may do
    List,
}

/// Writes the id of a repository into a recovery identity file, so that this file and the bucket are all that a new machine
/// needs.
///
/// The file is replaced as a whole; a protected one is opened with its passphrase and protected with it again.
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

/// Makes a recovery kit: the age identity that opens packs, the custodian's signing key, and a public file for `init`.
///
/// Do this on another machine than the one that backs up, and keep two kits in two places.
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
struct Kit {
    recipient: String,
    custodian_fingerprint: Digest,
    identity_file: PathBuf,
    custodian_key_file: PathBuf,
    public_file: PathBuf,
    passphrase: bool,
}

pub(super) async fn run(app: &App, command: Command) -> Result<Outcome, Failure> {
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

async fn pin(app: &App, arguments: PinArguments) -> Result<Outcome, Failure> {
    let repository = app.settings()?.repository_id().ok_or_else(|| {
        Failure::from(Settings::missing("repository.id")).hinted("say which repository: --repository-id ID")
    })?;
    let PinArguments { identity, passphrase_file } = arguments;
    let (path, id) = (identity.clone(), repository.clone());
    let reading = move || identity::open(&path, passphrase_file.as_deref());
    let opened = key_file::blocking("cannot read the identity file", reading).await?;
    let path = identity.clone();
    let pinning = move || pin_file(&path, &id, &opened);
    let changed = app.change(key_file::blocking("cannot write the identity file", pinning)).await?;
    let done = serde_json::json!({ "identity_file": identity, "repository_id": repository, "changed": changed });
    app.printer.result(&done, |printer| {
        let what = if changed { "now names" } else { "named already" };
        printer.line(format!("{} {what} the repository {repository}.", identity.display()))
    })?;
    Ok(Outcome::Done)
}

/// Adds the comment line to the file; tells whether it was not there yet.
fn pin_file(path: &Path, id: &str, opened: &Opened) -> Result<bool, Failure> {
    let before = Identities::parse(&opened.text)?;
    if before.repository_hints().iter().any(|hint| hint.to_string() == id) {
        return Ok(false);
    }
    let comment = format!("# keyhaven repository: {id}\n");
    let mut text = Zeroizing::new(String::with_capacity(comment.len() + opened.text.len()));
    text.push_str(&comment);
    text.push_str(&opened.text);
    let bytes = match &opened.passphrase {
        Some(passphrase) => Identities::encrypt_file(&text, passphrase)?,
        None => text.as_bytes().to_vec(),
    };
    let bytes = Zeroizing::new(bytes);
    // The only copy of a key is replaced: first see that what replaces it opens as before.
    let after = match &opened.passphrase {
        Some(passphrase) => Identities::decrypt_file(&bytes, passphrase)?,
        None => Identities::parse(&text)?,
    };
    if after.recipients() != before.recipients() {
        return Err(Failure::new(
            FailureKind::Failed,
            "the new identity file would not open as the old one; left as it was",
        ));
    }
    key_file::replace(path, &bytes)?;
    Ok(true)
}

async fn make(app: &App, arguments: NewArguments) -> Result<Outcome, Failure> {
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
            ("secret, changes keys", kit.custodian_key_file.display().to_string()),
            ("public, for init", kit.public_file.display().to_string()),
            ("recipient", kit.recipient.clone()),
            ("custodian", kit.custodian_fingerprint.to_string()),
        ])?;
        printer.line("")?;
        printer.line("Next:")?;
        printer
            .line("  1. Keep the two secret files in two places that do not burn together, never on the collector.")?;
        printer.line("  2. Make a second kit for another person.")?;
        printer.line("  3. Copy the public file to the collector:  keyhaven init --recovery public.txt")
    })?;
    Ok(Outcome::Done)
}

/// Where the parts of a kit go.
struct KitFiles {
    folder: PathBuf,
    identity: PathBuf,
    custodian_key: PathBuf,
    public: PathBuf,
}

impl KitFiles {
    fn of(arguments: &NewArguments) -> Self {
        let folder = arguments.out.clone();
        let suffix = if arguments.no_passphrase { "" } else { ".age" };
        Self {
            identity: folder.join(format!("recovery-identity.txt{suffix}")),
            custodian_key: folder.join(format!("custodian-key.pem{suffix}")),
            public: folder.join("public.txt"),
            folder,
        }
    }

    fn all_free(&self) -> Result<(), Failure> {
        key_file::all_free(&[&self.identity, &self.custodian_key, &self.public])
    }
}

/// The passphrase of a new kit; nothing when it is to have none.
fn passphrase(arguments: &NewArguments) -> Result<Option<SecretString>, Failure> {
    match (&arguments.passphrase_file, arguments.no_passphrase) {
        (_, true) => Ok(None),
        (Some(file), _) => identity::passphrase_from(file).map(Some),
        (None, _) => asked_twice().map(Some),
    }
}

fn new(files: KitFiles, passphrase: Option<&SecretString>) -> Result<Kit, Failure> {
    let (identities, identity) = Identities::generate();
    let recipient = identities
        .recipients()
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(FailureKind::Failed, "the new identity has no recipient"))?;
    let custodian = SigningKey::generate()?;
    let identity = with_comments(&identity);
    key_file::create_folder(&files.folder)?;
    write(&files.identity, &identity, passphrase)?;
    write(&files.custodian_key, &custodian.to_pem()?, passphrase)?;
    key_file::create(&files.public, recovery_file::write(&recipient, &custodian.public()).as_bytes())?;
    Ok(Kit {
        recipient: recipient.to_string(),
        custodian_fingerprint: custodian.public().fingerprint(),
        identity_file: files.identity,
        custodian_key_file: files.custodian_key,
        public_file: files.public,
        passphrase: passphrase.is_some(),
    })
}

/// The identity with what its finder must know.
fn with_comments(identity: &str) -> Zeroizing<String> {
    let comments = "\
        # Keyhaven recovery identity: SECRET. Opens every pack that is sealed to it.\n\
        # `keyhaven keys pin` adds a line `# keyhaven repository: <id>`. With it, this file and read access to the\n\
        # bucket are enough to trust and restore everything:\n\
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
