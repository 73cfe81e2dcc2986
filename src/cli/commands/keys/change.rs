//! `keyhaven keys add`, `retire` and `revoke`: changes of the trust policy.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{LEAST_DIGITS, name};
use crate::cli::app::{App, read_public};
use crate::cli::failure::Failure;
use crate::cli::outcome::CommandOutcome;
use crate::cli::recovery_file;
use crate::cli::trust::change::PolicyChange;
use crate::cli::trust::ended;
use crate::cli::trust::session::{Session, Signing};
use crate::crypto::PublicKey;
use crate::format::policy::{Custodian, PolicyKey};
use crate::format::{Entry, EntryRef, Policy, SigningRole};
use crate::model::Digest;
use crate::repository::ledger::Ledger;

/// Adds a key, which may then sign what its roles allow. The roles of a key cannot be changed; other roles need another
/// key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Roles: collector (backs up), verifier (records checks), restorer (records restores and drills), reaper (forgets, holds and \
sweeps), operator (announces changes, acknowledges alarms), custodian (signs versions of the trust policy, and nothing else).

Examples:
  keyhaven keys add --public signing-key.public.pem --role verifier --role restorer --role reaper \\
    --name recovery-host --key custodian-key.pem.age --reason 'the host that restores'
  keyhaven keys add --public second-kit/public.txt --role custodian --name 'kit of Bob' \\
    --key custodian-key.pem.age --reason 'a second custodian'")]
pub(in crate::cli) struct AddArguments {
    /// The public key (PEM), or the public file of a recovery kit
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// What it may do; once for each role
    #[arg(long, value_name = "ROLE", required = true)]
    role: Vec<GrantedRole>,
    /// What people call it
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    #[command(flatten)]
    signing: Signing,
}

/// Retires a key: its entries up to now stay valid, later ones do not. A retired key cannot be added again.
///
/// Removes the key of a custodian. `keyhaven trust propose` changes the threshold.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keyhaven keys retire old-collector --key custodian-key.pem.age --reason 'the host was replaced'")]
pub(in crate::cli) struct RetireArguments {
    /// The key: its name, or the start of its fingerprint
    holder: String,
    #[command(flatten)]
    signing: Signing,
}

/// Revokes a compromised key, or changes the end of one that has ended: only its entries up to its last good one stay
/// valid.
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
    /// Do it although no good snapshot would be left that counts
    #[arg(long)]
    leave_no_snapshot: bool,
    #[command(flatten)]
    signing: Signing,
}

/// A role of a signing key, or that of a custodian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrantedRole {
    Custodian,
    Role(SigningRole),
}

impl FromStr for GrantedRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let roles = SigningRole::ALL.map(SigningRole::as_str).join(", ");
        match text {
            "custodian" => Ok(Self::Custodian),
            text => text.parse().map(Self::Role).map_err(|_| format!("it is one of {roles}, custodian")),
        }
    }
}

/// A key of the policy.
#[derive(Debug, Clone)]
pub(in crate::cli) enum PolicyMember {
    Custodian(Custodian),
    Key(PolicyKey),
}

impl PolicyMember {
    pub(in crate::cli) fn fingerprint(&self) -> Digest {
        match self {
            Self::Custodian(custodian) => custodian.public_key.fingerprint(),
            Self::Key(key) => key.public_key.fingerprint(),
        }
    }

    pub(in crate::cli) fn name(&self) -> &str {
        match self {
            Self::Custodian(custodian) => &custodian.name,
            Self::Key(key) => &key.name,
        }
    }

    /// Whether a text names it: its name, or the start of its fingerprint.
    fn is_called(&self, text: &str) -> bool {
        let digits = text.len() >= LEAST_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        self.name() == text || (digits && self.fingerprint().to_string().starts_with(text))
    }

    fn is_active(&self) -> bool {
        matches!(self, Self::Custodian(_) | Self::Key(PolicyKey { until: None, .. }))
    }
}

impl fmt::Display for PolicyMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.fingerprint().short())
    }
}

