//! `keyhaven keys add`, `retire` and `revoke`: what a custodian signs.

use std::path::{Path, PathBuf};

use crate::cli::app::{App, read_public};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{identity, recovery_file, wire};
use crate::config::Settings;
use crate::crypto::{PublicKey, SigningKey};
use crate::format::event::{Event, KeyChange, KeyGrant};
use crate::format::{Entry, Role};
use crate::model::Digest;
use crate::repository::Repository;
use crate::repository::ledger::{Holder, Ledger};

/// Characters of a name at most.
const LONGEST_NAME: usize = 64;
/// Hexadecimal digits of a fingerprint or digest at least.
const LEAST_DIGITS: usize = 4;

/// Who signs the change, and why.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Custodian {
    /// Why; it stays in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The custodian's key (PEM, protected by age or not)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A file with the passphrase of that key, instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Lets a key in: from this entry on it may sign what its roles allow. A key that is known gets further roles.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Roles: collector (backs up), verifier (records checks), restorer (records restores), reaper (forgets and sweeps), \
custodian (changes keys, accepts suspect snapshots).

Examples:
  keyhaven keys add --public signing-key.public.pem --role verifier --role restorer --role reaper \\
    --name recovery-host --key custodian-key.pem.age --reason 'the host that restores'
  keyhaven keys add --public second-kit/public.txt --role custodian --role restorer --name 'kit of Bob' \\
    --key custodian-key.pem.age --reason 'a second custodian'")]
pub(in crate::cli) struct AddArguments {
    /// The public key (PEM), or the public file of a recovery kit
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// What it may do; once for each role
    #[arg(long, value_name = "ROLE", required = true, value_parser = role)]
    role: Vec<Role>,
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    #[command(flatten)]
    custodian: Custodian,
}

/// Ends a key that is done with: what it signed until now counts, nothing later does. It does not come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven keys retire old-collector --key custodian-key.pem.age --reason 'the host was replaced'")]
pub(in crate::cli) struct RetireArguments {
    /// The key: its name, or the start of its fingerprint
    holder: String,
    /// Do it although no custodian is left: keys can then never be changed again
    #[arg(long)]
    leave_no_custodian: bool,
    #[command(flatten)]
    custodian: Custodian,
}

/// Ends a key that is in wrong hands: only what it signed up to its last good entry counts. It does not come back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --last-good nothing that the key ever signed counts: of a collector, every snapshot that it made.

Examples:
  keyhaven keys revoke collector --last-good 4711 --key custodian-key.pem.age --reason 'the host was broken into'")]
pub(in crate::cli) struct RevokeArguments {
    /// The key: its name, or the start of its fingerprint
    holder: String,
    /// The last entry of that key that is to be trusted: its sequence, or the start of its digest
    #[arg(long, value_name = "ENTRY")]
    last_good: Option<String>,
    /// Do it although no custodian is left: keys can then never be changed again
    #[arg(long)]
    leave_no_custodian: bool,
    /// Do it although no good snapshot would be left that counts
    #[arg(long)]
    leave_no_snapshot: bool,
    #[command(flatten)]
    custodian: Custodian,
}

fn role(text: &str) -> Result<Role, String> {
    let roles = [Role::Collector, Role::Verifier, Role::Restorer, Role::Reaper, Role::Custodian];
    let found = roles.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| format!("it is one of {}", roles.map(Role::as_str).join(", ")))
}

fn name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| format!("a name has 1 to {LONGEST_NAME} characters on one line"))
}

/// A custodian at work on a repository.
struct Desk<'a> {
    app: &'a App,
    settings: Settings,
    repository: Repository,
    ledger: Ledger,
}

impl<'a> Desk<'a> {
    async fn open(app: &'a App) -> Result<Self, Failure> {
        let settings = app.settings()?;
        let repository = wire::repository(&settings, None).await?;
        let ledger = repository.read_ledger_anew().await?;
        Ok(Self { app, settings, repository, ledger })
    }