/// Every key of a policy, custodians first.
pub(super) fn holders(policy: &Policy) -> Vec<PolicyMember> {
    let custodians = policy.custodians.iter().cloned().map(PolicyMember::Custodian);
    custodians.chain(policy.keys.iter().cloned().map(PolicyMember::Key)).collect()
}

/// The key that is meant, whose end a later version may change.
fn holder_to_revoke(policy: &Policy, text: &str) -> Result<PolicyMember, Failure> {
    let ended: Vec<PolicyMember> =
        holders(policy).into_iter().filter(|holder| !holder.is_active() && holder.is_called(text)).collect();
    match (holder(policy, text), ended.as_slice()) {
        (Err(_), [one]) => Ok(one.clone()),
        (found, _) => found,
    }
}

/// The key that is meant, which has not ended.
pub(super) fn holder(policy: &Policy, text: &str) -> Result<PolicyMember, Failure> {
    let meant = |holder: &PolicyMember| holder.is_called(text);
    let found: Vec<PolicyMember> = holders(policy).into_iter().filter(meant).collect();
    let active: Vec<&PolicyMember> = found.iter().filter(|holder| holder.is_active()).collect();
    let hint = "`keyhaven keys list` shows names and fingerprints";
    match (active.as_slice(), found.as_slice()) {
        ([one], _) => Ok((*one).clone()),
        ([], []) => Err(Failure::usage(format!("no key is called `{text}`")).hinted(hint)),
        ([], _) => Err(Failure::usage(format!("the key `{text}` is retired or revoked already"))),
        _ => Err(Failure::usage(format!("several keys are called `{text}`")).hinted(hint)),
    }
}

/// Adds a key.
pub(super) async fn add(app: &App, arguments: AddArguments) -> Result<CommandOutcome, Failure> {
    let as_custodian = arguments.role.contains(&GrantedRole::Custodian);
    let roles: Vec<SigningRole> = arguments
        .role
        .iter()
        .filter_map(|right| match right {
            GrantedRole::Role(role) => Some(*role),
            GrantedRole::Custodian => None,
        })
        .collect();
    if as_custodian && !roles.is_empty() {
        return Err(Failure::usage("a custodian's key signs versions of the trust policy only")
            .hinted("make another key for other roles: `keyhaven keys host`"));
    }
    let key = read_key(&arguments.public, as_custodian)?;
    let session = Session::open(app).await?;
    let name = arguments.name;
    let details = details(&key.fingerprint(), &name);
    let change = match as_custodian {
        true => PolicyChange::AddCustodian { name, key },
        false => PolicyChange::AddKey { name, key, roles },
    };
    let next = session.next(&[change], Some(arguments.signing.reason), false)?;
    session.carry_out("added", details, &next, None, &arguments.signing.with).await
}

/// Retires a key.
pub(super) async fn retire(app: &App, arguments: RetireArguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let holder = holder(session.policy()?, &arguments.holder)?;
    let change = match &holder {
        PolicyMember::Custodian(_) => PolicyChange::RemoveCustodian { key: holder.fingerprint() },
        PolicyMember::Key(_) => {
            let key = holder.fingerprint();
            PolicyChange::EndKey { key, until: ended::last_entries(&session.ledger, &key) }
        }
    };
    let next = session.next(&[change], Some(arguments.signing.reason), false).map_err(explained)?;
    let details = details(&holder.fingerprint(), holder.name());
    session.carry_out("retired", details, &next, None, &arguments.signing.with).await
}

/// Revokes a key.
pub(super) async fn revoke(app: &App, arguments: RevokeArguments) -> Result<CommandOutcome, Failure> {
    let session = Session::open(app).await?;
    let holder = holder_to_revoke(session.policy()?, &arguments.holder)?;
    let key = holder.fingerprint();
    let last_good = arguments.last_good.as_deref().map(|text| last_good(&session.ledger, &holder, text)).transpose()?;
    let change = match &holder {
        PolicyMember::Custodian(_) => PolicyChange::RemoveCustodian { key },
        PolicyMember::Key(_) => PolicyChange::EndKey { key, until: last_good.into_iter().collect() },
    };
    let next = session.next(&[change], Some(arguments.signing.reason), false).map_err(explained)?;
    if !arguments.leave_no_snapshot && !ended::leaves_a_snapshot(&session.ledger, &next) {
        return Err(Failure::usage(
            "no good snapshot would be left that counts: every one of them is signed by this key",
        )
        .hinted("name the last entry that is to be trusted (--last-good ENTRY), or say --leave-no-snapshot"));
    }
    let details = details(&key, holder.name());
    session.carry_out("revoked", details, &next, None, &arguments.signing.with).await
}