    /// The custodian's key. Asked for last: nobody types a passphrase for a change that is refused.
    async fn key(&self, custodian: &Custodian) -> Result<SigningKey, Failure> {
        let key = identity::signing_key(custodian.key.clone(), custodian.passphrase_file.clone()).await?;
        let own = key.public().fingerprint();
        let may = self.ledger.holders().iter().any(|holder| holder.key == own && holder.may_act_as(Role::Custodian));
        match may {
            true => Ok(key),
            false => Err(Failure::new(
                crate::model::FailureKind::Key,
                format!("{} is no custodian's key of this repository", own.short()),
            )
            .hinted("`keyhaven keys list` shows who may change keys")),
        }
    }

    async fn sign(&self, custodian: &Custodian, change: KeyChange) -> Result<Entry, Failure> {
        let key = self.key(custodian).await?;
        let writer = wire::writer_with(key, self.app, &self.settings, self.repository.id())?;
        let draft = super::super::draft(&*writer.clock, Event::Keys(change));
        self.app.change(self.repository.commit(&writer, draft)).await
    }

    fn tell(&self, word: &str, holder: &Digest, name: &str, entry: &Entry) -> Result<Outcome, Failure> {
        let done = serde_json::json!({
            "change": word, "fingerprint": holder, "name": name, "entry": entry.digest, "sequence": entry.sequence,
        });
        self.app.printer.result(&done, |printer| {
            printer.line(format!("{} ({}) {word} by entry {}.", holder.short(), name, entry.sequence))
        })?;
        Ok(Outcome::Done)
    }

    /// The key that is meant, which may still sign.
    fn holder(&self, text: &str) -> Result<Holder, Failure> {
        let digits = text.len() >= LEAST_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let meant = |holder: &Holder| holder.name == text || (digits && holder.key.to_string().starts_with(text));
        let found: Vec<Holder> = self.ledger.holders().into_iter().filter(meant).collect();
        let active: Vec<&Holder> = found.iter().filter(|holder| holder.ended.is_none()).collect();
        let hint = "`keyhaven keys list` shows names and fingerprints";
        match (active.as_slice(), found.as_slice()) {
            ([one], _) => Ok((*one).clone()),
            ([], []) => Err(Failure::usage(format!("no key is called `{text}`")).hinted(hint)),
            ([], _) => Err(Failure::usage(format!("the key `{text}` is retired or revoked already"))),
            _ => Err(Failure::usage(format!("several keys are called `{text}`")).hinted(hint)),
        }
    }

    /// Refuses to take away the last custodian, unless that is asked for by name.
    fn keep_custodian(&self, gone: &Holder, accepted: bool) -> Result<(), Failure> {
        let left = |holder: &Holder| holder.key != gone.key && holder.may_act_as(Role::Custodian);
        if accepted || !gone.may_act_as(Role::Custodian) || self.ledger.holders().iter().any(left) {
            return Ok(());
        }
        Err(Failure::usage("this is the last custodian's key: without one, keys can never be changed again")
            .hinted("add another custodian first (`keyhaven keys add --role custodian`), or say --leave-no-custodian"))
    }

    /// Refuses to take all good snapshots out of account, unless that is asked for by name.
    fn keep_snapshot(&self, gone: &Holder, last_good: Option<&Digest>, accepted: bool) -> Result<(), Failure> {
        let counts = |entry: &Entry| {
            entry.key != gone.key
                || last_good.is_some_and(|last| entry.digest == *last || self.ledger.is_ancestor(&entry.digest, last))
        };
        let mut good = self.ledger.live().filter(|entry| self.ledger.is_good(entry)).peekable();
        if accepted || good.peek().is_none() || good.any(counts) {
            return Ok(());
        }
        Err(Failure::usage("no good snapshot would be left that counts: every one of them is signed by this key")
            .hinted("name the last entry that is to be trusted (--last-good ENTRY), or say --leave-no-snapshot"))
    }