/// The threshold keeps custodians from being removed one after the other.
fn explained(failure: Failure) -> Failure {
    let threshold = failure.chain().iter().any(|line| line.contains("threshold") || line.contains("custodian"));
    match threshold {
        true => failure.hinted(
            "add another custodian first (`keyhaven keys add --role custodian`), or remove one and lower how many must sign \
             in one version: `keyhaven trust propose --remove-custodian NAME --threshold 1`",
        ),
        false => failure,
    }
}

fn details(key: &Digest, name: &str) -> serde_json::Map<String, serde_json::Value> {
    let pairs = [("fingerprint", key.to_string()), ("name", name.to_owned())];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

/// The entry of a key that is meant as its last good one.
fn last_good(ledger: &Ledger, holder: &PolicyMember, text: &str) -> Result<EntryRef, Failure> {
    let key = holder.fingerprint();
    let own = || ledger.entries().iter().filter(|entry| entry.key == key);
    let by_sequence = text.parse::<u64>().ok();
    let mut found: Vec<EntryRef> =
        own().filter(|entry| Some(entry.sequence) == by_sequence).map(Entry::reference).collect();
    if found.is_empty() && text.len() >= LEAST_DIGITS {
        found = own()
            .filter(|entry| entry.digest.to_string().starts_with(text) || entry.reference().to_string() == text)
            .map(Entry::reference)
            .collect();
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::usage(format!("no entry `{text}` is signed by {}", key.short()))
            .hinted("give the sequence or the start of the digest of an entry that this key signed")),
        _ => Err(Failure::usage(format!("`{text}` fits several entries; give more digits of the digest"))),
    }
}

/// A public key from its own file, or from that of a recovery kit: the custodian's, or the recovery host's.
fn read_key(path: &Path, custodian: bool) -> Result<PublicKey, Failure> {
    let text = read_public(path, "public key")?;
    if text.contains("PRIVATE KEY") {
        return Err(Failure::usage(format!("{} holds a secret key; give the public one", path.display())));
    }
    let bare = text.trim_start().starts_with("-----BEGIN");
    let read = if bare { PublicKey::from_pem(&text) } else { PublicKey::from_pem("") };
    read.or_else(|error| {
        let kit = recovery_file::read(&text, &path.display().to_string()).ok();
        let keys = kit.map(|kit| if custodian { kit.custodians } else { kit.recovery_hosts });
        match keys.as_deref() {
            Some([one]) => Ok(*one),
            _ => Err(Failure::from(error).hinted(format!("the file is {}", path.display()))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::kit;

    #[test]
    fn a_key_is_found_by_name_and_fingerprint() {
        let policy = kit::first_policy();
        assert!(matches!(holder(&policy, "collector"), Ok(PolicyMember::Key(_))));
        assert!(matches!(holder(&policy, "custodian 2"), Ok(PolicyMember::Custodian(_))));
        let fingerprint = kit::key(4).public().fingerprint().to_string();
        assert_eq!(holder(&policy, &fingerprint[..8]).unwrap().name(), "collector");
        assert!(holder(&policy, &fingerprint[..3]).is_err() && holder(&policy, "x").is_err());
        let mut ended = policy;
        ended.keys[0].until = Some(Vec::new());
        assert!(holder(&ended, "collector").is_err() && holder_to_revoke(&ended, "collector").is_ok());
    }

    #[test]
    fn a_role_is_one_of_the_table_or_custodian() {
        assert_eq!("custodian".parse(), Ok(GrantedRole::Custodian));
        assert_eq!("operator".parse(), Ok(GrantedRole::Role(SigningRole::Operator)));
        assert!("root".parse::<GrantedRole>().unwrap_err().contains("operator"));
    }
}