    /// The entry of a key that is meant as its last good one.
    fn last_good(&self, holder: &Holder, text: &str) -> Result<Digest, Failure> {
        let own = || self.ledger.entries().iter().filter(|entry| entry.key == holder.key);
        let by_sequence = text.parse::<u64>().ok();
        let mut found: Vec<Digest> =
            own().filter(|entry| Some(entry.sequence) == by_sequence).map(|entry| entry.digest).collect();
        if found.is_empty() && text.len() >= LEAST_DIGITS {
            found = own().map(|entry| entry.digest).filter(|digest| digest.to_string().starts_with(text)).collect();
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::usage(format!("no entry `{text}` is signed by {}", holder.key.short()))
                .hinted("give the sequence or the start of the digest of an entry that this key signed")),
            _ => Err(Failure::usage(format!("`{text}` fits several entries; give more digits of the digest"))),
        }
    }
}

/// Adds a key.
pub(super) async fn add(app: &App, arguments: AddArguments) -> Result<Outcome, Failure> {
    let public_key = read_key(&arguments.public)?;
    let desk = Desk::open(app).await?;
    let key = public_key.fingerprint();
    let mut roles = arguments.role.clone();
    roles.sort_unstable();
    roles.dedup();
    let known = desk.ledger.holders().into_iter().find(|holder| holder.key == key);
    if let Some(known) = known {
        if known.ended.is_some() {
            return Err(Failure::usage(format!("{} is retired or revoked, and does not come back", key.short()))
                .hinted("make a new key: `keyhaven keys host`, or `keyhaven keys new` for a custodian"));
        }
        if roles.iter().all(|role| known.roles.contains(role)) && known.name == arguments.name {
            return Err(Failure::usage(format!("{} has these roles already", key.short())));
        }
    }
    let grant = KeyGrant { public_key, roles, name: arguments.name.clone() };
    let change = KeyChange::Add { grant, reason: arguments.custodian.reason.clone() };
    let entry = desk.sign(&arguments.custodian, change).await?;
    desk.tell("added", &key, &arguments.name, &entry)
}

/// Retires a key.
pub(super) async fn retire(app: &App, arguments: RetireArguments) -> Result<Outcome, Failure> {
    let desk = Desk::open(app).await?;
    let holder = desk.holder(&arguments.holder)?;
    desk.keep_custodian(&holder, arguments.leave_no_custodian)?;
    let change = KeyChange::Retire { key: holder.key, reason: arguments.custodian.reason.clone() };
    let entry = desk.sign(&arguments.custodian, change).await?;
    desk.tell("retired", &holder.key, &holder.name, &entry)
}

/// Revokes a key.
pub(super) async fn revoke(app: &App, arguments: RevokeArguments) -> Result<Outcome, Failure> {
    let desk = Desk::open(app).await?;
    let holder = desk.holder(&arguments.holder)?;
    desk.keep_custodian(&holder, arguments.leave_no_custodian)?;
    let last_good = arguments.last_good.as_deref().map(|text| desk.last_good(&holder, text)).transpose()?;
    desk.keep_snapshot(&holder, last_good.as_ref(), arguments.leave_no_snapshot)?;
    let reason = arguments.custodian.reason.clone();
    let change = KeyChange::Revoke { key: holder.key, last_good, reason };
    let entry = desk.sign(&arguments.custodian, change).await?;
    desk.tell("revoked", &holder.key, &holder.name, &entry)
}

/// A public key from its own file, or the custodian's from that of a recovery kit.
fn read_key(path: &Path) -> Result<PublicKey, Failure> {
    let text = read_public(path, "public key")?;
    if text.contains("PRIVATE KEY") {
        return Err(Failure::usage(format!("{} holds a secret key; give the public one", path.display())));
    }
    PublicKey::from_pem(&text).or_else(|error| {
        let kit = recovery_file::read(&text, &path.display().to_string()).ok().map(|kit| kit.custodians);
        match kit.as_deref() {
            Some([one]) => Ok(*one),
            _ => Err(Failure::from(error).hinted(format!("the file is {}", path.display()))),
        }
    })
}
